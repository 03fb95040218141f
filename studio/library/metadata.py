"""The recipe inside a file, whichever program wrote it, in our own words for things.

Our own files carry the whole recipe. Of others we take what has the same meaning here; the rest is kept under `notes`, as found.
Nothing in a stranger's file can raise: it is a recipe, or None with a reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from studio.library.comfy import from_graph
from studio.library.containers import MAX_TEXT, Damaged, texts
from studio.library.media import sniff

MAX_SEED = 2**32 - 1

# What other programs call a knob → what we call it. Compared in lower case, with spaces for underscores.
NAMES = {
    "prompt": "prompt", "positive prompt": "prompt", "negative prompt": "negative_prompt",
    "steps": "num_inference_steps", "num inference steps": "num_inference_steps",
    "cfg scale": "guidance_scale", "cfgscale": "guidance_scale", "guidance scale": "guidance_scale",
    "seed": "seed", "width": "width", "height": "height", "strength": "strength", "denoising strength": "strength",
    "sampler": "scheduler", "sampler name": "scheduler", "scheduler": "scheduler", "model": "model",
    "base model": "model",
}  # fmt: skip
WHOLE = {"num_inference_steps", "seed", "width", "height"}
BROKEN = {"guidance_scale", "strength"}

# Samplers by the names people know → diffusers classes. A name that ends in " Karras" is noted beside it.
SAMPLERS = {
    "euler": "EulerDiscreteScheduler", "euler a": "EulerAncestralDiscreteScheduler",
    "euler ancestral": "EulerAncestralDiscreteScheduler", "k euler": "EulerDiscreteScheduler",
    "k euler a": "EulerAncestralDiscreteScheduler", "heun": "HeunDiscreteScheduler", "lms": "LMSDiscreteScheduler",
    "dpm++ 2m": "DPMSolverMultistepScheduler", "dpmpp 2m": "DPMSolverMultistepScheduler",
    "dpmpp 2m sde gpu": "DPMSolverMultistepScheduler", "dpm++ sde": "DPMSolverSDEScheduler",
    "dpmpp sde": "DPMSolverSDEScheduler", "dpm2": "KDPM2DiscreteScheduler", "dpm2 a": "KDPM2AncestralDiscreteScheduler",
    "dpm 2": "KDPM2DiscreteScheduler", "dpm 2 ancestral": "KDPM2AncestralDiscreteScheduler",
    "ddim": "DDIMScheduler", "ddpm": "DDPMScheduler", "plms": "PNDMScheduler", "pndm": "PNDMScheduler",
    "unipc": "UniPCMultistepScheduler", "uni pc": "UniPCMultistepScheduler", "lcm": "LCMScheduler",
}  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """What was found. recipe: our field names, or None; source: who wrote it; reason: why there is none."""

    recipe: dict[str, Any] | None
    source: str = ""
    reason: str = ""


def read_recipe(data: bytes, filename: str = "") -> dict[str, Any] | None:
    """The recipe inside the file, or None when there is none; `read` tells why."""
    return read(data, filename).recipe


def read(data: bytes, filename: str = "", file: IO[bytes] | None = None) -> Reading:
    """The recipe inside a picture, sound or film, in a sidecar (`.json`), or in a text of settings.

    file: the same, open, where there is one.
    """
    try:
        if sniff(data[:64]) is None:
            return _from_plain(data, filename)
        found = texts(data, file)
    except Damaged as error:
        return Reading(None, reason=f"The file is damaged: {error}.")
    for key, (source, read_text) in _READERS.items():
        if key in found:
            try:
                recipe = read_text(found[key])
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                return Reading(None, source, f"The settings in it cannot be read: {str(error)[:200]}.")
            if recipe:
                return Reading(_with_modality(recipe, data), source)
    return Reading(None, reason="There are no settings in this file.")


def from_parameters(text: str) -> dict[str, Any]:
    """A recipe from AUTOMATIC1111's text: prompt, `Negative prompt:`, and a last line of `Key: value` pairs."""
    lines = text[:MAX_TEXT].strip().split("\n")
    pairs = _PAIR.findall(lines[-1])
    if len(pairs) < 3:  # no line of settings: all of it is prompt
        pairs = []
    else:
        lines.pop()
    prompt: list[str] = []
    negative: list[str] = []
    is_negative = False
    for line in lines:
        if line.strip().startswith("Negative prompt:"):
            is_negative, line = True, line.strip().removeprefix("Negative prompt:")
        (negative if is_negative else prompt).append(line.strip())
    values: dict[str, Any] = {key: _unquoted(value) for key, value in pairs}
    if match := re.fullmatch(r"(\d+)\s*x\s*(\d+)", str(values.get("Size", ""))):
        del values["Size"]
        values |= {"width": match[1], "height": match[2]}
    values |= {"prompt": "\n".join(prompt).strip(), "negative prompt": "\n".join(negative).strip()}
    return translate(values)


