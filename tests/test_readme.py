"""The README is true: every command in it is run, in its order, by this test."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.startup import fetch, free_port
from tests.catalog.hub import running
from tests.checkpoints_language import tiny_chat

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A new user's machine, with a hub on this machine that serves one small model under the README's name."""
    home = tmp_path_factory.mktemp("home")
    folder = tiny_chat()
    with running() as (hub, address):
        hub.repos["Qwen/Qwen3-0.6B"] = {
            file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()
        }
        yield {
            **os.environ,
            "STUDIO_DATA": str(home / "data"),
            "HF_HOME": str(home / "hub"),
            "HF_ENDPOINT": address,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
            "HOME_OF_THE_TEST": str(home),
        }


def run(
    command: str, environment: dict[str, str], port: int | None = None
) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    if words[:2] == ["python3", "launch.py"]:
        words = [sys.executable, str(ROOT / "launch.py"), "--skip-install", *words[2:]]
    if port is not None:
        words = [word.replace(":7860", f":{port}") for word in words]
    words = [
        word.replace("out/", environment["HOME_OF_THE_TEST"] + "/out/") if word.startswith("out/") else word
        for word in words
    ]
    words = [environment["HOME_OF_THE_TEST"] + "/out" if word == "out" else word for word in words]
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)


def test_the_readme_has_its_two_commands_first_and_last() -> None:
    assert COMMANDS[0] == "python3 launch.py"
    assert COMMANDS[-1] == "python3 launch.py test"


ONCE = [c for c in COMMANDS if c.startswith("python3 launch.py ") and c != "python3 launch.py test"]


@pytest.mark.timeout(1200)
def test_each_command_does_what_the_readme_says(environment: dict[str, str]) -> None:
    """In their order, since one goes on from what another made."""
    for command in ONCE:
        answer = run(command, environment)
        assert answer.returncode == 0, f"{command}\n{answer.stderr[-3000:]}"
        if " generate " in command:
            made = [Path(line) for line in answer.stdout.splitlines() if line]
            assert made, f"{command}\n{answer.stderr[-3000:]}"
            assert all(path.stat().st_size > 0 for path in made)


def test_the_page_starts_and_answers_every_curl_of_the_readme(environment: dict[str, str]) -> None:
    port = free_port()
    out = Path(environment["HOME_OF_THE_TEST"]) / "out"
    out.mkdir(exist_ok=True)
    command = [sys.executable, "launch.py", "--skip-install", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            assert b"Atelier" in fetch(f"http://127.0.0.1:{port}/")
            curls = [command for command in COMMANDS if command.startswith("curl ")]
            assert curls
            for curl in curls:
                answer = run(curl, environment, port)
                assert answer.returncode == 0, answer.stderr
            assert (out / "hello.mp3").read_bytes()[:3] == b"ID3"
        finally:
            server.terminate()


def test_every_file_the_readme_points_to_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [link for link in links if not link.startswith("http") and not (ROOT / link).exists()]
    assert missing == []
