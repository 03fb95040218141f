"""The least reload seconds anybody could have reached who knew the whole trace, and what simple rules reach.

Exact for whole components brought in when they are wanted: dynamic programming over the sets that can be resident. Keeping part
of a component, or bringing it in while others compute, can do better still.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from tests.bench.memory.traces import PARTS, Trace

Costs = Mapping[str, float]
"""Seconds to bring each component in."""


def optimum(trace: Trace, budget: int, costs: Costs) -> float:
    """Reload seconds of the best possible choices, loads of the first time included."""
    names = list(PARTS)
    sizes = [PARTS[name].nbytes for name in names]
    seconds = [costs[name] for name in names]
    bits = {name: 1 << place for place, name in enumerate(names)}

    @lru_cache(None)
    def size(mask: int) -> int:
        return sum(sizes[i] for i in range(len(names)) if mask >> i & 1)

    @lru_cache(None)
    def price(mask: int) -> float:
        return sum(seconds[i] for i in range(len(names)) if mask >> i & 1)

    @lru_cache(None)
    def keeps(idle: int, room: int) -> tuple[int, ...]:
        """The largest subsets of `idle` within `room`: keeping more never hurts."""
        if size(idle) <= room:
            return (idle,)
        found: list[int] = []
        members = [i for i in range(len(names)) if idle >> i & 1]

        def search(place: int, kept: int, left: int, least_refused: int) -> None:
            if place == len(members):
                if left < least_refused:
                    found.append(kept)
                return
            i = members[place]
            if sizes[i] <= left:
                search(place + 1, kept | 1 << i, left - sizes[i], least_refused)
            search(place + 1, kept, left, min(least_refused, sizes[i]))

        search(0, 0, room, 1 << 62)
        return tuple(found)

    best = {0: 0.0}
    for _, _, phase in trace.steps():
        wanted = sum(bits[name] for name in phase.parts)
        room = budget - phase.working_bytes - size(wanted)
        assert room >= 0, f"{phase.parts} does not fit at all"
        after: dict[int, float] = {}
        for resident, spent in best.items():
            spent += price(wanted & ~resident)
            for kept in keeps(resident & ~wanted, room):
                state = kept | wanted
                if spent < after.get(state, 1e18):
                    after[state] = spent
        # whoever is dearer than the best by more than loading what the best lacks is never needed
        leaders = sorted(after.items(), key=lambda item: item[1])[:8]
        best = {
            state: spent
            for state, spent in after.items()
            if all(state == other or spent < paid + price(state & ~other) for other, paid in leaders)
        }
    return min(best.values())


Rule = Callable[[list[str], "Past"], list[str]]
"""Given what is idle, the order in which it leaves."""


class Past:
    """What a rule may look at: the step, when each component was used last and how often, GDSF's clock and values."""

    def __init__(self, costs: Costs) -> None:
        self.costs = costs
        self.step = 0
        self.last: dict[str, int] = {}
        self.uses: dict[str, int] = {}
        self.floor = 0.0
        self.value: dict[str, float] = {}

    def used(self, name: str) -> None:
        self.last[name] = self.step
        self.uses[name] = self.uses.get(name, 0) + 1
        self.value[name] = self.floor + self.uses[name] * self.costs[name] / PARTS[name].nbytes


RULES: dict[str, Rule] = {
    "least recently used": lambda idle, past: sorted(idle, key=lambda name: past.last[name]),
    "GDSF": lambda idle, past: sorted(idle, key=lambda name: past.value[name]),
    "smallest first": lambda idle, past: sorted(idle, key=lambda name: PARTS[name].nbytes),
    "largest first": lambda idle, past: sorted(idle, key=lambda name: -PARTS[name].nbytes),
}
SINGLE_OWNER = "single owner"
"""One model at a time: whatever belongs to another leaves before anything comes in."""


def rule_seconds(name: str, trace: Trace, budget: int, costs: Costs) -> float:
    """Reload seconds of a simple rule."""
    past, resident, spent = Past(costs), set[str](), 0.0
    for past.step, (number, _, phase) in enumerate(trace.steps()):
        if name == SINGLE_OWNER:
            resident &= {part for each in trace.jobs[number] for part in each.parts}
        room = budget - phase.working_bytes - sum(PARTS[part].nbytes for part in resident | set(phase.parts))
        idle = sorted(resident - set(phase.parts))
        order = RULES["least recently used" if name == SINGLE_OWNER else name](idle, past)
        while room < 0:
            victim = order.pop(0)
            resident.remove(victim)
            past.floor = max(past.floor, past.value[victim])
            room += PARTS[victim].nbytes
        spent += sum(costs[part] for part in phase.parts if part not in resident)
        resident.update(phase.parts)
        for part in phase.parts:
            past.used(part)
    return spent
