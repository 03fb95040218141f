"""One leased diffusers model, ready to paint: encode a prompt, draw noise, make a picture. Shared by image and video.

The call is built from what the pipeline's `__call__` takes, so any family works that diffusers can assemble. Whatever a model
cannot use of a request is an error or a note on the painting, never silently dropped.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from pipelines.catalog import ModelSpec
from pipelines.diffusion.calls import Embeddings, call_of, embeddings_of, nothing, picture_model
from pipelines.diffusion.inpainting import BLIND, Repaint
from pipelines.diffusion.memory_saving import saving_memory
from pipelines.diffusion.preview import Preview
from pipelines.errors import InvalidRequest, ModelUnavailable, StudioError, first_line
from pipelines.loading.diffusion import Bundle, Task
from pipelines.loading.parts import Untyped, unusable
from pipelines.memory import Lease
from pipelines.messages import DiffusionRequest
from pipelines.runtime.device import is_out_of_memory
from pipelines.runtime.ladder import Ladder

T = TypeVar("T")
OnStep = Callable[[int, int, bytes | None], None]


@dataclass(frozen=True)
class Painting:
    """A finished picture. pixels: (H, W, 3) uint8. notes: what could not be done as asked, one sentence each."""

    pixels: np.ndarray
    notes: tuple[str, ...] = ()
    steps: int = 0
    scheduler: str = ""


@dataclass
class Painter:
    """Paints with one leased model. Holds pipelines for both tasks on the same modules; good inside the lease only.

    ladder: what holds the lease: work that runs out of memory is done again with less.
    """

    bundle: Bundle
    ladder: Ladder
    scheduler: str = ""
    _pipelines: dict[Task, Untyped] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lease = self.ladder.lease

    def pipeline(self, task: Task = "text-to-image") -> Untyped:
        """The assembled diffusers pipeline, with a fresh scheduler: schedulers carry state from one picture to the next."""
        if task not in self._pipelines:
            pipeline = self.bundle.build(self.lease, task, self.scheduler)
            self._pipelines[task] = saving_memory(pipeline, self.ladder)
        pipeline = self._pipelines[task]
        if getattr(pipeline, "scheduler", None) is not None:
            pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
        return pipeline

    @torch.no_grad()
    def encode(self, request: DiffusionRequest) -> Embeddings | None:
        """The request's prompt and negative prompt as embeddings for `paint`; None for families that take words only.

        Encode once and paint many times, or `blend` two of them to travel from one prompt to another.
        """
        return self._run(lambda: self._encode(request))

    def _encode(self, request: DiffusionRequest) -> Embeddings | None:
        pipeline = self.pipeline()
        encode = getattr(pipeline, "encode_prompt", None)
        if encode is None:
            return None
        offered = {
            "prompt": request.prompt,
            "prompt_2": None,
            "prompt_3": None,
            "device": self.lease.device,
            "num_images_per_prompt": 1,
            "do_classifier_free_guidance": request.guidance_scale > 1,
        }
        takes, called = inspect.signature(encode).parameters, inspect.signature(pipeline.__call__).parameters
        offered["negative_prompt"] = request.negative_prompt or nothing(called, "negative_prompt")
        usual = {name: value.default for name, value in called.items() if value.default is not value.empty}
        with explain_run(self.bundle.spec):
            encoded = encode(**{name: value for name, value in {**usual, **offered}.items() if name in takes})
        return embeddings_of(encoded, takes, called)

    def noise(self, width: int, height: int, generator: torch.Generator) -> torch.Tensor | None:
        """The noise `paint` would start from with this generator, for `latents=`; None for families we cannot draw it for."""
        pipeline = self.pipeline()
        model = picture_model(pipeline)
        factor = getattr(pipeline, "vae_scale_factor", None)
        if (
            model is None
            or factor is None
            or "latents" not in inspect.signature(pipeline.__call__).parameters
        ):
            return None
        channels = model.config.in_channels
        if hasattr(pipeline, "_pack_latents"):
            drawn = pipeline.prepare_latents(
                1, channels // 4, height, width, model.dtype, self.lease.device, generator
            )
            return drawn[0] if isinstance(drawn, tuple) else drawn
        shape = (1, channels, height // factor, width // factor)
        return torch.randn(shape, generator=generator, dtype=model.dtype).to(self.lease.device)

    def paint(
        self,
        request: DiffusionRequest,
        generator: torch.Generator,
        *,
        init_image: Image.Image | None = None,
        mask: Image.Image | None = None,
        embeddings: Embeddings | None = None,
        latents: torch.Tensor | None = None,
        on_step: OnStep = lambda step, total, preview: None,
    ) -> Painting:
        """One picture of `request.width` by `request.height`.

        init_image: start from this picture, moved away by `request.strength`. mask: mode L and of its size, only what is white in
        it changes. embeddings: from `encode`, instead of the words.
        latents: from `noise`, instead of drawing them. on_step: called after every step with (step, steps, preview JPEG or None);
        what it raises ends the work there. Raises InvalidRequest for what this model cannot do, ModelUnavailable when it gives no
        picture.
        """
        start = generator.get_state()

        def attempt() -> Painting:
            generator.set_state(start)  # the same noise, whichever attempt it is
            return self._paint(request, generator, init_image, mask, embeddings, latents, on_step)

        return self._run(attempt)

    def _run(self, attempt: Callable[[], T]) -> T:
        """On the ladder; each attempt starts with nothing of the last."""

        def with_lease(lease: Lease) -> T:
            if lease is not self.lease:
                self.lease = lease
                self._pipelines.clear()
            return attempt()

        return self.ladder.run(with_lease)

    def _paint(
        self,
        request: DiffusionRequest,
        generator: torch.Generator,
        init_image: Image.Image | None,
        mask: Image.Image | None,
        embeddings: Embeddings | None,
        latents: torch.Tensor | None,
        on_step: OnStep,
    ) -> Painting:
        pipeline = self.pipeline("text-to-image" if init_image is None else "image-to-image")
        call, notes = call_of(pipeline, request, init_image, embeddings, latents)
        watch = _Watch(self.bundle.spec, Preview(pipeline, request.width, request.height), on_step)
        if mask is not None and init_image is not None:
            watch.repaint = Repaint(pipeline, init_image, mask)
        watch.attach(pipeline, call)
        with explain_run(self.bundle.spec):
            output = pipeline(**call, generator=generator, output_type="np")
        pixels = _pixels(self.bundle.spec, output)
        if watch.repaint is not None:
            pixels = watch.repaint.compose(pixels)
            notes += [] if watch.repaint.sees_surroundings else [BLIND]
        if pixels.shape[:2] != (request.height, request.width):
            made = f"{pixels.shape[1]}×{pixels.shape[0]}"
            notes.append(
                f"Made {made} instead of {request.width}×{request.height}: this model works in larger squares."
            )
        scheduler = type(getattr(pipeline, "scheduler", None)).__name__
        return Painting(pixels, tuple(notes), watch.steps, scheduler)


def blend(a: Embeddings, b: Embeddings, t: float) -> dict[str, torch.Tensor]:
    """The way from prompt `a` (t = 0) to `b` (t = 1); both from the same painter with the same guidance."""
    return {name: torch.lerp(a[name], b[name], t) for name in a}


def slerp(a: torch.Tensor, b: torch.Tensor, t: float) -> torch.Tensor:
    """Noise between `a` and `b` that is still noise: moving along the sphere keeps its norm, a straight line loses up to 29 %.

    Source: K. Shoemake, Animating rotation with quaternion curves, 1985.
    """
    left, right = a.flatten().cpu().double(), b.flatten().cpu().double()
    cosine = torch.dot(left, right) / (left.norm() * right.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    if angle.sin().abs() < 1e-6:
        return torch.lerp(a, b, t)
    mixed = (torch.sin((1 - t) * angle) * left + torch.sin(t * angle) * right) / torch.sin(angle)
    return mixed.reshape(a.shape).to(a)


# ---- the run ----


class _Watch:
    """Hears of every step: reports it with a preview, and looks for numbers that are none."""

    def __init__(self, spec: ModelSpec, preview: Preview, on_step: OnStep) -> None:
        self._spec = spec
        self._preview = preview
        self.on_step = on_step
        self.repaint: Repaint | None = None
        self.steps = 0

    def attach(self, pipeline: Untyped, call: dict[str, Untyped]) -> None:
        if "callback_on_step_end" in inspect.signature(pipeline.__call__).parameters:
            call["callback_on_step_end"] = self._step
        else:  # older families only tell their progress bar
            pipeline.progress_bar = functools.partial(_Bar, self)

    def _step(
        self, pipeline: Untyped, step: int, timestep: Untyped, tensors: dict[str, Untyped]
    ) -> dict[str, Untyped]:
        latents = tensors.get("latents")
        total = max(step + 1, int(getattr(pipeline, "num_timesteps", 0) or 0))
        preview = None
        if latents is not None:
            if self.repaint is not None:
                tensors["latents"] = latents = self.repaint.keep(pipeline, step, latents)
            # not at every step: a GPU would have to wait for the answer each time
            if step + 1 in (1, total) and not torch.isfinite(latents).all():
                raise no_numbers(self._spec)
            preview = self._preview(latents)
        self.steps = step + 1
        self.on_step(step + 1, total, preview)
        return tensors


class _Bar:
    """Stands in for the progress bar of pipelines without a step callback."""

    def __init__(self, watch: _Watch, iterable: Untyped = None, total: int | None = None) -> None:
        self._watch, self._iterable = watch, iterable
        self._total = total if total is not None else len(iterable)
        self._done = 0

    def __iter__(self) -> Untyped:
        for item in self._iterable:
            yield item
            self.update()

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *error: object) -> None: ...

    def update(self, count: int = 1) -> None:
        self._done += count
        self._watch.steps = self._done
        self._watch.on_step(self._done, max(self._done, self._total), None)


@contextmanager
def explain_run(spec: ModelSpec) -> Iterator[None]:
    """Whatever diffusers says about a request or a model while it runs becomes an error a person can act on."""
    try:
        yield
    except (StudioError, MemoryError, OSError):
        raise
    except (ImportError, NameError) as error:
        raise ModelUnavailable(
            f"{spec.id} needs a package that is not installed.",
            detail=first_line(error),
            hint="Install it into the studio's environment, or pick another scheduler or model.",
        ) from error
    except ValueError as error:
        raise InvalidRequest(
            f"{spec.id} cannot work with these settings.",
            detail=first_line(error),
            hint="Change the setting it names, or pick another model.",
        ) from error
    except RuntimeError as error:
        if is_out_of_memory(error) or not re.search(r"size|shape|channels|dtype", str(error)):
            raise
        raise unusable(spec, "Its parts do not fit together.", first_line(error)) from error
    except (TypeError, AttributeError, LookupError, ArithmeticError, AssertionError) as error:
        raise ModelUnavailable(
            f"{spec.id} failed while it ran.",
            detail=f"{type(error).__name__}: {first_line(error)}",
            hint="Try its own default settings; if that fails too, its parts do not fit together: pick another model.",
        ) from error


def _pixels(spec: ModelSpec, output: Untyped) -> np.ndarray:
    """(H, W, 3) uint8 of the first picture, as diffusers itself would round it; raises when there is nothing to see."""
    image = np.asarray(output.images[0])
    if any(getattr(output, "nsfw_content_detected", None) or ()):
        raise InvalidRequest(
            "The model's own safety checker held this picture back.",
            field="prompt",
            detail="It was blacked out by the checker that comes with the model.",
            hint="Change the prompt or the seed.",
        )
    if not np.isfinite(image).all():
        raise no_numbers(spec)
    pixels: np.ndarray = (image * 255).round().astype(np.uint8)
    pixels = pixels[:, :, :3] if pixels.shape[-1] >= 3 else np.repeat(pixels[:, :, :1], 3, axis=2)
    if not pixels.any():
        raise ModelUnavailable(
            f"{spec.id} gave an entirely black picture.",
            detail="Every pixel is zero; half precision can overflow in some decoders.",
            hint="Try another seed; if it stays black, the checkpoint is damaged or needs another VAE.",
        )
    return pixels


def no_numbers(spec: ModelSpec) -> ModelUnavailable:
    return unusable(spec, "It gives numbers that are none (NaN): its weights are damaged or overflow.")
