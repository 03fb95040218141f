"""How good and how fast the interpolation is: frames are dropped, made again, and compared with the true ones.

    python launch.py bench interpolation [--clips pan,limbs] [--size 854x480]

Beside it, in the same run: repeating frames, cross-fading, and ffmpeg's motion-compensated minterpolate.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np

from pipelines.media import ffmpeg
from pipelines.timeline.interpolation import CUT, Frame, cut_score, interpolate, positions
from tests.bench.clips import CLIPS, render
from tests.bench.report import Report

Method = Callable[[Sequence[Frame], int], list[Frame]]
MOST_SEAM = 1.25
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


FFMPEG = "ffmpeg mci aobmc"
METHODS: dict[str, Method] = {
    "duplicate": duplicate,
    "cross-fade": cross_fade,
    FFMPEG: minterpolate,
    "ours": ours,
}


class Quality(NamedTuple):
    """Over the frames that had been dropped, mean; cpu_ms: per frame made."""

    psnr: float
    ssim: float
    cpu_ms: float


def compare(clip: Sequence[Frame], factor: int) -> Iterator[tuple[str, Quality]]:
    true = list(clip[: INTERVALS[factor] * factor + 1])
    keys = true[::factor]
    dropped = [j for j in range(len(true)) if j % factor]
    for name, method in METHODS.items():
        before = sum(os.times()[:4])  # this process and its children, all threads
        made = method(keys, factor)
        spent = (sum(os.times()[:4]) - before) * 1000 / len(dropped)
        alike = [psnr(made[j], true[j]) for j in dropped], [ssim(made[j], true[j]) for j in dropped]
        yield name, Quality(float(np.mean(alike[0])), float(np.mean(alike[1])), spent)


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
    arguments = argparse.ArgumentParser(prog="bench interpolation", description=__doc__)
    arguments.add_argument("--clips", default=",".join(CLIPS), help="which clips, by name")
    arguments.add_argument("--size", default="854x480")
    told = arguments.parse_args(argv)
    width, height = (int(side) for side in told.size.split("x"))
    clips = {name: render(name, width, height) for name in told.clips.split(",")}
    report = Report(f"{told.size}, {len(clips)} clips")
    for factor in INTERVALS:
        table: dict[str, list[Quality]] = {name: [] for name in METHODS}
        for clip in clips.values():
            for name, quality in compare(clip, factor):
                table[name].append(quality)
        tell(report, factor, table, list(clips))
    found, cuts, alarms, pairs = cut_guard(clips)
    report.bar("cuts found", str(cuts), str(found), found == cuts)
    report.bar(f"false alarms in {pairs} pairs two and four frames apart", "0", str(alarms), not alarms)
    quality, seam = loop_evenness()
    loop = (
        f"loop (circular pan, 8 keys to 32 frames, {quality:.1f} dB): last-to-first step of the median step"
    )
    report.bar(loop, f"{MOST_SEAM}×", f"{seam:.2f}×", seam <= MOST_SEAM)
    return report.end()


def tell(report: Report, factor: int, table: dict[str, list[Quality]], clips: list[str]) -> None:
    """Figures over the clips; the bars are that no clip is below a cross-fade, and all together not below ffmpeg."""
    lines = [f"| x{factor}, PSNR dB | " + " | ".join(clips) + " | SSIM |", "|---" * (len(clips) + 2) + "|"]
    for method, of in table.items():
        cells = " | ".join(f"{each.psnr:.1f}" for each in of)
        lines.append(f"| {method} | {cells} | {np.mean([each.ssim for each in of]):.3f} |")
    report.say("\n".join(lines))
    for method, of in table.items():
        report.figure(f"x{factor}, {method}, PSNR", [each.psnr for each in of], unit="dB")
    theirs = [each.cpu_ms for each in table[FFMPEG]]
    report.figure(f"x{factor}, {FFMPEG}, processor time a frame (baseline)", theirs, unit="ms")
    report.figure(f"x{factor}, ours, processor time a frame", [e.cpu_ms for e in table["ours"]], theirs, "ms")
    least = min(a.psnr - b.psnr for a, b in zip(table["ours"], table["cross-fade"], strict=True))
    report.bar(
        f"x{factor}, above a cross-fade, the least of any clip", "0 dB", f"{least:+.1f} dB", least >= 0
    )
    above = float(np.mean([a.psnr - b.psnr for a, b in zip(table["ours"], table[FFMPEG], strict=True)]))
    report.bar(f"x{factor}, above {FFMPEG}, on average", "0 dB", f"{above:+.1f} dB", above >= 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
