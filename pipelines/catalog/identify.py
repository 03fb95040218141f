"""What a folder or file is, in its own words: model_index.json, config.json, tensor names. Nothing is opened, nothing imported.

Every answer is a ModelSpec; one that cannot be used is "broken", and its problem is a sentence for a person.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypedDict, Unpack, cast

from pipelines.catalog.classes import (
    PICTURES_ONLY,
    causal_language_models,
    is_installed,
    picture_reading_models,
    pipeline_makes,
    schedulers,
)
from pipelines.catalog.defaults import made_for, size_step_of
from pipelines.catalog.families import family_of_class, unused_by
from pipelines.catalog.headers import (
    AGAIN,
    GGUF_REMEDY,
    PICKLES,
    BadFile,
    TensorInfo,
    find_weights,
    pickled,
    read_header,
    read_json,
)
from pipelines.catalog.single_file import (
    OPTIONAL,
    TOKENIZERS,
    UNET,
    ConfigsMissing,
    family_of,
    find_config,
    own_config,
    tensors_of,
)
from pipelines.messages import AudioRequest, Modality
from pipelines.messages.spec import ModelFacts, ModelSpec, Source, cleaned

log = logging.getLogger(__name__)

CHEAP_PARTS = ("tokenizer", "scheduler", "feature_extractor", "image_processor", "processor")
UNET_USES = {7: "enlarges pictures", 8: "edits pictures by instruction", 9: "fills masked areas of pictures"}
# How weights are packed, as config.json spells it → the package that unpacks them, and the module it is imported as.
QUANTISERS = {
    "bitsandbytes": ("bitsandbytes", "bitsandbytes"), "gptq": ("gptqmodel", "gptqmodel"), "awq": ("gptqmodel", "gptqmodel"),
    "torchao": ("torchao", "torchao"), "compressed-tensors": ("compressed-tensors", "compressed_tensors"), "hqq": ("hqq", "hqq"),
    "quanto": ("optimum-quanto", "optimum"), "aqlm": ("aqlm", "aqlm"), "eetq": ("eetq", "eetq"), "vptq": ("vptq", "vptq"),
    "spqr": ("spqr_quant", "spqr_quant"), "auto-round": ("auto-round", "auto_round"), "quark": ("amd-quark", "quark"),
    "fbgemm_fp8": ("fbgemm-gpu", "fbgemm_gpu"), "higgs": ("flute-kernel", "flute"), "fp_quant": ("fp_quant", "fp_quant"),
}  # fmt: skip
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight")
MOST_LAYERS = 1024  # a config that says more, with fewer tensors than that, would build layers for ever
FIM = re.compile(r"fim.?(prefix|begin)|<PRE>|\[PREFIX\]|code_prefix", re.IGNORECASE)


def identify(path: Path, places: Iterable[Path] = ()) -> ModelSpec:
    """The spec of the model at `path`; state "broken", with the problem, when it cannot be used. Its id is `local/<name>`.

    places: diffusers folders that may lend a single file the configs of its family. Raises nothing: whatever a folder holds,
    it is that folder's trouble.
    """
    facts: ModelFacts = {}
    try:
        if path.is_file():
            return _single_file(path, places, facts)
        if (path / "model_index.json").is_file():
            return _diffusers(path, facts)
        if (path / "config.json").is_file():
            return _transformers(path, facts)
        raise _nothing(path, facts)
    except ConfigsMissing as missing:  # downloading it fetches the configs; then this file is ready
        source = Source(path=str(path), repo=missing.repo, files=missing.files)
        spec = _spec(path, "diffusers-single-file", ("image", "video"), path.stat().st_size, facts=facts)
        return replace(spec, source=source, state="remote", problem=cleaned(str(missing)))
    except BadFile as bad:
        return _broken(path, str(bad), bad.remedy, facts)
    except OSError as error:
        remedy = "Let the account that runs the studio read it."
        return _broken(path, f"It cannot be read ({error.strerror or error}).", remedy, facts)
    except Exception as error:  # configs can hold anything where a number or a name belongs
        log.debug("a model's configuration is damaged", exc_info=error)
        return _broken(path, f"Its configuration is damaged ({type(error).__name__}: {error}).", AGAIN, facts)


def name_of(path: Path) -> str:
    """What a model is called that lies there, short enough for an id."""
    name = cleaned(path.stem if os.path.isfile(path) else path.name).strip() or "unnamed"
    return name if len(name) <= 150 else f"{name[:140]}…"


def _broken(path: Path, problem: str, remedy: str, facts: ModelFacts) -> ModelSpec:
    name = name_of(path)
    return ModelSpec(
        f"local/{name}",
        name,
        (),
        "diffusers",
        Source(path=str(path)),
        state="broken",
        problem=cleaned(problem),
        remedy=cleaned(remedy),
        facts=_showable(facts),
    )


def _showable(facts: ModelFacts) -> ModelFacts:
    """The same with every text fit to be shown: class names come from strangers' configs."""
    shown = {name: cleaned(told) if isinstance(told, str) else told for name, told in facts.items()}
    return cast(ModelFacts, shown)


