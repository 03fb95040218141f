"""Shapes of one colour for logos and emblems: drawn around a point, details cut out in the colour of the ground."""

import math
from collections.abc import Sequence

import numpy as np

from pipelines.illustrator.brush import Brush, Point, mix, polygon
from pipelines.illustrator.colours import Colour


def draw_shape(b: Brush, name: str, x: float, y: float, r: float, colour: Colour, ground: Colour) -> None:
    """One emblem shape of about radius r around (x, y); details are cut out in the ground's colour."""

    def poly(points: Sequence[Point], fill: Colour = colour) -> None:
        b.shape([(x + u * r, y + v * r) for u, v in points], fill)

    def oval(u: float, v: float, ru: float, rv: float, fill: Colour = colour) -> None:
        b.oval(x + u * r, y + v * r, ru * r, rv * r, fill)

    def box(left: float, top: float, right: float, low: float, fill: Colour = colour) -> None:
        b.box(x + left * r, y + top * r, x + right * r, y + low * r, fill)

    angle = np.linspace(0, 2 * math.pi, 73)
    if name == "circle":
        oval(0, 0, 0.95, 0.95)
    elif name == "square":
        box(-0.85, -0.85, 0.85, 0.85)
    elif name == "triangle":
        poly([(0, -0.95), (1, 0.8), (-1, 0.8)])
    elif name == "diamond":
        poly([(0, -1.05), (0.75, 0), (0, 1.05), (-0.75, 0)])
    elif name == "hexagon":
        poly(polygon(0, 0, 1, 6))
    elif name == "star":
        outer, inner = polygon(0, 0.05, 1.1, 5), polygon(0, 0.05, 0.46, 5, math.pi / 5)
        poly([p for pair in zip(outer, inner, strict=True) for p in pair])
    elif name == "heart":
        hx, hy = (
            16 * np.sin(angle) ** 3,
            13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle),
        )
        poly(list(zip((hx / 16).tolist(), (-hy / 15 - 0.1).tolist(), strict=True)))
    elif name == "moon":
        oval(0, 0, 0.98, 0.98)
        oval(0.42, -0.18, 0.82, 0.82, ground)
    elif name == "sun":
        for a in range(8):
            tip, base = polygon(0, 0, 1.12, 8)[a], polygon(0, 0, 0.62, 40)
            poly([tip, base[(5 * a + 2) % 40], base[(5 * a - 2) % 40]])
        oval(0, 0, 0.56, 0.56)
    elif name == "flower":
        for u, v in polygon(0, 0, 0.58, 6):
            oval(u, v, 0.38, 0.38)
        oval(0, 0, 0.3, 0.3, ground)
    elif name == "leaf":
        t = np.linspace(0, math.pi, 31)
        right = list(zip((0.62 * np.sin(t)).tolist(), (-np.cos(t) * 1.0).tolist(), strict=True))
        poly([*right, *[(-u, v) for u, v in reversed(right)]])
        poly([(-0.05, -0.5), (0.05, -0.5), (0.05, 1.3), (-0.05, 1.3)], ground)
        poly([(-0.06, 0.95), (0.06, 0.95), (0.06, 1.3), (-0.06, 1.3)])
    elif name == "drop":
        oval(0, 0.32, 0.66, 0.66)
        poly([(0, -1.08), (0.6, 0.06), (-0.6, 0.06)])
    elif name == "bolt":
        poly([(0.25, -1.05), (-0.65, 0.15), (-0.08, 0.15), (-0.25, 1.05), (0.65, -0.2), (0.1, -0.2)])
    elif name == "cat":
        poly([(-0.85, -1), (-0.2, -0.55), (-0.85, 0.1)])
        poly([(0.85, -1), (0.2, -0.55), (0.85, 0.1)])
        oval(0, 0.1, 0.88, 0.78)
        oval(-0.36, 0, 0.13, 0.17, ground)
        oval(0.36, 0, 0.13, 0.17, ground)
        poly([(-0.13, 0.32), (0.13, 0.32), (0, 0.48)], ground)
    elif name == "fish":
        oval(-0.18, 0, 0.82, 0.5)
        poly([(0.4, 0), (1.08, -0.5), (1.08, 0.5)])
        oval(-0.58, -0.12, 0.1, 0.1, ground)
    elif name == "mug":
        oval(0.62, 0, 0.42, 0.42)
        oval(0.62, 0, 0.22, 0.22, ground)
        box(-0.75, -0.7, 0.55, 0.75)
    elif name == "rocket":
        poly([(-0.3, 0.2), (-0.72, 0.8), (-0.3, 0.66)])
        poly([(0.3, 0.2), (0.72, 0.8), (0.3, 0.66)])
        poly(
            [
                (0, -1.15),
                (0.26, -0.75),
                (0.38, -0.3),
                (0.36, 0.3),
                (0.26, 0.7),
                (-0.26, 0.7),
                (-0.36, 0.3),
                (-0.38, -0.3),
                (-0.26, -0.75),
            ]
        )
        oval(0, -0.3, 0.17, 0.17, ground)
        poly([(-0.16, 0.78), (0.16, 0.78), (0, 1.15)])
    elif name == "crown":
        poly([(-0.95, -0.6), (-0.45, 0.0), (0, -0.85), (0.45, 0.0), (0.95, -0.6), (0.75, 0.5), (-0.75, 0.5)])
        box(-0.75, 0.6, 0.75, 0.78)
    elif name == "mushroom":
        box(-0.26, 0, 0.26, 0.9, mix(colour, ground, 0.35))
        b.slice(x, y + r * 0.1, r, r, 180, 360, colour)
        for u, v, s in ((-0.45, -0.25, 0.15), (0.08, -0.5, 0.17), (0.52, -0.18, 0.13)):
            oval(u, v, s, s, ground)
    else:  # apple
        oval(-0.3, 0.2, 0.58, 0.72)
        oval(0.3, 0.2, 0.58, 0.72)
        poly([(-0.06, -0.35), (0.06, -0.35), (0.12, -0.85), (0.0, -0.85)])
        poly([(0.1, -0.55), (0.3, -0.9), (0.72, -0.92), (0.5, -0.6)])
