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

from pipelines.catalog.headers import BadFile, TensorInfo, find_weights, read_json

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
    "text_encoder_3": (),
}
T5 = "text_encoders.t5xxl."  # the second encoder of Flux, the third of Stable Diffusion 3
FLUX = "double_blocks.0.img_attn.norm.key_norm.scale"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
OPTIONAL = ("safety_checker", "feature_extractor", "image_encoder")
# Marks of what the studio does not open as one file → what it is.
OTHERS = {
    "head.modulation": "a Wan transformer",
    "patchify_proj.weight": "an LTX transformer",
    "txt_in.individual_token_refiner.": "a HunyuanVideo transformer",
    "single_stream_modulation.lin.weight": "a FLUX.2 transformer",
    "layers.0.adaLN_modulation.0.weight": "a Z-Image transformer",
    "cap_embedder.0.weight": "a Lumina transformer",
    "double_layers.0.attn.w1q.weight": "an AuraFlow transformer",
    "blocks.0.attn.qkv_x.weight": "a Mochi transformer",
    "double_stream_blocks.0.block.": "a HiDream transformer",
    "transformer_blocks.0.img_mod.1.weight": "a Qwen-Image transformer",
    "clip_txt_mapper.weight": "a Stable Cascade model",
    "blocks.0.cross_attn.q_linear.weight": "a PixArt or Sana transformer",
    "encoder.block.0.layer.0.SelfAttention.": "a T5 text encoder",
    "text_model.encoder.layers.0.": "a CLIP text encoder",
    "down_blocks.0.resnets.0.": "a UNet in the layout of diffusers",
    "model.layers.0.self_attn.": "a language model without its config.json",
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
    """A kind of checkpoint. name: its folder in `assets/configs`; repo: where the hub keeps its configs; parts: what it needs
    beside the picture model."""

    name: str
    title: str
    repo: str
    part: str = "unet"
    parts: tuple[str, ...] = ("text_encoder", "vae")


def family_of(tensors: Mapping[str, TensorInfo]) -> Family | None:
    """The family a checkpoint is of, or None when its names are of none we can tell."""
    names = {name.removeprefix(UNET) for name in tensors}
    if f"{UNET}input_blocks.0.0.weight" in tensors:
        return _unet_family(tensors)
    if "joint_blocks.0.context_block.adaLN_modulation.1.bias" in names:
        repo = "stabilityai/stable-diffusion-3.5-medium"
        return Family(
            "stable-diffusion-3",
            "Stable Diffusion 3",
            repo,
            "transformer",
            ("text_encoder", "text_encoder_2", "text_encoder_3", "vae"),
        )
    if any(name.startswith("distilled_guidance_layer.") for name in names):
        return Family("chroma", "Chroma", "lodestones/Chroma1-HD", "transformer")
    if FLUX in names:
        kind = "dev" if "guidance_in.in_layer.bias" in names else "schnell"
        repo, parts = f"black-forest-labs/FLUX.1-{kind}", ("text_encoder", "text_encoder_2", "vae")
        return Family(f"flux-{kind}", f"FLUX.1 {kind}", repo, "transformer", parts)
    return None


def _unet_family(tensors: Mapping[str, TensorInfo]) -> Family:
    """Told by the text encoders in the file; in a file with none, by the width of the words and the label the UNet takes."""
    inpaint = tensors[f"{UNET}input_blocks.0.0.weight"].shape[1] == 9
    ending, told = ("-inpainting", ", inpainting") if inpaint else ("", "")
    starts = {".".join(name.split(".")[:4]) for name in tensors}
    words = _contexts(tensors)
    if any(name.startswith("cond_stage_model.model.") for name in starts) or words == {1024}:
        repo = "stabilityai/stable-diffusion-2-1"
        return Family(f"stable-diffusion-2{ending}", f"Stable Diffusion 2{told}", repo)
    has_label = f"{UNET}label_emb.0.0.weight" in tensors
    if any(name.startswith("conditioner.embedders.0.model.") for name in starts) or (
        has_label and words == {1280}
    ):
        repo = "stabilityai/stable-diffusion-xl-refiner-1.0"
        refining = ("text_encoder_2", "vae")
        return Family("stable-diffusion-xl-refiner", "Stable Diffusion XL refiner", repo, parts=refining)
    if any(name.startswith("conditioner.embedders.1.") for name in starts) or has_label:
        repo, parts = "stabilityai/stable-diffusion-xl-base-1.0", ("text_encoder", "text_encoder_2", "vae")
        return Family(f"stable-diffusion-xl{ending}", f"Stable Diffusion XL{told}", repo, parts=parts)
    repo = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    return Family(f"stable-diffusion-1{ending}", f"Stable Diffusion 1{told}", repo)


def _contexts(tensors: Mapping[str, TensorInfo]) -> set[int]:
    """The widths of words a UNet takes."""
    return {
        info.shape[1]
        for name, info in tensors.items()
        if name.startswith(UNET) and name.endswith("attn2.to_k.weight")
    }


def part_of(name: str, t5: str = "text_encoder_3") -> str:
    """The diffusers part a tensor of a checkpoint belongs to; "" for the picture model itself, "-" for what is not used.

    t5: the part a T5 is in this family.
    """
    if name.startswith(IGNORED) or "." not in name or name.endswith(".position_ids"):
        return "-"
    if name.startswith(T5):
        return t5
    for part, prefixes in PART_PREFIXES.items():
        if name.startswith(prefixes):
            return part
    return ""


def tensors_of(tensors: Mapping[str, TensorInfo], part: str) -> dict[str, TensorInfo]:
    """The tensors of one part: "vae", "text_encoder", …, or the picture model, "unet" or "transformer"."""
    is_flux = FLUX in tensors or f"{UNET}{FLUX}" in tensors
    t5 = "text_encoder_2" if is_flux else "text_encoder_3"
    wanted = "" if part in ("unet", "transformer") else part
    return {name: info for name, info in tensors.items() if part_of(name, t5) == wanted}


def own_config(file: Path) -> Path:
    """Where a checkpoint's own configs may lie, whatever its family."""
    return file.with_suffix(".config")


def find_config(file: Path, tensors: Mapping[str, TensorInfo], places: Iterable[Path] = ()) -> Path:
    """The config folder for a checkpoint. places: diffusers folders to consider after the usual spots.

    Raises ConfigsMissing when there is none on this disk that can lend what it needs, BadFile when it cannot be told which it
    would be.
    """
    family = family_of(tensors)
    own = own_config(file)
    if (own / "model_index.json").is_file():
        return own
    if family is None:
        raise _of_no_family(file, tensors)
    usual = [SHIPPED / family.name, *_cached_snapshots(family.repo)]
    beside = (*file.parent.parent.glob("*/model_index.json"), *file.parent.glob("*/model_index.json"))
    for folder in (*usual, *places, *(found.parent for found in sorted(beside))):
        if fits(folder, tensors) and lends(folder, tensors):
            return folder
    raise _missing(file, family, [part for part in family.parts if not tensors_of(tensors, part)])


def _missing(file: Path, family: Family, parts: list[str]) -> ConfigsMissing:
    """What a good checkpoint still needs, and which files of its family bring it. parts: those not in the file."""
    if not parts:
        return ConfigsMissing(
            f"{file.name} is a {family.title} checkpoint and needs the small configs of its family (about 4 MB): download them"
            f" on the Models tab ({family.repo}), or put a diffusers folder of the same family into the models folder.",
            family.repo,
        )
    told = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return ConfigsMissing(
        f"{file.name} is a {family.part} of {family.title} without its {told}: download them on the Models tab"
        f" ({family.repo}), or put a whole diffusers folder of the same family into the models folder, which lends them.",
        family.repo,
        (*CONFIG_FILES, *(f"{part}/*.safetensors" for part in parts)),
    )


def _of_no_family(file: Path, tensors: Mapping[str, TensorInfo]) -> BadFile:
    names = [name.removeprefix(UNET) for name in tensors]
    for mark, what in OTHERS.items():
        if any(name.startswith(mark) for name in names):
            return BadFile(
                f"{file.name} is {what} alone, which the studio does not open as one file.",
                "Get the whole model as a folder: with a model_index.json (diffusers) or a config.json (transformers).",
            )
    return BadFile(
        f"What {file.name} is cannot be told from the names of its {len(names):,} tensors.",
        f"If diffusers knows its family, put the family's configs into a folder {own_config(file).name} beside it.",
    )


def lends(folder: Path, tensors: Mapping[str, TensorInfo]) -> bool:
    """Whether a diffusers folder is whole enough to lend a checkpoint all that is not in it."""
    try:
        index = read_json(folder / "model_index.json")
        for name, value in index.items():
            if isinstance(value, list) and len(value) == 2 and value[0] and name not in OPTIONAL:
                _check_lent(folder, name, value[0], tensors)
    except (BadFile, OSError, KeyError, TypeError, ValueError):
        return False
    return True


def _check_lent(folder: Path, name: str, library: str, tensors: Mapping[str, TensorInfo]) -> None:
    """Raises BadFile for a part that cannot be lent."""
    part = folder / name
    if library not in ("diffusers", "transformers"):
        raise BadFile(f"Its {name} needs code of its own.")
    if name.startswith("scheduler"):
        read_json(part / "scheduler_config.json")
    elif name.startswith("tokenizer"):
        if SHIPPED not in folder.parents and not any((part / file).is_file() for file in TOKENIZERS):
            raise BadFile(f"Its {name} is missing.")
    elif name.startswith(("image_processor", "processor")):
        if not part.is_dir():
            raise BadFile(f"Its {name} is missing.")
    else:
        read_json(part / "config.json")
        if not tensors_of(tensors, name):
            find_weights(part).tensors()


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


def _unet_fits(config: Mapping[str, object], tensors: Mapping[str, TensorInfo]) -> bool:
    width, channels = tensors[f"{UNET}input_blocks.0.0.weight"].shape[:2]
    described = config["cross_attention_dim"]
    widths = config["block_out_channels"]
    return bool(
        config["_class_name"] == "UNet2DConditionModel"
        and not config.get(
            "time_cond_proj_dim"
        )  # a distilled one (LCM): it has a weight more than published files
        and isinstance(widths, list)
        and widths[0] == width
        and config["in_channels"] == channels
        and _contexts(tensors) == set(described if isinstance(described, list) else [described])
        and _levels_fit(config, tensors)
    )


def _levels_fit(config: Mapping[str, object], tensors: Mapping[str, TensorInfo]) -> bool:
    """Whether as many blocks, each as wide, stand in the file. In it one counts on through all levels: the first layer, then of
    each level its blocks and, but for the last, what halves the size."""
    widths, layers = config["block_out_channels"], config["layers_per_block"]
    if not isinstance(widths, list):
        return False
    each = layers if isinstance(layers, list) else [layers] * len(widths)
    there = {name.split(".")[3] for name in tensors if name.startswith(f"{UNET}input_blocks.")}
    starts = [1 + sum(each[:level]) + level for level in range(len(widths))]
    firsts = [tensors.get(f"{UNET}input_blocks.{start}.0.out_layers.3.weight") for start in starts]
    return len(there) == sum(each) + len(widths) and all(
        first is not None and first.shape[0] == width for first, width in zip(firsts, widths, strict=True)
    )


def _transformer_fits(config: Mapping[str, object], tensors: Mapping[str, TensorInfo]) -> bool:
    names = {name.removeprefix(UNET) for name in tensors}

    def blocks(kind: str) -> int:
        return len({name.split(".")[1] for name in names if name.startswith(f"{kind}.")})

    if config["_class_name"] == "SD3Transformer2DModel":
        return bool(0 < blocks("joint_blocks") == config["num_layers"])
    if config["_class_name"] == "ChromaTransformer2DModel":
        return bool(
            0 < blocks("double_blocks") == config["num_layers"]
            and blocks("single_blocks") == config["num_single_layers"]
            and any(name.startswith("distilled_guidance_layer.") for name in names)
        )
    if config["_class_name"] == "FluxTransformer2DModel":
        if any(name.startswith("distilled_guidance_layer.") for name in names):
            return False
        guided = any(name.startswith("guidance_in.") for name in names)
        return bool(
            0 < blocks("double_blocks") == config["num_layers"]
            and blocks("single_blocks") == config["num_single_layers"]
            and bool(config.get("guidance_embeds", False)) == guided
        )
    return False


def _cached_snapshots(repo: str) -> list[Path]:
    """Snapshots of a repository in the hub's cache, found without asking huggingface_hub (it reads its settings at import)."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return sorted(cache.glob(f"models--{repo.replace('/', '--')}/snapshots/*"))
