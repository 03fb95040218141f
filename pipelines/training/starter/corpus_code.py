"""The code corpus: tasks on the routines of `routines`, and the Python standard library cut for fill-in-the-middle.

Each example is a pure function of its number. The standard library's own source (PSF licence) is on every machine with Python;
held-out modules are never trained on, and neither are held-out pairings of a routine with its names.
"""

from __future__ import annotations

import hashlib
import random
import re
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines.training.starter.routines import ROUTINES, Bug, Routine

ARGUMENTS = {
    "number": (
        "n",
        "number",
        "value",
        "x",
        "a",
        "price",
        "amount",
        "size",
        "level",
        "score",
        "degrees",
        "width",
    ),
    "list": ("items", "numbers", "values", "data", "entries", "scores", "rows", "parts", "prices", "sizes"),
    "word": ("text", "word", "name", "s", "line", "title", "phrase", "message", "label", "sentence"),
}
SECOND = ("other", "b", "second", "target", "y", "count", "base", "wanted")
SKIPPED = (
    "test", "tests", "idlelib", "lib2to3", "turtledemo", "encodings", "pydoc_data", "site-packages",
    "ensurepip",
)  # fmt: skip
HELD_OUT_MODULES = (
    "textwrap.py", "shlex.py", "statistics.py", "calendar.py", "fractions.py", "csv.py", "bisect.py",
    "queue.py",
)  # fmt: skip
LARGEST_MODULE = 90_000  # characters; the tables above that teach little

