"""What a diffusers model was made for — size, steps, guidance, length — in the words of its configs and of its pipeline class.

Never told from a name: a folder called "hyperrealism" is no fast model. Distillation is told by the fields that distilling
leaves behind (the scheduler, its timestep spacing, `guidance_embeds`, `is_distilled`), the rest by what the class of the
installed diffusers takes when nobody says anything. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TypeGuard

from pipelines.catalog.classes import call_defaults
from pipelines.catalog.headers import read_json

USUAL_STEPS = 30  # more of them are slower and hardly better, whatever the class would take
FEW_STEPS = 4
# Frames a second a family was trained at, by the start of its class name, where the class itself has no such keyword.
RATES = {
    "Wan": 16, "LTX": 24, "CogVideoX": 8, "AnimateDiff": 8, "Hunyuan": 24, "Mochi": 30, "StableVideo": 7, "Allegro": 15,
    "SkyReels": 24, "SanaVideo": 16, "SanaImageToVideo": 16, "EasyAnimate": 8, "Kandinsky5": 24, "Cosmos": 16,
}  # fmt: skip
USUAL_RATE = 8
VIDEO_SIZE = (832, 480)
MOST = 4096


def made_for(folder: Path, index: Mapping[str, object], makes: str) -> dict[str, object]:
    """Request fields such a model likes. makes: "image" or "video".

    Raises BadFile where a config that the index names is missing or damaged.
    """
    usual = call_defaults(str(index.get("_class_name")))
    configs = {
        part: _config(folder, index, part) for part in ("unet", "transformer", "vae", "motion_adapter")
    }
    found = _denoising(folder, index, configs, usual)
    size = _video_size(configs, usual) if makes == "video" else _picture_size(configs, usual)
    if size:
        step = size_step(configs)
        width, height = (min(MOST, max(64, step, side // step * step)) for side in size)
        found |= {"width": width, "height": height}
    return found | (_length(index, configs, usual) if makes == "video" else {})


def size_step_of(folder: Path, index: Mapping[str, object]) -> int:
    """What width and height must be multiples of, at least 8."""
    return size_step({part: _config(folder, index, part) for part in ("unet", "transformer", "vae")})


def size_step(configs: Mapping[str, Mapping[str, object]]) -> int:
    """The pixels that become one latent, times the latents that become one token."""
    factor, transformer = vae_factor(configs["vae"]), configs["transformer"]
    patch = transformer.get("patch_size")
    patch = patch[-1] if isinstance(patch, list | tuple) and patch else patch
    patch = patch if isinstance(patch, int) and patch > 0 else 1
    latents, channels = configs["vae"].get("latent_channels"), transformer.get("in_channels")
    if patch == 1 and isinstance(latents, int) and isinstance(channels, int) and channels >= 4 * latents > 0:
        patch = 2  # Flux and its kin put four latents into one token before the transformer sees them
    step = factor * patch
    return step if step % 8 == 0 and step <= 512 else 8


def vae_factor(vae: Mapping[str, object]) -> int:
    """How many pixels, in each direction, become one latent; families say it in different fields."""
    for name in ("scale_factor_spatial", "spatial_compression_ratio"):
        if isinstance(factor := vae.get(name), int) and factor > 0:
            return int(factor)
    if isinstance(scaling := vae.get("spatio_temporal_scaling"), list):  # LTX
        patch = vae.get("patch_size")
        return int((patch if _is_number(patch) else 1) or 1) * 2 ** sum(map(bool, scaling))
    if isinstance(halved := vae.get("temperal_downsample"), list):  # Wan and Qwen-Image; so spelled
        return int(2 ** len(halved))
    for name in ("block_out_channels", "encoder_block_out_channels"):
        if isinstance(widths := vae.get(name), list) and widths:
            return int(2 ** (len(widths) - 1))
    return 8


def rate_of(class_name: str) -> Fraction:
    """Frames a second the class was trained at."""
    usual = call_defaults(class_name)
    told = [usual[name] for name in ("frame_rate", "fps") if _is_number(usual.get(name))]
    named = next((rate for start, rate in RATES.items() if class_name.startswith(start)), USUAL_RATE)
    return Fraction(str(told[0]) if told else named).limit_denominator(1001)


def _config(folder: Path, index: Mapping[str, object], part: str) -> Mapping[str, object]:
    listed = index.get(part)
    is_there = isinstance(listed, list) and len(listed) == 2 and bool(listed[0])
    return read_json(folder / part / "config.json") if is_there else {}


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


# ---- steps and guidance ----


def _denoising(
    folder: Path,
    index: Mapping[str, object],
    configs: Mapping[str, Mapping[str, object]],
    usual: Mapping[str, object],
) -> dict[str, object]:
    name = str(index.get("_class_name"))
    if index.get("is_distilled") is True:  # FLUX.2 klein
        return _few(1.0)
    if (
        name.startswith("Flux")
        and configs["transformer"].get("guidance_embeds") is False
        and "Flux2" not in name
    ):
        return _few(0.0)  # FLUX.1 schnell
    scheduler = _scheduler(folder, index)
    kind = str(scheduler.get("_class_name"))
    if "LCM" in kind:
        # a UNet that was taught the scale takes it in one pass; one with the LoRA merged into it goes without
        takes_scale = isinstance(configs["unet"].get("time_cond_proj_dim"), int)
        return _few(8.0 if takes_scale else 1.0)
    is_plain = scheduler.get("prediction_type", "epsilon") == "epsilon" and not scheduler.get(
        "rescale_betas_zero_snr"
    )
    if kind == "TCDScheduler" or (
        configs["unet"] and is_plain and scheduler.get("timestep_spacing") == "trailing"
    ):
        return _few(0.0)  # SD and SDXL turbo, Lightning, Hyper
    found: dict[str, object] = {}
    steps = usual.get("num_inference_steps")
    if _is_number(steps) and 1 <= steps < USUAL_STEPS:
        found["num_inference_steps"] = int(steps)
    scales = (usual.get(key) for key in ("guidance_scale", "true_cfg_scale", "max_guidance_scale"))
    scale = next((scale for scale in scales if _is_number(scale)), None)
    if scale is not None and 0 <= scale <= 30:
        found["guidance_scale"] = float(scale)
    return found


def _few(guidance: float) -> dict[str, object]:
    return {"num_inference_steps": FEW_STEPS, "guidance_scale": guidance}


def _scheduler(folder: Path, index: Mapping[str, object]) -> Mapping[str, object]:
    """The scheduler's config, by the class the index names for it."""
    listed = index.get("scheduler")
    if not isinstance(listed, list) or len(listed) != 2 or not listed[0]:
        return {}
    file = folder / "scheduler" / "scheduler_config.json"
    return {**(read_json(file) if file.is_file() else {}), "_class_name": str(listed[1])}


