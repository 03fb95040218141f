"""Single-file checkpoints: which family one is of, and where the small config folder of that family lies on this disk.

Told from tensor names and shapes alone. A checkpoint in the original layout holds weights but neither configs nor tokenizers;
those come from a folder in diffusers layout: `<name>.config/` beside the file, one we ship, the hub's cache, or any diffusers
folder of the same shape among the user's models. Imports no torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.catalog.headers import BadFile, TensorInfo, read_json

SHIPPED = Path(__file__).resolve().parents[2] / "assets" / "configs"
UNET = "model.diffusion_model."

# Which tensors belong to which part, most telling first. Source: diffusers 0.42, loaders/single_file_utils.py.
PART_PREFIXES: dict[str, tuple[str, ...]] = {
    "vae": ("first_stage_model.", "vae."),
    "text_encoder": (
        "cond_stage_model.",
        "conditioner.embedders.0.transformer.",
        "text_encoders.clip_l.",
    ),
    "text_encoder_2": ("conditioner.embedders.1.", "conditioner.embedders.0.model.", "text_encoders.clip_g."),
    "text_encoder_3": ("text_encoders.t5xxl.",),
}
IGNORED = (
    "model_ema.",
    "denoiser.",
    "cond_stage_model.logit_scale",
    "conditioner.embedders.1.model.logit_scale",
)


CONFIG_FILES = ("*.json", "*.txt", "*.model")  # of a hub repository: configs and tokenizers, no weights


class ConfigsMissing(BadFile):
    """A good checkpoint whose family's configs are not on this disk; they can be downloaded from `repo`. files: which."""

    def __init__(self, text: str, repo: str, files: tuple[str, ...] = CONFIG_FILES) -> None:
        super().__init__(text)
        self.repo, self.files = repo, files


@dataclass(frozen=True)
class Family:
    """A kind of checkpoint. name: its folder in `assets/configs`; repo: where the hub keeps its configs."""

    name: str
    title: str
    repo: str
    part: str = "unet"


def family_of(tensors: Mapping[str, TensorInfo]) -> Family | None:
    """The family a checkpoint is of, or None when its names are of none we can tell."""
    names = {name.removeprefix(UNET) for name in tensors}
    if f"{UNET}input_blocks.0.0.weight" in tensors:
        return _unet_family(tensors)
    if "joint_blocks.0.context_block.adaLN_modulation.1.bias" in names:
        repo = "stabilityai/stable-diffusion-3.5-medium"
        return Family("stable-diffusion-3", "Stable Diffusion 3", repo, "transformer")
    if "double_blocks.0.img_attn.norm.key_norm.scale" in names:
        kind = "dev" if "guidance_in.in_layer.bias" in names else "schnell"
        return Family(f"flux-{kind}", f"FLUX.1 {kind}", f"black-forest-labs/FLUX.1-{kind}", "transformer")
    return None


def _unet_family(tensors: Mapping[str, TensorInfo]) -> Family:
    inpaint = tensors[f"{UNET}input_blocks.0.0.weight"].shape[1] == 9
    ending = "-inpainting" if inpaint else ""
    told = f", {'inpainting' if inpaint else ''}".rstrip(", ")
    if any(name.startswith("conditioner.embedders.1.") for name in tensors):
        repo = "stabilityai/stable-diffusion-xl-base-1.0"
        return Family(f"stable-diffusion-xl{ending}", f"Stable Diffusion XL{told}", repo)
    if any(name.startswith("conditioner.embedders.0.model.") for name in tensors):
        repo = "stabilityai/stable-diffusion-xl-refiner-1.0"
        return Family("stable-diffusion-xl-refiner", "Stable Diffusion XL refiner", repo)
    if any(name.startswith("cond_stage_model.model.") for name in tensors):
        return Family(
            f"stable-diffusion-2{ending}", f"Stable Diffusion 2{told}", "stabilityai/stable-diffusion-2-1"
        )
    repo = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    return Family(f"stable-diffusion-1{ending}", f"Stable Diffusion 1{told}", repo)


