"""The settings in a ComfyUI graph, as far as its samplers, sizes and texts tell them.

A graph may say anything, so every question visits a node at most once and all questions together have a budget that grows with
the size of the graph. The output a wire comes from counts: output 1 of a node that takes both prompts is its negative one.
Where a picture ran through several samplers, the first of them made it; what came after is told, not taken over.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from studio.library.asset import Json

MAX_NODES = 10_000  # a large graph of someone's has a few hundred
STEPS_PER_INPUT = 30  # visits, inputs looked at included; a graph people use takes fewer than ten
MAX_WORDS = 20_000  # characters of a prompt, as long as a request may be

PICTURE = ("latent_image", "samples", "latent", "image", "images", "pixels", "samples_from")
MODEL = ("model", "MODEL", "base_model")
RUNS = frozenset({"steps", "sigmas", "sampler_name", "sampler", "noise", "noise_seed"})
TEXT = (
    "text", "text_g", "t5xxl", "prompt", "populated_text", "wildcard_text", "text_positive", "string", "value", "clip_l",
)  # fmt: skip
SECOND_TEXT = ("text_g", "text_l", "clip_l", "clip_g", "t5xxl")
PLAIN = ("value", "int", "float", "number", "Value", "Number", "INT", "FLOAT", "seed")
CHECKPOINTS = ("ckpt_name", "unet_name", "model_name", "model_path", "gguf_name")
PARTS = re.compile(r"(?:string|text|prompt)_?[a-h1-8]")
CONDITIONS = re.compile(r"conditioning(?:_?[1-8]|_to|_from)?")
SIZE = re.compile(r"(\d{2,5})\s*[x×]\s*(\d{2,5})")

# What comes out of nodes whose first output is not the positive prompt and the second not the negative one.
OUTPUTS = {
    "Efficient Loader": ("", "positive", "negative"), "Eff. Loader SDXL": ("", "positive", "negative"),
    "KSampler (Efficient)": ("", "positive", "negative"), "ApplyInstantID": ("", "positive", "negative"),
}  # fmt: skip


Wire = tuple[str | int, int]
"""Node and output. A list in the JSON, which has no other way to hold two things."""


class Tangled(ValueError):
    """The graph is too large, or leads in circles so often that following it would not end soon."""


@dataclass(frozen=True)
class Found:
    """values: what the graph says, in the words of other programs; left_out: what cannot be taken over, a phrase each."""

    values: Json
    left_out: tuple[str, ...] = ()


def from_graph(graph: Mapping[str, object]) -> Found:
    """prompt, negative prompt, seed, steps, cfg scale, sampler, size, model and so on, as found; empty without a sampler.

    graph: the API form, node id → {class_type, inputs}; an input that is [node id, output] is a wire. Raises Tangled.
    """
    nodes = _Nodes(graph)
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


def _passes(nodes: _Nodes) -> list[str]:
    """Samplers the saved picture ran through, the last one first; the first sampler there is where nothing is saved."""
    saved = next((node for node in nodes.all if re.match(r"Save|Preview|VHS_Video", nodes.kind(node))), None)
    begin = next((node for node, _ in nodes.walk([[saved, 0]], PICTURE) if nodes.is_pass(node)), None)
    begin = begin or next(filter(nodes.is_pass, nodes.all), None)
    if begin is None:
        return []
    upstream = (node for node, _ in nodes.walk([[begin, 0]], PICTURE) if nodes.is_pass(node))
    return list(upstream)


def _later(nodes: _Nodes, inputs: Mapping[str, object]) -> Json:
    """What the last pass did to the picture of the first one, for the notes."""
    values, _ = _settings(nodes, inputs)
    told = ("steps", "cfg scale", "sampler", "denoising strength", "width", "height")
    return {name: values[name] for name in told if values[name] is not None}


# ---- what it did ----


def _settings(nodes: _Nodes, inputs: Mapping[str, object]) -> tuple[Json, list[str]]:
    guider = nodes.inputs_of(inputs.get("guider"))
    sigmas = [inputs.get("sigmas")]
    positive = inputs.get("positive", guider.get("positive", guider.get("conditioning", guider.get("cond1"))))
    words = _Words(nodes, positive)
    unwanted = _Words(nodes, inputs.get("negative", guider.get("negative")))
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


def _sampler(nodes: _Nodes, inputs: Mapping[str, object]) -> object:
    """Its name: plain, from a node that picks one, or the name of a node that is one (SamplerEulerAncestral)."""
    wire = inputs.get("sampler")
    if "sampler_name" in inputs or wire is None or not _is_wire(wire):
        return nodes.value(inputs.get("sampler_name"), ("sampler_name", *PLAIN))
    picked = nodes.ask([wire], ("sampler_name",), ("sampler",))
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", nodes.kind(str(wire[0])).removeprefix("Sampler"))
    return picked if isinstance(picked, str) else kind.lower() or None


def _size(nodes: _Nodes, inputs: Mapping[str, object]) -> tuple[object, object]:
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


def _length(nodes: _Nodes, inputs: Mapping[str, object]) -> tuple[object, object]:
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


def _starts(nodes: _Nodes, inputs: Mapping[str, object]) -> list[str]:
    """Pictures it started from: they are files on someone else's disk."""
    found = []
    for node, _ in nodes.walk([inputs[name] for name in PICTURE if name in inputs], PICTURE):
        if nodes.kind(node).startswith("LoadImage") and isinstance(
            name := nodes.inputs(node).get("image"), str
        ):
            found.append(f"the picture it started from, {name[:100]}")
    return found[:3]


