"""Sources of libraries are parsed by one thread at a time."""

from __future__ import annotations

import ast
import threading
import time
from pathlib import Path

import pytest

from pipelines.catalog import classes


def test_two_threads_never_parse_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python before 3.11.8 ends one of them with a SystemError, and the job that asked fails."""
    file = tmp_path / "library.py"
    file.write_text("x = 1\n")
    parse, inside, most = ast.parse, list[int](), list[int]()

    def slow(source: str) -> ast.Module:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.02)
        inside.pop()
        return parse(source)

    monkeypatch.setattr(ast, "parse", slow)
    threads = [threading.Thread(target=classes._syntax, args=(file,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]
