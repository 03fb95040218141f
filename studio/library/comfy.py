"""The settings in a ComfyUI graph, as far as its samplers, sizes and texts tell them.

Where a picture ran through several samplers, the first of them made it; what came after is told, not taken over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio.library.asset import Json
from studio.library.graph import PLAIN, Nodes, Words, is_wire

PICTURE = ("latent_image", "samples", "latent", "image", "images", "pixels", "samples_from")
MODEL = ("model", "MODEL", "base_model")
CHECKPOINTS = ("ckpt_name", "unet_name", "model_name", "model_path", "gguf_name")
SIZE = re.compile(r"(\d{2,5})\s*[x×]\s*(\d{2,5})")


@dataclass(frozen=True)
class Found:
    """values: what the graph says, in the words of other programs; left_out: what cannot be taken over, a phrase each."""

    values: Json
    left_out: tuple[str, ...] = ()


def from_graph(graph: Mapping[str, object]) -> Found:
    """prompt, negative prompt, seed, steps, cfg scale, sampler, size, model and so on, as found; empty without a sampler.

    graph: the API form, node id → {class_type, inputs}; an input that is [node id, output] is a wire. Raises Tangled.
    """
    nodes = Nodes(graph)
    passes = _passes(nodes)
    if not passes:
        return Found({})
    values, left_out = _settings(nodes, nodes.inputs(passes[-1]))
    if len(passes) > 1:
        later = _later(nodes, nodes.inputs(passes[0]))
        values["second pass"] = later
        told = ", ".join(f"{name} {value}" for name, value in later.items())[:200]
        left_out.append(f"the pass after the first one ({told or 'with its own settings'})")
    return Found({key: value for key, value in values.items() if value is not None}, tuple(left_out))


# ---- which sampler ----


def _passes(nodes: Nodes) -> list[str]:
    """Samplers the saved picture ran through, the last one first; the first sampler there is where nothing is saved."""
    saved = next((node for node in nodes.all if re.match(r"Save|Preview|VHS_Video", nodes.kind(node))), None)
    begin = next((node for node, _ in nodes.walk([[saved, 0]], PICTURE) if nodes.is_pass(node)), None)
    begin = begin or next(filter(nodes.is_pass, nodes.all), None)
    if begin is None:
        return []
    upstream = (node for node, _ in nodes.walk([[begin, 0]], PICTURE) if nodes.is_pass(node))
    return list(upstream)


def _later(nodes: Nodes, inputs: Mapping[str, object]) -> Json:
    """What the last pass did to the picture of the first one, for the notes."""
    values, _ = _settings(nodes, inputs)
    told = ("steps", "cfg scale", "sampler", "denoising strength", "width", "height")
    return {name: values[name] for name in told if values[name] is not None}


# ---- what it did ----


def _settings(nodes: Nodes, inputs: Mapping[str, object]) -> tuple[Json, list[str]]:
    guider = nodes.inputs_of(inputs.get("guider"))
    sigmas = [inputs.get("sigmas")]
    positive = inputs.get("positive", guider.get("positive", guider.get("conditioning", guider.get("cond1"))))
    words = Words(nodes, positive)
    unwanted = Words(nodes, inputs.get("negative", guider.get("negative")))
    model = inputs.get("model", guider.get("model"))
    width, height = _size(nodes, inputs)
    frames, rate = _length(nodes, inputs)
    cfg = nodes.value(inputs.get("cfg", guider.get("cfg", guider.get("cfg_conds"))), ("cfg", *PLAIN))
    seed = nodes.value(inputs.get("seed", inputs.get("noise_seed")), ("seed", "noise_seed", *PLAIN))
    steps = nodes.value(inputs.get("steps"), ("steps", *PLAIN))
    denoise = nodes.value(inputs.get("denoise"), ("denoise", *PLAIN))
    values = {
        "prompt": words.text,
        "negative prompt": unwanted.text,
        "seed": nodes.ask([inputs.get("noise")], ("noise_seed", "seed"), ()) if seed is None else seed,
        "steps": nodes.ask(sigmas, ("steps",), ("sigmas",)) if steps is None else steps,
        "cfg scale": cfg if words.guidance is None else words.guidance,
        "sampler": _sampler(nodes, inputs),
        "schedule": nodes.value(inputs.get("scheduler"), ("scheduler", "scheduler_name"))
        or nodes.ask(sigmas, ("scheduler",), ("sigmas",)),
        "denoising strength": nodes.ask(sigmas, ("denoise",), ("sigmas",)) if denoise is None else denoise,
        "width": width,
        "height": height,
        "frames": frames,
        "frame rate": rate,
        "model": nodes.ask([model], CHECKPOINTS, MODEL),
    }  # fmt: skip
    if words.guidance is not None and cfg not in (None, words.guidance):
        values["cfg"] = cfg  # 1 for models that are guided by a number in their prompt
    left_out = [f"the LoRA {name} at {weight}" for name, weight in _loras(nodes, model)]
    left_out += [f"the second text of the prompt, “{text[:80]}”" for text in words.seconds]
    left_out += _starts(nodes, inputs)
    return values, left_out


def _sampler(nodes: Nodes, inputs: Mapping[str, object]) -> object:
    """Its name: plain, from a node that picks one, or the name of a node that is one (SamplerEulerAncestral)."""
    wire = inputs.get("sampler")
    if "sampler_name" in inputs or wire is None or not is_wire(wire):
        return nodes.value(inputs.get("sampler_name"), ("sampler_name", *PLAIN))
    picked = nodes.ask([wire], ("sampler_name",), ("sampler",))
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", nodes.kind(str(wire[0])).removeprefix("Sampler"))
    return picked if isinstance(picked, str) else kind.lower() or None


def _size(nodes: Nodes, inputs: Mapping[str, object]) -> tuple[object, object]:
    """The size nearest to the sampler's start: an empty latent's, an enlarged one's, or that of a node that picks sizes."""
    for node, _ in nodes.walk([inputs[name] for name in PICTURE if name in inputs], PICTURE):
        given = nodes.inputs(node)
        if match := SIZE.search(str(given.get("resolution", given.get("dimensions", "")))[:100]):
            return int(match[1]), int(match[2])
        across = given.get("width", given.get("empty_latent_width"))
        down = given.get("height", given.get("empty_latent_height"))
        if across is not None and down is not None:
            return nodes.value(across, ("width", *PLAIN)), nodes.value(down, ("height", *PLAIN))
    return None, None


