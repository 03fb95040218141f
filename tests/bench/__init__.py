"""Benchmarks: `python3 launch.py bench NAME`. Each prints medians and ratios against a baseline in the same run."""

from __future__ import annotations

NAMES = {
    "startup": "tests.bench.startup",
    "overhead": "tests.bench.overhead",
    "memory": "tests.bench.memory",
    "interpolation": "tests.bench.interpolation",
    "hostile": "tests.bench.hostile",
    "faults": "tests.bench.faults",
    "reader": "tests.bench.reader",
    "service": "tests.bench.service",
    "starter": "tests.bench.starter",
}

SMALLEST = {
    "startup": ["--runs", "1", "--idle-seconds", "1", "--events", "3"],
    "overhead": ["--runs", "1", "--small"],
    "memory": ["policy", "queue", "hits", "swaps", "fuzz", "chain", "gpu", "--small"],
    "interpolation": ["--clips", "pan,limbs", "--size", "128x96"],
    "hostile": ["--cases", "40", "--patience", "60"],
    "faults": ["--kills", "4"],
    "reader": ["--runs", "1", "--side", "600"],
    "service": ["--waiting", "60", "--watchers", "6", "--changes", "12"],
    "starter": ["--small"],
}
"""Arguments with which each is over soon; the suite runs them all, so that none rots."""
JUDGED = ("hostile", "faults", "reader", "service", "interpolation")
"""Those whose bars hold at any size and on a busy machine: missed there is a failure of the suite."""
APART = ("service",)
"""Those that want an interpreter of their own: what else a process has loaded would be measured too."""
