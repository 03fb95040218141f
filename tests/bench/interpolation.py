"""How good and how fast the interpolation is: frames are dropped, made again, and compared with the true ones.

    python launch.py bench interpolation [--clips pan,limbs] [--size 854x480] [--json]

Beside it, in the same run: repeating frames, cross-fading, and ffmpeg's motion-compensated minterpolate.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations

import cv2
import numpy as np

from pipelines.media import ffmpeg
from pipelines.timeline.interpolation import CUT, Frame, cut_score, interpolate, positions
from tests.bench.clips import CLIPS, render
from tests.bench.report import machine

Method = Callable[[Sequence[Frame], int], list[Frame]]
INTERVALS = {2: 7, 4: 6}  # key intervals compared a clip


def psnr(a: Frame, b: Frame) -> float:
    """Peak signal to noise in dB over RGB, capped at 60."""
    error = float(np.mean((a.astype(np.float32) - b.astype(np.float32)) ** 2))
    return min(60.0, 10 * np.log10(255**2 / max(error, 1e-9)))


def ssim(a: Frame, b: Frame) -> float:
    """Mean structural similarity of luma, 11 × 11 Gaussian window of sigma 1.5 (Wang et al. 2004)."""
    x, y = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in (a, b))

    def blur(z: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(z, (11, 11), 1.5)

    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(np.mean((2 * mx * my + c1) * (2 * vxy + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))))


def ours(keys: Sequence[Frame], factor: int) -> list[Frame]:
    return list(interpolate(keys, positions((len(keys) - 1) * factor + 1, len(keys))))


def duplicate(keys: Sequence[Frame], factor: int) -> list[Frame]:
    return [keys[round(Fraction(j, factor))] for j in range((len(keys) - 1) * factor + 1)]


def cross_fade(keys: Sequence[Frame], factor: int) -> list[Frame]:
    ends = [(*divmod(j, factor),) for j in range((len(keys) - 1) * factor + 1)]
    return [
        cv2.addWeighted(keys[i], 1 - k / factor, keys[min(i + 1, len(keys) - 1)], k / factor, 0)
        for i, k in ends
    ]


def minterpolate(keys: Sequence[Frame], factor: int) -> list[Frame]:
    """ffmpeg at its best settings; it drops the last key interval, so the last key goes in three times."""
    h, w = keys[0].shape[:2]
    options = f"fps={10 * factor}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1:scd=none"
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    command = [ffmpeg(), "-loglevel", "error", *raw, "-s", f"{w}x{h}", "-r", "10", "-i", "-"]
    command += ["-vf", f"format=yuv444p,minterpolate={options}", *raw, "-"]
    fed = b"".join(key.tobytes() for key in (*keys, keys[-1], keys[-1]))
    out = subprocess.run(command, input=fed, capture_output=True, check=True).stdout
    return list(np.frombuffer(out, np.uint8).reshape(-1, h, w, 3)[: (len(keys) - 1) * factor + 1])


METHODS: dict[str, Method] = {
    "duplicate": duplicate,
    "cross-fade": cross_fade,
    "ffmpeg mci aobmc": minterpolate,
    "ours": ours,
}


def compare(clip: Sequence[Frame], factor: int) -> Iterator[tuple[str, float, float, float]]:
    """(method, mean PSNR, mean SSIM, CPU milliseconds per frame made) over the frames that had been dropped."""
    true = list(clip[: INTERVALS[factor] * factor + 1])
    keys = true[::factor]
    dropped = [j for j in range(len(true)) if j % factor]
    for name, method in METHODS.items():
        before = sum(os.times()[:4])  # this process and its children, all threads
        made = method(keys, factor)
        spent = (sum(os.times()[:4]) - before) * 1000 / len(dropped)
        yield (
            name,
            float(np.mean([psnr(made[j], true[j]) for j in dropped])),
            float(np.mean([ssim(made[j], true[j]) for j in dropped])),
            spent,
        )


def loop_evenness() -> tuple[float, float]:
    """A circular pan of eight keys, looped: PSNR of all frames, and last-to-first step over the median step."""
    from tests.bench.clips import texture

    sheet = texture(480 + 80, 854 + 80, 5)

    def at(angle: float) -> Frame:
        shift = np.array([[1, 0, 40 + 15 * np.cos(angle)], [0, 1, 40 + 15 * np.sin(angle)]])
        return np.asarray(
            cv2.warpAffine(sheet, shift, (854, 480), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        )

    keys = [at(2 * np.pi * k / 8) for k in range(8)]
    made = list(interpolate(keys, positions(32, 8, loop=True), loop=True))
    true = [at(2 * np.pi * j / 32) for j in range(32)]
    steps = [float(np.mean(cv2.absdiff(made[j], made[(j + 1) % 32]))) for j in range(32)]
    quality = float(np.mean([psnr(a, b) for j, (a, b) in enumerate(zip(made, true, strict=True)) if j % 4]))
    return quality, steps[-1] / float(np.median(steps))


def cut_guard(clips: dict[str, list[Frame]]) -> tuple[int, int, int, int]:
    """(cuts found, cuts, false alarms, pairs) between all clips, and at every second and fourth frame within them."""
    cuts = [cut_score(clips[a][16], clips[b][16]) for a, b in combinations(clips, 2)]
    same = [
        cut_score(clip[i], clip[i + step])
        for clip in clips.values()
        for step in (2, 4)
        for i in range(0, len(clip) - step, 8)
    ]
    return sum(s > CUT for s in cuts), len(cuts), sum(s > CUT for s in same), len(same)


def main(argv: list[str]) -> int:
    """Render, drop, make again, compare; prints tables, or one JSON object with --json."""
    parser = argparse.ArgumentParser(prog="bench interpolation", description=main.__doc__)
    parser.add_argument("--clips", default=",".join(CLIPS), help="which clips, by name")
    parser.add_argument("--size", default="854x480")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    width, height = (int(side) for side in options.size.split("x"))
    clips = {name: render(name, width, height) for name in options.clips.split(",")}

    result: dict[str, dict] = {}
    for factor in INTERVALS:
        table: dict[str, dict[str, tuple[float, float, float]]] = {name: {} for name in METHODS}
        for name, clip in clips.items():
            for method, *figures in compare(clip, factor):
                table[method][name] = (figures[0], figures[1], figures[2])
        result[f"x{factor}"] = table
    found, cuts, alarms, pairs = cut_guard(clips)
    quality, seam = loop_evenness()
    result["guard"] = {"found": found, "cuts": cuts, "false_alarms": alarms, "pairs": pairs}
    result["loop"] = {"psnr": quality, "seam_step": seam}
    print(
        json.dumps(result)
        if options.json
        else f"{machine()}; {options.size}\n{_as_text(result, list(clips))}"
    )
    return 0


def _as_text(result: dict[str, dict], names: list[str]) -> str:
    lines = []
    for factor in INTERVALS:
        lines += ["", f"| x{factor}, PSNR dB | " + " | ".join(names) + " | average | SSIM | CPU ms a frame |"]
        lines += ["|---" * (len(names) + 4) + "|"]
        for method, row in result[f"x{factor}"].items():
            mean = np.mean([row[name] for name in names], axis=0)
            cells = [f"{row[name][0]:.1f}" for name in names]
            lines.append(
                f"| {method} | " + " | ".join(cells) + f" | {mean[0]:.1f} | {mean[1]:.3f} | {mean[2]:.0f} |"
            )
    guard, loop = result["guard"], result["loop"]
    lines += ["", f"Cut guard: {guard['found']} of {guard['cuts']} cuts found, "]
    lines[-1] += f"{guard['false_alarms']} false alarms in {guard['pairs']} pairs two and four frames apart."
    lines += [f"Loop (circular pan, 8 keys to 32 frames): {loop['psnr']:.1f} dB, "]
    lines[-1] += f"last-to-first step {loop['seam_step']:.2f} of the median step."
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
