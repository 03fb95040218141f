"""How well do `starter/text` and `starter/code` do what they were taught? Scored on what training never showed.

Text: instructions with held-out names, things and phrasings. Code: held-out modules of the standard library against an n-gram
baseline, and tasks whose routines meet names they never met. Answers are sampled with the model's shipped settings.
"""

from __future__ import annotations

import ast
import builtins
import json
import random
import re
import sys
import time
from collections.abc import Callable
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from pipelines.training.starter import corpus_code, corpus_text
from pipelines.training.starter.corpus_code import Task
from pipelines.training.starter.corpus_text import Example
from pipelines.training.starter.language import as_prompt, gap_prompt, load_folder, write
from pipelines.training.starter.ngram import NGram
from pipelines.training.starter.routines import Routine

EXAMPLES_PER_KIND = 16
TOGETHER = 32  # prompts answered in one batch
CUTS = 200
START = 1_000_000  # numbers from here on are for evaluation
NAME = re.compile(r"[A-Za-z_]\w*")


def bench(folder: Path, run_dir: Path, small: bool = False) -> str:
    """Score the model in `folder`; the answer is Markdown for its card. Raises OSError when there is no model.

    small: on so few examples that the scores mean nothing, to see that they can be had.
    """
    model, tokenizer = load_folder(folder)
    torch.manual_seed(0)
    shipped = json.loads((folder / "studio.json").read_text())["defaults"]
    scores = text_scores if folder.name == "text" else code_scores
    rows = scores(model, tokenizer, shipped, 1 if small else EXAMPLES_PER_KIND)
    rows.append(
        ("tokens a second, one answer at a time", f"{tokens_per_second(model, tokenizer):.0f}", "≥ 60")
    )
    lines = ["| what | measured | bar |", "| --- | --- | --- |"]
    return "\n".join(lines + [f"| {what} | {value} | {bar} |" for what, value, bar in rows])


Rows = list[tuple[str, str, str]]


def answers(
    model: Qwen2ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    instructions: list[str],
    shipped: dict[str, object],
) -> list[str]:
    """What the model says, with the settings it is shipped with."""
    sampling = {"do_sample": True, "temperature": shipped["temperature"], "top_p": shipped["top_p"]}
    sampling["avoid_loops"] = shipped.get("avoid_loops", False)
    told: list[str] = []
    for start in range(0, len(instructions), TOGETHER):
        prompts = [as_prompt(tokenizer, text) for text in instructions[start : start + TOGETHER]]
        told += write(model, tokenizer, prompts, 280, **sampling)
    return told


def tokens_per_second(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast) -> float:
    prompt = as_prompt(tokenizer, "Write an email to Anna about the delay.")
    length = 128
    write(model, tokenizer, [prompt], 8)
    started = time.perf_counter()
    write(model, tokenizer, [prompt], length, min_new_tokens=length)
    return length / (time.perf_counter() - started)


def percent(right: int | float, total: int) -> str:
    return f"{100 * right / max(1, total):.0f} %"


# ---- text -------------------------------------------------------------------------------------------------------------


def text_scores(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, shipped: dict[str, object], each: int
) -> Rows:
    """each: examples of a kind."""
    numbers = range(START, START + each)
    examples = [
        corpus_text.example(n, held_out=True, kind=kind) for kind in corpus_text.MAKERS for n in numbers
    ]
    told = answers(model, tokenizer, [example.instruction for example in examples], shipped)
    pairs = list(zip(examples, told, strict=True))
    rows: Rows = []
    all_facts = [(fact, answer) for example, answer in pairs for fact in example.facts]
    carried = sum(fact.lower() in answer.lower() for fact, answer in all_facts)
    formed = sum(well_formed(example, answer) for example, answer in pairs)
    rows.append(("facts of the instruction in the answer", percent(carried, len(all_facts)), "≥ 90 %"))
    rows.append(("format right", percent(formed, len(pairs)), "≥ 95 %"))
    rows.append(("answers that go round in a loop", percent(sum(loops(a) for a in told), len(told)), "0 %"))
    for kind in corpus_text.MAKERS:
        own = [(e, a) for e, a in pairs if e.kind == kind]
        facts = [fact.lower() in a.lower() for e, a in own for fact in e.facts]
        shape = sum(well_formed(e, a) for e, a in own)
        rows.append(
            (
                f"— {kind.replace('_', ' ')}",
                f"facts {percent(sum(facts), len(facts))}, format {percent(shape, len(own))}",
                "",
            )
        )
    return rows


