"""A request as a pipeline's `__call__` takes it: a size it can make, keywords by its signature, and a note for every wish that
cannot be met."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TypeVar

import torch
from PIL import Image

from pipelines.diffusion.prompt_length import length_notes
from pipelines.errors import InvalidRequest
from pipelines.loading.diffusion import Bundle
from pipelines.loading.parts import Untyped
from pipelines.messages import DiffusionRequest

R = TypeVar("R", bound=DiffusionRequest)

Embeddings = Mapping[str, torch.Tensor]
"""A prompt as the model sees it: keyword of the pipeline's `__call__` → (1, tokens, width) or pooled (1, width)."""


def sized(bundle: Bundle, request: R) -> tuple[R, list[str]]:
    """The request in the nearest size the model can make, and a note if that is another: libraries round, or fail late."""
    step = bundle.size_step
    width, height = (max(step, round(side / step) * step) for side in (request.width, request.height))
    if (width, height) == (request.width, request.height):
        return request, []
    note = f"Made {width}×{height} instead of {request.width}×{request.height}: this model works in squares of {step} pixels."
    return request.model_copy(update={"width": width, "height": height}), [note]


def call_of(
    pipeline: Untyped,
    request: DiffusionRequest,
    init_image: Image.Image | None,
    embeddings: Embeddings | None,
    latents: torch.Tensor | None,
) -> tuple[dict[str, Untyped], list[str]]:
    """Keywords for the pipeline's `__call__`, and a note for every wish it has no keyword for."""
    takes = inspect.signature(pipeline.__call__).parameters
    notes: list[str] = []
    call: dict[str, Untyped] = {
        "width": request.width,
        "height": request.height,
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": request.guidance_scale,
        "use_resolution_binning": False,  # PixArt and Sana would otherwise paint another size and scale it
    }
    if embeddings is not None:
        call |= embeddings
    elif "prompt" in takes:
        call["prompt"] = request.prompt
        call["negative_prompt"] = request.negative_prompt or nothing(takes, "negative_prompt")
    elif request.prompt:
        notes.append("The prompt was not used: this model works without words.")
    if latents is not None and init_image is None:
        call["latents"] = latents
    if init_image is not None:
        call |= {"image": init_image, "strength": request.strength}
        if "strength" not in takes:
            notes.append(
                "Strength was not used: the clip begins with the start image."
                if "num_frames" in takes
                else "Strength was not used: this model edits the whole picture by instruction."
            )
        elif int(request.num_inference_steps * request.strength) < 1:
            raise InvalidRequest(
                "With so little strength nothing would be done to the start image.",
                field="strength",
                detail=f"{request.num_inference_steps} steps at strength {request.strength} leave less than one step.",
                hint=f"Use a strength of at least {1 / request.num_inference_steps:.2f}, or more steps.",
            )
    told, reads_negative = _guidance(pipeline, request, call, takes)
    notes += told
    if "prompt" in takes:
        notes += length_notes(pipeline, request.prompt, request.negative_prompt if reads_negative else "")
    return {name: value for name, value in call.items() if name in takes}, notes


def nothing(takes: Mapping[str, inspect.Parameter], name: str) -> Untyped:
    """What a family takes where nothing was written: None for most, "" for PixArt and Sana."""
    usual = takes[name].default if name in takes else None
    return None if usual is inspect.Parameter.empty else usual


def _guidance(
    pipeline: Untyped,
    request: DiffusionRequest,
    call: dict[str, Untyped],
    takes: Mapping[str, inspect.Parameter],
) -> tuple[list[str], bool]:
    """Set what guidance means for this family; returns notes on what of it goes unused, and whether a negative prompt is read."""
    notes: list[str] = []
    scale = request.guidance_scale
    config = getattr(picture_model(pipeline), "config", {})
    is_guided = "guidance_scale" in takes and scale > 1
    if "true_cfg_scale" in takes:
        usual = takes["true_cfg_scale"].default
        is_guided = isinstance(usual, int | float) and usual > 1 and scale > 1
        if not config.get("guidance_embeds", False):
            call.pop("guidance_scale")
            if is_guided:  # Qwen-Image: the true scale is the knob people know
                call["true_cfg_scale"] = scale
                call.setdefault("negative_prompt", request.negative_prompt)
                call["negative_prompt"] = call["negative_prompt"] or " "
            else:
                notes.append("Guidance was not used: this model is made to run without it.")
    elif (
        "max_guidance_scale" in takes
    ):  # Stable Video Diffusion: from 1 at the first frame to this at the last
        call["max_guidance_scale"] = max(1.0, scale)
    elif "guidance_scale" not in takes:
        notes.append("Guidance was not used: this model has none.")
    if request.negative_prompt and "negative_prompt" not in takes:
        notes.append("The negative prompt was not used: this model has none.")
    elif request.negative_prompt and not is_guided:
        notes.append(
            "The negative prompt was not used: it takes a guidance above 1 in a model that can be guided."
        )
    return notes, is_guided and "negative_prompt" in takes


def picture_model(pipeline: Untyped) -> Untyped:
    """The network that denoises: `unet` or `transformer`; None when the family has another shape."""
    return getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)


def embeddings_of(
    encoded: Untyped, takes: Mapping[str, inspect.Parameter], called: Mapping[str, inspect.Parameter]
) -> Embeddings | None:
    """What `encode_prompt` returned under the names `__call__` takes it by; None where the order is not one we know.

    takes, called: the parameters of `encode_prompt` and of `__call__`.
    """
    plain, negative = "prompt_embeds", "negative_prompt_embeds"
    pooled, negative_pooled = "pooled_prompt_embeds", "negative_pooled_prompt_embeds"
    mask, negative_mask = "prompt_attention_mask", "negative_prompt_attention_mask"
    layouts = {
        (2, True, False, False): (plain, negative),  # Stable Diffusion 1 and 2
        (4, True, True, False): (plain, negative, pooled, negative_pooled),  # SDXL, SD3
        (3, False, True, False): (plain, pooled, ""),  # Flux; the third are positions it makes itself
        (4, True, False, True): (plain, mask, negative, negative_mask),  # PixArt, Sana, AuraFlow
    }
    if not isinstance(encoded, tuple) or {"prompt_embeds_2", "prompt_embeds_mask"} & called.keys():
        return None
    guided = "do_classifier_free_guidance" in takes
    names = layouts.get((len(encoded), guided, pooled in called, mask in called), ())
    found = {name: value for name, value in zip(names, encoded, strict=False) if name and value is not None}
    is_known = bool(found) and found.keys() <= called.keys()
    return found if is_known and all(isinstance(value, torch.Tensor) for value in found.values()) else None
