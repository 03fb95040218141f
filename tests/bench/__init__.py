"""Benchmarks: `python3 launch.py bench NAME`. Each prints medians and ratios against a baseline in the same run."""

NAMES = {
    "startup": "tests.bench.startup",
    "overhead": "tests.bench.overhead",
    "memory": "tests.bench.memory",
    "interpolation": "tests.bench.interpolation",
    "hostile": "tests.bench.hostile",
    "faults": "tests.bench.faults",
    "reader": "tests.bench.reader",
    "service": "tests.bench.service",
    "starter": "pipelines.training.bench",
}
