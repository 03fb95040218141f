"""The launcher: set-up that repairs itself, the right torch for the machine, and nothing needed before it runs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import launch

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A launcher whose environment lies in a temporary folder and whose pip only takes notes."""
    venv = tmp_path / ".venv"
    monkeypatch.setattr(launch, "ROOT", tmp_path)
    monkeypatch.setattr(launch, "VENV", venv)
    monkeypatch.setattr(launch, "PYTHON", venv / "bin" / "python")
    monkeypatch.setattr(launch, "STAMP", venv / "atelier-ready.json")
    monkeypatch.delenv("TORCH_COMMAND", raising=False)
    calls: list[list[str]] = []

    def pip(*arguments: str) -> None:
        calls.append(list(arguments))

    def make_venv() -> None:
        (venv / "bin").mkdir(parents=True, exist_ok=True)
        (venv / "bin" / "python").touch()

    monkeypatch.setattr(launch, "pip", pip)
    monkeypatch.setattr(launch, "make_venv", make_venv)
    monkeypatch.setattr(launch, "find_browser", lambda: "/usr/bin/chromium")
    return calls


def test_the_second_run_installs_nothing(sandbox: list[list[str]]) -> None:
    launch.prepare(testing=False)
    assert len(sandbox) == 2
    sandbox.clear()
    launch.prepare(testing=False)
    assert sandbox == []


def test_an_interrupted_set_up_is_finished_by_the_next_run(
    sandbox: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    noting = launch.pip

    def stopped(*arguments: str) -> None:
        if str(launch.REQUIREMENTS) in arguments:
            raise KeyboardInterrupt
        noting(*arguments)

    monkeypatch.setattr(launch, "pip", stopped)
    with pytest.raises(KeyboardInterrupt):
        launch.prepare(testing=False)
    monkeypatch.setattr(launch, "pip", noting)
    sandbox.clear()
    launch.prepare(testing=False)
    assert ["install", "-r", str(launch.REQUIREMENTS)] in sandbox


def test_changed_requirements_are_installed(
    sandbox: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    launch.prepare(testing=False)
    changed = tmp_path / "requirements.txt"
    changed.write_text(launch.REQUIREMENTS.read_text() + "\nanother\n")
    monkeypatch.setattr(launch, "REQUIREMENTS", changed)
    sandbox.clear()
    launch.prepare(testing=False)
    assert ["install", "-r", str(changed)] in sandbox


def test_tests_add_only_their_own_packages(sandbox: list[list[str]]) -> None:
    launch.prepare(testing=False)
    sandbox.clear()
    launch.prepare(testing=True)
    assert sandbox == [["install", "-r", str(launch.TEST_REQUIREMENTS)]]


def test_the_tests_bring_a_browser_where_there_is_none(
    sandbox: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[str] = []
    monkeypatch.setattr(launch, "find_browser", lambda: "".join(installed))
    monkeypatch.setattr(launch, "install_browser", lambda: installed.append("/usr/bin/chromium"))
    launch.prepare(testing=False)
    assert installed == []
    launch.prepare(testing=True)
    launch.prepare(testing=True)
    assert installed == ["/usr/bin/chromium"]


def test_a_browser_that_cannot_be_had_is_a_failure_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "find_browser", lambda: "")
    monkeypatch.setattr(launch.subprocess, "run", lambda *arguments, **options: None)
    with pytest.raises(launch.SetupError, match="Chromium or Chrome"):
        launch.install_browser()


def test_torch_command_replaces_the_torch_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_COMMAND", "pip install torch==2.13.0+cu126 --index-url https://example.org/whl")
    assert launch.torch_command().arguments == [
        "install",
        "torch==2.13.0+cu126",
        "--index-url",
        "https://example.org/whl",
    ]


@pytest.mark.parametrize(
    ("system", "programs", "index"),
    [
        ("Linux", {"nvidia-smi"}, None),
        ("Windows", {"nvidia-smi"}, "cu130"),
        ("Linux", {"rocminfo"}, "rocm7.2"),
        ("Linux", set(), "cpu"),
        ("Darwin", set(), None),
        ("Windows", set(), None),
    ],
)
def test_each_machine_gets_its_torch(
    monkeypatch: pytest.MonkeyPatch, system: str, programs: set[str], index: str | None
) -> None:
    monkeypatch.delenv("TORCH_COMMAND", raising=False)
    monkeypatch.setattr(launch.platform, "system", lambda: system)
    monkeypatch.setattr(launch, "works", lambda command: command[0] in programs)
    monkeypatch.setattr(launch, "reachable", lambda url: True)
    arguments = launch.torch_command().arguments
    assert arguments[:2] == ["install", "torch==2.13.0"]
    assert arguments[2:] == (["--extra-index-url", f"{launch.WHEELS}/{index}"] if index else [])


def test_the_launcher_needs_only_the_standard_library() -> None:
    """It runs before anything is installed."""
    tree = ast.parse((ROOT / "launch.py").read_text())
    names = {
        name.split(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        )
    }
    assert names <= set(sys.stdlib_module_names)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "launch.py", "--skip-install", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_help_lists_every_command() -> None:
    answer = run("--help")
    assert answer.returncode == 0
    for command in ("generate", "models", "doctor", "bench", "test", "--listen", "--share"):
        assert command in answer.stdout


def test_an_unknown_command_is_named_and_fails() -> None:
    answer = run("genrate")
    assert answer.returncode == 1
    assert "genrate" in answer.stderr


def test_an_unknown_flag_fails_with_exit_code_1() -> None:
    assert run("--no-such-flag").returncode == 1