class _Rest(TypedDict, total=False):
    """Fields of a spec that only some kinds of model have."""

    defaults: dict[str, object]
    facts: ModelFacts
    unused: tuple[str, ...]
    description: str


def _spec(
    path: Path, loader: str, modalities: tuple[Modality, ...], nbytes: int, **rest: Unpack[_Rest]
) -> ModelSpec:
    name = name_of(path)
    return ModelSpec(
        id=f"local/{name}",
        title=name,
        modalities=modalities,
        loader=loader,
        source=Source(path=str(path)),
        licence=_licence(path),
        weight_bytes=nbytes,
        memory_bytes=int(nbytes * 1.3),
        **rest,
    )


# ---- diffusers ----


def _diffusers(folder: Path, facts: ModelFacts) -> ModelSpec:
    index = read_json(folder / "model_index.json")
    makes = _makes(index, facts)
    nbytes = _check_parts(folder, index)
    unet = read_json(folder / "unet" / "config.json") if index.get("unet") else {}
    _check_unet(unet, str(index["_class_name"]), makes)
    modalities: tuple[Modality, ...] = ("video",) if makes == "video" else ("image", "video")
    if index.get("requires_aesthetics_score"):  # the SDXL refiner improves pictures and makes none
        modalities = ("image",)
        facts["tasks"] = ["image-to-image"]
    facts["size_step"] = size_step_of(folder, index)
    return _spec(
        folder, "diffusers", modalities, nbytes, defaults=made_for(folder, index, makes), facts=facts
    )


def _makes(index: Mapping[str, object], facts: ModelFacts) -> str:
    """ "image" or "video", by the pipeline class; fills facts with the class and its schedulers."""
    name = index.get("_class_name")
    if not isinstance(name, str):
        raise BadFile(f"Its model_index.json names code of its own ({name}), which the studio never runs.")
    makes = pipeline_makes(name)
    facts |= {"class": name, "makes": makes}
    if not makes:
        raise BadFile(
            f"Its pipeline class {name} is unknown to the installed diffusers; a newer studio may know it."
        )
    if makes == "audio":
        raise BadFile(f"It makes sound with diffusers ({name}), which no tab of the studio uses.")
    if "Prior" in name or "Upscale" in name or "ControlNet" in name:
        raise BadFile(f"A {name} is one part of a larger process; the studio cannot use it by itself.")
    if index.get("unet"):
        facts["schedulers"] = list(schedulers())
    return makes


def _check_parts(folder: Path, index: Mapping[str, object]) -> int:
    """Bytes of all weights; raises BadFile for the first part that is missing or not whole."""
    nbytes = 0
    spared = spared_parts(folder, index)
    for name, value in index.items():
        if not isinstance(value, list) or len(value) != 2 or not value[0]:
            continue
        library, class_name = value
        if library not in ("diffusers", "transformers") and (folder / name / f"{library}.py").is_file():
            raise BadFile(
                f"Its {name} needs code of its own ({library}.{class_name}), which the studio never runs."
            )
        part = folder / name
        if name in spared:
            continue
        if not part.is_dir():
            raise BadFile(f"Its {name} is missing.", AGAIN)
        if name.startswith(CHEAP_PARTS):
            continue
        config = read_json(part / "config.json")
        weights = find_weights(part)
        _check_part(name, config, weights.tensors())
        nbytes += weights.nbytes
    return nbytes


def _check_part(name: str, config: Mapping[str, object], tensors: Mapping[str, TensorInfo]) -> None:
    """Raises BadFile where the first layer of a part has another shape than its config tells."""
    widths, channels = config.get("block_out_channels"), config.get("in_channels")
    first = tensors.get("conv_in.weight") if config.get("_class_name") == "UNet2DConditionModel" else None
    if first is None or len(first.shape) != 4 or not isinstance(widths, list) or not widths:
        return
    if first.shape[0] != widths[0] or (isinstance(channels, int) and first.shape[1] != channels):
        raise BadFile(
            f"The weights of its {name} do not belong to its config: conv_in is {first.shape[0]}×{first.shape[1]},"
            f" not {widths[0]}×{channels}.",
            AGAIN,
        )


def spared_parts(folder: Path, index: Mapping[str, object]) -> set[str]:
    """Parts a folder lists that diffusers runs without and that are not here: people leave them out of a download on purpose.

    The safety checker goes together with the feature extractor that prepares its pictures.
    """
    missing = {name for name in OPTIONAL if not (folder / name).is_dir()}
    if "feature_extractor" in missing and index.get("safety_checker"):
        missing.add("safety_checker")
    return missing & index.keys()


