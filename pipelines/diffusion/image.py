"""Words, or words and a start image, to pictures: any diffusers model that makes images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch

from pipelines.catalog import ModelSpec
from pipelines.diffusion.calls import sized
from pipelines.diffusion.memory_saving import painting_ways
from pipelines.diffusion.painter import Painter, Painting
from pipelines.diffusion.uploads import check_has_start, mask_image, start_image
from pipelines.loading.diffusion import diffusers_bundle
from pipelines.media.picture import IMAGE_FILES, picture_file
from pipelines.memory import Component
from pipelines.messages import Artifact, ImageRequest
from pipelines.runtime.context import Context
from pipelines.runtime.device import TorchDevice
from pipelines.runtime.ladder import Ladder, Way
from pipelines.runtime.pipeline import Pipeline


class ImagePipeline(Pipeline[ImageRequest]):
    """Makes `num_images` pictures; picture i is the one that seed + i gives alone, to the byte."""

    def plan(
        self, request: ImageRequest, spec: ModelSpec, dtype: torch.dtype | None = None
    ) -> tuple[list[Component], Sequence[Way]]:
        """What to lease for this request, and the ways to do it. dtype: what the device computes in, if known."""
        bundle = diffusers_bundle(spec, dtype or TorchDevice().dtype())
        return bundle.components, painting_ways(bundle, sized(bundle, request)[0])

    def generate(self, request: ImageRequest, ctx: Context) -> Iterator[Artifact]:
        # 1. Check the inputs before asking for the device
        bundle = diffusers_bundle(ctx.spec, ctx.dtype)
        request, notes = sized(bundle, request)
        init_image = mask = None
        if request.init_image:
            init_image, fitted = start_image(ctx, request.init_image, request.width, request.height)
            notes += fitted
        if request.mask_image:
            check_has_start(request)
            mask = mask_image(ctx, request.mask_image, request.width, request.height)
        bundle.class_for("image-to-image" if init_image else "text-to-image")
        if request.scheduler:
            bundle.scheduler(request.scheduler)

        # 2. Borrow the model: all its parts, and room for the work
        with Ladder(ctx, bundle.components, painting_ways(bundle, request)) as ladder:
            painter = Painter(bundle, ladder, request.scheduler)
            for index in range(request.num_images):
                item = request.single(index)

                # 3. Encode, denoise, decode: noise from the item's own seed, the same on any device
                ctx.progress("encode")
                ctx.note(*notes)
                painting = painter.paint(
                    item,
                    ctx.generator(item.seed),
                    init_image=init_image,
                    mask=mask,
                    on_step=partial(_report, ctx, index, request.num_images),
                )

                # 4. Write the file, the recipe inside
                ctx.progress("save")
                ctx.note(*painting.notes)
                yield artifact(item, painting, ctx)


def _report(ctx: Context, index: int, count: int, step: int, total: int, preview: bytes | None) -> None:
    """Progress over the whole batch; where a cancel is heard."""
    ctx.progress("denoise", index * total + step, count * total, preview)


def artifact(request: ImageRequest, painting: Painting, ctx: Context) -> Artifact:
    """A painting as the file the request asks for, with what is worth knowing about it."""
    height, width = painting.pixels.shape[:2]
    data = picture_file(painting.pixels, request, ctx.recipe(request), ctx.spec.title, painting.scheduler)
    facts = {"width": width, "height": height, "scheduler": painting.scheduler, "steps": painting.steps}
    return ctx.artifact(request, IMAGE_FILES[request.format], data, facts)
