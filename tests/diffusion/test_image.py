"""The image pipeline gives the very pixels of a plain diffusers call, tells where it stands, and stops when asked."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.catalog import ModelSpec, Source
from pipelines.diffusion import preview
from pipelines.diffusion.image import ImagePipeline
from pipelines.diffusion.memory_saving import PaintingWay, working_bytes
from pipelines.diffusion.painter import Painter, blend, slerp
from pipelines.diffusion.preview import Preview, latents_to_picture
from pipelines.errors import Cancelled, InvalidRequest, ModelUnavailable
from pipelines.loading.diffusion import Bundle, diffusers_bundle
from pipelines.memory import MemoryManager
from pipelines.messages import MAX_SEED, Artifact, ImageRequest, Progress
from pipelines.runtime.context import Context
from pipelines.runtime.device import TorchDevice
from pipelines.runtime.ladder import Ladder
from tests import checkpoints
from tests.checkpoints import copied

REQUEST = ImageRequest(
    prompt="a red cat",
    negative_prompt="a dog",
    width=64,
    height=64,
    num_inference_steps=4,
    seed=3,
    model="local/tiny",
)


@pytest.fixture(scope="module")
def manager() -> MemoryManager:
    return MemoryManager(TorchDevice("cpu"))


def spec_of(path: Path) -> ModelSpec:
    single = path.is_file()
    return ModelSpec(
        f"local/{path.stem}",
        path.stem,
        ("image",),
        "diffusers-single-file" if single else "diffusers",
        Source(path=str(path)),
        facts={"config": str(checkpoints.sd15())} if single else {},
    )


def context(manager: MemoryManager, path: Path, events: list[Any] | None = None, **values: Any) -> Context:
    emit = (events if events is not None else []).append
    values.setdefault("is_cancelled", lambda: False)
    return Context("job", spec_of(path), manager, emit, spool=Path("."), **values)


def ladder(manager: MemoryManager, path: Path, bundle: Bundle) -> Ladder:
    """All of that model lent, for painting in the one plain way."""
    return Ladder(context(manager, path), bundle.components, [PaintingWay(0)])


def make(
    manager: MemoryManager, path: Path, request: ImageRequest = REQUEST, **values: Any
) -> list[Artifact]:
    return list(ImagePipeline().generate(request, context(manager, path, **values)))


def pixels(artifact: Artifact) -> np.ndarray:
    assert artifact.data is not None
    return np.asarray(Image.open(io.BytesIO(artifact.data)))


def png(width: int = 64, height: int = 64, mode: str = "RGB") -> bytes:
    values = np.random.default_rng(1).integers(0, 256, (height, width, len(mode)), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(values).save(data, "PNG")
    return data.getvalue()


# ---- the same as diffusers ----


@pytest.mark.parametrize(
    "build",
    [checkpoints.sd15, checkpoints.sdxl, checkpoints.sd3, checkpoints.flux, checkpoints.sd15_single_file],
)
def test_the_pixels_are_those_of_a_plain_diffusers_call(
    build: Callable[[], Path], manager: MemoryManager
) -> None:
    path = build()
    missing = {"text_encoder_3": None, "tokenizer_3": None} if build is checkpoints.sd3 else {}
    folder = path if path.is_dir() else checkpoints.sd15()
    plain = diffusers.DiffusionPipeline.from_pretrained(
        folder, dtype=torch.float32, use_safetensors=True, **missing
    )
    expected = plain(
        prompt="a red cat",
        negative_prompt="a dog",
        width=64,
        height=64,
        num_inference_steps=4,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(3),
    ).images[0]
    (made,) = make(manager, path)
    if path.is_dir():
        assert np.array_equal(pixels(made), np.asarray(expected))
    else:  # the same weights at other addresses: the CPU's matrix kernels round by alignment
        assert np.abs(pixels(made).astype(int) - np.asarray(expected)).max() <= 1


def test_image_to_image_gives_the_pixels_of_a_plain_diffusers_call(manager: MemoryManager) -> None:
    start = png()
    plain = diffusers.AutoPipelineForImage2Image.from_pretrained(
        checkpoints.sd15(), dtype=torch.float32, use_safetensors=True
    )
    expected = plain(
        prompt="a red cat",
        negative_prompt="a dog",
        image=Image.open(io.BytesIO(start)).convert("RGB"),
        strength=0.5,
        num_inference_steps=4,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(3),
    ).images[0]
    request = REQUEST.model_copy(update={"init_image": "start", "strength": 0.5})
    (made,) = make(manager, checkpoints.sd15(), request, inputs={"start": start})
    assert np.array_equal(pixels(made), np.asarray(expected))


# ---- batches ----


def test_each_picture_of_a_batch_is_the_one_its_seed_gives_alone(manager: MemoryManager) -> None:
    batch = make(manager, checkpoints.sd15(), REQUEST.model_copy(update={"num_images": 3}))
    assert [made.recipe.seed for made in batch] == [3, 4, 5]
    assert len({made.data for made in batch}) == 3
    for made in batch:
        assert made.recipe.num_images == 1
        (alone,) = make(manager, checkpoints.sd15(), made.recipe)
        assert alone.data == made.data


def test_seeds_count_on_from_the_largest_to_zero(manager: MemoryManager) -> None:
    request = REQUEST.model_copy(update={"seed": MAX_SEED, "num_images": 2})
    assert [made.recipe.seed for made in make(manager, checkpoints.sd15(), request)] == [MAX_SEED, 0]


def test_an_ancestral_scheduler_starts_afresh_for_every_picture(manager: MemoryManager) -> None:
    request = REQUEST.model_copy(update={"scheduler": "EulerAncestralDiscreteScheduler", "num_images": 2})
    first, second = make(manager, checkpoints.sd15(), request)
    assert first.facts["scheduler"] == "EulerAncestralDiscreteScheduler"
    (alone,) = make(manager, checkpoints.sd15(), second.recipe)
    assert alone.data == second.data


# ---- files ----


@pytest.mark.parametrize(("file_format", "suffix"), [("png", "png"), ("jpeg", "jpg"), ("webp", "webp")])
def test_the_file_is_of_the_format_asked_for(file_format, suffix: str, manager: MemoryManager) -> None:
    (made,) = make(manager, checkpoints.sd15(), REQUEST.model_copy(update={"format": file_format}))
    assert (made.media_type, made.suffix) == (f"image/{file_format}", suffix)
    assert (made.facts["width"], made.facts["height"]) == (64, 64)
    assert pixels(made).shape == (64, 64, 3)


def test_the_recipe_inside_a_file_makes_that_file_again(manager: MemoryManager) -> None:
    first = make(manager, checkpoints.sd15(), REQUEST.model_copy(update={"num_images": 2}))[1]
    inside = json.loads(Image.open(io.BytesIO(first.data)).text["atelier"])
    (again,) = make(manager, checkpoints.sd15(), ImageRequest(**inside))
    assert again.data == first.data


def test_without_metadata_nothing_is_inside(manager: MemoryManager) -> None:
    (made,) = make(manager, checkpoints.sd15(), with_metadata=False)
    assert Image.open(io.BytesIO(made.data)).text == {}


# ---- progress and cancel ----


def test_progress_counts_over_the_whole_batch_with_a_preview(manager: MemoryManager) -> None:
    events: list[Any] = []
    request = REQUEST.model_copy(update={"num_images": 2, "scheduler": "EulerDiscreteScheduler"})
    make(manager, checkpoints.sd15(), request, events=events)
    told = [event for event in events if isinstance(event, Progress) and event.stage == "denoise"]
    assert [(event.step, event.total) for event in told] == [(step, 8) for step in range(1, 9)]
    assert told[0].preview is not None
    assert Image.open(io.BytesIO(told[0].preview)).size == (256, 256)


def test_the_colours_of_previews_are_fitted_once_for_a_vae_and_not_for_every_job(
    manager: MemoryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[object] = []
    fit = preview._fit
    monkeypatch.setattr(preview, "_fit", lambda vae: fitted.append(vae) or fit(vae))
    manager.unload()
    for seed in (1, 2):
        make(manager, checkpoints.sd15(), REQUEST.model_copy(update={"seed": seed}))
    assert len(fitted) == 1


def test_cancel_is_heard_within_one_step_and_the_next_run_is_untouched(manager: MemoryManager) -> None:
    (before,) = make(manager, checkpoints.sd15())
    events: list[Any] = []
    steps = lambda: [e for e in events if isinstance(e, Progress) and e.stage == "denoise"]  # noqa: E731
    with pytest.raises(Cancelled):
        make(manager, checkpoints.sd15(), events=events, is_cancelled=lambda: len(steps()) == 2)
    assert len(steps()) == 2
    (after,) = make(manager, checkpoints.sd15())
    assert after.data == before.data


# ---- what cannot be done as asked ----


def test_a_start_image_of_another_size_is_fitted_and_that_is_said(manager: MemoryManager) -> None:
    request = REQUEST.model_copy(update={"init_image": "start"})
    (made,) = make(manager, checkpoints.sd15(), request, inputs={"start": png(100, 50, "RGBA")})
    assert made.facts["notes"] == ["The start image of 100×50 was scaled and cropped to 64×64."]
    assert pixels(made).shape == (64, 64, 3)


@pytest.mark.parametrize("data", [b"", b"not a picture", png()[:200]])
def test_an_unreadable_start_image_is_an_error_beside_its_field(data: bytes, manager: MemoryManager) -> None:
    request = REQUEST.model_copy(update={"init_image": "start"})
    with pytest.raises(InvalidRequest, match="cannot be read") as caught:
        make(manager, checkpoints.sd15(), request, inputs={"start": data})
    assert caught.value.field == "init_image"
    with pytest.raises(InvalidRequest, match="not in the library"):
        make(manager, checkpoints.sd15(), request)


def test_a_strength_that_leaves_no_step_is_an_error(manager: MemoryManager) -> None:
    request = REQUEST.model_copy(update={"init_image": "start", "strength": 0.2})
    with pytest.raises(InvalidRequest, match="nothing would be done") as caught:
        make(manager, checkpoints.sd15(), request, inputs={"start": png()})
    assert caught.value.field == "strength"
    assert "0.25" in caught.value.hint


def test_a_negative_prompt_that_has_no_effect_is_said(manager: MemoryManager) -> None:
    (flux,) = make(manager, checkpoints.flux())
    assert "negative prompt was not used" in flux.facts["notes"][0]
    (unguided,) = make(manager, checkpoints.sd15(), REQUEST.model_copy(update={"guidance_scale": 1.0}))
    assert "negative prompt was not used" in unguided.facts["notes"][0]
    (guided,) = make(manager, checkpoints.sd15())
    assert "notes" not in guided.facts


def test_a_model_made_for_start_images_asks_for_one_and_works_with_it(manager: MemoryManager) -> None:
    """The SDXL refiner; its first text encoder is null."""
    with pytest.raises(InvalidRequest, match="from words alone"):
        make(manager, checkpoints.sdxl_refiner())
    request = REQUEST.model_copy(update={"init_image": "start", "strength": 0.5})
    (made,) = make(manager, checkpoints.sdxl_refiner(), request, inputs={"start": png()})
    assert pixels(made).shape == (64, 64, 3)


def test_a_model_without_words_paints_reports_and_says_what_it_did_not_use(manager: MemoryManager) -> None:
    events: list[Any] = []
    request = REQUEST.model_copy(update={"negative_prompt": ""})
    (made,) = make(manager, checkpoints.ddpm(), request, events=events)
    assert made.facts["notes"] == [
        "The prompt was not used: this model works without words.",
        "Guidance was not used: this model has none.",
    ]
    told = [(e.step, e.total) for e in events if isinstance(e, Progress) and e.stage == "denoise"]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(InvalidRequest, match="start from a picture"):
        make(
            manager,
            checkpoints.ddpm(),
            REQUEST.model_copy(update={"init_image": "start"}),
            inputs={"start": png()},
        )


def test_two_jobs_at_once_on_one_model_give_what_each_gives_alone(manager: MemoryManager) -> None:
    """They share the modules; tokenizers and schedulers, which hold state, are their own."""
    requests = [
        REQUEST.model_copy(update={"prompt": word * 9, "seed": seed})
        for seed, word in enumerate("ab", start=1)
    ]
    alone = [make(manager, checkpoints.sd15(), request)[0].data for request in requests]
    with ThreadPoolExecutor(2) as threads:
        together = list(
            threads.map(lambda request: make(manager, checkpoints.sd15(), request)[0].data, requests)
        )
    assert together == alone


def test_a_size_the_model_cannot_take_is_said_with_the_size_it_took(manager: MemoryManager) -> None:
    (made,) = make(manager, checkpoints.flux(), REQUEST.model_copy(update={"width": 72}))
    assert pixels(made).shape == (64, 64, 3)
    assert made.facts["notes"][0] == "Made 64×64 instead of 72×64: this model works in squares of 16 pixels."
    assert (made.facts["width"], made.facts["height"]) == (64, 64)


def test_weights_that_are_no_numbers_are_a_clear_error(tmp_path: Path, manager: MemoryManager) -> None:
    folder = checkpoints.fill_with_nan(copied(checkpoints.sd15(), tmp_path / "nan"))
    events: list[Any] = []
    with pytest.raises(ModelUnavailable, match="NaN"):
        make(manager, folder, events=events)
    assert not [event for event in events if isinstance(event, Progress) and event.stage == "denoise"]


def test_a_black_picture_is_an_error(tmp_path: Path, manager: MemoryManager) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied(checkpoints.sd15(), tmp_path / "black")
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    save_file({**tensors, "decoder.conv_out.bias": torch.full((3,), -100.0)}, file)
    with pytest.raises(ModelUnavailable, match="entirely black"):
        make(manager, folder)


# ---- what video stands on ----


@pytest.mark.parametrize("build", [checkpoints.sd15, checkpoints.sdxl, checkpoints.sd3, checkpoints.flux])
def test_painting_from_embeddings_and_drawn_noise_is_painting_from_words(
    build, manager: MemoryManager
) -> None:
    bundle = diffusers_bundle(spec_of(build()), torch.float32)
    with ladder(manager, build(), bundle) as held:
        painter = Painter(bundle, held)
        words = painter.paint(REQUEST, torch.Generator().manual_seed(3)).pixels
        embeddings = painter.encode(REQUEST)
        noise = painter.noise(64, 64, torch.Generator().manual_seed(3))
        assert embeddings is not None
        drawn = painter.paint(
            REQUEST, torch.Generator().manual_seed(9), embeddings=embeddings, latents=noise
        ).pixels
        assert np.array_equal(words, drawn)


def test_a_blend_starts_and_ends_at_its_prompts(manager: MemoryManager) -> None:
    bundle = diffusers_bundle(spec_of(checkpoints.sd15()), torch.float32)
    with ladder(manager, checkpoints.sd15(), bundle) as held:
        painter = Painter(bundle, held)
        a = painter.encode(REQUEST)
        b = painter.encode(REQUEST.model_copy(update={"prompt": "a blue house"}))
        assert torch.equal(blend(a, b, 0.0)["prompt_embeds"], a["prompt_embeds"])
        assert torch.equal(blend(a, b, 1.0)["prompt_embeds"], b["prompt_embeds"])
        halfway = painter.paint(REQUEST, torch.Generator().manual_seed(3), embeddings=blend(a, b, 0.5)).pixels
        assert halfway.shape == (64, 64, 3)


def test_noise_between_two_noises_keeps_its_norm() -> None:
    a, b = (torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    between = slerp(a, b, 0.5)
    assert between.norm() == pytest.approx(float(a.norm() + b.norm()) / 2, rel=0.02)
    assert torch.allclose(slerp(a, b, 0.0), a, atol=1e-5)
    assert torch.allclose(slerp(a, b, 1.0), b, atol=1e-5)


# ---- previews ----


def test_a_preview_shows_where_the_picture_is_heading(manager: MemoryManager) -> None:
    """Colours come back from the latents of a colour field: left red, right blue."""
    bundle = diffusers_bundle(spec_of(checkpoints.sd15()), torch.float32)
    field = torch.full((1, 3, 64, 64), -0.6)
    field[:, 0, :, :32] = 0.6
    field[:, 2, :, 32:] = 0.6
    with manager.lease(bundle.components) as lease:
        pipeline = bundle.build(lease)
        latents = pipeline.vae.encode(field).latent_dist.mode() * pipeline.vae.config.scaling_factor
        small = np.asarray(latents_to_picture(pipeline, latents, 64, 64)).astype(int)
    left, right = small[:, :96].mean(axis=(0, 1)), small[:, -96:].mean(axis=(0, 1))
    assert left[0] - right[0] > 5  # an untrained VAE keeps little of a colour, but keeps it linearly
    assert right[2] - left[2] > 5


def test_previews_come_at_most_every_half_second(manager: MemoryManager) -> None:
    bundle = diffusers_bundle(spec_of(checkpoints.sd15()), torch.float32)
    now = [0.0]
    with manager.lease(bundle.components) as lease:
        preview = Preview(bundle.build(lease), 64, 64, clock=lambda: now[0])
        latents = torch.zeros(1, 4, 8, 8)
        shown = []
        for now[0] in (0.0, 0.1, 0.4, 0.5, 0.9, 1.0):
            shown.append(preview(latents) is not None)
    assert shown == [True, False, False, True, False, True]


# ---- memory ----


def test_the_plan_names_what_the_job_leases_and_grows_with_the_picture(manager: MemoryManager) -> None:
    spec = spec_of(checkpoints.sd15())
    components, (way, *_) = ImagePipeline().plan(REQUEST, spec, torch.float32)
    assert [component.key for component in components] == [
        component.key for component in diffusers_bundle(spec, torch.float32).components
    ]
    bundle = diffusers_bundle(spec, torch.float32)
    large = working_bytes(bundle, REQUEST.model_copy(update={"width": 512, "height": 512}))
    assert large > way.working_bytes == working_bytes(bundle, REQUEST)


@pytest.mark.parametrize("build", [checkpoints.sd15, checkpoints.sdxl, checkpoints.sd3, checkpoints.flux])
def test_half_precision_paints_and_leaves_the_lent_modules_as_they_were(
    build, manager: MemoryManager
) -> None:
    """diffusers would cast SDXL's VAE to float32 and back around each use."""
    bundle = diffusers_bundle(spec_of(build()), torch.bfloat16)
    with ladder(manager, build(), bundle) as held:
        lease = held.lease
        before = {name: lease[component].dtype for name, component in bundle.modules.items()}
        painter = Painter(bundle, held)
        start = Image.open(io.BytesIO(png()))
        for init_image in (None, start):
            made = painter.paint(REQUEST, torch.Generator().manual_seed(3), init_image=init_image)
            assert made.pixels.std() > 5
        assert {name: lease[component].dtype for name, component in bundle.modules.items()} == before
