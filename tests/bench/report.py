"""The one form of every benchmark: the machine, medians with their spread and ratio, then the bars.

A `Report` prints each line as it comes. `report.end()` is the exit code: 1 when a bar was missed.
"""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

HEADER = "| what | median | from–to | ratio |\n|---|---|---|---|"
BARS = "| bar | allowed | measured | |\n|---|---|---|---|"


class Report:
    """What a benchmark tells. Figures that follow each other are one table, and so are bars; anything else ends it."""

    def __init__(self, about: str) -> None:
        self.missed: list[str] = []
        self._lines: list[str] = []
        self._table = ""
        self.say(f"{machine()}; {about}.")

    def figure(
        self, name: str, values: Sequence[float], baseline: Sequence[float] | None = None, unit: str = "s"
    ) -> None:
        """A row: median, smallest and largest, and the ratio of medians to the baseline's, measured in the same run."""
        self._row(HEADER, row(name, values, baseline, unit))

    def bar(self, name: str, allowed: str, measured: str, held: bool) -> None:
        """A row of what was promised; one that is not held makes the benchmark fail."""
        if not held:
            self.missed.append(name)
        self._row(BARS, bar(name, allowed, measured, held))

    def say(self, text: str) -> None:
        """A line, a heading or a table of its own."""
        if self._lines:
            self._add("")
        self._table = ""
        self._add(text)

    def text(self) -> str:
        return "\n".join(self._lines)

    def end(self) -> int:
        return 1 if self.missed else 0

    def _row(self, header: str, row: str) -> None:
        if self._table != header:
            self.say(header)
            self._table = header
        self._add(row)

    def _add(self, line: str) -> None:
        print(line, flush=True)
        self._lines.append(line)


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
    middle, base = statistics.median(values), statistics.median(baseline or [0.0])
    ratio = f"{middle / base:.2f}×" if base else ""
    return f"| {name} | {_short(middle)} {unit} | {_short(min(values))}–{_short(max(values))} | {ratio} |"


def _short(value: float) -> str:
    """Three digits of it, and never as a power of ten."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def bar(name: str, allowed: str, measured: str, held: bool) -> str:
    return f"| {name} | {allowed} | {measured} | {'held' if held else 'MISSED'} |"


def in_turn(runs: int, *tasks: Callable[[], None]) -> None:
    """Run the tasks A B C A B C …, so that a drift of the machine's speed meets all alike."""
    for _ in range(runs):
        for task in tasks:
            task()


def write_between(file: Path, mark: str, text: str) -> None:
    """Put a benchmark's figures into its document, between `<!-- mark -->` and `<!-- end of mark -->`."""
    head, opened, rest = file.read_text().partition(f"<!-- {mark} -->\n")
    _, closed, tail = rest.partition(f"<!-- end of {mark} -->")
    assert opened, f"{file} has no place for {mark}"
    assert closed, f"{file} does not end the place for {mark}"
    file.write_text(f"{head}{opened}\n{text.strip()}\n\n{closed}{tail}")
