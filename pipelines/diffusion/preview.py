"""A glimpse of a picture while it is being made: the latents a scheduler is heading for, as a small JPEG.

Colour comes from a linear map fitted once per VAE: it encodes smooth colour fields and the latents are regressed on them. That
costs one small encode and needs no table of factors per family; a full decode at each step would cost as much as the step.
"""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Callable

import torch
from PIL import Image

from pipelines.loading.parts import Untyped
from pipelines.media.picture import SMALL_SIDE, small_jpeg

EVERY_SECONDS = 0.5
_maps: weakref.WeakKeyDictionary[Untyped, torch.Tensor | None] = weakref.WeakKeyDictionary()


class Preview:
    """Previews of one picture, at most one every half second: `preview(latents)` is a JPEG, or None when it is not time yet.

    Watches the pipeline's scheduler, so make it after the scheduler is in place. width, height: pixels of the picture to come.
    """

    def __init__(
        self, pipeline: Untyped, width: int, height: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pipeline = pipeline
        self._size = (width, height)
        self._clock = clock
        self._next = clock()
        self._clean: torch.Tensor | None = None
        if hasattr(getattr(pipeline, "scheduler", None), "step"):
            self._watch(pipeline.scheduler)

    def __call__(self, latents: torch.Tensor) -> bytes | None:
        if self._clock() < self._next:
            return None
        clean = latents if self._clean is None else self._clean
        picture = latents_to_picture(self._pipeline, clean, *self._size)
        self._next = self._clock() + EVERY_SECONDS
        return None if picture is None else small_jpeg(picture)

    def _watch(self, scheduler: Untyped) -> None:
        # a step callback sees latents with their noise still in; what they are heading for is known only where the scheduler has
        # the model's output in hand, and the scheduler is this job's own, so its step may be replaced
        step = scheduler.step

        @functools.wraps(step)  # pipelines read its signature
        def watched(
            model_output: Untyped, timestep: Untyped, sample: Untyped, *args: Untyped, **kwargs: Untyped
        ) -> Untyped:
            result = step(model_output, timestep, sample, *args, **kwargs)
            if self._clock() >= self._next:
                self._clean = clean_estimate(scheduler, model_output, timestep, sample, result)
            return result

        scheduler.step = watched


def clean_estimate(
    scheduler: Untyped, model_output: Untyped, timestep: Untyped, sample: Untyped, result: Untyped
) -> Untyped:
    """What the latents would be without noise, as far as this step tells: same shape as `sample`, or None.

    Some schedulers say so themselves; flow matching has x0 = x - sigma v; the rest follow from alphas_cumprod and the
    prediction type (DDIM, https://arxiv.org/abs/2010.02502, equation 9).
    """
    if isinstance(result, tuple) and len(result) > 1 and isinstance(result[1], torch.Tensor):
        return result[1]
    if not isinstance(model_output, torch.Tensor) or model_output.shape != sample.shape:
        return None
    if "FlowMatch" in type(scheduler).__name__:
        return sample - scheduler.sigmas[scheduler.step_index - 1].to(sample) * model_output
    if not hasattr(scheduler, "alphas_cumprod"):
        return None
    alphas = scheduler.alphas_cumprod
    alpha = alphas[min(len(alphas) - 1, max(0, round(float(timestep))))].to(sample)
    kind = scheduler.config.get("prediction_type", "epsilon")
    if kind == "v_prediction":
        return alpha.sqrt() * sample - (1 - alpha).sqrt() * model_output
    return model_output if kind == "sample" else (sample - (1 - alpha).sqrt() * model_output) / alpha.sqrt()


def latents_to_picture(
    pipeline: Untyped, latents: torch.Tensor, width: int, height: int
) -> Image.Image | None:
    """A small RGB picture of (1, C, h, w) or packed (1, N, C) latents; None when these latents cannot be shown this way."""
    if latents.dim() == 3 and hasattr(pipeline, "_unpack_latents"):
        latents = pipeline._unpack_latents(latents, height, width, pipeline.vae_scale_factor)
    vae = getattr(pipeline, "vae", None)
    if vae is None or latents.dim() != 4:
        return None
    weights = getattr(vae, "encoder", vae)  # every job has a shell of its own around the same parts
    if weights not in _maps:
        _maps[weights] = _fit(vae)
    colours = _maps[weights]
    if colours is None or colours.shape[0] != latents.shape[1] + 1:
        return None
    values = latents[0].detach().float().cpu().movedim(0, -1)  # (h, w, C)
    rgb = (values @ colours[:-1] + colours[-1]).nan_to_num().clamp(0, 1)
    small = Image.fromarray((rgb * 255).round().byte().numpy())
    scale = SMALL_SIDE / max(width, height)
    return small.resize(
        (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BICUBIC
    )


@torch.no_grad()
def _fit(vae: Untyped) -> torch.Tensor | None:
    """(C + 1, 3): the linear map from latents, and a constant, to RGB in [0, 1]; None when the VAE is of another kind."""
    generator = torch.Generator().manual_seed(0)
    try:
        factor = 2 ** (len(vae.config.block_out_channels) - 1)
        coarse = torch.rand(2, 3, 5, 5, generator=generator)
        fields = torch.nn.functional.interpolate(coarse, size=16 * factor, mode="bicubic").clamp(0, 1)
        encoded = vae.encode((fields * 2 - 1).to(vae.device, vae.dtype)).latent_dist.mode().float().cpu()
    except (AttributeError, TypeError, RuntimeError, ValueError):
        return None
    config = vae.config
    encoded = (encoded - (config.get("shift_factor") or 0.0)) * config.get(
        "scaling_factor", 1.0
    )  # (2, C, 16, 16)
    colours = torch.nn.functional.adaptive_avg_pool2d(fields, encoded.shape[-2:])
    known = encoded.movedim(1, -1).flatten(0, 2)  # (N, C)
    known = torch.cat([known, torch.ones(len(known), 1)], dim=1)
    return torch.linalg.lstsq(known, colours.movedim(1, -1).flatten(0, 2), driver="gelsd").solution
