"""The recipe inside a file, whichever program wrote it, in our own words for things.

Our own files carry the whole recipe. Of others we take what has the same meaning here; the rest is kept under `notes`, as found.
Nothing in a stranger's file can raise: it is a recipe, or None with a reason.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import IO

from pipelines.messages import MODALITIES
from studio.library import a1111
from studio.library.asset import Json
from studio.library.comfy import from_graph
from studio.library.containers import MAX_TEXT, Damaged, texts
from studio.library.media import sniff
from studio.library.translation import translate

MOST_STRING = 200_000  # characters of one text in a recipe
MOST_ITEMS = 1_000
MOST_DEPTH = 12


@dataclass(frozen=True)
class Reading:
    """What was found. recipe: our field names, or None; source: who wrote it; reason: why there is none."""

    recipe: Json | None
    source: str = ""
    reason: str = ""


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
    failed: Reading | None = None
    for key, (source, read_text) in _READERS.items():
        if key in found:
            try:
                recipe = _clean(read_text(found[key]))
            except _WRONG as error:
                told = f"The settings in it cannot be read: {str(error)[:200]}."
                failed = failed or Reading(None, source, told)
                continue
            if recipe:
                return Reading(_with_modality(recipe, data), source)
    return failed or Reading(None, reason="There are no settings in this file.")


# what taking a stranger's words apart may raise
_WRONG = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


def from_parameters(text: str) -> Json:
    """A recipe from AUTOMATIC1111's text: prompt, `Negative prompt:`, and `Key: value` pairs after them."""
    values = a1111.read_text(text[:MAX_TEXT])
    second = {key: values.pop(key) for key in list(values) if key.lower().startswith("hires ")}
    if not second:
        return translate(values)
    if "Denoising strength" in values:  # the second pass's, not a start picture's
        second["Denoising strength"] = values.pop("Denoising strength")
    told = ", ".join(f"{key} {value}" for key, value in second.items())[:200]
    return translate(values, (f"the second pass ({told})",), second)


# ---- who wrote it -----------------------------------------------------------------------------------------------------


def _ours(text: str) -> Json:
    return _object(text)


def _description(text: str) -> Json:
    return _ours(text.removeprefix("atelier:")) if text.startswith("atelier:{") else {}


def _parameters(text: str) -> Json:
    """The shared key: A1111's text, or the JSON of Fooocus, SwarmUI, Wan2GP, or our own."""
    if not text.lstrip("\ufeff \r\n\t").startswith("{"):
        return from_parameters(text)
    return _json(_object(text))


def _json(values: Json) -> Json:
    if isinstance(params := values.get("sui_image_params"), dict):
        return translate(params)
    if values.get("modality") in MODALITIES:
        return values
    if isinstance(graph := values.get("prompt"), str | dict) and str(graph)[:200].lstrip().startswith("{"):
        return _graph(
            graph if isinstance(graph, str) else json.dumps(graph)
        )  # film tools put the graph into a comment
    size = values.get("resolution", values.get("size", ""))
    if found := re.findall(r"\d{1,6}", str(size)[:100]):  # Fooocus "(1152, 896)", Wan2GP "832x480"
        values = {key: value for key, value in values.items() if key not in ("resolution", "size")}
        values |= dict(zip(("width", "height"), found[:2], strict=False))
    return translate(values)


def _renamed(values: Mapping[str, object], names: Mapping[str, str]) -> Json:
    return {names.get(key, key): value for key, value in values.items()}


def _invoke(text: str) -> Json:
    return translate(_object(text))


def _invoke_2(text: str) -> Json:
    """InvokeAI before 3: the settings are one level down, the prompt is a list of parts."""
    values = _object(text)
    image = values["image"]
    if not isinstance(image, dict):
        raise ValueError("what it says of the picture is no JSON object")
    image = dict(image)
    if isinstance(parts := image.get("prompt"), list):
        image["prompt"] = " ".join(str(part.get("prompt", "")) for part in parts if isinstance(part, dict))
    return translate({"model": values.get("model_weights", ""), **image})


def _comment(text: str) -> Json:
    """NovelAI's JSON, Draw Things', Wan2GP's, or A1111's text."""
    if not text.lstrip("\ufeff \r\n\t").startswith("{"):
        return from_parameters(text) if a1111.is_settings(text) else {}
    names = {"uc": "negative prompt", "scale": "cfg scale", "c": "prompt"}
    return _json(_renamed(_object(text), names))