def translate(values: Mapping[str, Any]) -> dict[str, Any]:
    """Someone's knobs in our words; what has none, or does not fit, goes under `notes` as found."""
    recipe: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    for key, value in values.items():
        name = NAMES.get(key.lower().replace("_", " ").strip(), "")
        fitted = _fit(name, value) if name and name not in recipe else None
        if fitted is None:
            if value not in ("", None, [], {}):
                notes[key] = value
        elif fitted != "":
            recipe[name] = fitted
            if name == "scheduler" and str(value).lower().endswith(" karras"):
                notes["Schedule type"] = "Karras"
    return recipe | ({"notes": notes} if notes else {})


def _fit(name: str, value: Any) -> Any:
    """The value as our field takes it, or None."""
    try:
        if name in WHOLE:
            number = int(value)
            return number if 0 <= number <= (MAX_SEED if name == "seed" else 100_000) else None
        if name in BROKEN:
            return float(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if isinstance(value, Mapping):  # InvokeAI writes its models as objects
        value = value.get("name") or value.get("model_name")
    if not isinstance(value, str):
        return None
    if name == "scheduler":
        if re.fullmatch(r"\w+Scheduler", value):
            return value
        plain = re.sub(r"[_\s]+", " ", value.lower()).removesuffix(" karras").strip()
        return SAMPLERS.get(plain)
    return value


# ---- who wrote it -----------------------------------------------------------------------------------------------------


def _ours(text: str) -> dict[str, Any]:
    return _object(text)


def _description(text: str) -> dict[str, Any]:
    return _ours(text.removeprefix("atelier:")) if text.startswith("atelier:{") else {}


def _parameters(text: str) -> dict[str, Any]:
    """The shared key: A1111's text, or the JSON of Fooocus, SwarmUI, Wan2GP, or our own."""
    if not text.lstrip().startswith("{"):
        return from_parameters(text)
    values = _object(text)
    if "sui_image_params" in values:
        params = dict(values["sui_image_params"])
        return translate(
            {key.replace("negativeprompt", "negative prompt"): value for key, value in params.items()}
        )
    if values.get("modality") in ("text", "code", "image", "audio", "video"):
        return values
    if size := re.findall(
        r"\d+", str(values.get("resolution", ""))
    ):  # Fooocus "(1152, 896)", Wan2GP "832x480"
        values |= dict(zip(("width", "height"), size[:2], strict=False))
    return translate(values)


def _invoke(text: str) -> dict[str, Any]:
    values = _object(text)
    values = {
        {"positive_prompt": "prompt", "cfg_scale": "cfg scale"}.get(key, key): value
        for key, value in values.items()
    }
    return translate(values)


def _novelai(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return from_parameters(text) if len(_PAIR.findall(text.strip().split("\n")[-1])) >= 3 else {}
    values = _object(text)
    renamed = {"uc": "negative prompt", "scale": "cfg scale"}
    return _parameters(json.dumps({renamed.get(key, key): value for key, value in values.items()}))


def _graph(text: str) -> dict[str, Any]:
    return translate(from_graph(_object(text.removeprefix("prompt:"))).values)


# in the order they are asked: who tells most about the file comes first
_READERS: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "atelier": ("Atelier", _ours),
    "description": ("Atelier", _description),
    "invokeai_metadata": ("InvokeAI", _invoke),
    "parameters": ("A1111 text", _parameters),
    "comment": ("comment", _novelai),
    "Comment": ("NovelAI", _novelai),
    "prompt": ("ComfyUI", _graph),
    "model": ("ComfyUI", lambda text: _graph(text) if text.startswith("prompt:") else {}),
}

_PAIR = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


def _from_plain(data: bytes, filename: str) -> Reading:
    """A sidecar of ours, or a text file of settings."""
    if Path(filename).suffix.lower() not in (".json", ".txt") or len(data) > MAX_TEXT:
        return Reading(None, reason="There are no settings in this kind of file.")
    try:
        text = data.decode("utf-8")
        if not text.lstrip().startswith("{"):
            recipe = _novelai(text)
            return (
                Reading(recipe, "A1111 text")
                if recipe
                else Reading(None, reason="There are no settings in this text.")
            )
        values = _object(text)
        inner = values.get("recipe", values)
        if isinstance(inner, dict) and "modality" in inner:
            return Reading(inner, "Atelier")
    except (ValueError, RecursionError) as error:
        return Reading(None, reason=f"The file cannot be read: {str(error)[:200]}.")
    return Reading(None, reason="There are no settings in this file.")


def _object(text: str) -> dict[str, Any]:
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")
    return values


def _unquoted(value: str) -> str:
    value = value.strip()
    if value.startswith('"') and value.endswith('"'):
        try:
            return str(json.loads(value))
        except ValueError:
            return value.strip('"')
    return value


def _with_modality(recipe: dict[str, Any], data: bytes) -> dict[str, Any]:
    found = sniff(data[:64])
    return recipe if "modality" in recipe or found is None else {"modality": found.kind, **recipe}
