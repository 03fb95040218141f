"""Someone's settings in our own words for things: what has the same meaning is taken, the rest is kept and told.

Knows the words of other programs, not where in a file they stand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from pipelines.words.samplers import Sampler, is_schedule, is_usual, sampler_of
from studio.library.a1111 import plain_prompt
from studio.library.asset import Json

MAX_SEED = 2**32 - 1

# What other programs call a knob → what we call it. Compared in lower case, with spaces for underscores.
NAMES = {
    "prompt": "prompt", "positive prompt": "prompt", "positiveprompt": "prompt",
    "negative prompt": "negative_prompt", "negativeprompt": "negative_prompt",
    "steps": "num_inference_steps", "num inference steps": "num_inference_steps",
    "cfg scale": "guidance_scale", "cfgscale": "guidance_scale", "guidance scale": "guidance_scale",
    "seed": "seed", "width": "width", "height": "height", "strength": "strength", "denoising strength": "strength",
    "sampler": "scheduler", "sampler name": "scheduler", "scheduler": "scheduler", "model": "model",
    "base model": "model", "schedule": "schedule", "schedule type": "schedule", "noise schedule": "schedule",
}  # fmt: skip
WHOLE = {"num_inference_steps", "seed", "width", "height"}
BROKEN = {"guidance_scale", "strength"}

# Settings with no counterpart here that change the picture → how to say so. Their values go to the notes.
LOST = {
    "clip skip": "clip skip {}", "clipstopatlayer": "the CLIP layer {}", "vae": "the VAE {}", "refiner": "the refiner {}",
    "refiner model": "the refiner {}", "refinermodel": "the refiner {}", "variation seed": "the variation seed {}",
    "variationseed": "the variation seed {}", "ti hashes": "the embeddings {}", "styles": "the styles {}",
    "adetailer model": "ADetailer ({})", "cfg rescale": "the guidance rescaled by {}", "sharpness": "the sharpness {}",
    "controlnet 0": "ControlNet", "controlnets": "ControlNet", "ipadapters": "the reference pictures",
    "image start": "the picture it started from", "init image": "the picture it started from",
    "initimage": "the picture it started from", "video length": "its length of {} frames", "frames": "its length of {} frames",
}  # fmt: skip
NOTHING = {"", "none", "automatic", "default", "default (model)", "[]", "false", "0", "0.0", "1", "1.0"}


def translate(
    values: Mapping[str, object], left_out: Sequence[str] = (), notes: Mapping[str, object] | None = None
) -> Json:
    """Someone's knobs in our words.

    What has none, or does not fit, goes under `notes` as found; what of it changes the picture is told under `left_out`, a phrase
    each.
    """
    recipe: Json = {}
    kept: Json = {}
    told: list[str] = []
    for key, value in values.items():
        plain = str(key).lower().replace("_", " ").strip()
        name = NAMES.get(plain, "")
        if name in ("prompt", "negative_prompt") and isinstance(value, str):
            words, marks = plain_prompt(value)
            told += marks
            recipe |= {name: words} if words and name not in recipe else {}
        elif name in ("scheduler", "schedule") and isinstance(value, str):
            kept |= _sampler(key, value, recipe, told, name == "schedule" or is_schedule(value))
        elif (fitted := _fit(name, value) if name and name not in recipe else None) is not None:
            recipe[name] = fitted
        elif value not in ("", None, [], {}) and value != -1:
            kept[str(key)] = value
            told += _lost(name, plain, str(key), value)
    told += _loras(values)
    if _number(recipe.get("strength")) >= 1:
        del recipe["strength"]  # nothing of a start picture was kept
    elif "strength" in recipe:
        told.append("the picture it started from")
    recipe |= _length(values, kept, told)
    told = list(dict.fromkeys([*told, *left_out]))
    kept |= notes or {}
    return recipe | ({"left_out": told} if told else {}) | ({"notes": kept} if kept else {})


def _sampler(key: str, value: str, recipe: Json, told: list[str], alone: bool) -> Json:
    """Put a sampler into the recipe; returns what goes to the notes. alone: the value is a schedule without a sampler."""
    found = Sampler(schedule=value) if alone else sampler_of(value)
    if found.schedule and not is_usual(found.schedule):
        told.append(f"the schedule {found.schedule[:80]}")
    if found.told and value.strip():
        told.append(found.told)
    if found.name and "scheduler" not in recipe:
        recipe["scheduler"] = found.name
    noted: Json = {"Schedule type": found.schedule.capitalize()} if found.schedule and not alone else {}
    return noted | ({key: value} if not found.name and value.strip() else {})


def _lost(name: str, plain: str, key: str, value: object) -> list[str]:
    """A phrase for a setting that changes the picture and has no place here."""
    if name == "seed":
        return [f"the seed {str(value)[:40]}: {MAX_SEED:,} is the largest here"]
    if name:
        return [f"{plain} {str(value)[:80]}"]
    if plain not in LOST or str(value).strip().lower() in NOTHING:
        return []
    return [LOST[plain].format(str(value)[:200])]


def _loras(values: Mapping[str, object]) -> list[str]:
    """LoRAs that are listed beside the prompt, as Fooocus, InvokeAI, SwarmUI, Wan2GP and Draw Things do it."""
    listed = values.get("loras", values.get("lora", values.get("activated_loras")))
    if isinstance(listed, str):
        listed = [part.strip() for part in listed.split(",") if part.strip()]
    weights = values.get("loraweights", values.get("loras_multipliers", ""))
    weights = weights.replace(",", " ").split() if isinstance(weights, str) else weights
    told = []
    for place, lora in enumerate(listed[:20] if isinstance(listed, list) else ()):
        name, weight = _lora(lora)
        if weight is None and isinstance(weights, list) and place < len(weights):
            weight = weights[place]
        if name and name != "None":
            told.append(
                f"the LoRA {name[:100]}" + (f" at {str(weight)[:20]}" if weight not in (None, "") else "")
            )
    return told


def _lora(lora: object) -> tuple[str, object]:
    """(name, weight or None)"""
    if isinstance(lora, str):
        return lora, None
    if isinstance(lora, list) and lora:
        return str(lora[0]), lora[1] if len(lora) > 1 else None
    if not isinstance(lora, Mapping):
        return "", None
    model = lora.get("model", lora.get("lora", lora))
    name = (
        model.get("name", model.get("model_name", model.get("file", "")))
        if isinstance(model, Mapping)
        else model
    )
    return str(name), lora.get("weight")


def _length(values: Mapping[str, object], kept: Json, told: list[str]) -> Json:
    """A clip's length in seconds, from its frames and what is known of their rate."""
    key = "video_length" if "video_length" in values else "frames"
    frames, rate = values.get(key), values.get("frame rate", values.get("force_fps"))
    rate = _number(rate) or _rate_of(str(values.get("model_type", "")))
    if (
        not isinstance(frames, int)
        or isinstance(frames, bool)
        or not 1 < frames < 100_000
        or not 1 <= rate <= 120
    ):
        return {}
    for name in (key, "frame rate", "force_fps"):
        kept.pop(name, None)
    told[:] = [phrase for phrase in told if phrase != LOST["frames"].format(frames)]
    # models count their frames as 4 k + 1; the one more is the start of the next second
    seconds = (frames - (frames % 4 == 1)) / rate
    return {"modality": "video", "seconds": round(seconds, 3), "fps": f"{rate:g}"}


def _rate_of(model_type: str) -> float:
    """Frames a second of Wan2GP's models, by its own names for them; 0 for one we do not know."""
    if model_type.startswith(("ti2v_2_2", "hunyuan")):
        return 24.0
    return 16.0 if re.search(r"t2v|i2v|vace|wan|fun|phantom", model_type[:100]) else 0.0


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, str | int | float) else 0.0
    except (ValueError, OverflowError):
        return 0.0


def _fit(name: str, value: object) -> object:
    """The value as our field takes it, or None."""
    if name in WHOLE or name in BROKEN:
        try:
            return _fit_number(name, value) if isinstance(value, str | int | float) else None
        except (ValueError, OverflowError):
            return None
    if isinstance(value, Mapping):  # InvokeAI writes its models as objects
        value = value.get("name") or value.get("model_name")
    return value if isinstance(value, str) and value else None


def _fit_number(name: str, value: str | float) -> float | None:
    if name in BROKEN:
        return float(value) if math.isfinite(float(value)) else None
    number, most = int(value), MAX_SEED if name == "seed" else 100_000
    return number if 0 <= number <= most and not isinstance(value, bool) else None
