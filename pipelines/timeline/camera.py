"""Camera moves after the fact: each frame cropped a little and resampled, so that a still scene seems filmed."""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np

from pipelines.media import Frame

Move = Literal["still", "zoom_in", "zoom_out", "pan_left", "pan_right"]
SPEED = 0.06  # of the picture's width a second; faster would look hurried on a short clip
MOST_ZOOM, MOST_PAN = 1.5, 1.3  # beyond this the enlarged pixels show


class Camera:
    """One move over a clip of `seconds`. The picture is enlarged just as much as the move needs, so no border is ever seen.

    loop: the move goes out and comes back, so that the last frame meets the first.
    """

    def __init__(self, move: Move, seconds: float, *, loop: bool = False) -> None:
        self.move, self.loop = move, loop
        most = MOST_ZOOM if move.startswith("zoom") else MOST_PAN
        self.reach = min(most, 1 + SPEED * seconds)

    def __call__(self, frame: Frame, t: float) -> Frame:
        """The frame as seen at moment t, 0 at the start of the clip and 1 at its end; (H, W, 3) uint8."""
        if self.move == "still":
            return frame
        scale, across = self.view(t)
        h, w = frame.shape[:2]
        # output pixel (x, y) shows input pixel ((x - cx) / scale + cx + shift, …); centres of pixels, not corners
        cx, cy = (w - 1) / 2, (h - 1) / 2
        slack = (w - 1) / 2 * (1 - 1 / scale)
        matrix = np.array(
            [[1 / scale, 0, cx - cx / scale + across * slack], [0, 1 / scale, cy - cy / scale]], np.float64
        )
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(frame, matrix, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE))

    def view(self, t: float) -> tuple[float, float]:
        """(scale, place) at moment t: how much the picture is enlarged, and where the view stands, -1 left to 1 right."""
        way = (1 - math.cos(2 * math.pi * t)) / 2 if self.loop else t
        if self.move in ("zoom_in", "zoom_out"):
            return self.reach ** (
                way if self.move == "zoom_in" else 1 - way
            ), 0.0  # even to the eye: a power, not a line
        side = 2 * way - 1
        return self.reach, side if self.move == "pan_right" else -side