# ---- sizes and lengths ----


def _picture_size(
    configs: Mapping[str, Mapping[str, object]], usual: Mapping[str, object]
) -> tuple[int, int] | None:
    """(width, height) a picture model was trained at; None where nothing tells."""
    network = configs["unet"] or configs["transformer"]
    factor = vae_factor(configs["vae"]) if configs["vae"] else 1 if configs["unet"] else 8
    if size := _sample(network, factor):
        return size
    width, height = usual.get("width"), usual.get("height")
    if _is_number(width) and _is_number(height):
        return int(width), int(height)
    return (1024, 1024) if configs["transformer"] else None


def _video_size(configs: Mapping[str, Mapping[str, object]], usual: Mapping[str, object]) -> tuple[int, int]:
    """(width, height) of the clips a model was trained on."""
    width, height = usual.get("width"), usual.get("height")
    if _is_number(width) and _is_number(height):
        return int(width), int(height)
    network, factor = configs["transformer"] or configs["unet"], vae_factor(configs["vae"])
    height, width = network.get("sample_height"), network.get("sample_width")
    if isinstance(height, int) and isinstance(width, int):
        return width * factor, height * factor
    return _sample(network, factor) or VIDEO_SIZE


def _sample(network: Mapping[str, object], factor: int) -> tuple[int, int] | None:
    told = network.get("sample_size")
    height, width = told if isinstance(told, list) and len(told) == 2 else (told, told)
    if not (isinstance(height, int) and isinstance(width, int) and 0 < height <= MOST and 0 < width <= MOST):
        return None
    return width * factor, height * factor


def _length(
    index: Mapping[str, object], configs: Mapping[str, Mapping[str, object]], usual: Mapping[str, object]
) -> dict[str, object]:
    """Frame rate and seconds of the clips a model was trained on."""
    rate = rate_of(str(index.get("_class_name")))
    told = [usual.get("num_frames"), usual.get("video_length"), configs["transformer"].get("sample_frames")]
    told += [configs["unet"].get("num_frames"), configs["motion_adapter"].get("motion_max_seq_length")]
    frames = next((int(count) for count in told if _is_number(count) and count > 1), 0)
    most = configs["motion_adapter"].get("motion_max_seq_length")
    frames = min(frames, most) if isinstance(most, int) else frames
    seconds = float((frames - 1) / rate) if frames else 2.0
    return {"fps": str(rate), "seconds": min(600.0, max(0.2, int(seconds * 10) / 10))}
