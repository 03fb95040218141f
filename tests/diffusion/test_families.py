"""Families that once failed at their own default settings make something, and a failure inside one is told as what it is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipelines.catalog import Catalog
from pipelines.diffusion.image import ImagePipeline
from pipelines.errors import InvalidRequest, ModelUnavailable, StudioError
from pipelines.memory import MemoryManager
from pipelines.messages import Artifact, ImageRequest, VideoRequest
from pipelines.runtime.context import Context
from pipelines.runtime.device import TorchDevice
from pipelines.video.video import VideoPipeline
from tests import checkpoints, checkpoints_video


@pytest.fixture(scope="module")
def manager() -> MemoryManager:
    return MemoryManager(TorchDevice("cpu"))


def picture() -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(file, "PNG")
    return file.getvalue()


def make(manager: MemoryManager, folder: Path, spool: Path, request: Any) -> Artifact:
    """What the catalogue and the worker make of a request that leaves everything to the model, but for its steps."""
    catalog = Catalog((folder,), hub=False)
    request = catalog.complete(request.model_copy(update={"model": f"local/{folder.name}"}))
    request = request.model_copy(update={"num_inference_steps": 2})
    spec = catalog.get(request.model)
    context = Context(
        "job",
        spec,
        manager,
        spool=spool,
        emit=lambda event: None,
        is_cancelled=lambda: False,
        inputs={"start": picture()},
    )
    pipeline: Any = ImagePipeline() if request.modality == "image" else VideoPipeline()
    (made,) = pipeline.generate(request, context)
    return made


@pytest.mark.parametrize("build", [checkpoints.pixart, checkpoints.sana, checkpoints.lcm])
def test_picture_families_work_at_their_own_settings(
    build: Any, manager: MemoryManager, tmp_path: Path
) -> None:
    made = make(manager, build(), tmp_path, ImageRequest(prompt="a red cat", seed=1))
    side = 128 if build is checkpoints.sana else 64
    assert (made.facts["width"], made.facts["height"]) == (side, side)
    assert "notes" not in made.facts


@pytest.mark.parametrize(
    ("build", "asked", "step"),
    [
        (checkpoints.pixart, (72, 72), 16),
        (checkpoints.sana, (104, 72), 32),
        (checkpoints_video.wan, (72, 88), 16),
        (checkpoints_video.ltx, (72, 72), 32),
    ],
)
def test_a_size_between_the_squares_of_a_model_is_snapped_and_said(
    build: Any, asked: tuple[int, int], step: int, manager: MemoryManager, tmp_path: Path
) -> None:
    kind = ImageRequest if build in (checkpoints.pixart, checkpoints.sana) else VideoRequest
    short: dict[str, Any] = {"seconds": 0.3} if kind is VideoRequest else {}
    made = make(
        manager, build(), tmp_path, kind(prompt="a cat", seed=1, width=asked[0], height=asked[1], **short)
    )
    size = made.facts["width"], made.facts["height"]
    assert all(
        side % step == 0 and abs(side - wanted) < step for side, wanted in zip(size, asked, strict=True)
    )
    told = f"Made {size[0]}×{size[1]} instead of {asked[0]}×{asked[1]}: this model works in squares of {step} pixels."
    assert made.facts["notes"][0] == told
    assert (made.recipe.width, made.recipe.height) == size


def test_a_family_that_needs_ftfy_films(manager: MemoryManager, tmp_path: Path) -> None:
    made = make(
        manager,
        checkpoints_video.wan(),
        tmp_path,
        VideoRequest(prompt="a cat", seed=1, seconds=0.3, width=64, height=64),
    )
    assert made.facts["frames"] == 5


def test_stable_video_diffusion_sets_a_picture_in_motion(manager: MemoryManager, tmp_path: Path) -> None:
    request = VideoRequest(prompt="a", seed=1, seconds=0.5, width=64, height=64, init_image="start")
    made = make(manager, checkpoints_video.stable_video(), tmp_path, request)
    assert made.facts["keyframes"] == 4
    assert "The prompt was not used: this model works without words." in made.facts["notes"]
    with pytest.raises(InvalidRequest, match="words alone"):
        make(
            manager, checkpoints_video.stable_video(), tmp_path, request.model_copy(update={"init_image": ""})
        )


@pytest.mark.parametrize(
    ("raised", "expected", "words"),
    [
        (NameError("name 'ftfy' is not defined"), ModelUnavailable, "needs a package"),
        (ImportError("requires torchsde"), ModelUnavailable, "needs a package"),
        (ValueError("`height` has to be divisible"), InvalidRequest, "cannot work with these settings"),
        (RuntimeError("The size of tensor a (4) must match"), ModelUnavailable, "do not fit together"),
        (TypeError("unsupported operand"), ModelUnavailable, "failed while it ran"),
        (
            AttributeError("'NoneType' object has no attribute 'shape'"),
            ModelUnavailable,
            "failed while it ran",
        ),
        (IndexError("list index out of range"), ModelUnavailable, "failed while it ran"),
    ],
)
def test_what_goes_wrong_inside_a_film_is_told_whatever_was_raised(
    raised: Exception, expected: type[StudioError], words: str, manager: MemoryManager, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from diffusers import LTXPipeline

    def broken(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(LTXPipeline, "encode_prompt", broken)
    with pytest.raises(expected, match=words) as caught:
        make(
            manager,
            checkpoints_video.ltx(),
            tmp_path,
            VideoRequest(prompt="a", seed=1, seconds=0.3, width=64, height=64),
        )
    assert str(raised) in caught.value.detail
