"""The starter models' scores against their bars: `python3 launch.py bench starter [image|text|code] [--small]`.

The scoring is `pipelines/training/starter/bench.py`, which also writes the model cards; here its tables are read as bars.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import time
from collections.abc import Iterator

from pipelines.training.starter import bench
from tests.bench.report import Report

MEASURED = ("measured", "seen combinations", "held-out combinations")


def main(argv: list[str]) -> int:
    flags = [word for word in argv if word.startswith("-")]
    names = [word for word in argv if not word.startswith("-")] or list(bench.EVALUATIONS)
    report = Report(f"starter models: {', '.join(names)}")
    for name in names:
        told, started = io.StringIO(), time.perf_counter()
        with contextlib.redirect_stdout(told):
            bench.main([name, *flags])
        report.say(told.getvalue().strip())
        report.figure(f"starter/{name}, scored in", [time.perf_counter() - started])
        for what, allowed, measured, held in bars(told.getvalue()):
            report.bar(f"starter/{name}, {what}", allowed, measured, held)
    return report.end()


def bars(markdown: str) -> Iterator[tuple[str, str, str, bool]]:
    """(what, allowed, measured, whether it held) of every score in the tables that has a bar."""
    columns: list[str] = []
    for line in markdown.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if "bar" in cells:
            columns = cells
        elif len(cells) == len(columns) and not cells[0].startswith("---"):
            row = dict(zip(columns, cells, strict=True))
            for column in MEASURED:
                if row["bar"] and row.get(column):
                    where = cells[0] if column == "measured" else f"{cells[0]}, {column}"
                    yield where, row["bar"], row[column], holds(row["bar"], row[column])


def holds(allowed: str, measured: str) -> bool:
    """`38 % (n-gram 28 %)` is above, `0 %` is 0 % at most, anything else at least its number."""
    found, bound = numbers(measured), numbers(allowed)
    if allowed == "above":
        return found[0] > found[1]
    return found[0] <= 0 if bound[0] == 0 else found[0] >= bound[0]


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
