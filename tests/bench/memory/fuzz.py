"""Random use of the manager with faults and cancels at every step, as long as wanted: `bench memory --fuzz 1000000`."""

from __future__ import annotations

import logging
import time
from collections import Counter

from tests.memory.simulator import Report, run

EACH = 2_000
"""Operations of one seed; a run of a million goes through five hundred."""


def report(operations: int, seed: int) -> bool:
    """Print what was done and what went wrong on purpose; whether every promise held."""
    logging.disable(logging.ERROR)  # a fault made here is no news
    started, total = time.perf_counter(), Report()
    broken: list[str] = []
    last, log = seed, ""
    while total.operations < operations and not broken:
        try:
            done = run(last, min(EACH, operations - total.operations))
        except Exception as error:
            broken.append(f"seed {last}: {type(error).__name__}: {error}")
            break
        log = log or done.log
        total.operations += done.operations
        for ours, theirs in (
            (total.ended, done.ended),
            (total.points, done.points),
            (total.faults, done.faults),
        ):
            ours.update(theirs)
        last += 1
    replayed = broken or run(seed, min(EACH, operations)).log == log
    logging.disable(logging.NOTSET)
    print(
        f"{total.operations:,} operations by four threads, seeds {seed} to {last - 1}, in {time.perf_counter() - started:.0f} s; "
        f"the manager called out {sum(total.points.values()):,} times, {sum(total.faults.values()):,} faults were put there.\n"
    )
    for title, counted in (("leases ended", total.ended), ("faults and cancels", _by_kind(total.faults))):
        print(f"- {title}: " + ", ".join(f"{name} {count:,}" for name, count in counted.most_common()))
    print(f"- promises broken: {broken[0] if broken else 'none'}")
    print(f"- the first seed again: {'the same decisions' if replayed else 'OTHER DECISIONS'}\n")
    return not broken and bool(replayed)


def _by_kind(faults: Counter[str]) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for name, count in faults.items():
        kinds[name.split(" at ")[0]] += count
    return kinds
