"""What was stored by an earlier version reads as it did: recipes, drafts, rows of the queue."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import ValidationError

from pipelines.messages import (
    MODALITIES,
    REQUESTS,
    BaseRequest,
    CodeRequest,
    ImageRequest,
    Modality,
    parse_request,
    request_class,
)

STORED = {
    "prompt": "a star",
    "model": "starter/image",
    "seed": 7,
    "negative_prompt": "",
    "width": 256,
    "height": 256,
    "num_inference_steps": 8,
    "guidance_scale": 5.0,
    "scheduler": "",
    "init_image": "",
    "strength": 0.6,
    "modality": "image",
    "mask_image": "",
    "num_images": 1,
    "format": "png",
}
"""A recipe as version 0.1 wrote it, in its order."""


def test_a_stored_recipe_reads_and_is_written_as_before() -> None:
    request = parse_request(STORED)
    assert request == ImageRequest(
        prompt="a star", model="starter/image", seed=7, width=256, height=256, num_inference_steps=8
    )
    written = request.model_dump(mode="json")
    assert {name: written[name] for name in STORED} == STORED
    assert [name for name in written if name in STORED] == list(STORED)


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_modality_alone_means_its_own_task(modality: Modality) -> None:
    request = parse_request({"modality": modality})
    assert type(request) is REQUESTS[modality]
    assert parse_request(request.model_dump(mode="json")) == request


def test_the_seven_tasks_of_code_are_one_request() -> None:
    assert parse_request({"modality": "code", "task": "explain", "code": "x = 1"}) == CodeRequest(
        task="explain", code="x = 1"
    )


@pytest.mark.parametrize(
    ("stored", "place"),
    [
        ({"prompt": "x"}, ("modality",)),
        ({"modality": "smell"}, ("modality",)),
        ({"modality": ["image"]}, ("modality",)),
        ({"modality": "code", "task": "sing"}, ("task",)),
        ({"modality": "image", "task": "unboil"}, ("task",)),
        ({"modality": "image", "width": 100}, ("width",)),
    ],
)
def test_what_does_not_fit_is_told_at_its_field(stored: dict[str, object], place: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_request(stored)
    assert [entry["loc"] for entry in caught.value.errors()] == [place]


def test_a_new_task_may_not_be_called_as_one_of_the_seven_of_code() -> None:
    """It took over what was stored under that name, and those jobs no longer read."""
    with pytest.raises(TypeError, match="'explain', which CodeRequest answers to"):

        class ExplainRequest(BaseRequest):
            modality: Literal["code"] = "code"
            task: Literal["explain"] = "explain"

    assert request_class({"modality": "code", "task": "explain"}) is CodeRequest


def test_every_task_says_which_modality_it_makes() -> None:
    assert {kind.model_fields["modality"].default for kind in REQUESTS.values()} == set(MODALITIES)
    assert "modality" not in BaseRequest.model_fields