def well_formed(example: Example, answer: str) -> bool:
    """Whether the answer has the shape of its kind: an e-mail has a subject, a greeting and a name below, and so on."""
    lines = [line for line in answer.splitlines() if line.strip()]
    if not lines:
        return False
    numbered = [line for line in lines if re.match(r"\d+\. ", line)]
    in_order = [int(line.split(".")[0]) for line in numbered] == list(range(1, len(numbered) + 1))
    wanted = re.match(r"(\d+)\. ", next((f for f in example.facts if re.match(r"\d+\. ", f)), ""))
    counted = wanted is None or len(numbered) == int(wanted[1])
    checks: dict[str, Callable[[], bool]] = {
        "email": lambda: (
            lines[0].startswith("Subject: ")
            and lines[1].endswith(",")
            and len(lines) >= 5
            and lines[-2].endswith(",")
        ),
        "report": lambda: lines[0].startswith("Report: ") and bool(numbered) and in_order and counted,
        "product": lambda: len(lines) >= 4 and any(line.startswith("- ") for line in lines),
        "summary": lambda: len(lines) == 1 and answer.strip().endswith("."),
        "titles": lambda: len(numbered) == len(lines) and in_order and counted,
        "caption": lambda: lines[-1].startswith("#") and len(lines) == 2,
        "slogan": lambda: len(lines) == 1 and len(answer) < 120,
        "story": lambda: answer.count(".") >= 3 and len(lines) == 1,
        "message": lambda: answer.rstrip()[-1].isalnum() or answer.rstrip()[-1] in ".!)",
        "poem": lambda: len(lines) == 4,
        "image_prompt": lambda: len(lines) == 1 and answer.count(",") >= 2,
        "out_of_reach": lambda: "starter model" in answer and len(lines) == 1,
    }  # fmt: skip
    return checks[example.kind]()


def loops(answer: str) -> bool:
    """Whether the same four words come three times in a row."""
    words = answer.split()
    return any(
        words[i : i + 4] == words[i + 4 : i + 8] == words[i + 8 : i + 12] for i in range(len(words) - 11)
    )


# ---- code -------------------------------------------------------------------------------------------------------------


def code_scores(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, shipped: dict[str, object], each: int
) -> Rows:
    cuts = CUTS * each // EXAMPLES_PER_KIND
    return completion_scores(model, tokenizer, cuts) + task_scores(model, tokenizer, shipped, each)


