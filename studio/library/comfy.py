"""The settings in a ComfyUI graph, as far as its samplers, sizes and texts tell them.

A graph may say anything; this follows the wires from the first sampler and reports what it finds, in ComfyUI's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HOPS = 12  # wires followed from a sampler to a text


def from_graph(graph: Mapping[str, Any]) -> dict[str, Any]:
    """prompt, negative prompt, seed, steps, cfg scale, sampler, width, height, model, as found; {} for a graph without a sampler.

    graph: the API form, node id → {class_type, inputs}; an input that is [node id, output] is a wire.
    """
    nodes = {str(key): node for key, node in graph.items() if isinstance(node, Mapping)}
    sampler = next(
        (_inputs(node) for node in nodes.values() if {"steps", "cfg", "positive"} <= set(_inputs(node))), None
    )
    if sampler is None:
        return {}
    found = {
        "prompt": _follow(nodes, sampler.get("positive"), ("text", "text_g", "prompt", "string", "value")),
        "negative prompt": _follow(
            nodes, sampler.get("negative"), ("text", "text_g", "prompt", "string", "value")
        ),
        "seed": _follow(
            nodes, sampler.get("seed", sampler.get("noise_seed")), ("seed", "noise_seed", "value")
        ),
        "steps": _follow(nodes, sampler.get("steps"), ("steps", "value")),
        "cfg scale": _follow(nodes, sampler.get("cfg"), ("cfg", "value")),
        "sampler": _follow(nodes, sampler.get("sampler_name"), ("sampler_name", "value")),
        "schedule": _follow(nodes, sampler.get("scheduler"), ("scheduler_name", "value")),
        "denoising strength": _follow(nodes, sampler.get("denoise"), ("denoise", "value")),
        "width": _follow(nodes, sampler.get("latent_image"), ("width",)),
        "height": _follow(nodes, sampler.get("latent_image"), ("height",)),
        "model": _follow(nodes, sampler.get("model"), ("ckpt_name", "unet_name")),
    }
    return {key: value for key, value in found.items() if value is not None}


def _follow(
    nodes: Mapping[str, Mapping[str, Any]], value: Any, names: tuple[str, ...], hops: int = HOPS
) -> Any:
    """The plain value at the end of a wire: an input of one of those names on a node the wire leads to."""
    if not _is_wire(value):
        return value
    inputs = _inputs(nodes.get(str(value[0]), {}))
    if hops == 0:
        return None
    for name in names:
        if name in inputs:
            return _follow(nodes, inputs[name], names, hops - 1)
    for onward in inputs.values():
        if _is_wire(onward) and (found := _follow(nodes, onward, names, hops - 1)) is not None:
            return found
    return None


def _inputs(node: Mapping[str, Any]) -> Mapping[str, Any]:
    inputs = node.get("inputs", {})
    return inputs if isinstance(inputs, Mapping) else {}


def _is_wire(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int)
