"""The command line behind `launch.py`: one line a command, each imported only when asked for.

`--help`, `--version` and `doctor` need the standard library alone, since people ask for them before anything is installed.
Exit codes: 0 done, 1 an explained error, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable

from pipelines.errors import StudioError

USAGE = """\
python3 launch.py [flags]                       start the studio at http://127.0.0.1:7860
python3 launch.py generate MODALITY "prompt"    make something without the page
python3 launch.py models list|add|download|remove
python3 launch.py keys add|list|revoke NAME     keys for programs, where the studio has a login
python3 launch.py backup [FOLDER]               copy the data folder, also while the studio runs
python3 launch.py restore FOLDER                put a backup into a new data folder
python3 launch.py doctor                        what this machine has, what fits, what is wrong
python3 launch.py train NAME                    make a starter model again
python3 launch.py bench NAME                    measure
python3 launch.py test [pytest arguments]       run the whole test suite; --lint: without the tests; --coverage: what they reach

Add --help after a command for its flags."""


def main(argv: list[str]) -> int:
    """Run one command; the first word names it, and without one the studio starts."""
    if argv[:1] in (["-h"], ["--help"], ["help"]):
        print(USAGE + "\n")
        argv = ["serve", "--help"]
    name, rest = (argv[0], argv[1:]) if argv and argv[0] in COMMANDS else ("serve", argv)
    if argv and not argv[0].startswith("-") and argv[0] not in COMMANDS:
        print(f"There is no command {argv[0]!r}.\n\n{USAGE}", file=sys.stderr)
        return 1
    try:
        return COMMANDS[name](rest)
    except KeyboardInterrupt:
        return 130
    except SystemExit as stop:  # argparse: 0 after --help, 2 for a wrong flag
        return 0 if stop.code in (0, None) else 1
    except StudioError as error:
        print(error.problem(), file=sys.stderr)
        return 1


def parser(name: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"launch.py {name}".removesuffix(" serve"),
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )


def serve(argv: list[str]) -> int:
    from studio.flags import add_arguments

    arguments = parser("serve", "Start the studio and its page.")
    add_arguments(arguments)
    told = arguments.parse_args(argv)
    from studio.cli.serve import main as run
    from studio.settings import Settings

    return run(Settings.from_args(told))


def generate(argv: list[str]) -> int:
    from studio.cli.generate import main as run

    return run(argv)


def models(argv: list[str]) -> int:
    from studio.cli.models import main as run

    return run(argv)


def keys(argv: list[str]) -> int:
    from studio.cli.keys import main as run

    return run(argv)


def doctor(argv: list[str]) -> int:
    from studio.cli.doctor import main as run
    from studio.flags import add_arguments

    arguments = parser("doctor", "Tell what this machine has, what fits, what is wrong and how to mend it.")
    arguments.add_argument("--json", action="store_true", help="as JSON, to go with a report of a fault")
    add_arguments(arguments)
    return run(arguments.parse_args(argv))


def backup(argv: list[str]) -> int:
    from studio.cli.backup import main_backup

    return main_backup(argv)


def restore(argv: list[str]) -> int:
    from studio.cli.backup import main_restore

    return main_restore(argv)


def train(argv: list[str]) -> int:
    return module("pipelines.training", argv)


def bench(argv: list[str]) -> int:
    return module("tests.bench", argv)


def test(argv: list[str]) -> int:
    """Lint, types and the suite; with --lint without the suite, with --coverage the suite alone and what it reaches; with other
    arguments, pytest alone with those."""
    if argv and argv not in (["--lint"], ["--coverage"]):
        return module("pytest", argv)
    steps = {"--lint": LINT, "--coverage": COVERAGE}.get("".join(argv), (*LINT, *SUITE))
    failed = [f"{name} {' '.join(rest)}".strip() for name, rest in steps if module(name, rest) != 0]
    if failed:
        print(f"\nFailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


LINT: tuple[tuple[str, list[str]], ...] = (
    ("ruff", ["check", "."]),
    ("ruff", ["format", "--check", "."]),
    ("mypy", []),
)
SUITE: tuple[tuple[str, list[str]], ...] = (
    # two processes, each with the same tests in the same order every time: tests/conftest.py says which
    ("pytest", ["--ignore=tests/e2e", "--numprocesses=2", "--dist=loadgroup"]),
    ("pytest", ["tests/e2e"]),  # alone, as a browser is slow beside other work
)
COVERAGE: tuple[tuple[str, list[str]], ...] = (
    ("coverage", ["run", "-m", "pytest", "--ignore=tests/bench", "--ignore=tests/e2e"]),
    ("coverage", ["report"]),
)


def module(name: str, argv: list[str]) -> int:
    """Run `python -m name argv` with the project at the front of the path; its exit code."""
    from studio.flags import ROOT

    print(f"▸ python -m {name} {' '.join(argv)}", file=sys.stderr, flush=True)
    return subprocess.call([sys.executable, "-m", name, *argv], cwd=ROOT, env=os.environ)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "serve": serve,
    "generate": generate,
    "models": models,
    "keys": keys,
    "backup": backup,
    "restore": restore,
    "doctor": doctor,
    "train": train,
    "bench": bench,
    "test": test,
}
