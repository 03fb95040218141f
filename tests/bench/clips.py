"""Eight short clips with known frames between, drawn from a seed: what interpolation is measured on.

Each is rendered at twice the size and shrunk, so that edges are soft as a camera's. Textures are fractal noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
FRAMES = 33


def fractal(h: int, w: int, seed: int, *, detail: float = 0.55) -> NDArray[np.float32]:
    """Cloudy noise with structure at every scale, (h, w) in 0..1. detail: how much each finer octave keeps."""
    rng = np.random.default_rng(seed)
    total = np.zeros((h, w), np.float32)
    strength, cells = 1.0, 3
    while cells < w / 2:
        grid = rng.random((max(2, cells * h // w + 2), cells + 2), np.float32)
        total += strength * cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC)
        strength, cells = strength * detail, cells * 2
    low, high = total.min(), total.max()
    return (total - low) / (high - low)


def texture(h: int, w: int, seed: int) -> Frame:
    """A colourful surface: patches with hard edges, grain within, (h, w, 3)."""
    rng = np.random.default_rng(seed)
    patches = np.digitize(fractal(h, w, seed * 7 + 1, detail=0.45), np.linspace(0.2, 0.8, 9))
    palette = rng.uniform(30, 225, (10, 3)).astype(np.float32)
    grain = fractal(h, w, seed * 7 + 2, detail=0.8)[..., None] - 0.5
    return np.clip(palette[patches] + 110 * grain, 0, 255).astype(np.uint8)


def _warp(image: Frame, matrix: NDArray[np.float64], size: tuple[int, int]) -> Frame:
    return np.asarray(
        cv2.warpAffine(
            image, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
        )
    )


def _shift(x: float, y: float) -> NDArray[np.float64]:
    return np.array([[1, 0, x], [0, 1, y]], np.float64)


def _turn(scale: float, degrees: float, middle: tuple[float, float]) -> NDArray[np.float64]:
    return np.asarray(cv2.getRotationMatrix2D(middle, degrees, scale))


def pan(w: int, h: int) -> Iterator[Frame]:
    """A camera swing that speeds up and slows down, up to 13 px a frame."""
    sheet = texture(h + 400, w + 1200, 11)
    for i in range(FRAMES):
        x = 560 + 540 * np.sin(np.pi * (i / (FRAMES - 1) - 0.5))
        yield _warp(sheet, _shift(x, 100 + 2.5 * i), (w, h))


def zoom(w: int, h: int) -> Iterator[Frame]:
    """Zoom in by half while turning 25 degrees, both eased."""
    sheet = texture(h, w, 12)
    for i in range(FRAMES):
        ease = 0.5 - 0.5 * np.cos(np.pi * i / (FRAMES - 1))
        yield _warp(sheet, _turn(1 - 0.35 * ease, 25 * ease, (w / 2, h / 2)), (w, h))


def parallax(w: int, h: int) -> Iterator[Frame]:
    """Three blobby layers in front of a slow background, the nearest the fastest."""
    layers = [(texture(h, w + 1600, 20 + n), _blobs(h, w + 1600, 30 + n, 0.62 + 0.05 * n)) for n in range(3)]
    back = texture(h, w + 800, 23)
    for i in range(FRAMES):
        frame = _warp(back, _shift(2.0 * i, 0), (w, h)).astype(np.float32)
        for n, (sheet, mask) in enumerate(layers):
            move = _shift((7.0 + 9 * n) * i, 3 * np.sin(i / 5 + n))
            frame = _over(frame, _warp(sheet, move, (w, h)), _warp(mask, move, (w, h)))
        yield frame.astype(np.uint8)


def _blobs(h: int, w: int, seed: int, level: float) -> Frame:
    return ((fractal(h, w, seed, detail=0.35) > level) * 255).astype(np.uint8)


def _over(below: NDArray[np.float32], above: Frame, mask: Frame) -> NDArray[np.float32]:
    alpha = mask[..., None].astype(np.float32) / 255
    return below + alpha * (above.astype(np.float32) - below)


def movers(w: int, h: int) -> Iterator[Frame]:
    """Seven textured things that cross each other fast and turn, over a still background."""
    rng = np.random.default_rng(40)
    back = texture(h, w, 41)
    things = []
    for n in range(7):
        side = int(rng.integers(150, 320))
        mask = np.zeros((side, side), np.uint8)
        if n % 2:
            cv2.circle(mask, (side // 2, side // 2), side // 2 - 4, 255, -1, cv2.LINE_AA)
        else:
            corners = [(0.5, 0.03), (0.95, 0.4), (0.78, 0.95), (0.2, 0.9), (0.05, 0.35)]
            cv2.fillPoly(
                mask, [np.array([(int(x * side), int(y * side)) for x, y in corners])], 255, cv2.LINE_AA
            )
        start = rng.uniform([0, 0], [w, h])
        speed = rng.uniform(18, 52) * np.array([np.cos(a := rng.uniform(0, 2 * np.pi)), np.sin(a)])
        things.append((texture(side, side, 50 + n), mask, start, speed, rng.uniform(-6, 6)))
    for i in range(FRAMES):
        frame = back.astype(np.float32)
        for skin, mask, start, speed, spin in things:
            x, y = _bounce(start + speed * i, (w, h))
            side = skin.shape[0]
            matrix = cv2.getRotationMatrix2D((side / 2, side / 2), spin * i, 1)
            matrix[:, 2] += np.array([x, y]) - side / 2
            placed = cv2.warpAffine(skin, matrix, (w, h))
            frame = _over(frame, placed, cv2.warpAffine(mask, matrix, (w, h)))
        yield frame.astype(np.uint8)


def _bounce(point: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    edge = np.array(size, np.float64)
    return edge - np.abs(point % (2 * edge) - edge)


def flex(w: int, h: int) -> Iterator[Frame]:
    """A surface that waves like cloth while the light changes."""
    sheet = texture(h, w, 60)
    y, x = np.indices((h, w), np.float32)
    for i in range(FRAMES):
        dx = 26 * np.sin(x / 170 + i / 4) + 9 * np.sin(y / 90 - i / 5)
        dy = 20 * np.sin(y / 140 + i / 5) + 9 * np.cos(x / 110 + i / 6)
        bent = cv2.remap(sheet, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        light = 1 + 0.12 * np.sin(x / w * 3 + i / 6)
        yield np.clip(bent * light[..., None], 0, 255).astype(np.uint8)


def limbs(w: int, h: int) -> Iterator[Frame]:
    """A plain figure that walks past a soft wall: little texture, joints that swing."""
    wall = cv2.GaussianBlur(texture(h, w, 70), (0, 0), 60)
    cv2.rectangle(wall, (0, int(h * 0.82)), (w, h), (95, 88, 80), -1)
    for i in range(FRAMES):
        frame = wall.copy()
        hip = np.array([w * 0.2 + 17.0 * i, h * 0.52 + 8 * np.sin(i / 2)])
        neck = hip + np.array([12, -h * 0.22])
        swing = 0.75 * np.sin(i / 4)
        for side in (-1, 1):
            knee = hip + h * 0.16 * np.array([np.sin(side * swing), np.cos(side * swing)])
            bend = side * swing - max(0.0, 0.9 * np.sin(i / 4 + side * 1.2))
            foot = knee + h * 0.16 * np.array([np.sin(bend), np.cos(bend)])
            elbow = neck + h * 0.11 * np.array([np.sin(-side * swing), np.cos(-side * swing)])
            hand = elbow + h * 0.11 * np.array([np.sin(0.6 - side * swing), np.cos(0.6 - side * swing)])
            shade = 0.75 if side < 0 else 1.0
            _limb(frame, hip, knee, 44, (60 * shade, 80 * shade, 130 * shade))
            _limb(frame, knee, foot, 36, (60 * shade, 80 * shade, 130 * shade))
            _limb(frame, neck, elbow, 34, (190 * shade, 90 * shade, 70 * shade))
            _limb(frame, elbow, hand, 28, (215 * shade, 170 * shade, 140 * shade))
        _limb(frame, hip, neck, 74, (200, 95, 75))
        cv2.circle(
            frame, tuple(int(v) for v in neck + np.array([6, -64])), 52, (222, 178, 150), -1, cv2.LINE_AA
        )
        yield frame


def _limb(frame: Frame, a: NDArray, b: NDArray, width: int, colour: tuple[float, float, float]) -> None:
    ends = [tuple(round(v * 16) for v in end) for end in (a, b)]
    steps = [tuple(int(v) // 16 for v in end) for end in ends]
    cv2.line(frame, steps[0], steps[1], colour, width, cv2.LINE_AA)
    for end in ends:
        cv2.circle(frame, end, width * 8, colour, -1, cv2.LINE_AA, shift=4)


def morph(w: int, h: int) -> Iterator[Frame]:
    """What diffusion keyframes do: things move while their surface turns into another and the light flickers."""
    rng = np.random.default_rng(80)
    skins = [texture(h, w + 900, 81), texture(h, w + 900, 82)]
    front, mask = texture(h, w + 1200, 83), _blobs(h, w + 1200, 84, 0.66)
    for i in range(FRAMES):
        t = np.float32(i / (FRAMES - 1))
        moved = [_warp(skin, _shift(6.0 * i, 0), (w, h)).astype(np.float32) for skin in skins]
        frame = moved[0] * (1 - t) + moved[1] * t
        move = _shift(15.0 * i, 4 * np.sin(i / 4))
        frame = _over(frame, _warp(front, move, (w, h)), _warp(mask, move, (w, h)))
        yield np.clip(frame * rng.uniform(0.975, 1.025), 0, 255).astype(np.uint8)


def flight(w: int, h: int) -> Iterator[Frame]:
    """A camera that flies over a patterned floor between six balls: real perspective, real occlusion."""
    floor, skin = texture(1024, 1024, 90), texture(1024, 1024, 91)
    rng = np.random.default_rng(92)
    balls = [(rng.uniform([-6, 0.6, 5], [6, 2.2, 26]), rng.uniform(0.6, 1.4)) for _ in range(6)]
    v, u = np.indices((h, w), np.float32)
    rays = np.stack([(u - w / 2) / w * 1.5, (h / 2 - v) / w * 1.5, np.ones_like(u)], axis=2)
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    sky = np.stack([150 + 60 * rays[..., 1], 180 + 50 * rays[..., 1], 220 + 20 * rays[..., 1]], axis=2)
    sky = sky.astype(np.float32)
    for i in range(FRAMES):
        yield _view(
            rays,
            sky,
            floor,
            skin,
            balls,
            eye=np.array([1.2 * np.sin(i / 9), 1.6, 0.22 * i]),
            yaw=0.22 * np.sin(i / 8),
        )


def _view(
    rays: NDArray, sky: NDArray, floor: Frame, skin: Frame, balls: list, eye: NDArray, yaw: float
) -> Frame:
    """One frame by casting a ray per pixel; single precision and only the pixels of each ball, to stay quick."""
    eye = eye.astype(np.float32)
    c, s = np.float32(np.cos(yaw)), np.float32(np.sin(yaw))
    way = np.stack(
        [
            c * rays[..., 0] + s * rays[..., 2],
            rays[..., 1] - np.float32(0.12),
            c * rays[..., 2] - s * rays[..., 0],
        ],
        axis=2,
    )
    way /= np.sqrt((way * way).sum(axis=2, keepdims=True))
    depth = np.where(
        way[..., 1] < -1e-3, -eye[1] / np.minimum(way[..., 1], np.float32(-1e-3)), np.float32(1e6)
    )
    size = floor.shape[0]
    maps = [np.mod((eye[k] + way[..., k] * depth) * np.float32(90), np.float32(size)) for k in (0, 2)]
    seen = cv2.remap(floor, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP).astype(np.float32)
    frame = seen + np.clip(depth / np.float32(45), 0, 1)[..., None] * (sky - seen)
    for middle, radius in balls:
        off = eye - middle.astype(np.float32)
        b = way @ off
        root = b * b - np.float32(off @ off - radius**2)
        shown = root > 0
        hit = -b[shown] - np.sqrt(root[shown])
        near = (hit > 0) & (hit < depth[shown])
        normal = ((off + way[shown] * hit[:, None]) / np.float32(radius))[near]
        place = [((normal[:, k] * np.float32(0.45) + np.float32(0.5)) * size) for k in (0, 1)]
        u, v = (np.clip(p, 0, size - 1).astype(int) for p in place)
        light = np.clip(normal @ np.array([0.5, 0.7, -0.5], np.float32), 0.15, 1)[:, None]
        where = np.flatnonzero(shown.ravel())[near]
        frame.reshape(-1, 3)[where] = skin[v, u] * light
        depth.reshape(-1)[where] = hit[near]
    return np.clip(frame, 0, 255).astype(np.uint8)


CLIPS: dict[str, Callable[[int, int], Iterator[Frame]]] = {
    clip.__name__: clip for clip in (pan, zoom, parallax, movers, flex, limbs, morph, flight)
}


def render(name: str, width: int = 854, height: int = 480, frames: int = FRAMES) -> list[Frame]:
    """The first frames of a clip, (height, width, 3) uint8 each. Motion is in pixels of the 1708 × 960 drawing."""
    drawn = CLIPS[name](1708, 960)
    shrunk = (cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in drawn)
    return [frame for frame, _ in zip(shrunk, range(frames), strict=False)]
