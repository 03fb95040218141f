"""Serving from outside: a taken port, a clean end, a link that cannot be made."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.bench.startup import fetch, free_port

ROOT = Path(__file__).resolve().parents[2]


def command(port: int, data: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        "launch.py",
        "--skip-install",
        "--port",
        str(port),
        "--data-dir",
        str(data),
        *more,
    ]


def test_a_taken_port_is_told_in_three_lines_and_fails(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        answer = subprocess.run(command(port, tmp_path), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[0] == f"Port {port} on 127.0.0.1 cannot be used."
    assert "Traceback" not in answer.stderr


def test_a_public_link_that_cannot_be_made_leaves_the_studio_serving_behind_a_login(tmp_path: Path) -> None:
    port = free_port()
    # the share server's address points nowhere, so that this machine's network does not matter
    environment = {**os.environ, "GRADIO_SHARE_SERVER_ADDRESS": f"127.0.0.1:{free_port()}"}
    with subprocess.Popen(
        command(port, tmp_path, "--share"), cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            said = ""
            for line in server.stdout:
                said += line
                if "could not be made" in line:
                    break
            assert "could not be made" in said
            assert "password" in said.lower()
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/jobs", timeout=60)
            assert refused.value.code == 401
        finally:
            server.terminate()


def test_a_terminated_studio_leaves_no_process_behind(tmp_path: Path) -> None:
    port = free_port()
    with subprocess.Popen(command(port, tmp_path), cwd=ROOT, stdout=subprocess.DEVNULL) as server:
        fetch(f"http://127.0.0.1:{port}/api/memory")
        children = psutil.Process(server.pid).children(recursive=True)
        assert children
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=60) == 0
        _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