def part_of(name: str) -> str:
    """The diffusers part a tensor of a checkpoint belongs to; "" for the picture model itself, "-" for what is not used."""
    if name.startswith(IGNORED) or "." not in name or name.endswith(".position_ids"):
        return "-"
    for part, prefixes in PART_PREFIXES.items():
        if name.startswith(prefixes):
            return part
    return ""


def tensors_of(tensors: Mapping[str, TensorInfo], part: str) -> dict[str, TensorInfo]:
    """The tensors of one part: "vae", "text_encoder", …; anything else means the picture model (unet or transformer)."""
    wanted = part if part in PART_PREFIXES else ""
    return {name: info for name, info in tensors.items() if part_of(name) == wanted}


def find_config(file: Path, tensors: Mapping[str, TensorInfo], places: Iterable[Path] = ()) -> Path:
    """The config folder for a checkpoint. places: diffusers folders to consider after the usual spots.

    Raises ConfigsMissing when there is none on this disk, BadFile when it cannot be told which it would be.
    """
    family = family_of(tensors)
    own = file.with_suffix(".config")
    if (own / "model_index.json").is_file():
        return own
    if family is None:
        raise BadFile(
            f"The family of {file.name} could not be told from its tensor names. Put its diffusers configs into a folder"
            f" {own.name} beside it."
        )
    usual = [SHIPPED / family.name, *_cached_snapshots(family.repo)]
    beside = [index.parent for index in sorted(file.parent.parent.glob("*/model_index.json"))]
    for folder in (
        *usual,
        *places,
        *beside,
        *(found.parent for found in sorted(file.parent.glob("*/model_index.json"))),
    ):
        if fits(folder, tensors):
            return folder
    raise ConfigsMissing(
        f"{file.name} is a {family.title} checkpoint and needs the small configs of its family (about 4 MB): download them on"
        f" the Models tab ({family.repo}), or put a diffusers folder of the same family into the models folder.",
        family.repo,
    )


def fits(folder: Path, tensors: Mapping[str, TensorInfo]) -> bool:
    """Whether the configs in a diffusers folder describe a checkpoint's picture model, shape by shape."""
    try:
        index = read_json(folder / "model_index.json")
        if "unet" in index and f"{UNET}input_blocks.0.0.weight" in tensors:
            return _unet_fits(read_json(folder / "unet" / "config.json"), tensors)
        if "transformer" in index:
            return _transformer_fits(read_json(folder / "transformer" / "config.json"), tensors)
    except (BadFile, KeyError, TypeError, IndexError):
        return False
    return False


def _unet_fits(config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]) -> bool:
    width, channels = tensors[f"{UNET}input_blocks.0.0.weight"].shape[:2]
    contexts = {
        info.shape[1]
        for name, info in tensors.items()
        if name.startswith(UNET) and name.endswith("attn2.to_k.weight")
    }
    described = config["cross_attention_dim"]
    return bool(
        config["block_out_channels"][0] == width
        and config["in_channels"] == channels
        and contexts == set(described if isinstance(described, list) else [described])
    )


def _transformer_fits(config: Mapping[str, Any], tensors: Mapping[str, TensorInfo]) -> bool:
    names = {name.removeprefix(UNET) for name in tensors}

    def blocks(kind: str) -> int:
        return len({name.split(".")[1] for name in names if name.startswith(f"{kind}.")})

    if config["_class_name"] == "SD3Transformer2DModel":
        return bool(blocks("joint_blocks") == config["num_layers"] > 0)
    if config["_class_name"] == "FluxTransformer2DModel":
        guided = any(name.startswith("guidance_in.") for name in names)
        return bool(
            blocks("double_blocks") == config["num_layers"] > 0
            and blocks("single_blocks") == config["num_single_layers"]
            and bool(config.get("guidance_embeds", False)) == guided
        )
    return False


def _cached_snapshots(repo: str) -> list[Path]:
    """Snapshots of a repository in the hub's cache, found without asking huggingface_hub (it reads its settings at import)."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return sorted(cache.glob(f"models--{repo.replace('/', '--')}/snapshots/*"))
