"""The few pictures a clip is made from: painted by an image model that travels from words to words and drifts through noise.

All keyframes start from nearly the same noise, so that they show the same scene; it drifts slowly along a sphere, which is
what moves in a clip of one line. Kept on disk: a clip may have hundreds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import overload

import numpy as np
import torch
from PIL import Image

from pipelines.diffusion.calls import Embeddings
from pipelines.diffusion.painter import Painter, blend, slerp
from pipelines.media import Frame, disk_error
from pipelines.media.picture import small_jpeg
from pipelines.messages import VideoRequest
from pipelines.runtime.context import Context
from pipelines.timeline.storyboard import Shot

DRIFT = 0.12  # of the quarter circle from one noise to the next, a second; at 0.3 neighbouring keys of small models part ways


class FrameStore(Sequence[Frame]):
    """Frames on disk, raw, all of one size; read one at a time. Raises OutOfDisk when the disk is full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("w+b")
        self._shape: tuple[int, ...] = ()
        self._count = 0

    def append(self, frame: Frame) -> None:
        self._shape = self._shape or frame.shape
        if frame.shape != self._shape:
            raise ValueError(f"a frame of {frame.shape} among frames of {self._shape}")
        try:
            self._file.seek(0, os.SEEK_END)
            self._file.write(np.ascontiguousarray(frame).data)
            self._file.flush()
        except OSError as error:
            raise disk_error(error, self._path.parent) from error
        self._count += 1

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Frame]: ...

    def __getitem__(self, index: int | slice) -> Frame | Sequence[Frame]:
        if isinstance(index, slice):
            return _Part(self, range(self._count)[index])
        if not 0 <= index < self._count:
            raise IndexError(index)
        size = math.prod(self._shape)
        self._file.seek(index * size)
        return np.frombuffer(self._file.read(size), np.uint8).reshape(self._shape)

    def close(self) -> None:
        self._file.close()


class _Part(Sequence[Frame]):
    def __init__(self, store: FrameStore, places: range) -> None:
        self._store, self._places = store, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Frame]: ...

    def __getitem__(self, index: int | slice) -> Frame | Sequence[Frame]:
        if isinstance(index, slice):
            return _Part(self._store, self._places[index])
        return self._store[self._places[index]]


@dataclass
class Keyframes:
    """Paints the keyframes of a storyboard. init_image: the picture the clip starts with, already of the right size."""

    request: VideoRequest
    painter: Painter
    ctx: Context
    seconds: Fraction
    init_image: Image.Image | None = None
    notes: list[str] = field(default_factory=list)
    _encoded: dict[str, Embeddings | None] = field(default_factory=dict)
    _noises: list[torch.Tensor | None] = field(default_factory=list)
    _generator: torch.Generator | None = None

    def paint(self, shots: Sequence[Shot], keep: Callable[[Frame], None]) -> None:
        """Every keyframe of every shot, in order, handed to `keep`; progress over all their steps, with previews."""
        total = sum(len(shot.keys) for shot in shots)
        done = 0
        for number, shot in enumerate(shots):
            for time in shot.keys:
                start = self.init_image if number == 0 else None
                pixels = self._picture(shot, time, start, done, total)
                keep(pixels)
                done += 1
                steps = self.request.num_inference_steps
                self.ctx.progress("denoise", done * steps, total * steps, small_jpeg(Image.fromarray(pixels)))

    def _picture(self, shot: Shot, time: Fraction, start: Image.Image | None, done: int, total: int) -> Frame:
        item, embeddings = self._words(shot, time)
        latents = None
        if start is not None:
            item = item.model_copy(update={"strength": self._strength(time)})
            if (
                int(item.num_inference_steps * item.strength) < 1
            ):  # so near the start that nothing has changed yet
                return np.asarray(start)
        else:
            latents = self._noise(shot, time)
        steps = self.request.num_inference_steps

        def report(step: int, of: int, preview: bytes | None) -> None:
            self.ctx.progress("denoise", done * steps + round(steps * step / of), total * steps, preview)

        painting = self.painter.paint(
            item,
            self.ctx.generator(self.request.seed),
            init_image=start,
            embeddings=embeddings,
            latents=latents,
            on_step=report,
        )
        self.notes += [note for note in painting.notes if note not in self.notes]
        return painting.pixels

    def _words(self, shot: Shot, time: Fraction) -> tuple[VideoRequest, Embeddings | None]:
        """The words of a moment: as embeddings between two lines where the model takes such, else the nearer line."""
        here, there, way = shot.words_at(time)
        for text in (here, there):
            if text not in self._encoded:
                self.ctx.progress("encode")
                self._encoded[text] = self.painter.encode(self.request.model_copy(update={"prompt": text}))
        a, b = self._encoded[here], self._encoded[there]
        nearer = self.request.model_copy(update={"prompt": here if way < 0.5 else there})
        if a is None or b is None or any(a[name].shape != b[name].shape for name in a):
            note = "This model cannot blend two prompts, so each line holds until halfway to the next."
            if here != there and note not in self.notes:
                self.notes.append(note)
            return nearer, None
        return nearer, a if way == 0 else blend(a, b, way)

    def _strength(self, time: Fraction) -> float:
        """How far from the start picture: nothing at first, `strength` at the end; there and back in a loop."""
        way = float(time / self.seconds)
        return self.request.strength * ((1 - math.cos(2 * math.pi * way)) / 2 if self.request.loop else way)

    def _noise(self, shot: Shot, time: Fraction) -> torch.Tensor | None:
        """The noise of a moment; None for families whose noise cannot be drawn here (they start all keys from the seed)."""
        base = self._drawn(0)
        if base is None:
            return None
        if shot.is_loop:  # a circle around the first noise, walked at the same pace
            wide = math.asin(min(0.87, DRIFT * float(shot.seconds) / 4))
            angle = 2 * math.pi * float((time - shot.start) / shot.seconds)
            round_trip = math.cos(angle) * self._drawn(1) + math.sin(angle) * self._drawn(2)  # type: ignore[operator]
            return (math.cos(wide) * base + math.sin(wide) * round_trip).to(base.dtype)
        leg, way = divmod(DRIFT * float(time), 1.0)
        here, there = self._drawn(int(leg)), self._drawn(int(leg) + 1)
        assert here is not None
        assert there is not None
        return slerp(here, there, way)

    def _drawn(self, index: int) -> torch.Tensor | None:
        self._generator = self._generator or self.ctx.generator(self.request.seed)
        while len(self._noises) <= index:
            self._noises.append(self.painter.noise(self.request.width, self.request.height, self._generator))
        return self._noises[index]