def _graph(text: str) -> Json:
    found = from_graph(_object(text.removeprefix("prompt:")))
    return translate(found.values, found.left_out)


def _xmp(text: str) -> Json:
    """Draw Things: its JSON as the comment inside an XMP packet."""
    begin = text.find("<exif:UserComment>")
    begin, end = text.find("<rdf:li", begin), text.find("</rdf:li>", begin)
    inner = text[text.find(">", begin) + 1 : end] if 0 <= begin < end else ""
    return _comment(unescape(inner.strip())) if inner.lstrip()[:1] in ("{", "&") else {}


def _midjourney(text: str) -> Json:
    """Its description: the prompt, `--name value` after it, and the number of the job."""
    words, mark, _job = text.partition(" Job ID: ")
    if not mark:
        return {}
    prompt, *options = words.split(" --")
    values = {name: value.strip() for name, _, value in (option.partition(" ") for option in options[:40])}
    recipe = translate(
        {"prompt": prompt, "negative prompt": values.pop("no", ""), "seed": values.pop("seed", "")}
    )
    told = [f"--{name} {value}".strip()[:100] for name, value in values.items()]
    before = recipe.get("left_out")
    return recipe | ({"left_out": [*(before if isinstance(before, list) else ()), *told]} if told else {})


# in the order they are asked: who tells most about the file comes first
_READERS: dict[str, tuple[str, Callable[[str], Json]]] = {
    "atelier": ("Atelier", _ours),
    "description": ("Atelier", _description),
    "invokeai_metadata": ("InvokeAI", _invoke),
    "sd-metadata": ("InvokeAI", _invoke_2),
    "parameters": ("A1111 text", _parameters),
    "comment": ("comment", _comment),
    "Comment": ("NovelAI", _comment),
    "prompt": ("ComfyUI", _graph),
    "model": ("ComfyUI", lambda text: _graph(text) if text.startswith("prompt:") else {}),
    "XML:com.adobe.xmp": ("Draw Things", _xmp),
    "Description": ("Midjourney", _midjourney),
}


def _from_plain(data: bytes, filename: str) -> Reading:
    """A sidecar of ours, or a text file of settings."""
    if Path(filename).suffix.lower() not in (".json", ".txt") or len(data) > MAX_TEXT:
        return Reading(None, reason="There are no settings in this kind of file.")
    try:
        text = data.decode("utf-8-sig")
        if not text.lstrip().startswith("{"):
            if a1111.is_settings(text):
                return Reading(_clean(from_parameters(text)), "A1111 text")
            return Reading(None, reason="There are no settings in this text.")
        values = _object(text)
        inner = values.get("recipe", values)
        if isinstance(inner, dict) and "modality" in inner:
            return Reading(_clean(inner), "Atelier")
    except _WRONG as error:
        return Reading(None, reason=f"The file cannot be read: {str(error)[:200]}.")
    return Reading(None, reason="There are no settings in this file.")


def _clean(recipe: Mapping[str, object]) -> Json:
    """The recipe as it may be kept: no half characters, no numbers that are none, nothing deep, endless or not of JSON."""
    cleaned = _bounded(recipe, 0)
    if not isinstance(cleaned, dict):
        return {}
    # what tabs and searches look things up by is a word or not there
    return {
        key: value
        for key, value in cleaned.items()
        if key not in ("modality", "model") or isinstance(value, str)
    }


def _bounded(value: object, depth: int) -> object:
    if isinstance(value, str):
        return value[:MOST_STRING].encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int):
        return value
    if depth >= MOST_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        items = list(value.items())[:MOST_ITEMS]
        return {_bounded(str(key), depth): _bounded(inner, depth + 1) for key, inner in items}
    return (
        [_bounded(inner, depth + 1) for inner in list(value)[:MOST_ITEMS]]
        if isinstance(value, list | tuple)
        else ""
    )


def _object(text: str) -> Json:
    values = json.loads(text.lstrip("\ufeff"))
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")
    return values


def _with_modality(recipe: Json, data: bytes) -> Json:
    found = sniff(data[:64])
    return recipe if "modality" in recipe or found is None else {"modality": found.kind, **recipe}