def _loras(nodes: _Nodes, model: object) -> Sequence[tuple[str, object]]:
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


# ---- the graph ----


class _Nodes:
    """A graph that can be asked; all questions together take time in proportion to its size."""

    def __init__(self, graph: Mapping[str, object]) -> None:
        self.all = {str(key): node for key, node in graph.items() if isinstance(node, Mapping)}
        if len(self.all) > MAX_NODES:
            raise Tangled(
                f"its graph has {len(self.all):,} nodes, and {MAX_NODES:,} is the most that are read"
            )
        self._budget = 10_000 + STEPS_PER_INPUT * sum(1 + len(self.inputs(node)) for node in self.all)

    def spend(self, node: str) -> Mapping[str, object]:
        """The inputs of a node someone visits; raises Tangled when there were too many visits."""
        inputs = self.inputs(node)
        self._budget -= 1 + len(inputs)
        if self._budget < 0:
            raise Tangled("its graph leads in circles")
        return inputs

    def inputs(self, node: str) -> Mapping[str, object]:
        inputs = self.all.get(node, {}).get("inputs", {})
        return inputs if isinstance(inputs, Mapping) else {}

    def inputs_of(self, wire: object) -> Mapping[str, object]:
        """The inputs of the node a wire comes from, reroutes passed by."""
        for node, _ in self.walk([wire], ()):
            if {"conditioning", "positive", "cond1"} & self.inputs(node).keys():
                return self.inputs(node)
        return {}

    def kind(self, node: str) -> str:
        return str(self.all.get(node, {}).get("class_type", ""))[:200]

    def is_pass(self, node: str) -> bool:
        """Whether the node runs a sampler: it has words and says how."""
        names = self.inputs(node).keys()
        return bool({"positive", "guider"} & names and RUNS & names)

    def walk(self, wires: list[object], along: tuple[str, ...]) -> Iterator[tuple[str, int]]:
        """(node, output) from those wires upstream, nearest first, each node once; along inputs of those names where it has any."""
        waiting = deque(filter(_is_wire, wires))
        seen: set[str] = set()
        while waiting:
            node, output = str(waiting[0][0]), waiting.popleft()[1]
            if node in seen or node not in self.all:
                continue
            seen.add(node)
            yield node, output
            inputs = self.spend(node)
            named = list(filter(_is_wire, map(inputs.get, along)))
            waiting.extend(named or filter(_is_wire, inputs.values()))

    def ask(self, wires: list[object], names: tuple[str, ...], along: tuple[str, ...]) -> object:
        """The value of an input of one of those names on the nearest node that has one."""
        for node, _ in self.walk(wires, along):
            inputs = self.inputs(node)
            if name := next((name for name in names if name in inputs), ""):
                return self.value(inputs[name], (name, *PLAIN))
        return None

    def value(self, given: object, names: tuple[str, ...]) -> object:
        """The plain value at the end of a wire: an input of one of those names, or what else leads on. None where there is none."""
        waiting, seen = [given], set[str]()
        while waiting:
            item = waiting.pop()
            if isinstance(item, str | int | float):
                return item
            if not _is_wire(item) or (node := str(item[0])) in seen:
                continue
            seen.add(node)
            inputs = self.spend(node)
            named = [inputs[name] for name in names if name in inputs]
            waiting.extend(reversed(named or [value for value in inputs.values() if _is_wire(value)]))
        return None