def completion_scores(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, texts_cut: int) -> Rows:
    """Next tokens, identifiers and lines of held-out modules, against the baseline trained on the same modules."""
    baseline = NGram(tokenizer(list(corpus_code.library()))["input_ids"])
    rng = random.Random(START)
    texts = [corpus_code.window(rng, 700, held_out=True) for _ in range(texts_cut)]
    rows: Rows = []

    right, guessed, total = 0, 0, 0
    for text in texts[: texts_cut // 4]:
        ids = tokenizer.encode(text)[:300]
        with torch.no_grad():
            best = model(torch.tensor([ids])).logits[0, :-1].argmax(-1).tolist()
        right += sum(a == b for a, b in zip(best, ids[1:], strict=True))
        guessed += sum(baseline.next(ids[max(0, i - 4) : i]) == ids[i] for i in range(1, len(ids)))
        total += len(ids) - 1
    rows.append(
        (
            "next token right, reading on",
            f"{percent(right, total)} (n-gram {percent(guessed, total)})",
            "above",
        )
    )

    for what, cutter in (("identifier", identifier_gap), ("line", line_gap)):
        cuts = [
            (p.removesuffix(" "), m, s) for p, m, s in filter(None, (cutter(rng, text) for text in texts))
        ]
        # a word's token begins with the blank before it: left in the prefix, it would make both sides guess blindly
        prompts = [gap_prompt(p, s) for p, _, s in cuts]
        told: list[str] = []
        for start in range(0, len(prompts), TOGETHER):
            told += write(model, tokenizer, prompts[start : start + TOGETHER], 32)
        plain = [ngram_text(baseline, tokenizer, prefix) for prefix, _, _ in cuts]
        pairs = [
            [(first(what, a), first(what, m)) for a, (_, m, _) in zip(side, cuts, strict=True)]
            for side in (told, plain)
        ]
        model_s, n_gram_s = (percent(sum(a == m for a, m in side), len(cuts)) for side in pairs)
        rows.append((f"{what} filled in right", f"{model_s} (n-gram {n_gram_s})", "above"))
        if what == "line":
            model_s, n_gram_s = (percent(sum(alike(a, m) for a, m in side), len(cuts)) for side in pairs)
            rows.append(("likeness of that line", f"{model_s} (n-gram {n_gram_s})", "above"))
    return rows


def alike(said: str, meant: str) -> float:
    """Edit similarity, 0 … 1: what CodeXGLUE (arXiv 2102.04664) reports for completed lines beside the exact match."""
    return SequenceMatcher(None, said, meant, autojunk=False).ratio()


def identifier_gap(rng: random.Random, text: str) -> tuple[str, str, str] | None:
    """A name of three letters or more is missing, past the first third of the text."""
    found = [m for m in NAME.finditer(text) if m.start() > len(text) // 3 and len(m[0]) > 2]
    if not found:
        return None
    m = rng.choice(found)
    return text[: m.start()], m[0], text[m.end() :]


def line_gap(rng: random.Random, text: str) -> tuple[str, str, str] | None:
    """A whole line is missing, past the first third; its indentation stays."""
    lines = text.splitlines(keepends=True)
    places = [i for i in range(len(lines) // 3, len(lines)) if len(lines[i].strip()) > 3]
    if not places:
        return None
    i = rng.choice(places)
    indent = lines[i][: len(lines[i]) - len(lines[i].lstrip())]
    return "".join(lines[:i]) + indent, lines[i].strip(), "\n" + "".join(lines[i + 1 :])


def first(what: str, text: str) -> str:
    """The first identifier, or the first line, of what was written."""
    if what == "identifier":
        match = NAME.match(text.lstrip())
        return match[0] if match else ""
    return text.strip().split("\n")[0].strip()


def ngram_text(baseline: NGram, tokenizer: PreTrainedTokenizerFast, prefix: str, length: int = 24) -> str:
    ids = tokenizer.encode(prefix)[-4:]
    for _ in range(length):
        ids.append(baseline.next(ids[-4:]))
    return str(tokenizer.decode(ids[-length:]))


def task_scores(
    model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, shipped: dict[str, object], each: int
) -> Rows:
    numbers = range(START, START + each * 2)
    kinds = [kind for kind in corpus_code.MAKERS if kind != "beyond"]
    tasks = [corpus_code.task(n, held_out=True, kind=kind) for kind in kinds for n in numbers]
    told = answers(model, tokenizer, [task.instruction for task in tasks], shipped)
    pairs = list(zip(tasks, told, strict=True))
    by_kind = {kind: [(t, a) for t, a in pairs if t.kind == kind] for kind in kinds}
    written = by_kind["write"] + by_kind["fix"]
    bugs = [(t, a) for t, a in by_kind["fix"] + by_kind["find_bugs"] if t.bug]
    said = {
        "write": "written functions that pass their checks",
        "fix": "planted bugs repaired",
        "find_bugs": "planted bugs found, or none where none is",
        "explain": "explanations right to the word",
        "tests": "tests that the code passes",
        "translate": "JavaScript right to the letter",
    }
    rows: Rows = [
        (
            "generated functions that parse",
            percent(sum(parses(a) for _, a in written), len(written)),
            "≥ 90 %",
        ),
        ("planted bugs found or repaired", percent(sum(solved(t, a) for t, a in bugs), len(bugs)), "≥ 70 %"),
    ]
    rows += [
        (f"— {said[k]}", percent(sum(solved(t, a) for t, a in own), len(own)), "")
        for k, own in by_kind.items()
    ]
    return rows


def code_block(answer: str) -> str:
    match = re.search(r"```\w*\n(.*?)(?:\n```|$)", answer, re.DOTALL)
    return match[1] if match else ""


def parses(answer: str) -> bool:
    try:
        return bool(ast.parse(code_block(answer)).body)
    except (SyntaxError, ValueError):
        return False


def solved(task: Task, answer: str) -> bool:
    """Whether the task's answer does what was asked; code is run against the routine's checks."""
    if task.kind in ("explain", "translate"):
        return answer.strip() == task.answer.strip()
    if task.kind == "find_bugs":
        return (
            answer.split("\n")[0].strip() == task.answer.split("\n")[0].strip()
        )  # the line, and what is wrong
    if task.kind == "tests":
        name = re.search(r"def (test_\w+)", answer)
        if not name or "assert" not in answer:
            return False
        return runs(f"{code_block(task.instruction)}\n\n{code_block(answer)}\n\n{name[1]}()")
    assert task.routine is not None
    names = names_in(code_block(task.answer), task.routine)
    checks = "\n".join(f"assert {check.format(**names)}" for check in task.routine.checks)
    return runs(f"{code_block(answer)}\n\n{checks}")


def names_in(code: str, routine: Routine) -> dict[str, str]:
    """The names and the number with which `code` was made from the routine's template."""
    head = ast.parse(code).body[-1]
    assert isinstance(head, ast.FunctionDef)
    arguments = [argument.arg for argument in head.args.args] + ["other", "other"]
    for number in [*re.findall(r"\d+", code), "2"]:
        names = {"f": head.name, "a": arguments[0], "b": arguments[1], "k": number}
        if routine.python.format(**names) == code:
            return names
    return names


def runs(program: str) -> bool:
    """Run short generated code to its end, with a limit on the work it may do. Only for benchmarks of our own tasks."""
    steps = 0

    def watch(*_: object) -> Any:
        nonlocal steps
        steps += 1
        if steps > 20_000:
            raise TimeoutError
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        exec(compile(program, "<answer>", "exec"), {"__name__": "answer", "__builtins__": SAFE})
        return True
    except Exception:
        return False
    finally:
        sys.settrace(before)


_ALLOWED = [
    "abs", "all", "any", "bool", "dict", "enumerate", "filter", "float", "int", "isinstance", "len", "list", "map", "max", "min",
    "next", "ord", "chr", "pow", "print", "range", "repr", "reversed", "round", "set", "sorted", "str", "sum", "tuple", "zip",
    "ValueError", "TypeError", "KeyError", "IndexError", "ZeroDivisionError", "Exception", "AssertionError",
]  # fmt: skip
SAFE = {name: getattr(builtins, name) for name in _ALLOWED}
