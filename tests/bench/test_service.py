"""The event loop is free for everybody, however long the line is."""

from __future__ import annotations

import subprocess
import sys

from studio.settings import ROOT


def test_the_bench_of_the_service_runs_and_holds_its_bar() -> None:
    """At its smallest size, in a process of its own as people start it."""
    size = ["--waiting", "60", "--watchers", "6", "--changes", "12"]
    command = [sys.executable, "-m", "tests.bench.service", *size]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "computed on the loop in one turn" in done.stdout
