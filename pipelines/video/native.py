"""Models that make moving pictures by themselves: one call gives all frames of a shot.

Lengths snap to what the model can make (libraries round without a word, so what comes back is counted); the clip keeps the
length that was asked for, its frames are interpolated from the model's.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch
from PIL import Image

from pipelines.catalog.classes import pipeline_makes
from pipelines.catalog.defaults import rate_of
from pipelines.catalog.headers import BadFile, read_json
from pipelines.diffusion.calls import call_of
from pipelines.diffusion.memory_saving import saving_memory
from pipelines.diffusion.painter import explain_run, no_numbers
from pipelines.loading.diffusion import Bundle, Task
from pipelines.loading.parts import Untyped
from pipelines.media import Frame
from pipelines.memory import Lease
from pipelines.messages import VideoRequest
from pipelines.runtime.context import Context
from pipelines.runtime.ladder import Ladder
from pipelines.timeline.storyboard import Shot

FRAMES_DECODED = 8
"""So many frames at once go through a decoder that takes them in portions."""


def is_native(bundle: Bundle) -> bool:
    """Whether the model's pipeline class makes frames, not single pictures."""
    return pipeline_makes(bundle.pipeline_class.__name__) == "video"


class NativeVideo:
    """Films shots with one leased model. rate: frames a second the model thinks in. notes: what could not be done as asked."""

    def __init__(
        self,
        request: VideoRequest,
        bundle: Bundle,
        ladder: Ladder,
        ctx: Context,
        picture: Image.Image | None = None,
    ) -> None:
        self.request, self.bundle, self.ctx, self.picture = request, bundle, ctx, picture
        self.rate = native_rate(bundle)
        self.notes: list[str] = []
        self._ladder = ladder

    @staticmethod
    def check(bundle: Bundle, *, has_picture: bool) -> None:
        """Raises InvalidRequest when the model must have a start picture and there is none, or the other way round."""
        bundle.class_for("image-to-image" if has_picture else "text-to-image")

    @staticmethod
    def latent_frames(bundle: Bundle, request: VideoRequest) -> int:
        """How many frames the network sees at once; what its memory grows with."""
        return math.ceil(_wanted(bundle, Fraction(request.seconds)) / _factor(bundle))

    def film(self, shot: Shot, number: int, of: int, keep: Callable[[Frame], None]) -> None:
        """All frames of a shot, handed to `keep` in order."""
        for frame in self._ladder.run(lambda lease: self._clip(lease, shot, number, of)):
            keep(frame)

    def _clip(self, lease: Lease, shot: Shot, number: int, of: int) -> np.ndarray:
        """(T, H, W, 3) uint8: the frames of a shot."""
        task: Task = "image-to-image" if self.picture else "text-to-image"
        pipeline = saving_memory(self.bundle.build(lease, task, self.request.scheduler), self._ladder)
        if getattr(pipeline, "scheduler", None) is not None:  # each shot and each attempt has a fresh one
            self._watch(pipeline.scheduler, number, of)
        count = _wanted(self.bundle, shot.seconds)
        if count < self.rate * shot.seconds:
            self.notes.append(
                f"This model makes at most {count} frames at once; their motion was slowed to fill {float(shot.seconds):g} s."
            )
        prompt = ". ".join(line.text.rstrip(".") for line in shot.lines)
        item = self.request.model_copy(update={"prompt": prompt})
        call, notes = call_of(pipeline, item, self.picture, None, None)
        if len(shot.lines) > 1:
            notes.append(
                "This model takes one text a shot, so the lines were joined and their times not used."
            )
        takes = inspect.signature(pipeline.__call__).parameters
        lengths = {
            "num_frames": count,
            "video_length": count,
            "frame_rate": float(self.rate),
            "fps": int(self.rate),
            "decode_chunk_size": FRAMES_DECODED,
        }
        call |= {name: value for name, value in lengths.items() if name in takes}
        self.notes += [note for note in notes if note not in self.notes]
        self.ctx.progress("encode")
        with explain_run(self.bundle.spec):
            output = pipeline(
                **call, generator=self.ctx.generator(self.request.seed + number), output_type="np"
            )
        return self._frames(output)

    def _frames(self, output: Untyped) -> np.ndarray:
        """(T, H, W, 3) uint8 of the first clip."""
        found = next(
            value
            for name in ("frames", "videos", "video")
            if (value := getattr(output, name, None)) is not None
        )
        clip = found[0].cpu().float().numpy() if isinstance(found[0], torch.Tensor) else np.asarray(found[0])
        if not np.isfinite(clip).all():
            raise no_numbers(self.bundle.spec)
        pixels: np.ndarray = (clip.clip(0, 1) * 255).round().astype(np.uint8)
        if pixels.shape[2:0:-1] != (self.request.width, self.request.height):
            made = f"{pixels.shape[2]}×{pixels.shape[1]}"
            self.notes.append(f"Made {made} instead of {self.request.width}×{self.request.height}.")
        return pixels[..., :3]

    def _watch(self, scheduler: Untyped, number: int, of: int) -> None:
        """Count steps at the scheduler: every family calls it, not every family has a callback."""
        step, done = scheduler.step, 0

        @functools.wraps(step)  # pipelines read its signature
        def watched(*args: Untyped, **kwargs: Untyped) -> Untyped:
            nonlocal done
            result = step(*args, **kwargs)
            done += 1
            total = max(done, len(scheduler.timesteps))
            self.ctx.progress("denoise", number * total + done, of * total)
            return result

        scheduler.step = watched


def native_rate(bundle: Bundle) -> Fraction:
    """Frames a second this model was trained at."""
    if told := bundle.spec.defaults.get("fps"):
        return Fraction(str(told))
    return rate_of(bundle.pipeline_class.__name__)


def _wanted(bundle: Bundle, seconds: Fraction) -> int:
    """Frames to ask for: at least enough for the length, of the form factor × k + 1, within what the model can see."""
    factor = _factor(bundle)
    count = factor * math.ceil(native_rate(bundle) * seconds / factor) + (factor > 1)
    most = _config(bundle, "motion_adapter").get("motion_max_seq_length")
    most = most or _config(bundle, "unet").get(
        "num_frames"
    )  # Stable Video Diffusion falls apart beyond these
    return min(count, int(most)) if most else count


def _factor(bundle: Bundle) -> int:
    """Frames that become one in the latents, from the VAE's own configuration."""
    config = _config(bundle, "vae")
    for name in ("temporal_compression_ratio", "scale_factor_temporal"):
        if config.get(name):
            return int(config[name])
    for name in ("temperal_downsample", "spatio_temporal_scaling"):
        if config.get(name):
            return int(config.get("patch_size_t") or 1) * 2 ** sum(map(bool, config[name]))
    return 1


def _config(bundle: Bundle, part: str) -> dict[str, Untyped]:
    try:
        return read_json(bundle.folder / part / "config.json")
    except BadFile:
        return {}
