"""Words to a clip: keyframes by diffusion, the frames between them by interpolation, a file by ffmpeg.

Frames pass one by one from the keyframes on disk to the encoder; memory does not grow with the length. A model that makes
frames by itself (Wan, LTX, CogVideoX, AnimateDiff, …) takes the place of the keyframe painter, the rest is the same.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from pipelines.catalog import ModelSpec
from pipelines.diffusion.calls import sized
from pipelines.diffusion.memory_saving import painting_ways
from pipelines.diffusion.painter import Painter
from pipelines.diffusion.uploads import start_image
from pipelines.errors import OutOfDisk, readable_bytes
from pipelines.loading.diffusion import Bundle, diffusers_bundle
from pipelines.media import VIDEO_FILES, Frame, VideoWriter, recipe_tags
from pipelines.media.picture import small_jpeg
from pipelines.memory import Component
from pipelines.messages import Artifact, VideoRequest
from pipelines.runtime.context import Context
from pipelines.runtime.device import TorchDevice
from pipelines.runtime.ladder import Ladder, Way
from pipelines.runtime.pipeline import Pipeline
from pipelines.timeline.camera import Camera
from pipelines.timeline.interpolation import interpolate, positions
from pipelines.timeline.storyboard import Shot, check_rate, storyboard
from pipelines.video.keyframes import FrameStore, Keyframes
from pipelines.video.native import NativeVideo, is_native

if TYPE_CHECKING:
    import torch

TELL_EVERY = 0.2  # seconds between progress while frames are made
PREVIEW_EVERY = 1.0


class VideoPipeline(Pipeline[VideoRequest]):
    """Makes one clip of exactly `seconds` × `fps` frames."""

    def plan(
        self, request: VideoRequest, spec: ModelSpec, dtype: torch.dtype | None = None
    ) -> tuple[list[Component], Sequence[Way]]:
        """What to lease for this request, and the ways to do it. dtype: what the device computes in, if known."""
        bundle = diffusers_bundle(spec, dtype or TorchDevice().dtype())
        return bundle.components, _ways(bundle, sized(bundle, request)[0])

    def generate(self, request: VideoRequest, ctx: Context) -> Iterator[Artifact]:
        # 1. Check the inputs before asking for the device: words and times, sizes, the start picture, room on the disk
        shots = storyboard(request)
        bundle = diffusers_bundle(ctx.spec, ctx.dtype)
        request, notes = sized(bundle, request)
        picture = None
        if request.init_image:
            picture, fitted = start_image(ctx, request.init_image, request.width, request.height)
            notes += fitted
        _check(request, bundle, has_picture=picture is not None)
        _check_disk(request, shots, ctx.spool)

        with tempfile.TemporaryDirectory(prefix=".keys-", dir=ctx.spool) as folder:
            store = FrameStore(Path(folder) / "keys.rgb")
            try:
                # 2. Borrow the model and paint the keyframes of every shot; they go to the disk, the model back
                parts: list[tuple[Shot, Sequence[Frame], Fraction | None]] = []
                with Ladder(ctx, bundle.components, _ways(bundle, request)) as ladder:
                    if is_native(bundle):
                        native = NativeVideo(request, bundle, ladder, ctx, picture)
                        for number, shot in enumerate(shots):
                            first = len(store)
                            native.film(shot, number, len(shots), store.append)
                            parts.append((shot, store[first:], native.rate))
                        notes += native.notes
                    else:
                        painter = Painter(bundle, ladder, request.scheduler)
                        seconds = sum((shot.seconds for shot in shots), Fraction(0))
                        keys = Keyframes(request, painter, ctx, seconds, picture)
                        keys.paint(shots, store.append)
                        first = 0
                        for shot in shots:
                            parts.append((shot, store[first : first + len(shot.keys)], None))
                            first += len(shot.keys)
                        notes += keys.notes

                # 3. Make the frames between, move the camera, and encode, a frame at a time
                path = ctx.spool / f"{ctx.job_id}.{VIDEO_FILES[request.format].suffix}"
                facts = _film(request, ctx, parts, path)
            finally:
                store.close()

        # 4. Hand over the file
        ctx.note(*notes)
        facts["keyframes"] = sum(len(keys) for _, keys, _ in parts)
        yield ctx.artifact(request, VIDEO_FILES[request.format], path, facts)


def _film(
    request: VideoRequest,
    ctx: Context,
    parts: Sequence[tuple[Shot, Sequence[Frame], Fraction | None]],
    path: Path,
) -> dict[str, object]:
    """Write all frames of all shots to `path`; returns the clip's facts."""
    total = sum(shot.frames for shot, _, _ in parts)
    height, width = (
        side - side % 2 for side in parts[0][1][0].shape[:2]
    )  # H.264 stores colour for 2 × 2 pixels
    tags = recipe_tags(ctx.recipe(request))
    told = seen = time.monotonic() - PREVIEW_EVERY
    with VideoWriter(path, width, height, request.frame_rate, format=request.format, tags=tags) as writer:
        for frame in _frames(request, parts):
            ctx.check_cancelled()
            writer.write(frame[:height, :width])
            now = time.monotonic()
            if now - told >= TELL_EVERY or writer.written == total:
                look = now - seen >= PREVIEW_EVERY
                ctx.progress(
                    "interpolate", writer.written, total, small_jpeg(Image.fromarray(frame)) if look else None
                )
                told, seen = now, now if look else seen
        ctx.progress("save")
    return {
        "width": width,
        "height": height,
        "seconds": round(float(total / request.frame_rate), 3),
        "fps": request.fps,
        "frames": total,
    }


