"""The catalogue: ids, defaults, limits, and what it says when a model cannot be used."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.catalog import Catalog, ModelSpec, Source
from pipelines.catalog import catalog as catalog_module
from pipelines.errors import InvalidRequest, ModelUnavailable
from pipelines.messages import AudioRequest, ImageRequest, TextRequest
from tests.checkpoints_language import tiny_chat

PAINTER = ModelSpec(
    id="test/painter",
    title="Painter",
    modalities=("image", "video"),
    loader="diffusers",
    source=Source(path="/nowhere"),
    defaults={"width": 256, "height": 256, "num_inference_steps": 12, "voice": "not a field of an image"},
    limits={"width": 512},
)
REMOTE = ModelSpec(
    "test/remote", "Remote", ("image",), "diffusers", Source(repo="test/remote"), state="remote"
)


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Catalog:
    monkeypatch.setattr(catalog_module.builtin, "shipped", lambda: [PAINTER, REMOTE])
    return Catalog(hub=False)


def test_fields_left_alone_take_the_models_defaults(catalog: Catalog) -> None:
    completed = catalog.complete(ImageRequest(prompt="a hill", height=384))
    assert (completed.model, completed.width, completed.height) == ("test/painter", 256, 384)
    assert completed.num_inference_steps == 12


def test_a_chosen_value_is_never_replaced_even_by_the_general_default(catalog: Catalog) -> None:
    assert catalog.complete(ImageRequest(prompt="a hill", num_inference_steps=30)).num_inference_steps == 30


def test_a_completed_request_completes_to_itself(catalog: Catalog) -> None:
    once = catalog.complete(ImageRequest(prompt="a hill", seed=7))
    assert catalog.complete(once) == once


def test_more_than_the_model_can_take_is_an_error_on_that_field(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequest) as caught:
        catalog.complete(ImageRequest(prompt="a hill", width=1024))
    assert caught.value.field == "width"
    assert "512" in caught.value.detail


def test_a_model_of_another_modality_is_an_error_on_the_model_field(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequest, match="does not make text"):
        catalog.complete(TextRequest(prompt="hello", model="test/painter"))


def test_an_unknown_model_names_near_ones(catalog: Catalog) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        catalog.get("painter")
    assert "test/painter" in caught.value.detail


def test_a_model_that_is_not_downloaded_says_so(catalog: Catalog) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        catalog.complete(ImageRequest(prompt="a hill", model="test/remote"))
    assert "not been downloaded" in caught.value.detail


def test_the_embedded_voice_needs_nothing_and_is_the_audio_default() -> None:
    assert Catalog(hub=False).complete(AudioRequest(prompt="Hello")).model == "espeak"


def test_every_modality_has_a_model_that_ships_ready() -> None:
    catalog = Catalog(hub=False)
    assert {modality: catalog.default(modality).id for modality in ("text", "code", "audio")} == {
        "text": "starter/text",
        "code": "starter/code",
        "audio": "espeak",
    }
    pictures = [
        "starter/illustrator",
        "starter/image",
    ]  # which comes first, the scores decide: tests/illustrator/test_illustrator.py
    for modality in ("image", "video"):
        assert sorted(spec.id for spec in catalog.all(modality)) == sorted(pictures)
        assert catalog.default(modality).id in pictures


def test_recommended_models_say_what_they_cost_and_allow() -> None:
    offered = [spec for spec in Catalog().all() if spec.source.repo and spec.state == "remote"]
    assert len(offered) >= 10
    for spec in offered:
        assert spec.weight_bytes > 0
        assert spec.memory_bytes > 0
        assert spec.licence != "unknown"
        assert spec.description


def test_an_added_folder_stays_listed_and_can_be_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "writer"
    shutil.copytree(tiny_chat(), folder)
    catalog = Catalog(registry=tmp_path / "models.json", hub=False)
    (added,) = catalog.add(folder)
    again = Catalog(registry=tmp_path / "models.json", hub=False)
    assert again.get(added.id).state == "ready"
    assert again.forget(folder)
    assert added.id not in [spec.id for spec in again.all()]
    assert folder.exists()


def test_a_folder_without_a_model_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="No model was found") as caught:
        Catalog(registry=tmp_path / "models.json", hub=False).add(tmp_path)
    assert "model_index.json" in caught.value.detail
