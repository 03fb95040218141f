"""A motif and a seed → pixels, at any size: one picture for one seed, and for a clip how it moves on."""

from __future__ import annotations

from PIL import Image

from pipelines.illustrator.brush import Brush
from pipelines.illustrator.emblem import draw_emblem
from pipelines.illustrator.landscape import draw_landscape
from pipelines.illustrator.motif import Motif
from pipelines.illustrator.patterns import draw_pattern
from pipelines.illustrator.products import draw_product
from pipelines.illustrator.styles import STYLES

DRAW = {"landscape": draw_landscape, "emblem": draw_emblem, "product": draw_product, "pattern": draw_pattern}
RISE = {"landscape": 0.55, "product": 0.6}


def paint(motif: Motif, width: int, height: int, seed: int, moment: float = 0.0) -> Image.Image:
    motif = motif.settled(seed)
    b = Brush(width * 2, height * 2, seed=seed, rise=RISE.get(motif.kind, 0.5), moment=moment)
    DRAW[motif.kind](b, motif)
    image = b.image.reduce(2)
    return STYLES[motif.style](image, seed) if motif.style in STYLES else image
