"""The launcher: set-up that repairs itself, the right torch for the machine, and nothing needed before it runs."""

from __future__ import annotations

import ast
import json
import os
import shutil
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
    monkeypatch.setattr(launch, "LOG", venv / "setup.log")
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


# ---- before anything is installed ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fresh_clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own files, as a newcomer has them."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("launch.py", "requirements.txt"):
        shutil.copy(ROOT / name, clone)
    for name in ("studio", "pipelines"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    return clone


def bare(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run its launcher in a Python without a single package (-S), as `python3 launch.py` in a fresh clone does."""
    code = (
        "import sys, launch; launch.replace_process = lambda c: launch.subprocess.call([c[0], '-S', *c[1:]])\n"
        f"sys.exit(launch.main({list(arguments)}))"
    )
    return subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=clone, capture_output=True, text=True, timeout=120
    )


def test_help_and_version_answer_in_a_fresh_clone_and_install_nothing(fresh_clone: Path) -> None:
    answer = bare(fresh_clone, "--help")
    assert answer.returncode == 0, answer.stderr
    assert "--vram-budget GB" in answer.stdout
    assert bare(fresh_clone, "--version").stdout.startswith("Atelier ")
    assert not (fresh_clone / ".venv").exists()


def test_doctor_tells_in_a_fresh_clone_what_is_not_installed_yet(fresh_clone: Path) -> None:
    answer = bare(fresh_clone, "doctor", "--json")
    assert answer.returncode == 1, answer.stderr
    found = {finding["name"]: finding for finding in json.loads(answer.stdout)["findings"]}
    assert {"Python", "Packages", "Disk", "GPU", "ffmpeg", "espeak-ng"} <= set(found)
    assert "none of" in found["Packages"]["text"]
    assert "launch.py" in found["Packages"]["mend"]
    assert not (fresh_clone / ".venv").exists()


def test_help_of_a_command_that_needs_its_packages_says_how_to_get_them(fresh_clone: Path) -> None:
    answer = bare(fresh_clone, "generate", "--help")
    assert answer.returncode == 1
    assert "python3 launch.py" in answer.stderr
    assert "Traceback" not in answer.stderr


# ---- pip in a log -------------------------------------------------------------------------------------------------------


@pytest.fixture
def noisy_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `.venv` whose python only talks as pip does, and fails when its arguments hold `broken`."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        "#!/bin/sh\necho Collecting gradio\necho WARNING: Ignoring invalid distribution\n"
        'case "$*" in *broken*) echo No space left on device; exit 1;; esac\n'
    )
    python.chmod(0o755)
    monkeypatch.setattr(launch, "PYTHON", python)
    monkeypatch.setattr(launch, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(launch, "LOG", tmp_path / ".venv" / "setup.log")
    return tmp_path / ".venv" / "setup.log"


needs_shell = pytest.mark.skipif(os.name == "nt", reason="the made-up pip is a shell script")


@needs_shell
def test_what_pip_says_is_in_the_log_and_not_on_the_screen(
    noisy_pip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    launch.pip("install", "gradio")
    assert "WARNING: Ignoring invalid distribution" in noisy_pip.read_text()
    shown = capfd.readouterr()
    assert "WARNING" not in shown.out + shown.err
    assert "done" in shown.out


@needs_shell
def test_a_set_up_that_fails_shows_the_last_lines_and_where_the_log_is(noisy_pip: Path) -> None:
    with pytest.raises(launch.SetupError) as caught:
        launch.pip("install", "broken")
    assert "No space left on device" in str(caught.value)
    assert str(noisy_pip) in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Collecting gradio<6.32,>=6.31 (from -r requirements.txt (line 10))", "looking for gradio"),
        ("Downloading torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl (175.8 MB)", "downloading torch, 175.8 MB"),
        ("  Downloading https://example.org/whl/numpy-2.4.1-cp311-cp311-linux.whl.metadata (62 kB)", "downloading numpy, 62 kB"),
        ("Installing collected packages: a, b, c", "unpacking 3 packages"),
        ("Defaulting to user installation", "starting pip"),
    ],
)  # fmt: skip
def test_the_screen_tells_pips_step_in_plain_words(line: str, words: str) -> None:
    assert launch.doing([line, "  WARNING: something"]) == words


def test_a_package_whose_writing_was_cut_off_is_installed_again(
    sandbox: list[list[str]], tmp_path: Path
) -> None:
    """pip takes any dist-info for an installed package, also the half one of a pip that was killed."""
    site = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages"
    whole, cut, empty = (site / name for name in ("a-1.dist-info", "b-1.dist-info", "c-1.dist-info"))
    for folder in (whole, cut, empty, site / "~ld", site / "b"):
        folder.mkdir(parents=True)
    for folder in (whole, cut):
        (folder / "METADATA").write_text("Metadata-Version: 2.4\nName: a\nVersion: 1\n")
    (whole / "RECORD").write_text("a/__init__.py,,\n")
    launch.prepare(testing=False)
    assert sorted(path.name for path in site.iterdir()) == ["a-1.dist-info", "b"]
    assert ["install", "-r", str(launch.REQUIREMENTS)] in sandbox