class _Words:
    """What a conditioning wire says: its texts in order, and the guidance written into it.

    text: None without a wire; "" where nothing is said or it was zeroed out. seconds: texts only another encoder was given.
    """

    def __init__(self, nodes: _Nodes, wire: object) -> None:
        self._nodes = nodes
        self.guidance: float | None = None
        self.seconds: list[str] = []
        self.text = None if wire is None else ", ".join(dict.fromkeys(self._texts(wire)))[:MAX_WORDS]

    def _texts(self, wire: object) -> list[str]:
        found: list[str] = []
        length = 0
        waiting, seen = [wire], set[tuple[str, int]]()
        while waiting and length < MAX_WORDS:
            item = waiting.pop()
            if isinstance(item, str):
                found += [item.strip()] if item.strip() else []
                length += len(item)
            elif (
                _is_wire(item) and (at := (str(item[0]), min(item[1], 3))) not in seen
            ):  # no more outputs have a meaning
                seen.add(at)
                waiting.extend(reversed(self._onward(*at)))
        return found

    def _onward(self, node: str, output: int) -> Sequence[object]:
        """Wires and texts that make up what comes out of a node there, in order."""
        inputs, kind = self._nodes.spend(node), self._nodes.kind(node)
        if self.guidance is None and isinstance(
            guidance := self._nodes.value(inputs.get("guidance"), PLAIN), int | float
        ):
            self.guidance = guidance
        if "ZeroOut" in kind:
            return []
        if "Encode" in kind or "clip" in inputs:
            return self._encoded(inputs)
        if {"positive", "negative"} <= inputs.keys():
            sides = OUTPUTS.get(kind, ("positive", "negative"))
            return [inputs[sides[output]]] if output < len(sides) and sides[output] else []
        if joined := [inputs[name] for name in inputs if CONDITIONS.fullmatch(name)]:
            return joined
        return self._encoded(inputs) or [value for value in inputs.values() if _is_wire(value)]

    def _encoded(self, inputs: Mapping[str, object]) -> list[object]:
        """The text an encoder was given; a different one for its other encoder is kept aside."""
        name = next((name for name in TEXT if name in inputs), "")
        if not name:
            return []
        text = self._text(inputs[name])
        for other in SECOND_TEXT:
            if (
                other != name
                and other in inputs
                and (second := self._text(inputs[other]).strip()) not in ("", text.strip())
            ):
                self.seconds = list(dict.fromkeys([*self.seconds, second]))[:4]
        return [text]

    def _text(self, given: object) -> str:
        """A text, put together from the nodes that join texts."""
        pieces: list[str] = []
        length = 0
        waiting, seen = [given], set[str]()
        while waiting and length < MAX_WORDS:
            item = waiting.pop()
            if isinstance(item, str):
                pieces.append(item[:MAX_WORDS])
                length += len(item)
            elif _is_wire(item) and (node := str(item[0])) not in seen:
                seen.add(node)
                waiting.extend(reversed(self._joined(self._nodes.spend(node))))
        return "".join(pieces)[:MAX_WORDS]

    def _joined(self, inputs: Mapping[str, object]) -> Sequence[object]:
        parts = [inputs[name] for name in inputs if PARTS.fullmatch(name)]
        if len(parts) > 1:
            between = inputs.get("delimiter", inputs.get("separator", " "))
            return [piece for part in parts for piece in (between, part)][1:]
        named = [inputs[name] for name in TEXT if name in inputs]
        return named[:1] or [value for value in inputs.values() if _is_wire(value)][:1]


def _is_wire(value: object) -> TypeGuard[Wire]:
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str | int)
        and type(value[1]) is int
        and value[1] >= 0
    )
