"""Logos and emblems: one shape on a ground, framed or not."""

from __future__ import annotations

import math

from pipelines.illustrator.brush import Brush, mix
from pipelines.illustrator.colours import Colour, named
from pipelines.illustrator.more_shapes import MORE, Stamp
from pipelines.illustrator.motif import Motif
from pipelines.illustrator.shapes import draw_shape


def draw_emblem(b: Brush, motif: Motif) -> None:
    ground, ink = named(motif.background), named(motif.colour)
    b.box(b.left, b.top, b.right, b.bottom, ground)
    own = b.dice("emblem")
    thick = float(own.uniform(0.022, 0.038))
    if motif.frame == "ring":
        b.ring(0.5, 0.5, 0.45, 0.45, thick, ink)
        b.ring(0.5, 0.5, 0.405, 0.405, thick * 0.3, mix(ink, ground, 0.3))
    elif motif.frame == "box":
        for inset, wide in ((0.055, thick), (0.1, thick * 0.3)):
            for k in range(2):
                grow = inset + (wide if k else 0.0)
                b.round_box(
                    b.left + grow,
                    b.top + grow,
                    b.right - grow,
                    b.bottom - grow,
                    0.05,
                    ground if k else ink if inset < 0.06 else mix(ink, ground, 0.3),
                )
    r = float(own.uniform(0.235, 0.265)) if motif.frame != "none" else float(own.uniform(0.27, 0.32))
    y = 0.5 + 0.006 * math.sin(1.5 * b.moment)
    stamp(b, motif.shape, 0.5 + r * 0.045, y + r * 0.06, r, mix(ground, (20, 16, 40), 0.13), ground)
    stamp(b, motif.shape, 0.5, y, r, ink, ground)


def stamp(b: Brush, shape: str, x: float, y: float, r: float, ink: Colour, ground: Colour) -> None:
    """Any shape by its name, of about radius r around (x, y)."""
    if shape in MORE:
        MORE[shape](Stamp(b, x, y, r, ink, ground))
    else:
        draw_shape(b, shape, x, y, r, ink, ground)
