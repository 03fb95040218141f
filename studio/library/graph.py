"""A ComfyUI graph that can be asked, whatever its maker put into it: a value at the end of a wire, the words of a prompt.

Every question visits a node at most once, and all questions together have a budget that grows with the size of the graph. The
output a wire comes from counts: output 1 of a node that takes both prompts is its negative one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

MAX_NODES = 10_000  # a large graph of someone's has a few hundred
STEPS_PER_INPUT = 30  # visits, inputs looked at included; a graph people use takes fewer than ten
MAX_WORDS = 20_000  # characters of a prompt, as long as a request may be

RUNS = frozenset({"steps", "sigmas", "sampler_name", "sampler", "noise", "noise_seed"})
TEXT = (
    "text", "text_g", "t5xxl", "prompt", "populated_text", "wildcard_text", "text_positive", "string", "value", "clip_l",
)  # fmt: skip
SECOND_TEXT = ("text_g", "text_l", "clip_l", "clip_g", "t5xxl")
PLAIN = ("value", "int", "float", "number", "Value", "Number", "INT", "FLOAT", "seed")
PARTS = re.compile(r"(?:string|text|prompt)_?[a-h1-8]")
CONDITIONS = re.compile(r"conditioning(?:_?[1-8]|_to|_from)?")

# What comes out of nodes whose first output is not the positive prompt and the second not the negative one.
OUTPUTS = {
    "Efficient Loader": ("", "positive", "negative"), "Eff. Loader SDXL": ("", "positive", "negative"),
    "KSampler (Efficient)": ("", "positive", "negative"), "ApplyInstantID": ("", "positive", "negative"),
}  # fmt: skip


Wire = tuple[str | int, int]
"""Node and output. A list in the JSON, which has no other way to hold two things."""


class Tangled(ValueError):
    """The graph is too large, or leads in circles so often that following it would not end soon."""


class Nodes:
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
        """(node, output) upstream of those wires, nearest first, each node once; along inputs of those names where it has any."""
        waiting = deque(filter(is_wire, wires))
        seen: set[str] = set()
        while waiting:
            node, output = str(waiting[0][0]), waiting.popleft()[1]
            if node in seen or node not in self.all:
                continue
            seen.add(node)
            yield node, output
            inputs = self.spend(node)
            named = list(filter(is_wire, map(inputs.get, along)))
            waiting.extend(named or filter(is_wire, inputs.values()))

    def ask(self, wires: list[object], names: tuple[str, ...], along: tuple[str, ...]) -> object:
        """The value of an input of one of those names on the nearest node that has one."""
        for node, _ in self.walk(wires, along):
            inputs = self.inputs(node)
            if name := next((name for name in names if name in inputs), ""):
                return self.value(inputs[name], (name, *PLAIN))
        return None

    def value(self, given: object, names: tuple[str, ...]) -> object:
        """The plain value at the end of a wire: an input of one of those names, or what else leads on; None without one."""
        waiting, seen = [given], set[str]()
        while waiting:
            item = waiting.pop()
            if isinstance(item, str | int | float):
                return item
            if not is_wire(item) or (node := str(item[0])) in seen:
                continue
            seen.add(node)
            inputs = self.spend(node)
            named = [inputs[name] for name in names if name in inputs]
            waiting.extend(reversed(named or [value for value in inputs.values() if is_wire(value)]))
        return None


class Words:
    """What a conditioning wire says: its texts in order, and the guidance written into it.

    text: None without a wire; "" where nothing is said or it was zeroed out. seconds: texts only another encoder was given.
    """

    def __init__(self, nodes: Nodes, wire: object) -> None:
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
                is_wire(item) and (at := (str(item[0]), min(item[1], 3))) not in seen
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
        return self._encoded(inputs) or [value for value in inputs.values() if is_wire(value)]

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
            elif is_wire(item) and (node := str(item[0])) not in seen:
                seen.add(node)
                waiting.extend(reversed(self._joined(self._nodes.spend(node))))
        return "".join(pieces)[:MAX_WORDS]

    def _joined(self, inputs: Mapping[str, object]) -> Sequence[object]:
        parts = [inputs[name] for name in inputs if PARTS.fullmatch(name)]
        if len(parts) > 1:
            between = inputs.get("delimiter", inputs.get("separator", " "))
            return [piece for part in parts for piece in (between, part)][1:]
        named = [inputs[name] for name in TEXT if name in inputs]
        return named[:1] or [value for value in inputs.values() if is_wire(value)][:1]


def is_wire(value: object) -> TypeGuard[Wire]:
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str | int)
        and type(value[1]) is int
        and value[1] >= 0
    )