def _frames(
    request: VideoRequest, parts: Sequence[tuple[Shot, Sequence[Frame], Fraction | None]]
) -> Iterator[Frame]:
    for shot, keys, rate in parts:
        camera = Camera(request.camera, float(shot.seconds), loop=shot.is_loop)
        last = max(1, shot.frames if shot.is_loop else shot.frames - 1)
        at = _positions(shot, len(keys), rate, request.frame_rate)
        for index, frame in enumerate(interpolate(keys, at, loop=shot.is_loop, across="dissolve")):
            yield camera(frame, index / last)


def _positions(shot: Shot, keys: int, rate: Fraction | None, fps: Fraction) -> Iterator[Fraction]:
    """Where each frame lies between the keys. rate: frames a second of a native model, kept where it made enough of them."""
    if rate is not None and not shot.is_loop and (shot.frames - 1) * rate / fps <= keys - 1:
        return (j * rate / fps for j in range(shot.frames))
    return positions(shot.frames, keys, loop=shot.is_loop)


def _ways(bundle: Bundle, request: VideoRequest) -> Sequence[Way]:
    """A keyframe is a picture like any other; a model that makes frames has all of them on the device at once."""
    if not is_native(bundle):
        return painting_ways(bundle, request)
    return painting_ways(bundle, request, "video", NativeVideo.latent_frames(bundle, request))


def _check(request: VideoRequest, bundle: Bundle, *, has_picture: bool) -> None:
    check_rate(request)
    if is_native(bundle):
        NativeVideo.check(bundle, has_picture=has_picture)
    else:
        bundle.class_for("text-to-image")
        if has_picture:
            bundle.class_for("image-to-image")
    bundle.scheduler(request.scheduler)


def _check_disk(request: VideoRequest, shots: Sequence[Shot], spool: Path) -> None:
    """Keyframes lie on the disk uncompressed while the clip is made; better to know before than after an hour."""
    keys = sum(len(shot.keys) for shot in shots)
    frames = sum(shot.frames for shot in shots)
    pixels = request.width * request.height
    need = keys * pixels * 3 + frames * pixels // 4  # the file itself: about 2 bits a pixel at worst
    free = shutil.disk_usage(spool).free
    if need > free:
        raise OutOfDisk(
            "This clip needs more room than the disk has.",
            detail=f"{keys} keyframes and {frames} frames take about {readable_bytes(need)}; {readable_bytes(free)} are free.",
            hint="Use fewer keyframes a second, a smaller size or a shorter clip, or free some space.",
        )
