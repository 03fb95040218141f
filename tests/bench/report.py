"""What every benchmark prints: the machine, medians with their spread, ratios to a baseline of the same run."""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Callable, Sequence

import psutil


def machine() -> str:
    """One line about where the figures come from."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{platform.system()} {platform.machine()}, {psutil.cpu_count()} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}"
    )


def parser(description: str, *, runs: int = 5) -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument("--runs", type=int, default=runs, help="counted runs of each, in turn")
    return arguments


def row(name: str, values: Sequence[float], baseline: Sequence[float] | None = None, unit: str = "s") -> str:
    """A table row: median, smallest and largest, and the ratio of medians to the baseline."""
    middle = statistics.median(values)
    ratio = f"{middle / statistics.median(baseline):.2f}×" if baseline else ""
    return f"| {name} | {middle:.3g} {unit} | {min(values):.3g}–{max(values):.3g} | {ratio} |"


HEADER = "| what | median | from–to | ratio |\n|---|---|---|---|"


def in_turn(runs: int, *tasks: Callable[[], None]) -> None:
    """Run the tasks A B C A B C …, so that a drift of the machine's speed meets all alike."""
    for _ in range(runs):
        for task in tasks:
            task()