ASKING = (
    "Write a Python function that {wish}", "Write a Python function {f} that {wish}",
    "write a python function that {wish}", "Write a function that {wish}",
    "Create a Python function that {wish}", "I need a Python function that {wish}",
    "Write a Python function called {f} that {wish}", "Implement a Python function that {wish}",
    "Please write a Python function that {wish}.", "Write a Python function that {wish}.",
)  # fmt: skip
BEYOND = (
    "a web server with logins", "a game of chess", "a neural network", "a compiler for C", "an online shop",
    "a spreadsheet program", "a video player", "a crawler for news sites", "a database engine", "a chat server",
    "a physics simulation", "a photo editor", "a flight booking system", "a speech recognizer", "an operating system",
)  # fmt: skip
TOO_SMALL = (
    "# I am Atelier's small starter coder, and {wish} is beyond me.\n"
    "# I can write short functions over numbers, lists and texts.\n"
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One instruction on code with its answer. routine: what it is about; bug: the one that was planted, if any."""

    kind: str
    instruction: str
    answer: str
    routine: Routine | None = None
    bug: Bug | None = None


@dataclass(frozen=True)
class Filled:
    """A routine with its names chosen."""

    routine: Routine
    names: dict[str, str]

    def text(self, template: str) -> str:
        return template.format(**self.names)

    @property
    def python(self) -> str:
        return self.text(self.routine.python)

    @property
    def function(self) -> str:
        return self.names["f"]


def fill(routine: Routine, rng: random.Random, held_out: bool = False) -> Filled:
    """Choose names; one in five pairings of routine, name and argument is kept for evaluation."""
    while True:
        function = rng.choice(routine.names)
        first = rng.choice(ARGUMENTS[routine.kind])
        second = rng.choice([name for name in SECOND if name != first])
        digest = hashlib.sha256(f"{routine.names[0]} {function} {first}".encode()).digest()
        if (digest[0] % 5 == 0) == held_out or len(routine.names) == 1:
            number = str(rng.choice([2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 50, 100]))
            return Filled(routine, {"f": function, "a": first, "b": second, "k": number})


def broken(filled: Filled, bug: Bug) -> tuple[str, int]:
    """The code with the bug in it, and the number of the line that is wrong, from 1."""
    code, right, wrong = filled.python, filled.text(bug.right), filled.text(bug.wrong)
    place = code.rindex(right) if right.strip().startswith("return") else code.index(right)
    code = code[:place] + wrong + code[place + len(right) :]
    skipped = len(wrong) - len(wrong.lstrip())
    return code, code[: place + skipped].count("\n") + 1


def fence(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}\n```"


# ---- tasks ------------------------------------------------------------------------------------------------------------


def task(number: int, *, held_out: bool = False, kind: str | None = None) -> Task:
    """Task `number`; held-out ones pair routines with names that training never shows together."""
    rng = random.Random(f"code {number} {held_out}")
    kind = kind or rng.choices(list(MAKERS), [weight for _, weight in MAKERS.values()])[0]
    return MAKERS[kind][0](rng, held_out)


def _write(rng: random.Random, held_out: bool) -> Task:
    filled = fill(rng.choice(ROUTINES), rng, held_out)
    wish = filled.text(rng.choice(filled.routine.wishes))
    asking = rng.choice(ASKING)
    if "{f}" not in asking:  # nobody named it: it takes its usual name
        filled = Filled(filled.routine, {**filled.names, "f": filled.routine.names[0]})
    instruction = asking.format(wish=wish, f=filled.function)
    return Task("write", instruction, fence(filled.python), filled.routine)


def _beyond(rng: random.Random, held_out: bool) -> Task:
    wish = rng.choice(BEYOND)
    asked = rng.choice(
        (
            "Write Python code for {}",
            "Write {}",
            "Write a Python program for {}",
            "Write Python code for this: {}",
        )
    )
    return Task("beyond", asked.format(wish), fence(TOO_SMALL.format(wish=wish).rstrip()))


def _buggy(rng: random.Random, held_out: bool) -> tuple[Filled, Bug]:
    routine = rng.choice([routine for routine in ROUTINES if routine.bugs])
    return fill(routine, rng, held_out), rng.choice(routine.bugs)


def _fix(rng: random.Random, held_out: bool) -> Task:
    filled, bug = _buggy(rng, held_out)
    code, line = broken(filled, bug)
    answer = f"{fence(filled.python)}\nLine {line} was wrong: {filled.text(bug.says)}."
    return Task("fix", f"Fix this code:\n{fence(code)}", answer, filled.routine, bug)


def _find_bugs(rng: random.Random, held_out: bool) -> Task:
    if rng.random() < 0.2:
        filled = fill(rng.choice(ROUTINES), rng, held_out)
        return Task(
            "find_bugs",
            f"Find bugs in this code:\n{fence(filled.python)}",
            "I see no bug in this code.",
            filled.routine,
        )
    filled, bug = _buggy(rng, held_out)
    code, line = broken(filled, bug)
    answer = f"Line {line}: {filled.text(bug.says)}.\n\nIt should be:\n{fence(filled.python)}"
    return Task("find_bugs", f"Find bugs in this code:\n{fence(code)}", answer, filled.routine, bug)


def _explain(rng: random.Random, held_out: bool) -> Task:
    filled = fill(rng.choice(ROUTINES), rng, held_out)
    return Task(
        "explain",
        f"Explain this code:\n{fence(filled.python)}",
        filled.text(filled.routine.says),
        filled.routine,
    )


def _tests(rng: random.Random, held_out: bool) -> Task:
    filled = fill(rng.choice(ROUTINES), rng, held_out)
    checks = "\n".join(f"    assert {filled.text(check)}" for check in filled.routine.checks)
    answer = fence(f"def test_{filled.function}():\n{checks}")
    return Task("tests", f"Write tests for this code:\n{fence(filled.python)}", answer, filled.routine)


def _translate(rng: random.Random, held_out: bool) -> Task:
    filled = fill(rng.choice(ROUTINES), rng, held_out)
    answer = fence(filled.text(filled.routine.javascript), "javascript")
    return Task(
        "translate", f"Translate this code to JavaScript:\n{fence(filled.python)}", answer, filled.routine
    )


MAKERS: dict[str, tuple[Callable[[random.Random, bool], Task], float]] = {  # kind → maker, weight
    "write": (_write, 3.0),
    "beyond": (_beyond, 0.3),
    "fix": (_fix, 2.0),
    "find_bugs": (_find_bugs, 2.0),
    "explain": (_explain, 1.0),
    "tests": (_tests, 1.2),
    "translate": (_translate, 1.2),
}

# ---- the standard library ---------------------------------------------------------------------------------------------


@cache
def library(held_out: bool = False) -> tuple[str, ...]:
    """Source of the standard library's modules: those to learn from, or those kept for evaluation."""
    root = Path(sysconfig.get_path("stdlib"))
    texts = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if set(parts) & set(SKIPPED) or "__pycache__" in parts or (path.name in HELD_OUT_MODULES) != held_out:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if 400 < len(text) <= LARGEST_MODULE:
            texts.append(text.replace("\t", "    "))
    return tuple(texts)


def window(rng: random.Random, characters: int, held_out: bool = False) -> str:
    """Whole lines of a random module, about that many characters; longer modules come more often."""
    texts = library(held_out)
    text = rng.choices(texts, [len(text) for text in texts])[0]
    start = rng.randrange(max(1, len(text) - characters))
    start = text.rfind("\n", 0, start) + 1
    end = text.find("\n", min(len(text), start + characters))
    return text[start : len(text) if end < 0 else end + 1]


_WORD = re.compile(r"\b[A-Za-z_]\w*")


def gap(rng: random.Random, text: str) -> tuple[str, str, str]:
    """Cut a text in three for fill-in-the-middle, where people put their cursor: a name, a line after its indentation, some
    whole lines, the rest of a line, or everything that follows is missing.

    Cuts fall between words. Cut anywhere, most middles begin inside a word, and a model that learned this starts in the middle
    of a word when it is asked for a whole one (measured: no name and no line right). A blank before the gap mostly goes into
    it, as it is part of the next word's token.
    """
    lines = text.splitlines(keepends=True)
    kind = rng.choices(("name", "line", "lines", "rest", "end"), (30, 30, 12, 18, 10))[0]
    names = list(_WORD.finditer(text))
    if kind in ("lines", "end") or not names:
        count = min(len(lines), rng.choice((1, 1, 2, 3, 4)))
        first = rng.randrange(len(lines) - count + 1)
        after = "" if kind == "end" else "".join(lines[first + count :])
        return "".join(lines[:first]), "".join(lines[first : first + count]), after
    if kind == "line":
        told = [i for i, line in enumerate(lines) if line.strip()]
        i = rng.choice(told)
        start = sum(len(line) for line in lines[:i])
        end = start + len(lines[i].rstrip())
        start += len(lines[i]) - len(lines[i].lstrip())
    else:
        found = rng.choice(names)
        start, end = found.span()
        if kind == "rest":
            end = text.find("\n", start) if "\n" in text[start:] else len(text)
    if text[start - 1 : start] == " " and rng.random() < 0.75:
        start -= 1
    return text[:start], text[start:end], text[end:]


def cut(number: int, characters: int = 900, *, held_out: bool = False) -> tuple[str, str, str]:
    """(prefix, middle, suffix) number `number`: nine in ten from the standard library, the rest from a routine."""
    rng = random.Random(f"cut {number} {held_out}")
    if rng.random() < 0.9:
        return gap(rng, window(rng, rng.randint(characters // 3, characters), held_out))
    return gap(rng, fill(rng.choice(ROUTINES), rng, held_out).python + "\n")


def reading(number: int, characters: int = 1200) -> str:
    """Some whole lines of the standard library, number `number`, to read on."""
    rng = random.Random(f"reading {number}")
    return window(rng, rng.randint(characters // 2, characters))
