"""The prompt of a video as a plan: which words hold when, where the shots lie, and when each keyframe is.

Imports no torch. Times are exact fractions, so that frames and keyframes never disagree.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from pipelines.errors import InvalidRequest
from pipelines.media import GIF_MAX_FPS
from pipelines.messages import VideoRequest
from pipelines.timeline.interpolation import frame_count

TIME = re.compile(r"^\s*\[?(?:(\d+):)?(\d{1,3}):(\d{2}(?:\.\d+)?)\]?\s*[-–—:]?\s+(?=\S)")


@dataclass(frozen=True)
class Line:
    """Words that hold from a moment on. at: seconds."""

    at: Fraction
    text: str


@dataclass(frozen=True)
class Shot:
    """Frames that belong together, and the keyframes they are made from.

    lines: the words on the way, the first at or before the shot's start. start: seconds. frames: how many frames.
    keys: seconds of each keyframe, none for a native model. is_loop: the way back from the last key to the first belongs to it.
    """

    lines: tuple[Line, ...]
    start: Fraction
    seconds: Fraction
    frames: int
    keys: tuple[Fraction, ...]
    is_loop: bool = False

    def words_at(self, time: Fraction) -> tuple[str, str, float]:
        """(from, to, how far between), for travelling from words to words."""
        at = [line.at for line in self.lines]
        index = max(0, bisect_right(at, time) - 1)
        here = self.lines[index]
        if index + 1 == len(self.lines):
            if not self.is_loop or index == 0:
                return here.text, here.text, 0.0
            there, end = self.lines[0], self.start + self.seconds  # the path closes
        else:
            there = self.lines[index + 1]
            end = there.at
        way = (time - here.at) / (end - here.at) if end > here.at else Fraction(0)
        return here.text, there.text, float(max(way, Fraction(0)))


def storyboard(request: VideoRequest) -> list[Shot]:
    """The shots of a request, together exactly `seconds` times `fps` frames.

    Raises InvalidRequest when a time is outside the clip or not after the one before it, or a shot has no frame.
    """
    fps, seconds = request.frame_rate, Fraction(request.seconds).limit_denominator(1_000_000)
    total = frame_count(seconds, fps)
    lines = read_lines(request)
    if request.transition == "travel" or len(lines) == 1:
        return [_shot(tuple(lines), Fraction(0), seconds, total, request, is_loop=request.loop)]
    starts = [Fraction(0), *(line.at for line in lines[1:]), seconds]
    edges = [round(start * fps) for start in starts[:-1]] + [total]
    shots = []
    for index, line in enumerate(lines):
        frames = edges[index + 1] - edges[index]
        if frames < 1:
            start, end = float(starts[index]), float(starts[index + 1])
            raise InvalidRequest(
                f"The shot “{line.text[:40]}” is too short to be seen.",
                field="prompt",
                detail=f"Between {start:g} s and {end:g} s there is no frame at {request.fps} fps.",
                hint="Give it more time, or use fewer lines.",
            )
        length = starts[index + 1] - starts[index]
        shots.append(_shot((line,), starts[index], length, frames, request, is_loop=False))
    return shots


def _shot(
    lines: tuple[Line, ...],
    start: Fraction,
    seconds: Fraction,
    frames: int,
    request: VideoRequest,
    is_loop: bool,
) -> Shot:
    wanted = max(2, math.ceil(Fraction(request.keyframes_per_second).limit_denominator(1000) * seconds))
    count = min(wanted, frames)  # no keyframe between two frames
    steps = count if is_loop else max(1, count - 1)
    keys = tuple(start + seconds * Fraction(k, steps) for k in range(count))
    return Shot(lines, start, seconds, frames, keys, is_loop and count > 1)


def read_lines(request: VideoRequest) -> list[Line]:
    """The lines of the prompt in order, each with its time; those without one are spread between their neighbours."""
    seconds = Fraction(request.seconds).limit_denominator(1_000_000)
    timed: list[tuple[Fraction | None, str]] = []
    for text in request.prompt.splitlines():
        if not text.strip():
            continue
        found = TIME.match(text)
        timed.append((_seconds(found), text[found.end() :].strip()) if found else (None, text.strip()))
    if not timed:
        raise InvalidRequest(
            "There is nothing to show.",
            field="prompt",
            detail="The prompt has no words in it.",
            hint="Describe what the clip should show.",
        )
    _check_times([at for at, _ in timed if at is not None], seconds)
    # the first line holds from the start; travelling reaches the last one at the end, a cut or a loop leaves it time to stay
    times: list[Fraction | None] = [at for at, _ in timed]
    times[0] = Fraction(0) if times[0] is None else times[0]
    stays = request.transition == "cut" or request.loop or len(times) == 1
    times.append(seconds)
    if not stays and times[-2] is None:
        times[-2] = seconds
    known = [index for index, at in enumerate(times) if at is not None]
    for left, right in pairwise(known):
        first, last = times[left], times[right]
        assert first is not None
        assert last is not None
        for index in range(left + 1, right):
            times[index] = first + (last - first) * Fraction(index - left, right - left)
    return [Line(at, text) for at, (_, text) in zip(times, timed, strict=False) if at is not None]


def _seconds(found: re.Match[str]) -> Fraction:
    hours, minutes, seconds = found.groups()
    return Fraction(int(hours or 0) * 3600 + int(minutes) * 60) + Fraction(seconds)


def _check_times(times: list[Fraction], seconds: Fraction) -> None:
    for before, after in zip([Fraction(-1), *times], times, strict=False):
        if after <= before:
            raise InvalidRequest(
                f"The line at {clock(after)} does not come after the one before it.",
                field="prompt",
                detail=f"The one before it is at {clock(before)}.",
                hint="Put the lines in the order of their times.",
            )
        if after >= seconds:
            raise InvalidRequest(
                f"The line at {clock(after)} is outside the clip.",
                field="prompt",
                detail=f"The clip is {float(seconds):g} seconds long.",
                hint=f"Make the clip longer than {float(after):g} seconds, or move the line.",
            )


def check_rate(request: VideoRequest) -> None:
    """Raises InvalidRequest when the file format cannot play so many frames a second."""
    if request.format == "gif" and request.frame_rate > GIF_MAX_FPS:
        raise InvalidRequest(
            f"A GIF cannot play {request.fps} frames a second.",
            field="fps",
            detail=f"Its clock allows {GIF_MAX_FPS} at most.",
            hint="Use 50 or less, or MP4.",
        )


def clock(seconds: Fraction) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}:{float(rest):05.2f}".removesuffix(".00")
