"""What every benchmark prints: the machine, medians with their spread, ratios to a baseline of the same run."""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

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


BARS = "| bar | allowed | measured | |\n|---|---|---|---|"


def bar(name: str, allowed: str, measured: str, held: bool) -> str:
    """A row of a table of bars; `held` decides over the exit code."""
    return f"| {name} | {allowed} | {measured} | {'held' if held else 'MISSED'} |"


def write_between(file: Path, mark: str, text: str) -> None:
    """Put a benchmark's figures into its document, between `<!-- mark -->` and `<!-- end of mark -->`."""
    head, opened, rest = file.read_text().partition(f"<!-- {mark} -->\n")
    _, closed, tail = rest.partition(f"<!-- end of {mark} -->")
    assert opened, f"{file} has no place for {mark}"
    assert closed, f"{file} does not end the place for {mark}"
    file.write_text(f"{head}{opened}\n{text.strip()}\n\n{closed}{tail}")