def _check_unet(unet: Mapping[str, object], class_name: str, makes: str) -> None:
    channels = unet.get("in_channels")
    use = UNET_USES.get(channels) if isinstance(channels, int) and makes == "image" else None
    if use and "Pix2Pix" not in class_name:
        raise BadFile(
            f"Its UNet takes {channels} channels: it {use} and cannot make one from words.",
            "Any model that makes pictures fills a mask here: give it the start image and the mask."
            if channels == 9
            else "",
        )


# ---- transformers ----


def _transformers(folder: Path, facts: ModelFacts) -> ModelSpec:
    config = read_json(folder / "config.json")
    if "_class_name" in config:
        raise BadFile(f"It is a single part ({config['_class_name']}), not a whole model.")
    named = config.get("architectures")
    name = str(named[0]) if isinstance(named, list) and named else ""
    facts["class"] = name
    family = family_of_class(name)
    sees = name in picture_reading_models()
    if family is None and not sees and name not in causal_language_models():
        if "auto_map" in config:
            raise BadFile(f"It needs code of its own ({name}), which the studio never runs.")
        if name in PICTURES_ONLY:
            raise BadFile(
                f"It is a {name}, which writes about pictures only; the studio gives a model words."
            )
        raise BadFile(
            f"It is a {name}, which no tab of the studio uses." if name else "Its config.json names no model."
        )
    _check_packing(config)
    weights = find_weights(folder)
    _check_shapes(config, weights.tensors())
    _check_tokenizer(folder)
    if family:
        facts["voices"] = family.voices(folder, config)
        unused = unused_by(family.loader, AudioRequest)
        return _spec(folder, family.loader, ("audio",), weights.nbytes, facts=facts, unused=unused)
    facts["fim"] = _has_fim(folder)
    modalities: tuple[Modality, ...] = ("text", "code") if facts["fim"] else ("text",)
    told = "It can read pictures too; here it is given words." if sees else ""
    return _spec(folder, "causal-lm", modalities, weights.nbytes, facts=facts, description=told)


def _check_packing(config: Mapping[str, object]) -> None:
    """Raises BadFile, naming the package, for weights that nothing here unpacks."""
    quantised = config.get("quantization_config")
    method = quantised.get("quant_method") if isinstance(quantised, dict) else None
    package, module = QUANTISERS.get(str(method), ("", ""))
    if package and not is_installed(module):
        raise BadFile(
            f"Its weights are packed with {method}, which needs the package {package}.",
            f"Install it into the studio's environment (pip install {package}), or get the model unpacked.",
        )


def _check_shapes(config: Mapping[str, object], tensors: Mapping[str, TensorInfo]) -> None:
    """Raises BadFile where config and weights are plainly of two models: found by the headers, before anything is read."""
    nested = config.get("text_config")
    told: Mapping[str, object] = nested if isinstance(nested, dict) else config
    layers = told.get("num_hidden_layers") or told.get("n_layer")
    if isinstance(layers, int) and layers > max(MOST_LAYERS, len(tensors)):
        raise BadFile(
            f"Its config.json tells of {layers:,} layers and its weights hold {len(tensors):,} tensors.",
            AGAIN,
        )
    rows, width = told.get("vocab_size"), told.get("hidden_size") or told.get("n_embd")
    for name, info in tensors.items():
        if name.endswith(EMBEDDINGS) and info.is_floating and len(info.shape) == 2 and "visual" not in name:
            wrong = isinstance(rows, int) and info.shape[0] != rows
            wrong = wrong or (
                isinstance(width, int) and info.shape[1] != width and name.startswith("model.embed_tokens")
            )
            if wrong:
                has = "×".join(map(str, info.shape))
                raise BadFile(
                    f"Its weights do not belong to its config.json: {name} is {has}, not {rows}×{width}.",
                    AGAIN,
                )


def _check_tokenizer(folder: Path) -> None:
    there = [name for name in TOKENIZERS if (folder / name).is_file()]
    if not there and not any(folder.glob("*tokenizer*")):
        raise BadFile("Its tokenizer is missing.", AGAIN)
    if there and all(name.endswith(".model") for name in there):
        missing = [name for name in ("sentencepiece", "google.protobuf") if not _has(name)]
        if missing:
            raise BadFile(f"Its tokenizer ({there[0]}) needs the package {missing[0].split('.')[-1]}.")


def _has(package: str) -> bool:
    try:
        return is_installed(package)
    except ModuleNotFoundError:
        return False


def _has_fim(folder: Path) -> bool:
    """Whether the tokenizer has tokens for filling in the middle; added tokens stand near the start of tokenizer.json."""
    for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.json"):
        file = folder / name
        if file.is_file():
            with file.open(encoding="utf-8", errors="ignore") as text:
                if FIM.search(text.read(1_000_000)):
                    return True
    return False


