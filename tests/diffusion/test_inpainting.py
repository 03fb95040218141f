"""A part of a picture painted anew: what the mask leaves black stays as it was."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.diffusion.inpainting import Repaint
from pipelines.diffusion.painter import Painter
from pipelines.errors import InvalidRequest
from pipelines.loading.diffusion import diffusers_bundle
from pipelines.memory import MemoryManager
from tests import checkpoints
from tests.diffusion.test_image import REQUEST, ladder, make, manager, pixels, png, spec_of

__all__ = ["manager"]  # the fixture


@pytest.mark.parametrize(
    "build",
    [checkpoints.sd15, checkpoints.sdxl, checkpoints.sd3, checkpoints.flux, checkpoints.sd15_single_file],
)
def test_what_the_mask_leaves_black_stays_to_the_bit_and_the_rest_is_painted(
    build: Callable[[], Path], manager: MemoryManager
) -> None:
    start = png()
    hole = Image.new("L", (64, 64))
    hole.paste(255, (16, 16, 48, 40))
    mask = io.BytesIO()
    hole.save(mask, "PNG")
    asked = {"init_image": "start", "mask_image": "mask", "strength": 0.75, "negative_prompt": ""}
    request = REQUEST.model_copy(update=asked)
    (made,) = make(manager, build(), request, inputs={"start": start, "mask": mask.getvalue()})
    before, after = np.asarray(Image.open(io.BytesIO(start))).astype(int), pixels(made).astype(int)
    white = np.asarray(hole) > 0
    assert np.array_equal(after[~white], before[~white])
    assert np.abs(after - before)[white].mean() > 10
    assert "notes" not in made.facts  # the model saw what stays
    assert made.recipe.mask_image == "mask"


def test_the_new_part_is_painted_with_its_surroundings_in_the_latents(manager: MemoryManager) -> None:
    """Where the mask is black, the latents at the end are the start picture's own, so the seam can fit."""
    bundle = diffusers_bundle(spec_of(checkpoints.sd15()), torch.float32)
    picture = Image.open(io.BytesIO(png()))
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    with ladder(manager, checkpoints.sd15(), bundle) as held:
        pipeline = Painter(bundle, held).pipeline("image-to-image")
        repaint, seen = Repaint(pipeline, picture, mask), []

        def keep(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            seen.append(repaint.keep(pipe, step, tensors["latents"]))
            return {"latents": seen[-1]}

        call = {"image": picture, "strength": 1.0, "num_inference_steps": 4, "output_type": "latent"}
        pipeline("a red cat", **call, generator=torch.Generator().manual_seed(1), callback_on_step_end=keep)
    half = seen[-1].shape[-1] // 2
    assert len(seen) >= 4
    assert repaint.sees_surroundings
    assert torch.equal(seen[-1][..., half:], repaint._clean[..., half:])
    assert not torch.equal(seen[0][..., half:], seen[-1][..., half:])  # noisy on the way
    assert not torch.allclose(seen[-1][..., :half], repaint._clean[..., :half], atol=0.1)


def test_a_mask_without_a_start_image_or_without_white_is_an_error_beside_it(manager: MemoryManager) -> None:
    with pytest.raises(InvalidRequest, match="no start image") as caught:
        make(manager, checkpoints.sd15(), REQUEST.model_copy(update={"mask_image": "mask"}))
    assert caught.value.field == "mask_image"
    black = io.BytesIO()
    Image.new("L", (64, 64)).save(black, "PNG")
    request = REQUEST.model_copy(update={"init_image": "start", "mask_image": "mask"})
    with pytest.raises(InvalidRequest, match="black all over") as caught:
        make(manager, checkpoints.sd15(), request, inputs={"start": png(), "mask": black.getvalue()})
    assert caught.value.field == "mask_image"
