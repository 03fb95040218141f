"""Benchmarks do not rot: each one that a document shows runs here at its smallest size."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import bench
from tests.bench.report import BARS, HEADER, machine

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


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(bench.NAMES))
def test_it_runs_at_its_smallest_size_in_the_common_form(
    name: str, capfd: pytest.CaptureFixture[str], one_thread_as_before: None
) -> None:
    code, told = run_apart(name) if name in bench.APART else run_here(name, capfd)
    assert told.startswith(machine()), told
    assert HEADER in told, told
    assert BARS in told, told
    assert code == int("| MISSED |" in told), told
    # a bar of seconds says nothing at this size and on a busy machine; a bar of promises does
    assert code == 0 or name not in bench.JUDGED, told[-6000:]


def run_here(name: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """In this process: what they need is imported once."""
    code = main_of(name)(bench.SMALLEST[name])
    return code, capfd.readouterr().out


def run_apart(name: str) -> tuple[int, str]:
    """As people start it."""
    command = [sys.executable, "-m", "tests.bench", name, *bench.SMALLEST[name]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done.returncode, done.stdout


def main_of(name: str) -> Callable[[list[str]], int]:
    """What `launch.py bench NAME` runs."""
    module = bench.NAMES[name]
    if hasattr(importlib.import_module(module), "__path__"):
        module += ".__main__"
    main: Callable[[list[str]], int] = importlib.import_module(module).main
    return main


@pytest.fixture
def one_thread_as_before() -> Iterator[None]:
    """Benchmarks of the memory manager give torch one thread; the next test finds as many as there were."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
