"""A motif and a seed → a picture of any size: the same for the same seed, and for a clip how it moves on."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from pipelines.illustrator.brush import Brush
from pipelines.illustrator.emblem import draw_emblem
from pipelines.illustrator.landscape import draw_landscape
from pipelines.illustrator.motif import Kind, Motif
from pipelines.illustrator.patterns import draw_pattern
from pipelines.illustrator.products import draw_product
from pipelines.illustrator.styles import STYLES

DRAW: dict[Kind, Callable[[Brush, Motif], None]] = {
    "landscape": draw_landscape,
    "emblem": draw_emblem,
    "product": draw_product,
    "pattern": draw_pattern,
}
RISE: dict[Kind, float] = {"landscape": 0.55, "product": 0.6}
"""How much of a tall canvas lies above the scene."""
SUPERSAMPLE = 2


def paint(motif: Motif, width: int, height: int, seed: int, moment: float = 0.0) -> Image.Image:
    """The picture, RGB. moment: seconds into a clip; clouds, boats and birds move on, everything else stays where it is."""
    motif = motif.settled(seed)
    b = Brush(
        width * SUPERSAMPLE,
        height * SUPERSAMPLE,
        seed=seed,
        rise=RISE.get(motif.kind, 0.5),
        moment=moment,
    )
    DRAW[motif.kind](b, motif)
    image = b.image.reduce(SUPERSAMPLE)
    return STYLES[motif.style](image, seed) if motif.style in STYLES else image
