"""A model opens part by part, shared and measured; what cannot open is one clear error, and what is loaded stays loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.catalog import ModelSpec, Source
from pipelines.catalog.headers import TensorInfo, read_json
from pipelines.catalog.scan import identify
from pipelines.catalog.single_file import SHIPPED, find_config
from pipelines.errors import InvalidRequest, ModelUnavailable
from pipelines.loading.diffusion import Bundle, diffusers_bundle
from pipelines.memory import MemoryManager
from pipelines.runtime.device import TorchDevice
from tests import checkpoints
from tests.checkpoints import copied


@pytest.fixture
def manager() -> MemoryManager:
    return MemoryManager(TorchDevice("cpu"))


def spec_of(path: Path, **facts: str) -> ModelSpec:
    loader = "diffusers-single-file" if path.is_file() else "diffusers"
    return ModelSpec(f"local/{path.stem}", path.stem, ("image",), loader, Source(path=str(path)), facts=facts)


def bundle_of(path: Path, dtype: torch.dtype = torch.float32, **facts: str) -> Bundle:
    return diffusers_bundle(spec_of(path, **facts), dtype)


def weights(module: torch.nn.Module) -> int:
    tensors = {tensor.data_ptr(): tensor for tensor in module.state_dict().values()}  # tied ones count once
    return sum(tensor.nbytes for tensor in tensors.values())


# ---- components ----


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("build", [checkpoints.sd15, checkpoints.sdxl, checkpoints.sd3, checkpoints.flux])
def test_parts_weigh_what_was_measured_before_reading_them(build, dtype: torch.dtype) -> None:
    bundle = bundle_of(build(), dtype)
    for name, component in bundle.modules.items():
        module = component.load()
        assert weights(module) == component.nbytes, name
        assert not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())


def test_keys_name_part_class_and_dtype_and_change_with_the_file(tmp_path: Path) -> None:
    folder = copied(checkpoints.sd15(), tmp_path / "mine")
    before = bundle_of(folder).modules["unet"]
    assert before.key.startswith("UNet2DConditionModel:unet:float32@")
    assert (before.model, before.passes) == ("local/mine", 25)
    assert bundle_of(folder).modules["unet"].key == before.key
    checkpoints.fill_with_nan(folder)
    assert bundle_of(folder).modules["unet"].key != before.key


def test_models_share_the_parts_they_have_in_common(tmp_path: Path) -> None:
    """A folder with a copy of the VAE of another leases the one that is there; a fine-tuned VAE is one of its own."""
    original = checkpoints.sd15()
    paths = {name: copied(original, tmp_path / name) for name in ("copy", "tuned", "scaled")}
    weights_file = paths["tuned"] / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights_file)
    tensors["decoder.conv_out.bias"] += 1
    save_file(tensors, weights_file, {"format": "pt"})
    config = json.loads((paths["scaled"] / "vae" / "config.json").read_text())
    (paths["scaled"] / "vae" / "config.json").write_text(json.dumps(config | {"scaling_factor": 0.5}))

    ours = bundle_of(original).modules
    theirs = {name: bundle_of(path).modules for name, path in paths.items()}
    assert theirs["copy"]["vae"].key == ours["vae"].key
    assert theirs["tuned"]["vae"].key != ours["vae"].key
    assert theirs["scaled"]["vae"].key != ours["vae"].key
    assert all(parts["unet"].key == ours["unet"].key for parts in theirs.values())

    manager = MemoryManager(TorchDevice("cpu", budget_bytes=1 << 30), prefetch=False)
    with manager.lease([ours["vae"]]) as lease, manager.lease([theirs["copy"]["vae"]]) as other:
        assert lease[ours["vae"]] is other[theirs["copy"]["vae"]]
    with manager.lease([theirs["tuned"]["vae"]]):
        held = {part["key"]: part["models"] for part in manager.snapshot()["components"]}
    assert held == {
        ours["vae"].key: ["local/sd15", "local/copy"],
        theirs["tuned"]["vae"].key: ["local/tuned"],
    }
    manager.close()


def test_parts_of_a_single_file_are_shared_with_an_equal_file_only(tmp_path: Path) -> None:
    file = checkpoints.sd15_single_file()
    (tmp_path / "copy.safetensors").write_bytes(file.read_bytes())
    tensors = load_file(file)
    next(tensor for name, tensor in tensors.items() if name.startswith("first_stage_model."))[0] += 1
    save_file(tensors, tmp_path / "tuned.safetensors", {"format": "pt"})
    config = str(checkpoints.sd15())
    ours = bundle_of(file, config=config).modules
    copy = bundle_of(tmp_path / "copy.safetensors", config=config).modules
    tuned = bundle_of(tmp_path / "tuned.safetensors", config=config).modules
    assert {name: part.key for name, part in copy.items()} == {name: part.key for name, part in ours.items()}
    assert not {part.key for part in tuned.values()} & {part.key for part in ours.values()}
    assert len({part.key for part in ours.values()}) == len(ours)


def test_parts_of_every_family_leave_the_cpu_and_come_back_the_same() -> None:
    """Mapped, converted, or from another layout: the bits after are the bits before."""
    device = TorchDevice("cpu")
    for path in (checkpoints.sdxl(), checkpoints.flux(), checkpoints.sd15_single_file()):
        for name, component in bundle_of(path, torch.float16).modules.items():
            module = component.load()
            before, held = {k: t.clone() for k, t in module.state_dict().items()}, device.hold(module)
            assert held.returns, (path.name, name)
            held.unload()
            held.upload()
            after = module.state_dict()
            assert all(torch.equal(after[key], tensor) for key, tensor in before.items()), (path.name, name)


def test_where_bfloat16_is_preferred_a_unet_stays_in_float16_and_a_transformer_does_not() -> None:
    assert ":float16@" in bundle_of(checkpoints.sd15(), torch.bfloat16).modules["unet"].key
    assert ":bfloat16@" in bundle_of(checkpoints.flux(), torch.bfloat16).modules["transformer"].key


def test_a_vae_that_overflows_in_half_precision_is_held_in_float32_and_takes_half_inputs() -> None:
    vae = bundle_of(checkpoints.sdxl(), torch.float16).modules["vae"].load()
    assert vae.dtype == torch.float32
    assert vae.config.force_upcast is False  # diffusers would cast the lent module up and down
    decoded = vae.decode(torch.zeros(1, 4, 2, 2, dtype=torch.float16)).sample
    encoded = vae.encode(torch.zeros(1, 3, 16, 16, dtype=torch.float16)).latent_dist.mode()
    assert (decoded.dtype, encoded.dtype) == (torch.float32, torch.float32)


def test_a_folder_with_fp16_files_only_opens_by_their_names(tmp_path: Path) -> None:
    folder = copied(checkpoints.sd15(), tmp_path / "half")
    for file in list(folder.rglob("*.safetensors")):
        save_file({k: v.half() for k, v in load_file(file).items()}, file.with_suffix(".fp16.safetensors"))
        file.unlink()
    for component in bundle_of(folder).components:
        assert next(component.load().parameters()).dtype == torch.float32


def test_shards_open_by_their_index(tmp_path: Path) -> None:
    folder = copied(checkpoints.sd15(), tmp_path / "shards")
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    whole = load_file(file)
    file.unlink()
    names = sorted(whole)
    table = {}
    for number, keys in enumerate((names[::2], names[1::2]), start=1):
        shard = f"diffusion_pytorch_model-{number:05}-of-00002.safetensors"
        save_file({key: whole[key] for key in keys}, file.with_name(shard))
        table |= dict.fromkeys(keys, shard)
    index = {"metadata": {}, "weight_map": table}
    file.with_name("diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    opened = bundle_of(folder).modules["unet"].load().state_dict()
    assert all(torch.equal(opened[key], whole[key]) for key in names)


def test_a_single_file_gives_the_weights_of_the_folder_it_was_made_from() -> None:
    single = bundle_of(checkpoints.sd15_single_file(), config=str(checkpoints.sd15()))
    folder = bundle_of(checkpoints.sd15())
    assert single.modules.keys() == folder.modules.keys() == {"text_encoder", "unet", "vae"}
    for name, component in single.modules.items():
        mine, theirs = component.load().state_dict(), folder.modules[name].load().state_dict()
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
        assert component.nbytes == folder.modules[name].nbytes


def test_a_single_file_without_configs_says_how_to_get_them(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "tiny.safetensors"
    file.parent.mkdir()
    file.write_bytes(checkpoints.sd15_single_file().read_bytes())
    with pytest.raises(ModelUnavailable, match="stable-diffusion-v1-5"):
        bundle_of(file)


# ---- building ----


def test_two_pipelines_share_the_lent_modules_and_nothing_that_holds_state(manager: MemoryManager) -> None:
    bundle = bundle_of(checkpoints.sd15())
    with manager.lease(bundle.components) as lease:
        words, picture = bundle.build(lease), bundle.build(lease, "image-to-image")
        assert type(words).__name__ == "StableDiffusionPipeline"
        assert type(picture).__name__ == "StableDiffusionImg2ImgPipeline"
        assert words.unet is picture.unet is lease[bundle.modules["unet"]]
        assert words.scheduler is not picture.scheduler


def old_folder(target: Path) -> Path:
    """A folder as it was published in 2022: an old class name, and a safety checker people leave out."""
    folder = copied(checkpoints.sd15(), target)
    index = json.loads((folder / "model_index.json").read_text())
    index["feature_extractor"] = ["transformers", "CLIPFeatureExtractor"]
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def test_parts_of_old_folders_open_under_their_old_names(tmp_path: Path, manager: MemoryManager) -> None:
    folder = old_folder(tmp_path / "old")
    (folder / "feature_extractor").mkdir()
    (folder / "feature_extractor" / "preprocessor_config.json").write_text(
        '{"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224}'
    )
    bundle = bundle_of(folder)
    with manager.lease(bundle.components) as lease:
        assert bundle.build(lease).feature_extractor is not None


def test_a_safety_checker_left_out_of_the_download_is_done_without(
    tmp_path: Path, manager: MemoryManager
) -> None:
    folder = old_folder(tmp_path / "old")
    assert identify(folder).state == "ready"
    bundle = bundle_of(folder)
    with manager.lease(bundle.components) as lease:
        pipeline = bundle.build(lease)
        assert (pipeline.safety_checker, pipeline.feature_extractor) == (None, None)


def test_a_scheduler_is_chosen_among_the_compatible_ones() -> None:
    bundle = bundle_of(checkpoints.sd15())
    assert type(bundle.scheduler()).__name__ == "PNDMScheduler"
    euler = bundle.scheduler("EulerDiscreteScheduler")
    assert euler.config.beta_schedule == "scaled_linear"
    with pytest.raises(InvalidRequest) as caught:
        bundle.scheduler("FlowMatchEulerDiscreteScheduler")
    assert caught.value.field == "scheduler"
    assert "EulerDiscreteScheduler" in caught.value.detail


def test_a_scheduler_whose_package_is_missing_says_so() -> None:
    """LMS needs scipy, the SDE solver torchsde; diffusers has a stand-in where a package is missing."""
    import diffusers.utils

    if diffusers.utils.is_torchsde_available():
        pytest.skip("torchsde is installed here, so nothing is missing")
    with pytest.raises(InvalidRequest, match="needs a package"):
        bundle_of(checkpoints.sd15()).scheduler("DPMSolverSDEScheduler")


# ---- refusing ----


def wrong_shape(folder: Path) -> None:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    save_file({**tensors, "conv_in.weight": torch.zeros(16, 9, 3, 3)}, file)


def missing_tensor(folder: Path) -> None:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    del tensors["conv_in.weight"]
    save_file(tensors, file)


def missing_text_tensor(folder: Path) -> None:
    file = folder / "text_encoder" / "model.safetensors"
    tensors = load_file(file)
    del tensors[next(name for name in tensors if "token_embedding" in name)]
    save_file(tensors, file)


def wrong_class(folder: Path) -> None:
    file = folder / "unet" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "down_block_types": ["NoSuchBlock"] * 4}))


@pytest.mark.parametrize("harm", [wrong_shape, missing_tensor, missing_text_tensor, wrong_class])
def test_a_part_that_does_not_open_is_one_clear_error_and_loaded_models_stay(
    harm: Callable[[Path], None], tmp_path: Path, manager: MemoryManager
) -> None:
    good = bundle_of(checkpoints.sd15())
    with manager.lease(good.components) as lease:
        unet = lease[good.modules["unet"]]
    folder = copied(checkpoints.sd15(), tmp_path / "bad")
    harm(folder)
    bad = bundle_of(folder)
    with pytest.raises(ModelUnavailable) as caught, manager.lease(bad.components):
        pass
    problem = caught.value.problem()
    assert problem.message.startswith("local/bad cannot be used. ")
    assert "\n" not in problem.message + problem.detail
    assert problem.hint
    with manager.lease(good.components) as lease:
        assert lease[good.modules["unet"]] is unet


def harm_index(**changes: object) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        index = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps({**index, **changes}))

    return harm


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (harm_index(_class_name="TomorrowPipeline"), "TomorrowPipeline is unknown to diffusers"),
        (harm_index(_class_name=["pipeline", "Mine"]), "code of its own"),
        (harm_index(unet=["os", "system"]), "code of its own"),
        (harm_index(unet=["diffusers", "TomorrowUNet"]), "TomorrowUNet of its unet is unknown"),
        (lambda folder: (folder / "model_index.json").unlink(), "model_index.json is missing"),
        (
            lambda folder: (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink(),
            "holds no weights",
        ),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_before_anything_is_read(
    harm, words: str, tmp_path: Path
) -> None:
    folder = copied(checkpoints.sd15(), tmp_path / "bad")
    harm(folder)
    with pytest.raises(ModelUnavailable, match=words):
        bundle_of(folder)


def test_a_pickle_is_refused_with_the_way_to_convert_it(tmp_path: Path) -> None:
    folder = copied(checkpoints.sd15(), tmp_path / "bad")
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(file), file.with_suffix(".bin"))
    file.unlink()
    with pytest.raises(ModelUnavailable, match="pickle") as caught:
        bundle_of(folder)
    assert "models convert" in caught.value.hint


def test_a_folder_that_lists_too_few_parts_says_which(tmp_path: Path, manager: MemoryManager) -> None:
    folder = copied(checkpoints.sd15(), tmp_path / "bad")
    index = json.loads((folder / "model_index.json").read_text())
    del index["scheduler"]
    (folder / "model_index.json").write_text(json.dumps(index))
    bundle = bundle_of(folder)
    with (
        manager.lease(bundle.components) as lease,
        pytest.raises(ModelUnavailable, match="lists no scheduler"),
    ):
        bundle.build(lease)


# ---- configs that ship ----


@pytest.mark.parametrize(
    ("family", "millions"),
    [
        ("stable-diffusion-1", (859.52, 83.65)),
        ("stable-diffusion-2", (865.91, 83.65)),
        ("stable-diffusion-xl", (2567.46, 83.65)),
        ("stable-diffusion-xl-refiner", (2259.53, 83.65)),
    ],
)
def test_shipped_configs_describe_models_as_large_as_the_published_ones(family: str, millions) -> None:
    import diffusers

    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel.from_config(
            read_json(SHIPPED / family / "unet" / "config.json")
        )
        vae = diffusers.AutoencoderKL.from_config(read_json(SHIPPED / family / "vae" / "config.json"))
    assert tuple(round(model.num_parameters() / 1e6, 2) for model in (unet, vae)) == millions


def test_a_checkpoint_of_stable_diffusion_1_gets_the_shipped_configs_and_clips_own_words(
    tmp_path: Path,
) -> None:
    tensors = {
        "model.diffusion_model.input_blocks.0.0.weight": TensorInfo("F16", (320, 4, 3, 3), 0),
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": TensorInfo(
            "F16", (320, 768), 0
        ),
        "cond_stage_model.transformer.text_model.final_layer_norm.weight": TensorInfo("F16", (768,), 0),
        "first_stage_model.decoder.conv_in.weight": TensorInfo("F16", (512, 4, 3, 3), 0),
    }
    halves = (3, 6, 9)
    widths = {1: 320, 2: 320, 4: 640, 5: 640, 7: 1280, 8: 1280, 10: 1280, 11: 1280}
    blocks = {f"{number}.0.op.weight": 320 for number in halves}
    blocks |= {f"{number}.0.out_layers.3.weight": width for number, width in widths.items()}
    tensors |= {
        f"model.diffusion_model.input_blocks.{name}": TensorInfo("F16", (width, width, 3, 3), 0)
        for name, width in blocks.items()
    }
    folder = find_config(tmp_path / "a.safetensors", tensors)
    assert folder == SHIPPED / "stable-diffusion-1"
    tokenizer = diffusers_bundle_of_configs(folder)._cheap_part("tokenizer")
    # as published: openai/clip-vit-large-patch14
    assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokenizer("x", padding="max_length").input_ids[2:] == [49407] * 75


def diffusers_bundle_of_configs(folder: Path) -> Bundle:
    from diffusers import StableDiffusionPipeline
    from transformers import CLIPTokenizer

    return Bundle(
        spec_of(folder), folder, StableDiffusionPipeline, {}, {"tokenizer": CLIPTokenizer}, {}, torch.float32
    )
