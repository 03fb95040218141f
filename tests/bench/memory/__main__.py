"""`python3 launch.py bench memory [PART …] [--fuzz N] [--small]`: what the memory manager promises, measured.

Without a part: everything but `chain`, which writes and runs 8 GB of models. Fails when a bar is missed.
"""

from __future__ import annotations

import argparse
import importlib
import sys

from tests.bench.report import Report

PARTS = {
    "policy": "who leaves, beside the offline optimum and simple rules",
    "queue": "the order of jobs",
    "hits": "what a lease costs when everything is there, and what leaving costs",
    "swaps": "a thousand swaps of real modules",
    "fuzz": "random use with faults and cancels at every step",
    "chain": "language model, picture, speech and video under a budget smaller than their sum",
    "gpu": "what needs a GPU",
}


def main(argv: list[str]) -> int:
    arguments = argparse.ArgumentParser(prog="bench memory", description=__doc__)
    arguments.add_argument(
        "parts", nargs="*", metavar="PART", help="; ".join(f"{k}: {v}" for k, v in PARTS.items())
    )
    arguments.add_argument(
        "--fuzz", type=int, default=0, metavar="N", help="random operations, 1000000 takes minutes"
    )
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--small", action="store_true", help="of each part a little, to see that it runs")
    asked = arguments.parse_args(argv)
    if unknown := set(asked.parts) - set(PARTS):
        arguments.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    default = ["fuzz"] if asked.fuzz else [name for name in PARTS if name != "chain"]
    parts = asked.parts or default
    report = Report(f"parts: {', '.join(parts)}")
    for name in parts:
        report.say(f"## {name}: {PARTS[name]}")
        part = importlib.import_module(f"tests.bench.memory.{name}")
        if name == "fuzz":
            part.tell(report, asked.fuzz or (2_000 if asked.small else 100_000), asked.seed)
        else:
            part.tell(report, **(part.SMALL if asked.small else {}))
    return report.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
