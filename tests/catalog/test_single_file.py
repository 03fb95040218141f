"""A checkpoint in one file is told by its tensors, and borrows what it lacks from neighbours that are whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.catalog import Catalog
from pipelines.catalog.scan import identify, scan
from pipelines.loading.diffusion import diffusers_bundle
from tests import checkpoints
from tests.checkpoints import copied

UNET = "model.diffusion_model."


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "one" / "checkpoints" / "tiny.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(checkpoints.sd15_single_file().read_bytes())
    return file


def no_tokenizer(folder: Path) -> None:
    for file in (folder / "tokenizer").iterdir():
        file.unlink()


def damaged_part(folder: Path) -> None:
    (folder / "vae" / "config.json").write_text("{")


def no_scheduler(folder: Path) -> None:
    (folder / "scheduler" / "scheduler_config.json").unlink()


@pytest.mark.parametrize("harm", [no_tokenizer, damaged_part, no_scheduler])
def test_configs_are_not_borrowed_from_a_broken_neighbour(harm: Any, file: Path) -> None:
    harm(copied(checkpoints.sd15(), file.parent / "aa-broken"))
    assert identify(file).state == "remote"
    whole = copied(checkpoints.sd15(), file.parent / "bb-whole")
    assert identify(file).facts["config"] == str(whole)


def distilled(config: dict[str, Any]) -> None:
    config["time_cond_proj_dim"] = 32


def deeper(config: dict[str, Any]) -> None:
    config["layers_per_block"] += 1


def wider(config: dict[str, Any]) -> None:
    config["block_out_channels"][-1] *= 2


def of_clips(config: dict[str, Any]) -> None:
    config["_class_name"] = "UNetMotionModel"


@pytest.mark.parametrize("change", [distilled, deeper, wider, of_clips])
def test_configs_of_another_shape_are_not_borrowed(change: Any, file: Path) -> None:
    """The file would be ready, and fail when it is opened: tensors missing."""
    other = copied(checkpoints.sd15(), file.parent / "aa-other") / "unet" / "config.json"
    config = json.loads(other.read_text())
    change(config)
    other.write_text(json.dumps(config))
    assert identify(file).state == "remote"
    whole = copied(checkpoints.sd15(), file.parent / "bb-whole")
    assert identify(file).facts["config"] == str(whole)


def test_weights_that_are_in_the_file_need_not_be_in_the_neighbour(file: Path) -> None:
    lender = copied(checkpoints.sd15(), file.parent / "configs")
    for weights in lender.rglob("*.safetensors"):
        weights.unlink()
    assert identify(file).facts["config"] == str(lender)


def test_configs_are_lent_from_one_registered_folder_to_another(file: Path, tmp_path: Path) -> None:
    lender = copied(checkpoints.sd15(), tmp_path / "two" / "deep" / "tiny-15")
    catalog = Catalog((file.parents[1],), registry=tmp_path / "models.json", hub=False)
    assert catalog.get("local/tiny").state == "remote"
    catalog.add(tmp_path / "two")
    assert catalog.get("local/tiny").facts["config"] == str(lender)


def test_a_flux_file_with_everything_in_it_finds_its_t5(tmp_path: Path) -> None:
    file = checkpoints.flux_single_file(tmp_path / "all-in-one.safetensors")
    lender = copied(checkpoints.flux(), tmp_path / "flux")
    (lender / "text_encoder_2" / "model.safetensors").unlink()
    (spec,) = [spec for spec in scan(tmp_path) if spec.id == "local/all-in-one"]
    assert (spec.state, spec.problem) == ("ready", "")
    parts = diffusers_bundle(spec, torch.float32).modules
    assert parts["text_encoder_2"].nbytes > 1000
    loaded = parts["text_encoder_2"].load().state_dict()
    assert torch.equal(
        loaded["shared.weight"], load_file(file)["text_encoders.t5xxl.transformer.shared.weight"]
    )


def unet_only(file: Path, width: int, channels: int = 4, *, label: bool = False) -> Path:
    tensors = {
        f"{UNET}input_blocks.0.0.weight": torch.zeros(8, channels, 3, 3),
        f"{UNET}input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": torch.zeros(8, width),
    }
    save_file(tensors | ({f"{UNET}label_emb.0.0.weight": torch.zeros(4)} if label else {}), file)
    return file


@pytest.mark.parametrize(
    ("width", "label", "title", "parts"),
    [
        (768, False, "Stable Diffusion 1", "text_encoder and vae"),
        (1024, False, "Stable Diffusion 2", "text_encoder and vae"),
        (2048, True, "Stable Diffusion XL", "text_encoder, text_encoder_2 and vae"),
        (1280, True, "Stable Diffusion XL refiner", "text_encoder_2 and vae"),
    ],
)
def test_a_unet_alone_is_told_by_its_own_family_with_all_it_lacks(
    width: int, label: bool, title: str, parts: str, tmp_path: Path
) -> None:
    spec = identify(unet_only(tmp_path / "a.safetensors", width, label=label))
    assert spec.state == "remote"
    assert f"is a unet of {title} without its {parts}:" in spec.problem
    assert "vae/*.safetensors" in spec.source.files
    assert not any(pattern.startswith("unet/") and "safetensors" in pattern for pattern in spec.source.files)


def test_a_flux_transformer_alone_borrows_the_rest_from_a_whole_folder(tmp_path: Path) -> None:
    file = checkpoints.flux_single_file(tmp_path / "dit.safetensors", whole=False)
    spec = identify(file)
    assert spec.source.repo == "black-forest-labs/FLUX.1-dev"
    assert "without its text_encoder, text_encoder_2 and vae" in spec.problem
    assert "text_encoder_2/*.safetensors" in spec.source.files
    copied(checkpoints.flux(), tmp_path / "flux")
    assert {spec.id: spec.state for spec in scan(tmp_path)} == {"local/flux": "ready", "local/dit": "ready"}


def test_chroma_is_not_called_flux(tmp_path: Path) -> None:
    names = ["distilled_guidance_layer.in_proj.bias", "double_blocks.0.img_attn.norm.key_norm.scale"]
    names += ["single_blocks.0.norm.key_norm.scale", "guidance_in.in_layer.bias"]
    save_file({name: torch.zeros(4) for name in names}, tmp_path / "chroma.safetensors")
    copied(checkpoints.flux(), tmp_path / "flux")
    (spec,) = [spec for spec in scan(tmp_path) if spec.id == "local/chroma"]
    assert spec.source.repo == "lodestones/Chroma1-HD"
    assert "transformer of Chroma without its text_encoder and vae" in spec.problem


def test_an_inpainting_file_is_not_told_to_get_configs(tmp_path: Path) -> None:
    spec = identify(unet_only(tmp_path / "a.safetensors", 768, channels=9))
    assert (spec.state, spec.source.repo) == ("broken", "")
    assert "fills masked areas" in spec.problem
    assert "give it the start image and the mask" in spec.remedy


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("head.modulation", "a Wan transformer alone"),
        (f"{UNET}head.modulation", "a Wan transformer alone"),
        ("model.layers.0.self_attn.q_proj.weight", "a language model without its config.json"),
        ("encoder.block.0.layer.0.SelfAttention.q.weight", "a T5 text encoder"),
        ("something.else.weight", "cannot be told from the names of its 1 tensors"),
    ],
)
def test_what_is_not_opened_as_one_file_is_named(name: str, words: str, tmp_path: Path) -> None:
    save_file({name: torch.zeros(4)}, tmp_path / "a.safetensors")
    spec = identify(tmp_path / "a.safetensors")
    assert spec.state == "broken"
    assert words in spec.problem
    assert spec.remedy
