"""docs/api.md is true: its examples run, from top to bottom, and no route is left out."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from studio.studio import Studio
from tests.api.conftest import application

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
SCRIPT = "\n".join(re.findall(r"```bash\n(.*?)```", DOCS, re.DOTALL))


def test_every_example_runs(address: str, tmp_path: Path) -> None:
    script = SCRIPT.replace("http://127.0.0.1:7860", address)
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    assert (tmp_path / "speech.mp3").read_bytes()[:3] == b"ID3"
    assert (tmp_path / "three.flac").read_bytes()[:4] == b"fLaC"


def test_every_route_has_an_example(studio: Studio) -> None:
    asked = {re.sub(r"\$\w+", "x", word) for word in re.findall(r"\$STUDIO(/[\w/$.-]*)", SCRIPT)}
    paths = {path for path in application(studio).openapi()["paths"] if not path.endswith("/content")}
    assert len(paths) > 15
    for path in paths:
        pattern = re.sub(r"\{\w+\}", "[^/]+", path.replace(":path", ""))
        assert any(re.fullmatch(pattern, word) for word in asked), path
