"""Clips by the illustrator: every frame is painted, so nothing has to be interpolated; clouds drift, boats rock, snow falls.

Between two lines the pictures cross over. One seed lays out all of them, so a meadow at dawn becomes the same meadow at night.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pipelines.catalog import ModelSpec
from pipelines.illustrator.engine import notices, refuse_pictures
from pipelines.illustrator.paint import paint
from pipelines.illustrator.parser import Reading, read
from pipelines.media import VIDEO_FILES, VideoWriter, recipe_tags
from pipelines.media.picture import small_jpeg
from pipelines.memory import Component
from pipelines.messages import Artifact, VideoRequest
from pipelines.runtime.context import Context
from pipelines.runtime.pipeline import Pipeline
from pipelines.timeline.camera import Camera
from pipelines.timeline.storyboard import Shot, check_rate, storyboard

if TYPE_CHECKING:
    import torch

CROSSING = 0.4  # of the way between two lines; before and after it one picture stands alone
PREVIEW_EVERY = 24  # frames


class IllustratedVideo(Pipeline[VideoRequest]):
    """Makes one clip of exactly `seconds` × `fps` frames."""

    def plan(
        self, request: VideoRequest, spec: ModelSpec, dtype: torch.dtype | None = None
    ) -> tuple[list[Component], int]:
        return [], 0

    def generate(self, request: VideoRequest, ctx: Context) -> Iterator[Artifact]:
        # 1. Check the inputs: words and times, frame rate, no picture
        shots = storyboard(request)
        check_rate(request)
        refuse_pictures(request)

        # 2. Read every line
        ctx.progress("encode")
        lines = {line.text for shot in shots for line in shot.lines}
        readings = {text: read(text, request.negative_prompt) for text in sorted(lines)}
        notes = [note for reading in readings.values() for note in notices(reading, request, ctx.spec)]

        # 3. Paint and encode, a frame at a time
        kind = VIDEO_FILES[request.format]
        path = ctx.spool / f"{ctx.job_id}.{kind.suffix}"
        width, height = (side - side % 2 for side in (request.width, request.height))
        total = sum(shot.frames for shot in shots)
        tags = recipe_tags(ctx.recipe(request))
        with VideoWriter(path, width, height, request.frame_rate, format=request.format, tags=tags) as writer:
            for image in _frames(request, shots, readings):
                ctx.check_cancelled()
                writer.write(image[:height, :width])
                look = writer.written % PREVIEW_EVERY == 1
                ctx.progress(
                    "denoise", writer.written, total, small_jpeg(Image.fromarray(image)) if look else None
                )
            ctx.progress("save")

        # 4. Hand over the file
        facts: dict[str, object] = {
            "width": width,
            "height": height,
            "seconds": round(float(total / request.frame_rate), 3),
            "fps": request.fps,
            "frames": total,
        }
        ctx.note(*notes)
        yield ctx.artifact(request, kind, path, facts)


def _frames(request: VideoRequest, shots: list[Shot], readings: dict[str, Reading]) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 of every frame, in order."""
    for shot in shots:
        camera = Camera(request.camera, float(shot.seconds), loop=shot.is_loop)
        last = max(1, shot.frames if shot.is_loop else shot.frames - 1)
        for index in range(shot.frames):
            time = shot.start + shot.seconds * Fraction(index, last)
            moment = float(time)
            if shot.is_loop:  # out and back again
                moment = float(shot.seconds) / 4 * (1 - math.cos(2 * math.pi * index / last))
            here, there, way = shot.words_at(time)
            share = _eased(way)
            images = [
                paint(readings[text].motif, request.width, request.height, request.seed, moment)
                for text, weight in ((here, 1 - share), (there, share))
                if weight > 0
            ]
            image = images[0] if len(images) == 1 else Image.blend(images[0], images[1], share)
            yield camera(np.asarray(image), index / last)


def _eased(way: float) -> float:
    """0 to 1 as `way` goes through the middle part of its course, softly at both ends."""
    t = min(1.0, max(0.0, (way - (1 - CROSSING) / 2) / CROSSING))
    return t * t * (3 - 2 * t)
