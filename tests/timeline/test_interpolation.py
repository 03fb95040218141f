"""Frames between keyframes: exact in time, true to the motion, never across a cut."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.timeline.interpolation import CUT, Frame, cut_score, frame_count, interpolate, positions
from tests.bench.clips import texture
from tests.bench.interpolation import cross_fade, minterpolate, ours, psnr


def pan(frames: int, step: float, width: int = 320, height: int = 192, seed: int = 3) -> list[Frame]:
    sheet = cv2.GaussianBlur(texture(height, width + 200, seed), (0, 0), 1.2)
    moves = [np.array([[1, 0, step * i], [0, 1, 0]], np.float64) for i in range(frames)]
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return [np.asarray(cv2.warpAffine(sheet, move, (width, height), flags=flags)) for move in moves]


@pytest.mark.parametrize(
    ("rate", "seconds", "frames"),
    [
        ("24000/1001", 2, 48),
        ("25", 2, 50),
        ("30000/1001", 2, 60),
        ("60", 2, 120),
        ("24", 0.2, 5),
        ("1", 0.2, 1),
    ],
)
def test_a_clip_has_exactly_the_frames_its_length_asks_for(rate: str, seconds: float, frames: int) -> None:
    assert frame_count(seconds, Fraction(rate)) == frames


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 400), keys=st.integers(2, 40), loop=st.booleans())
def test_positions_go_forward_evenly_and_meet_their_ends(count: int, keys: int, loop: bool) -> None:
    at = list(positions(count, keys, loop=loop))
    steps = {b - a for a, b in pairwise(at)}
    assert len(at) == count
    assert at[0] == 0
    assert len(steps) <= 1
    assert all(step > 0 for step in steps)
    if loop:  # one more step would be the first key again
        assert at[-1] + Fraction(keys, count) == keys
    elif count > 1:
        assert at[-1] == keys - 1


def test_a_frame_on_a_keyframe_is_that_keyframe_byte_for_byte() -> None:
    keys = pan(3, 6)
    made = list(interpolate(keys, positions(9, 3)))
    for index in range(3):
        assert np.array_equal(made[4 * index], keys[index])


def test_motion_is_followed_far_better_than_by_cross_fading() -> None:
    true = pan(17, 3)
    keys = true[::4]
    made, faded = ours(keys, 4), cross_fade(keys, 4)
    dropped = [j for j in range(17) if j % 4]
    quality = float(np.mean([psnr(made[j], true[j]) for j in dropped]))
    assert quality > 35
    assert quality > float(np.mean([psnr(faded[j], true[j]) for j in dropped])) + 10


def test_motion_is_followed_better_than_by_ffmpeg() -> None:
    true = pan(13, 4, seed=8)
    keys = true[::2]
    made, theirs = ours(keys, 2), minterpolate(keys, 2)
    dropped = range(1, 13, 2)
    gain = np.mean([psnr(made[j], true[j]) - psnr(theirs[j], true[j]) for j in dropped])
    assert gain >= 4


def test_the_grid_of_frames_does_not_change_a_shared_moment() -> None:
    keys = pan(4, 8)
    four, eight = ours(keys, 4), ours(keys, 8)
    for j in range(len(four)):
        assert np.array_equal(four[j], eight[2 * j])


def test_a_cut_is_held_not_bridged() -> None:
    first, second = pan(2, 4, seed=20), pan(2, 4, seed=21)
    keys = [*first, *second]
    assert cut_score(keys[1], keys[2]) > CUT
    made = list(interpolate(keys, positions(25, 4)))
    for j in range(8, 17):
        assert np.array_equal(made[j], keys[1] if j < 12 else keys[2])


def test_motion_before_a_cut_does_not_bend_the_motion_after_it() -> None:
    clip = pan(3, 4, seed=20)
    stranger = texture(192, 320, 99)
    alone = list(interpolate(clip, positions(9, 3)))
    after_cut = list(interpolate([stranger, *clip], (p + 1 for p in positions(9, 3))))
    for a, b in zip(alone, after_cut, strict=True):
        assert np.array_equal(a, b)


def test_a_loop_closes_without_a_jump_or_a_repeated_frame() -> None:
    sheet = cv2.GaussianBlur(texture(240, 400, 4), (0, 0), 1.2)

    def at(angle: float) -> Frame:
        move = np.array([[1, 0, 30 + 12 * np.cos(angle)], [0, 1, 20 + 12 * np.sin(angle)]])
        return np.asarray(
            cv2.warpAffine(sheet, move, (320, 192), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        )

    keys = [at(2 * np.pi * k / 8) for k in range(8)]
    made = list(interpolate(keys, positions(32, 8, loop=True), loop=True))
    steps = [float(np.mean(cv2.absdiff(made[j], made[(j + 1) % 32]))) for j in range(32)]
    assert len(made) == 32
    assert 1 / 1.3 < steps[-1] / float(np.median(steps)) < 1.3


def test_a_flash_between_black_and_white_is_a_clean_ramp() -> None:
    keys = [np.full((64, 96, 3), level, np.uint8) for level in (10, 240)]
    made = list(interpolate(keys, positions(3, 2)))
    assert made[1].min() >= 10
    assert made[1].max() <= 240


@pytest.mark.parametrize(("height", "width"), [(31, 33), (64, 64), (65, 191)])
def test_odd_and_tiny_sizes_work(height: int, width: int) -> None:
    keys = pan(3, 2, width=width, height=height)
    assert [frame.shape for frame in ours(keys, 2)] == [(height, width, 3)] * 5


class Disk(Sequence[Frame]):
    """Keys that count how many of them were read, and how often."""

    def __init__(self, keys: list[Frame]) -> None:
        self.keys, self.reads = keys, 0

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Frame:  # type: ignore[override]
        self.reads += 1
        return self.keys[index].copy()


def test_each_keyframe_is_read_once_however_many_frames_are_made() -> None:
    keys = Disk(pan(6, 3))
    assert sum(1 for _ in interpolate(keys, positions(61, 6))) == 61
    assert keys.reads == 6


def test_the_first_frame_comes_before_later_keyframes_are_touched() -> None:
    keys = Disk(pan(6, 3))
    frames = interpolate(keys, positions(61, 6))
    next(frames)
    assert keys.reads == 1


def test_changing_light_leaves_no_stripe_at_the_border() -> None:
    """Only one key sees what comes in at the border; its light is moved on to the moment, as the blend does elsewhere."""
    true = [
        np.clip(frame.astype(int) * 0.6 + 12 * j, 0, 255).astype(np.uint8)
        for j, frame in enumerate(pan(9, 4))
    ]
    made = ours(true[::4], 4)
    strips = [(made[j][:, -12:].astype(int) - true[j][:, -12:]).mean() for j in (1, 2, 3, 5, 6, 7)]
    assert np.abs(strips).max() < 8
