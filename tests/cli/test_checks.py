"""What `launch.py test` runs: one command for all checks, parts of it for who works, and the same for pre-commit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from studio.cli import main as cli
from tests.conftest import group_of

ROOT = Path(__file__).resolve().parents[2]
LINT = ["ruff check .", "ruff format --check .", "mypy"]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Commands that were run; those with `mypy` fail."""
    commands: list[str] = []

    def module(name: str, argv: list[str]) -> int:
        commands.append(" ".join([name, *argv]))
        return int(name == "mypy")

    monkeypatch.setattr(cli, "module", module)
    return commands


def test_without_arguments_everything_is_checked_and_one_failure_stops_nothing(
    ran: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["test"]) == 1
    assert ran == [*LINT, "pytest --ignore=tests/e2e --numprocesses=2 --dist=loadgroup", "pytest tests/e2e"]
    assert "Failed: mypy" in capsys.readouterr().err


def test_lint_is_without_the_tests(ran: list[str]) -> None:
    assert cli.main(["test", "--lint"]) == 1
    assert ran == LINT


def test_coverage_is_told_after_the_tests_it_is_of(ran: list[str]) -> None:
    assert cli.main(["test", "--coverage"]) == 0
    assert [command.split()[:2] for command in ran] == [["coverage", "run"], ["coverage", "report"]]


def test_other_arguments_are_pytests(ran: list[str]) -> None:
    assert cli.main(["test", "tests/queue", "-x"]) == 0
    assert ran == ["pytest tests/queue -x"]


def test_both_halves_of_the_suite_have_their_folders() -> None:
    assert group_of(ROOT / "tests/memory/test_manager.py") == "worker"
    assert group_of(ROOT / "tests/api/test_native.py") == group_of(ROOT / "tests/test_launch.py") == "server"


def test_contributing_and_pre_commit_name_commands_there_are(ran: list[str]) -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    told = [hook["entry"] for hook in hooks] + re.findall(
        r"python3 launch\.py test[^`\n]*", (ROOT / "CONTRIBUTING.md").read_text()
    )
    assert len(told) >= 5
    for command in told:
        cli.main(command.split()[2:])
    assert ran.count("mypy") >= 2
    files = [
        word for command in ran for word in command.split() if word.startswith("tests/") and "e2e" not in word
    ]
    assert files
    assert all((ROOT / file).exists() for file in files)


def test_a_report_of_a_fault_asks_what_the_doctor_says() -> None:
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/fault.yml").read_text())
    asked = next(part for part in form["body"] if part.get("id") == "doctor")
    assert "doctor --json" in asked["attributes"]["label"]
    assert asked["validations"]["required"]


def test_the_version_is_one() -> None:
    declared = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert declared is not None
    from studio import __version__

    assert declared[1] == __version__
    assert f"## {__version__} " in (ROOT / "CHANGELOG.md").read_text()
