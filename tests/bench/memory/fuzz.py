"""Random use of the manager with faults and cancels at every step, as long as wanted: `bench memory --fuzz 1000000`."""

from __future__ import annotations

import logging
import time
from collections import Counter

from tests.bench.report import Report
from tests.memory.simulator import Report as Done
from tests.memory.simulator import run

EACH = 2_000
"""Operations of one seed; a run of a million goes through five hundred."""


def tell(report: Report, operations: int, seed: int) -> None:
    """What was done, and what went wrong on purpose; the bars are that every promise held, and the same again."""
    logging.disable(logging.ERROR)  # a fault made here is no news
    total, times = Done(), list[float]()
    broken: list[str] = []
    last, log = seed, ""
    while total.operations < operations and not broken:
        started = time.perf_counter()
        try:
            done = run(last, min(EACH, operations - total.operations))
        except Exception as error:
            broken.append(f"seed {last}: {type(error).__name__}: {error}")
            break
        times.append((time.perf_counter() - started) * 1e6 / done.operations)
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
    if times:
        report.figure("an operation, with all that is checked after it", times, unit="µs")
    report.bar("promises broken", "0", broken[0] if broken else "0", not broken)
    report.bar(
        "the first seed again", "the same decisions", "the same" if replayed else "OTHER", bool(replayed)
    )
    report.say(
        f"{total.operations:,} operations by four threads, seeds {seed} to {last - 1}; "
        f"the manager called out {sum(total.points.values()):,} times, {sum(total.faults.values()):,} faults were put there."
    )
    for title, counted in (("leases ended", total.ended), ("faults and cancels", _by_kind(total.faults))):
        report.say(f"- {title}: " + ", ".join(f"{name} {count:,}" for name, count in counted.most_common()))


def _by_kind(faults: Counter[str]) -> Counter[str]:
    kinds: Counter[str] = Counter()
    for name, count in faults.items():
        kinds[name.split(" at ")[0]] += count
    return kinds
