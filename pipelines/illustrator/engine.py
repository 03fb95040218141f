"""The engine behind `starter/illustrator`: an image request → pictures. Needs no device, no lease and no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from pipelines.catalog import ModelSpec
from pipelines.catalog.families import unused_by
from pipelines.errors import InvalidRequest
from pipelines.illustrator.paint import paint
from pipelines.illustrator.parser import Reading, read
from pipelines.media.picture import IMAGE_FILES, picture_file, small_jpeg
from pipelines.memory import Component
from pipelines.messages import Artifact, DiffusionRequest, ImageRequest, knobs_of, label_of
from pipelines.runtime.context import Context
from pipelines.runtime.pipeline import Pipeline

if TYPE_CHECKING:
    import torch

MOST_TOLD = 8
KNOWS = "landscapes, logos, products and patterns; see “It understands” on the Image tab"


SPOKEN = {"guidance_scale": "Guidance", "scheduler": "The scheduler"}
UNTOLD = ("strength", "keyframes_per_second")
"""Nobody misses these: a picture to start from is refused, and every frame of a clip is painted."""


class Illustrator(Pipeline[ImageRequest]):
    """Paints `num_images` pictures; picture i is the one that seed + i gives alone."""

    def plan(
        self, request: ImageRequest, spec: ModelSpec, dtype: torch.dtype | None = None
    ) -> tuple[list[Component], int]:
        return [], 0

    def generate(self, request: ImageRequest, ctx: Context) -> Iterator[Artifact]:
        # 1. Check the inputs
        refuse_pictures(request)

        # 2. Read the prompt
        ctx.progress("encode")
        reading = read(request.prompt, request.negative_prompt)
        notes = notices(reading, request, ctx.spec)
        for index in range(request.num_images):
            item = request.single(index)

            # 3. Paint
            image = paint(reading.motif, item.width, item.height, item.seed)
            ctx.progress("denoise", index + 1, request.num_images, small_jpeg(image))

            # 4. Write the file, the recipe inside
            ctx.progress("save")
            data = picture_file(np.asarray(image), item, ctx.recipe(item), ctx.spec.title, scheduler="")
            ctx.note(*notes)
            facts = {"width": image.width, "height": image.height}
            yield ctx.artifact(item, IMAGE_FILES[item.format], data, facts)


def refuse_pictures(request: DiffusionRequest) -> None:
    """Raises InvalidRequest for a start picture or a mask: shapes are painted from words alone."""
    for field, name in (("init_image", "start from a picture"), ("mask_image", "paint a part of a picture")):
        if getattr(request, field, ""):
            raise InvalidRequest(
                f"The illustrator cannot {name}.",
                field=field,
                detail="It paints shapes from words and does not look at pictures.",
                hint="Remove the picture, or pick another model, such as starter/image.",
            )


def notices(reading: Reading, request: DiffusionRequest, spec: ModelSpec) -> list[str]:
    """What the person should know about how the request was taken, one sentence each."""
    notes = []
    if reading.unknown:
        more = len(reading.unknown) - MOST_TOLD
        listed = ", ".join(reading.unknown[:MOST_TOLD]) + (f" and {more} more" if more > 0 else "")
        first = "It knows none of these words" if reading.is_blank else "It does not know"
        notes.append(f"{first}: {listed}. It knows {KNOWS}.")
    kind, knobs = type(request), knobs_of(type(request))
    changed = [
        SPOKEN.get(field, label_of(kind, field))
        for field in unused_by("illustrator", kind)
        if not knobs[field].asset and field not in UNTOLD
        if getattr(request, field) != spec.defaults.get(field, kind.model_fields[field].default)
    ]
    if changed:
        verb = "were" if len(changed) > 1 else "was"
        named = ", ".join(name if not index else name.lower() for index, name in enumerate(changed))
        notes.append(f"{named} {verb} not used: the illustrator draws, it does not denoise.")
    return notes
