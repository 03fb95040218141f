"""Styles: how the finished flat picture is rendered, as watercolour, pixel art, neon, a printed poster or a pencil sketch.

Each takes the painted picture at its final size and gives one of the same size; chance comes from the seed alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps


def _noise(size: tuple[int, int], cell: float, seed: int, low: int = 0, high: int = 255) -> Image.Image:
    """Soft noise, mode L, with blots about `cell` pixels wide."""
    w, h = max(2, round(size[0] / cell)), max(2, round(size[1] / cell))
    values = np.random.default_rng(seed).integers(low, high + 1, (h, w), dtype=np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)


def _warped(image: Image.Image, seed: int, reach: float, cells: int) -> Image.Image:
    """Every edge made to waver by up to `reach` pixels: a mesh whose inner corners are moved."""
    w, h = image.size
    cells = min(cells, min(w, h) // 4)
    across, down = max(2, round(cells * w / min(w, h))), max(2, round(cells * h / min(w, h)))
    rng = np.random.default_rng(seed)
    moves = rng.uniform(-reach, reach, (down + 1, across + 1, 2))
    moves[[0, -1], :, 1] = 0
    moves[:, [0, -1], 0] = 0
    xs, ys = np.linspace(0, w, across + 1).round(), np.linspace(0, h, down + 1).round()
    mesh = []
    for r in range(down):
        for c in range(across):
            corners = [
                (xs[i] + moves[j, i, 0], ys[j] + moves[j, i, 1])
                for j, i in ((r, c), (r + 1, c), (r + 1, c + 1), (r, c + 1))
            ]
            box = (int(xs[c]), int(ys[r]), int(xs[c + 1]), int(ys[r + 1]))
            mesh.append((box, tuple(float(v) for corner in corners for v in corner)))
    return image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def _inked(image: Image.Image, count: int) -> Image.Image:
    """The picture in `count` colours; the palette is drawn from a picture in which vivid spots weigh more than their area."""
    small = image.copy()
    small.thumbnail((128, 128), Image.Resampling.BOX)
    pixels = np.asarray(small).reshape(-1, 3)
    vivid = pixels.max(1).astype(int) - pixels.min(1)
    odd = np.abs(pixels.astype(int) - np.median(pixels, 0)).sum(1)
    weight = (vivid / 255.0) ** 2 * (odd / 765.0) + 0.02
    picked = np.random.default_rng(0).choice(len(pixels), 4096, p=weight / weight.sum())
    pool = Image.fromarray(np.concatenate([pixels, pixels[picked]])[None])
    palette = pool.quantize(count, Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    return image.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB")


def watercolour(image: Image.Image, seed: int) -> Image.Image:
    """Wavering edges where pigment gathers, washes that vary, grain of paper, and a bare rim."""
    size, unit = image.size, min(image.size)
    wash = _warped(image, seed + 1, unit * 0.006, 26)
    wash = _warped(wash, seed + 2, unit * 0.0028, 70)
    wash = wash.filter(ImageFilter.ModeFilter(5)) if unit <= 640 else wash
    soft = wash.filter(ImageFilter.GaussianBlur(unit * 0.012))
    rim = ImageChops.difference(wash, soft).convert("L").point(lambda v: min(110, v * 2))
    dark = ImageChops.multiply(wash, Image.blend(wash, Image.new("RGB", size, (120, 110, 140)), 0.35))
    wash.paste(dark, (0, 0), rim)
    light = Image.blend(wash, Image.new("RGB", size, (255, 252, 244)), 0.62)
    blots = ImageChops.add(
        _noise(size, unit / 5, seed + 3, 0, 120), _noise(size, unit / 16, seed + 4, 0, 90), 1.3
    )
    wash.paste(light, (0, 0), blots)
    wash = Image.blend(wash, Image.new("RGB", size, (255, 252, 244)), 0.14)
    wash = ImageEnhance.Color(wash).enhance(1.16)
    paper = Image.merge("RGB", [_noise(size, max(1.5, unit / 210), seed + 5, 238, 255)] * 3)
    wash = ImageChops.multiply(wash, paper)
    return Image.composite(
        wash, ImageChops.multiply(Image.new("RGB", size, (253, 250, 242)), paper), _brushed_area(size, seed)
    )


def _brushed_area(size: tuple[int, int], seed: int) -> Image.Image:
    """White where there is paint: all but an uneven rim."""
    w, h = size
    unit = min(size)
    inset = unit * 0.035
    area = Image.new("L", size)
    rng = np.random.default_rng(seed + 6)
    points = []
    for edge in range(4):
        long, count = (
            (w, max(8, round(26 * w / unit))) if edge % 2 == 0 else (h, max(8, round(26 * h / unit)))
        )
        for k in range(count):
            t = inset + (long - 2 * inset) * k / count
            d = inset + float(rng.uniform(-0.012, 0.012)) * unit
            points.append(((t, d), (w - d, t), (w - t, h - d), (d, h - t))[edge])
    ImageDraw.Draw(area).polygon(points, fill=255)
    return area.filter(ImageFilter.GaussianBlur(unit * 0.004)).point(lambda v: max(0, min(255, (v - 88) * 4)))


def pixel(image: Image.Image, seed: int) -> Image.Image:
    """Large square pixels in 28 colours."""
    w, h = image.size
    unit = max(2, round(min(w, h) / 72))
    small = image.resize((max(8, round(w / unit)), max(8, round(h / unit))), Image.Resampling.BOX)
    small = ImageEnhance.Color(small).enhance(1.18)
    small = _inked(small.filter(ImageFilter.UnsharpMask(1, 60, 2)), 28)
    return small.resize((w, h), Image.Resampling.NEAREST)


def neon(image: Image.Image, seed: int) -> Image.Image:
    """Only the outlines, as glowing tubes in the dark."""
    size, unit = image.size, min(image.size)
    flat = image.filter(ImageFilter.MedianFilter(3))
    step = max(1, round(unit / 340))
    edges = Image.new("L", size)
    for dx, dy in ((step, 0), (0, step), (step, step)):
        moved = ImageChops.offset(flat, dx, dy)
        change = ImageChops.difference(flat, moved)
        red, green, blue = change.split()
        edges = ImageChops.lighter(edges, ImageChops.lighter(ImageChops.lighter(red, green), blue))
    ImageDraw.Draw(edges).rectangle((0, 0, size[0] - 1, size[1] - 1), outline=0, width=2 * step)
    edges = edges.point(lambda v: 0 if v < 15 else min(255, 90 + v * 3))
    edges = edges.filter(ImageFilter.GaussianBlur(unit / 520)).point(lambda v: min(255, v * 2))
    hue, saturation, _ = flat.filter(ImageFilter.MaxFilter(3)).convert("HSV").split()
    pale = saturation.point(lambda v: 255 if v < 60 else 0)  # greys and whites become the sign's own colours
    swing = Image.fromarray(
        (np.linspace(126, 226, size[1])[:, None] * np.ones((1, size[0]))).astype(np.uint8)
    )
    hue = Image.composite(swing, hue, pale)
    saturation = saturation.point(lambda v: 150 + v * 105 // 255)
    tubes = Image.merge("HSV", (hue, saturation, Image.new("L", size, 255))).convert("RGB")
    tubes = Image.composite(tubes, Image.new("RGB", size), edges)
    dim = Image.blend(ImageOps.posterize(image, 4), Image.new("RGB", size, (12, 8, 30)), 0.84)
    small = tubes.resize((max(1, size[0] // 2), max(1, size[1] // 2)), Image.Resampling.BOX)
    for radius, strength in ((unit / 24, 1.7), (unit / 70, 1.5), (unit / 200, 1.0)):
        halo = small.filter(ImageFilter.GaussianBlur(radius / 2)).resize(size, Image.Resampling.BILINEAR)
        dim = ImageChops.screen(dim, ImageEnhance.Brightness(halo).enhance(strength))
    core = Image.blend(
        tubes, Image.composite(Image.new("RGB", size, "white"), Image.new("RGB", size), edges), 0.35
    )
    return ImageChops.screen(dim, core)


def poster(image: Image.Image, seed: int) -> Image.Image:
    """A screen print: eleven flat inks, a warm cast, coarse grain, and a paper border."""
    size, unit = image.size, min(image.size)
    print_ = ImageEnhance.Contrast(ImageEnhance.Color(image).enhance(0.88)).enhance(1.12)
    inks = _inked(
        print_.filter(ImageFilter.ModeFilter(5) if unit <= 640 else ImageFilter.MedianFilter(3)), 11
    )
    paper = (247, 236, 212)
    inks = Image.blend(
        ImageChops.multiply(inks, Image.new("RGB", size, (255, 243, 218))),
        Image.new("RGB", size, paper),
        0.05,
    )
    grain = _noise(size, max(1.0, unit / 330), seed + 7)
    inks.paste(paper, (0, 0), grain.point(lambda v: 70 if v > 246 else 0))
    inks = ImageChops.multiply(inks, Image.merge("RGB", [grain.point(lambda v: 238 + v * 17 // 255)] * 3))
    rim = round(unit * 0.055)
    sheet = Image.new("RGB", size, paper)
    sheet.paste(inks.crop((rim, rim, size[0] - rim, size[1] - rim)), (rim, rim))
    line = ImageDraw.Draw(sheet)
    line.rectangle(
        (rim // 2, rim // 2, size[0] - 1 - rim // 2, size[1] - 1 - rim // 2),
        outline=(74, 62, 66),
        width=max(1, unit // 200),
    )
    return sheet


def sketch(image: Image.Image, seed: int) -> Image.Image:
    """Pencil on paper: outlines, hatching in the shadows, and a touch of colour."""
    size, unit = image.size, min(image.size)
    drawn = _warped(image, seed + 1, unit * 0.004, 30)
    grey = ImageOps.grayscale(drawn)
    blurred = ImageOps.invert(grey).filter(ImageFilter.GaussianBlur(unit / 110))
    values = np.asarray(grey, np.float32)
    dodge = np.clip(values * 255 / np.maximum(1.0, 255 - np.asarray(blurred, np.float32)), 0, 255)
    lines = Image.fromarray(dodge.astype(np.uint8)).point(lambda v: max(0, min(255, int((v - 150) * 2.5))))
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    period = max(3.0, unit / 64)
    wobble = np.asarray(_noise(size, unit / 5, seed + 8), np.float32) / 255 * period * 0.4
    tilt = (x + y + wobble) / period % 1.0
    cross = (x - y + wobble) / period % 1.0
    hatch = np.full(values.shape, 255, np.float32)
    hatch[(tilt < 0.25) & (values < 128)] = 172
    hatch[(cross < 0.22) & (values < 72)] = 150
    grain = np.asarray(_noise(size, max(1.0, unit / 380), seed + 9, 0, 60), np.float32)
    pencil = Image.fromarray(
        np.clip(np.minimum(hatch, np.asarray(lines, np.float32)) + grain, 0, 255).astype(np.uint8)
    )
    ink = ImageOps.colorize(
        pencil.filter(ImageFilter.GaussianBlur(unit / 900)), (58, 54, 66), (253, 250, 243)
    )
    tint = Image.blend(
        drawn.filter(ImageFilter.GaussianBlur(unit / 200)), Image.new("RGB", size, (253, 250, 243)), 0.55
    )
    return ImageChops.multiply(ink, tint)


STYLES: dict[str, Callable[[Image.Image, int], Image.Image]] = {
    "watercolour": watercolour, "pixel": pixel, "neon": neon, "poster": poster, "sketch": sketch,
}  # fmt: skip
