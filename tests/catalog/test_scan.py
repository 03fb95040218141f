"""What a folder is gets read from its own words, and every bad one is refused with one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines.catalog.classes import (
    causal_language_models,
    is_installed,
    picture_reading_models,
    pipeline_makes,
    schedulers,
)
from pipelines.catalog.scan import extra_model_paths, identify, scan
from pipelines.errors import InvalidRequest
from tests import checkpoints
from tests.checkpoints import copied


def edit(file: Path, **changes: object) -> None:
    data = json.loads(file.read_text())
    file.write_text(json.dumps({**data, **changes}))


def transformers_folder(folder: Path, architecture: str, *, tokenizer: str = "{}", **config: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": [architecture], **config}))
    (folder / "tokenizer.json").write_text(tokenizer)
    save_file({"weight": torch.zeros(4, 4)}, folder / "model.safetensors")
    return folder


# ---- whole models ----


def test_a_diffusers_folder_says_what_it_makes_and_at_what_size() -> None:
    spec = identify(checkpoints.sd15())
    assert spec.state == "ready"
    assert spec.id == "local/sd15"
    assert spec.modalities == ("image", "video")
    assert spec.loader == "diffusers"
    assert spec.defaults == {"width": 64, "height": 64, "guidance_scale": 7.5}
    assert spec.facts["class"] == "StableDiffusionPipeline"
    assert "EulerDiscreteScheduler" in spec.facts["schedulers"]
    files = checkpoints.sd15().rglob("*.safetensors")
    assert spec.weight_bytes == sum(file.stat().st_size for file in files)


@pytest.mark.parametrize("build", [checkpoints.sdxl, checkpoints.sd3, checkpoints.flux])
def test_other_families_need_no_list_of_names(build) -> None:
    assert identify(build()).state == "ready"


def test_a_single_file_finds_the_configs_of_its_family(tmp_path: Path) -> None:
    file = tmp_path / "Stable-diffusion" / "tiny.safetensors"
    file.parent.mkdir()
    file.write_bytes(checkpoints.sd15_single_file().read_bytes())
    alone = identify(file)
    assert (alone.state, alone.source.repo) == ("remote", "stable-diffusion-v1-5/stable-diffusion-v1-5")
    assert alone.source.files == ("*.json", "*.txt", "*.model")
    assert "needs the small configs of its family" in alone.problem

    own = copied(checkpoints.sd15(), tmp_path / "diffusers" / "tiny-15")
    found = {spec.id: spec for spec in scan(tmp_path)}
    assert found["local/tiny"].state == "ready"
    assert found["local/tiny"].facts["config"] == str(own)
    assert found["local/tiny"].loader == "diffusers-single-file"


def test_configs_beside_a_file_are_taken_whatever_its_family(tmp_path: Path) -> None:
    file = tmp_path / "tiny.safetensors"
    file.write_bytes(checkpoints.sd15_single_file().read_bytes())
    beside = copied(checkpoints.sd15(), tmp_path / "tiny.config")
    assert [(spec.id, spec.state) for spec in scan(tmp_path)] == [("local/tiny", "ready")]
    assert identify(file).facts["config"] == str(beside)


def test_configs_of_another_shape_are_not_taken(tmp_path: Path) -> None:
    copied(checkpoints.sdxl(), tmp_path / "xl")
    file = tmp_path / "tiny.safetensors"
    file.write_bytes(checkpoints.sd15_single_file().read_bytes())
    assert {spec.id: spec.state for spec in scan(tmp_path)} == {"local/xl": "ready", "local/tiny": "remote"}


def test_language_and_sound_models_are_told_by_their_architecture(tmp_path: Path) -> None:
    llama = identify(transformers_folder(tmp_path / "llama", "LlamaForCausalLM"))
    assert (llama.modalities, llama.loader, llama.facts["fim"]) == (("text",), "causal-lm", False)
    fim = json.dumps({"added_tokens": [{"content": "<|fim_prefix|>"}]})
    coder = identify(transformers_folder(tmp_path / "coder", "Qwen2ForCausalLM", tokenizer=fim))
    assert coder.modalities == ("text", "code")
    for name, loader in (
        ("BarkModel", "bark"),
        ("VitsModel", "vits"),
        ("MusicgenForConditionalGeneration", "musicgen"),
    ):
        spec = identify(transformers_folder(tmp_path / name, name))
        assert (spec.modalities, spec.loader) == (("audio",), loader)


def test_the_installed_libraries_are_asked_what_their_classes_make() -> None:
    assert pipeline_makes("StableDiffusionXLPipeline") == "image"
    assert pipeline_makes("WanPipeline") == "video"
    assert pipeline_makes("StableVideoDiffusionPipeline") == "video"
    assert pipeline_makes("StableAudioPipeline") == "audio"
    assert pipeline_makes("NoSuchPipeline") == ""
    assert "LlamaForCausalLM" in causal_language_models()
    assert "BertForMaskedLM" not in causal_language_models()
    assert (
        "Kosmos2_5ForConditionalGeneration" in picture_reading_models()
    )  # "kosmos-2.5": a family with a dot in its name
    assert "EulerDiscreteScheduler" in schedulers()
    for name, package in (("LMSDiscreteScheduler", "scipy"), ("DPMSolverSDEScheduler", "torchsde")):
        assert (name in schedulers()) == is_installed(package)


# ---- bad ones ----


def lfs_pointer(folder: Path) -> None:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 123\n")


def cut_off(folder: Path) -> None:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def only_a_pickle(folder: Path) -> None:
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_suffix(".bin"))


def disguised_pickle(folder: Path) -> None:
    torch.save({"a": torch.zeros(2)}, folder / "vae" / "diffusion_pytorch_model.safetensors")


def no_config(folder: Path) -> None:
    (folder / "unet" / "config.json").unlink()


def no_part(folder: Path) -> None:
    for file in (folder / "text_encoder").iterdir():
        file.unlink()
    (folder / "text_encoder").rmdir()


def no_shard(folder: Path) -> None:
    part = folder / "unet"
    (part / "diffusion_pytorch_model.safetensors").unlink()
    names = {"a": "diffusion_pytorch_model-00001-of-00002.safetensors"}
    (part / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))


def unknown_class(folder: Path) -> None:
    edit(folder / "model_index.json", _class_name="TomorrowPipeline")


def own_pipeline_code(folder: Path) -> None:
    edit(folder / "model_index.json", _class_name=["my_pipeline", "MyPipeline"])


def own_part_code(folder: Path) -> None:
    edit(folder / "model_index.json", unet=["my_unet", "MyUNet"])
    (folder / "unet" / "my_unet.py").write_text("raise SystemExit")


def damaged_index(folder: Path) -> None:
    (folder / "model_index.json").write_text("{")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lfs_pointer, "git-lfs pointer"),
        (cut_off, "cut off"),
        (only_a_pickle, "pickle"),
        (disguised_pickle, "pickle"),
        (no_config, "unet/config.json is missing"),
        (no_part, "text_encoder is missing"),
        (no_shard, "1 of 1 weight files of unet are missing"),
        (unknown_class, "TomorrowPipeline is unknown"),
        (own_pipeline_code, "code of its own"),
        (own_part_code, "code of its own"),
        (damaged_index, "model_index.json is damaged"),
    ],
)
def test_every_bad_folder_is_told_in_one_sentence(harm, words: str, tmp_path: Path) -> None:
    folder = copied(checkpoints.sd15(), tmp_path / "bad")
    harm(folder)
    spec = identify(folder)
    assert spec.state == "broken"
    assert words in spec.problem
    assert spec.problem.endswith(".")
    assert "\n" not in spec.problem


def test_an_inpainting_unet_cannot_paint_from_words() -> None:
    spec = identify(checkpoints.sd15_inpaint())
    assert spec.state == "broken"
    assert "fills masked areas" in spec.problem


def test_models_no_tab_can_use_are_named(tmp_path: Path) -> None:
    bert = identify(transformers_folder(tmp_path / "bert", "BertForMaskedLM"))
    assert bert.problem == "It is a BertForMaskedLM, which no tab of the studio uses."
    own = identify(
        transformers_folder(tmp_path / "own", "MyForCausalLM", auto_map={"AutoModelForCausalLM": "m.My"})
    )
    assert "code of its own" in own.problem
    packed = transformers_folder(
        tmp_path / "packed", "LlamaForCausalLM", quantization_config={"quant_method": "gptq"}
    )
    assert "gptqmodel" in identify(packed).problem


def test_a_native_class_with_an_auto_map_is_fine(tmp_path: Path) -> None:
    folder = transformers_folder(tmp_path / "phi", "Phi3ForCausalLM", auto_map={"AutoConfig": "c.C"})
    assert identify(folder).state == "ready"


def test_additions_are_recognised_and_not_listed(tmp_path: Path) -> None:
    lora = tmp_path / "style.safetensors"
    save_file({"lora_unet_down_blocks_0.lora_down.weight": torch.zeros(2, 2)}, lora)
    assert "is a LoRA" in identify(lora).problem
    vae = tmp_path / "vae.safetensors"
    save_file({"first_stage_model.encoder.down.0.block.0.conv1.weight": torch.zeros(2, 2)}, vae)
    assert "is a VAE" in identify(vae).problem
    assert scan(tmp_path) == []


# ---- places ----


def test_the_trees_of_other_programs_are_walked_by_their_folder_names(tmp_path: Path) -> None:
    checkpoint = checkpoints.sd15_single_file().read_bytes()
    for place in (
        "models/Stable-diffusion/a.safetensors",
        "models/Lora/b.safetensors",
        "models/VAE/c.safetensors",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(checkpoint)
    (tmp_path / "models/Stable-diffusion/old.ckpt").write_bytes(b"PK")
    found = {spec.id: spec.problem for spec in scan(tmp_path)}
    assert set(found) == {"local/a", "local/old"}
    assert "pickle" in found["local/old"]


def test_a_hub_cache_lists_repositories_by_their_names(tmp_path: Path) -> None:
    repo = tmp_path / "models--someone--tiny"
    copied(checkpoints.sd15(), repo / "snapshots" / "abc123")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc123")
    (spec,) = scan(tmp_path)
    assert (spec.id, spec.title, spec.source.revision) == ("someone/tiny", "tiny", "abc123")


def test_two_models_of_one_name_keep_apart(tmp_path: Path) -> None:
    copied(checkpoints.sd15(), tmp_path / "one" / "model")
    copied(checkpoints.sd15(), tmp_path / "two" / "model")
    assert [spec.id for spec in scan(tmp_path)] == ["local/model", "local/two-model"]


def test_a_path_that_is_not_there_holds_no_models(tmp_path: Path) -> None:
    assert scan(tmp_path / "nowhere") == []


def test_extra_model_paths_are_read_as_comfyui_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "extra_model_paths.yaml"
    file.write_text(
        "a1111:\n"
        "  base_path: webui\n"
        "  checkpoints: models/Stable-diffusion\n"
        "  loras: |\n    models/Lora\n    models/LyCORIS\n"
        "comfyui:\n"
        f"  base_path: {tmp_path / 'comfy'}\n"
        "  is_default: true\n"
        "  checkpoints: |\n    models/checkpoints/\n    more\n"
        "  diffusers: models/diffusers\n"
    )
    assert extra_model_paths(file) == [
        tmp_path / "webui/models/Stable-diffusion",
        tmp_path / "comfy/models/checkpoints",
        tmp_path / "comfy/more",
        tmp_path / "comfy/models/diffusers",
    ]
    file.write_text("[")
    with pytest.raises(InvalidRequest):
        extra_model_paths(file)


def test_scanning_brings_no_torch() -> None:
    folder = checkpoints.sd15()
    code = (
        "import sys; from pathlib import Path; from pipelines.catalog.scan import scan;"
        f"assert scan(Path({str(folder)!r}))[0].state == 'ready';"
        "print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
