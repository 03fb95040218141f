"""What `starter/code` learns from is right: every routine does what its checks say, and every planted bug is one."""

from __future__ import annotations

import ast
import random
import re
from typing import Any

import pytest

from pipelines.training.starter import corpus_code
from pipelines.training.starter.routines import ROUTINES, Routine

SEEDS = range(3)


def passes(code: str, checks: list[str]) -> bool:
    names: dict[str, Any] = {}
    try:
        exec(code, names)
        return all(eval(check, names) for check in checks)
    except (ArithmeticError, LookupError, TypeError, ValueError, NameError, AttributeError, RecursionError):
        return False


@pytest.mark.parametrize("routine", ROUTINES, ids=lambda routine: routine.names[0])
def test_every_routine_passes_its_checks_and_every_bug_breaks_one(routine: Routine) -> None:
    for seed in SEEDS:
        filled = corpus_code.fill(routine, random.Random(seed))
        checks = [filled.text(check) for check in routine.checks]
        assert passes(filled.python, checks)
        for bug in routine.bugs:
            code, line = corpus_code.broken(filled, bug)
            assert not passes(code, checks), bug
            assert code.splitlines()[line - 1] not in filled.python.splitlines(), bug


def test_every_answer_in_python_parses() -> None:
    for number in range(200):
        task = corpus_code.task(number)
        if task.kind in ("write", "fix", "tests", "beyond"):
            ast.parse(task.answer.split("```python\n")[1].split("```")[0])


def test_tasks_are_the_same_every_time_and_differ_from_each_other() -> None:
    assert corpus_code.task(7) == corpus_code.task(7)
    assert len({corpus_code.task(number).instruction for number in range(300)}) > 250


def test_held_out_tasks_pair_names_that_training_never_does() -> None:
    trained = {corpus_code.task(number, kind="explain").instruction for number in range(2000)}
    kept = {corpus_code.task(number, held_out=True, kind="explain").instruction for number in range(100)}
    several = {
        text for text in kept if not any(f"def {r.names[0]}(" in text for r in ROUTINES if len(r.names) == 1)
    }
    assert not several & trained


def test_a_gap_in_the_library_is_what_was_taken_out() -> None:
    for number in range(50):
        prefix, middle, suffix = corpus_code.cut(number, 600)
        assert middle
        text = prefix + middle + suffix
        assert any(text in module for module in corpus_code.library()) or "def " in text


def test_a_gap_begins_and_ends_between_words() -> None:
    for number in range(200):
        prefix, middle, suffix = corpus_code.cut(number, 600)
        for before, after in ((prefix, middle), (middle, suffix)):
            inside = re.search(r"\w\Z", before) and re.match(r"\w", after)
            assert not inside, (before[-20:], after[:20])


def test_held_out_modules_are_not_trained_on() -> None:
    kept = corpus_code.library(held_out=True)
    assert len(kept) == len(corpus_code.HELD_OUT_MODULES)
    assert not set(kept) & set(corpus_code.library())