def _length(nodes: Nodes, inputs: Mapping[str, object]) -> tuple[object, object]:
    """(frames, frames a second) of a graph that makes a clip."""
    frames = None
    for node, _ in nodes.walk([inputs[name] for name in PICTURE if name in inputs], PICTURE):
        given = nodes.inputs(node)
        name = next((name for name in ("length", "video_frames", "num_frames") if name in given), "")
        if name:
            frames = nodes.value(given[name], (name, *PLAIN))
            break
    if frames is None:
        return None, None
    for node in nodes.all:
        given = nodes.inputs(node)
        if (
            nodes.kind(node).startswith(("CreateVideo", "Save", "VHS_Video"))
            and {"fps", "frame_rate"} & given.keys()
        ):
            return frames, nodes.value(given.get("fps", given.get("frame_rate")), ("fps", *PLAIN))
    return frames, None


def _starts(nodes: Nodes, inputs: Mapping[str, object]) -> list[str]:
    """Pictures it started from: they are files on someone else's disk."""
    found = []
    for node, _ in nodes.walk([inputs[name] for name in PICTURE if name in inputs], PICTURE):
        if nodes.kind(node).startswith("LoadImage") and isinstance(
            name := nodes.inputs(node).get("image"), str
        ):
            found.append(f"the picture it started from, {name[:100]}")
    return found[:3]


def _loras(nodes: Nodes, model: object) -> Sequence[tuple[str, object]]:
    """(name, weight) of the LoRAs between a sampler and its model, in the order they are applied."""
    found: list[tuple[str, object]] = []
    for node, _ in nodes.walk([model], MODEL):
        inputs = nodes.inputs(node)
        if isinstance(name := inputs.get("lora_name"), str) and name not in ("None", ""):
            found.append((name, inputs.get("strength_model", inputs.get("lora_model_strength", 1.0))))
        for value in inputs.values():  # rgthree's loader holds each as an object
            if isinstance(value, Mapping) and value.get("on") and isinstance(value.get("lora"), str):
                found.append((value["lora"], value.get("strength", 1.0)))
    return [
        (name[:100], weight if isinstance(weight, int | float) else "a weight of its own")
        for name, weight in found[:20]
    ][::-1]