# ---- single files ----


def _single_file(file: Path, places: Iterable[Path], facts: ModelFacts) -> ModelSpec:
    if file.suffix in PICKLES:
        raise pickled(f"{file.name} is a pickle", file)
    if file.suffix == ".gguf":
        raise BadFile(f"{file.name} is a GGUF file for llama.cpp; the studio opens safetensors.", GGUF_REMEDY)
    if file.suffix != ".safetensors":
        raise BadFile(f"{file.name} is not a model file.")
    tensors = read_header(file)
    if addition := _addition(tensors):
        facts["kind"] = addition
        raise BadFile(f"{file.name} is {addition}: an addition to a model, not a model.")
    facts["kind"] = "checkpoint"
    conv = tensors.get(f"{UNET}input_blocks.0.0.weight")
    channels = {"in_channels": conv.shape[1]} if conv else {}
    if not own_config(file).is_dir():  # before it is told to get configs that would not help
        _check_unet(channels, "", "image")
    config = find_config(file, tensors, places)
    index = read_json(config / "model_index.json")
    makes = _makes(index, facts)
    family = family_of(tensors)
    facts |= {"config": str(config), "family": family.title if family else ""}
    _check_unet(channels, str(facts["class"]), makes)
    _check_inside(config, index, tensors)
    modalities: tuple[Modality, ...] = ("video",) if makes == "video" else ("image", "video")
    nbytes = sum(info.nbytes for info in tensors.values())
    facts["size_step"] = size_step_of(config, index)
    defaults = made_for(config, index, makes)
    return _spec(file, "diffusers-single-file", modalities, nbytes, defaults=defaults, facts=facts)


def _check_inside(config: Path, index: Mapping[str, object], tensors: Mapping[str, TensorInfo]) -> None:
    """Every part has its weights in the file or, failing that, in the config folder."""
    for name, value in index.items():
        is_part = isinstance(value, list) and len(value) == 2 and value[0]
        if not is_part or name.startswith((*CHEAP_PARTS, *OPTIONAL)) or tensors_of(tensors, name):
            continue
        try:
            find_weights(config / name)
        except BadFile:
            raise BadFile(
                f"The file holds no {name}, and the config folder {config.name} has no weights for it."
            ) from None


def _addition(tensors: Mapping[str, TensorInfo]) -> str:
    """What a file adds to a model, by its tensor names; "" for a whole checkpoint."""
    names = set(tensors)

    def some(*words: str) -> bool:
        return any(word in name for name in names for word in words)

    if some("lora_A", "lora_B", "lora_up", "lora_down", ".lora.", "hada_w1", "lokr_w1"):
        return "a LoRA"
    if names <= {"emb_params", "clip_l", "clip_g", "t5xxl"}:
        return "a textual inversion embedding"
    if some("control_model.", "controlnet_cond_embedding", "control_add_embedding"):
        return "a ControlNet"
    if some("motion_modules."):
        return "a motion module"
    if some("RRDB", "conv_first.", "params_ema", "upsampler."):
        return "an upscaler"
    has_picture_model = some(UNET, "double_blocks.", "joint_blocks.", "transformer_blocks.", "blocks.0.")
    if not has_picture_model and some("encoder.down", "decoder.up"):
        return "a VAE"
    return ""


def _nothing(folder: Path, facts: ModelFacts) -> BadFile:
    """Why a folder without model_index.json and config.json is no model."""
    if (folder / "adapter_config.json").is_file():
        facts["kind"] = "a LoRA"
        return BadFile("It is a LoRA: an addition to a model, not a model.")
    if not folder.is_dir():
        return BadFile("There is nothing here any more.")
    names = sorted(file.name for file in folder.iterdir())
    if any((folder / part / "config.json").is_file() for part in ("unet", "transformer")):
        return BadFile("Its model_index.json is missing, which says how its parts belong together.", AGAIN)
    if weights := [name for name in names if name.endswith(".safetensors")]:
        return BadFile(f"It has weights ({weights[0]}) and no config.json that says of what model.", AGAIN)
    if pickles := [name for name in names if name.endswith(PICKLES)]:
        return pickled(f"It holds only a pickle ({pickles[0]})", folder)
    return BadFile("It has neither a model_index.json nor a config.json, so what it is cannot be told.")


def _licence(path: Path) -> str:
    """The licence a model card beside the weights names in its first lines, or "unknown"."""
    card = (path if path.is_dir() else path.parent) / "README.md"
    try:
        with card.open(encoding="utf-8", errors="ignore") as text:
            found = re.search(r"^license:\s*([\w.+-]{1,80})", text.read(4000), re.MULTILINE)
    except OSError:
        return "unknown"
    return found[1] if found else "unknown"
