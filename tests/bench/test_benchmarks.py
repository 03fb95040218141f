"""Benchmarks do not rot: each one that a document shows runs here at its smallest size."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import bench

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "assets").rglob("README.md")),
]


def shown() -> dict[str, str]:
    """Every benchmark a document names → the document."""
    found = {}
    for document in DOCUMENTS:
        for name in re.findall(r"launch\.py bench (\w+)", document.read_text()):
            found.setdefault(name, document.name)
    return found


def test_every_benchmark_is_shown_somewhere_and_can_be_had_small() -> None:
    assert set(shown()) == set(bench.NAMES) == set(bench.SMALLEST)


def test_the_documents_show_only_what_there_is() -> None:
    """Of `bench memory` the parts too."""
    from tests.bench.memory.__main__ import PARTS

    words = " ".join(document.read_text() for document in DOCUMENTS)
    parts = set(re.findall(r"bench memory ([a-z]+)`", words))
    assert parts <= set(PARTS)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", sorted(bench.NAMES))
def test_it_runs_at_its_smallest_size(name: str) -> None:
    command = [sys.executable, "-m", bench.NAMES[name], *bench.SMALLEST[name]]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1400)
    assert "Traceback" not in ran.stderr, ran.stderr[-3000:]
    assert re.search(r"^\|.*\|$", ran.stdout, re.MULTILINE), ran.stdout + ran.stderr[-3000:]
    # a bar of seconds says nothing at this size and on a busy machine; a bar of promises does
    assert ran.returncode == 0 or name not in bench.JUDGED, ran.stdout[-6000:]
