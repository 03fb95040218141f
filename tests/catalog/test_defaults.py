"""What a model was made for is told by its configs and its class; the configs here are cut from published ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.catalog.defaults import made_for, size_step_of
from pipelines.catalog.scan import identify
from tests import checkpoints, checkpoints_video
from tests.checkpoints import copied

SD_VAE = {"block_out_channels": [128, 256, 512, 512], "latent_channels": 4}
FLUX_VAE = {"block_out_channels": [128, 256, 512, 512], "latent_channels": 16}
SD_UNET = {"sample_size": 64, "in_channels": 4}
XL_UNET = {"sample_size": 128, "in_channels": 4}
FLUX = {"patch_size": 1, "in_channels": 64}
TRAILING = {"timestep_spacing": "trailing", "prediction_type": "epsilon"}


def folder_of(folder: Path, name: str, **parts: Any) -> tuple[Path, dict[str, Any]]:
    """A diffusers folder of configs alone. parts: its configs; `model` for what stands in model_index.json itself."""
    index: dict[str, Any] = {
        "_class_name": name,
        "scheduler": ["diffusers", "X"],
        **parts.pop("model", {}),
    }
    for part, config in parts.items():
        place = folder / part
        place.mkdir(parents=True)
        file = "scheduler_config.json" if part == "scheduler" else "config.json"
        (place / file).write_text(json.dumps(config))
        index.setdefault(part, ["diffusers", "Some"])
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder, index


def told(folder: Path, makes: str = "image", *keys: str, **parts: Any) -> Any:
    found = made_for(*folder_of(folder, **parts), makes)
    return tuple(found.get(key) for key in keys)


STEPS = ("num_inference_steps", "guidance_scale")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"name": "StableDiffusionPipeline", "unet": SD_UNET, "vae": SD_VAE}, (None, 7.5)),
        (
            {"name": "StableDiffusionXLPipeline", "unet": XL_UNET, "vae": SD_VAE, "scheduler": TRAILING,
             "model": {"scheduler": ["diffusers", "EulerAncestralDiscreteScheduler"]}},
            (4, 0.0),
        ),
        (  # zero terminal SNR also spaces its steps from the end, and is no fast model
            {"name": "StableDiffusionPipeline", "unet": SD_UNET, "vae": SD_VAE,
             "scheduler": {**TRAILING, "prediction_type": "v_prediction", "rescale_betas_zero_snr": True}},
            (None, 7.5),
        ),
        (
            {"name": "LatentConsistencyModelPipeline", "unet": {**SD_UNET, "time_cond_proj_dim": 256}, "vae": SD_VAE,
             "model": {"scheduler": ["diffusers", "LCMScheduler"]}},
            (4, 8.0),
        ),
        (  # the LoRA merged in: the scale would be applied a second time
            {"name": "StableDiffusionPipeline", "unet": SD_UNET, "vae": SD_VAE,
             "model": {"scheduler": ["diffusers", "LCMScheduler"]}},
            (4, 1.0),
        ),
        ({"name": "FluxPipeline", "transformer": {**FLUX, "guidance_embeds": False}, "vae": FLUX_VAE}, (4, 0.0)),
        ({"name": "FluxPipeline", "transformer": {**FLUX, "guidance_embeds": True}, "vae": FLUX_VAE}, (28, 3.5)),
        (
            {"name": "Flux2KleinPipeline", "transformer": {**FLUX, "guidance_embeds": False}, "vae": FLUX_VAE,
             "model": {"is_distilled": True}},
            (4, 1.0),
        ),
        (
            {"name": "Flux2KleinPipeline", "transformer": {**FLUX, "guidance_embeds": False}, "vae": FLUX_VAE,
             "model": {"is_distilled": False}},
            (None, 4.0),
        ),
        ({"name": "SanaSprintPipeline", "transformer": {"sample_size": 32}}, (2, 4.5)),
        ({"name": "QwenImagePipeline", "transformer": {"patch_size": 2, "guidance_embeds": False}}, (None, 4.0)),
    ],
)  # fmt: skip
def test_steps_and_guidance_are_told_by_the_configs(parts: Any, expected: Any, tmp_path: Path) -> None:
    assert told(tmp_path / "hyper-turbo-lcm-lightning", "image", *STEPS, **parts) == expected


@pytest.mark.parametrize("name", ["hyperrealism", "not-turbo", "schnell-style"])
def test_a_name_says_nothing_about_speed(name: str, tmp_path: Path) -> None:
    spec = identify(copied(checkpoints.sd15(), tmp_path / name))
    assert spec.defaults == {"width": 64, "height": 64, "guidance_scale": 7.5}


DC = {"encoder_block_out_channels": [128, 256, 512, 512, 1024, 1024], "latent_channels": 32}
WAN_VAE = {"z_dim": 16, "temperal_downsample": [False, True, True]}
COG_VAE = {"block_out_channels": [128, 256, 256, 512], "temporal_compression_ratio": 4}
LTX_VAE = {
    "block_out_channels": [128, 256, 512, 512],
    "patch_size": 4,
    "spatio_temporal_scaling": [True, True, True, False],
}


@pytest.mark.parametrize(
    ("parts", "makes", "size", "step"),
    [
        ({"name": "SanaPipeline", "transformer": {"sample_size": 32, "patch_size": 1, "in_channels": 32}, "vae": DC},
         "image", (1024, 1024), 32),
        ({"name": "FluxPipeline", "transformer": FLUX, "vae": FLUX_VAE}, "image", (1024, 1024), 16),
        ({"name": "PixArtSigmaPipeline", "transformer": {"sample_size": 128, "patch_size": 2, "in_channels": 4}, "vae": SD_VAE},
         "image", (1024, 1024), 16),
        ({"name": "StableDiffusionPipeline", "unet": SD_UNET, "vae": SD_VAE}, "image", (512, 512), 8),
        ({"name": "WanPipeline", "transformer": {"patch_size": [1, 2, 2], "in_channels": 16}, "vae": WAN_VAE},
         "video", (832, 480), 16),
        ({"name": "WanPipeline", "transformer": {"patch_size": [1, 2, 2], "in_channels": 48},
          "vae": {"scale_factor_spatial": 16, **WAN_VAE}}, "video", (832, 480), 32),
        ({"name": "CogVideoXPipeline", "vae": COG_VAE,
          "transformer": {"sample_height": 60, "sample_width": 90, "sample_frames": 49, "patch_size": 2}},
         "video", (720, 480), 16),
        ({"name": "LTXPipeline", "transformer": {"patch_size": 1, "in_channels": 128}, "vae": LTX_VAE}, "video", (704, 512), 32),
        ({"name": "StableVideoDiffusionPipeline", "unet": {"sample_size": 96, "in_channels": 8, "num_frames": 25}, "vae": SD_VAE},
         "video", (1024, 576), 8),
    ],
)  # fmt: skip
def test_sizes_are_those_a_family_was_trained_at(
    parts: Any, makes: str, size: Any, step: int, tmp_path: Path
) -> None:
    assert told(tmp_path / "a", makes, "width", "height", **parts) == size
    assert size_step_of(*folder_of(tmp_path / "b", **parts)) == step


@pytest.mark.parametrize(
    ("name", "parts", "expected"),
    [
        ("WanPipeline", {"transformer": {}, "vae": WAN_VAE}, ("16", 5.0)),
        ("CogVideoXPipeline", {"transformer": {"sample_frames": 49}, "vae": COG_VAE}, ("8", 6.0)),
        ("LTXPipeline", {"transformer": {}, "vae": LTX_VAE}, ("25", 6.4)),
        ("StableVideoDiffusionPipeline", {"unet": {"num_frames": 25}, "vae": SD_VAE}, ("7", 3.4)),
        (
            "AnimateDiffPipeline",
            {"unet": {}, "motion_adapter": {"motion_max_seq_length": 32}, "vae": SD_VAE},
            ("8", 1.8),
        ),
    ],
)
def test_clips_are_as_long_as_a_family_makes_at_once(
    name: str, parts: Any, expected: Any, tmp_path: Path
) -> None:
    assert told(tmp_path / "a", "video", "fps", "seconds", name=name, **parts) == expected


def test_stable_video_diffusion_is_no_editor_of_pictures() -> None:
    spec = identify(checkpoints_video.stable_video())
    assert (spec.state, spec.problem, spec.modalities) == ("ready", "", ("video",))
