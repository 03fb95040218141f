"""Programming tasks with tiny real language models, and what is made of their answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.errors import InvalidRequest
from pipelines.language.code import CodePipeline, _taken_apart, prompt_of, question
from pipelines.language.code_checks import certain_findings, unconfirmed
from pipelines.language.code_text import code_in, fenced, python_findings
from pipelines.language.prompting import FIM_FAMILIES
from pipelines.loading.language import causal_lm
from pipelines.memory import MemoryManager
from pipelines.messages import Artifact, CodeRequest, TextDelta
from pipelines.runtime.context import Context
from pipelines.runtime.device import TorchDevice
from pipelines.words.languages import language_of
from tests import checkpoints_language as tiny

PYTHON = language_of("python")
BUGGY = "def add(items=[]):\n    if items == None:\n        return 0\n        print('done')\n    return items is 1\n"
Ctx = Callable[..., Context]


@pytest.fixture(scope="module")
def memory() -> MemoryManager:
    return MemoryManager(TorchDevice("cpu", budget_bytes=1 << 30))


@pytest.fixture
def context(memory: MemoryManager, tmp_path: Path) -> Ctx:
    def make(folder: Path) -> Context:
        events: list[Any] = []
        ctx = Context("job", tiny.spec_of(folder), memory, events.append, lambda: False, tmp_path)
        ctx.events = events  # type: ignore[attr-defined]
        return ctx

    return make


def made(ctx: Context, **fields: Any) -> Artifact:
    (artifact,) = CodePipeline().generate(
        CodeRequest(**{"max_tokens": 16, "temperature": 0.0, "seed": 1, **fields}), ctx
    )
    return artifact


def streamed(ctx: Any) -> str:
    return "".join(event.text for event in ctx.events if isinstance(event, TextDelta))


# ---- what is asked ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "asked"),
    [
        ("adds two numbers", "Write a Python function that adds two numbers"),
        ("a function that adds two numbers", "Write a Python function that adds two numbers"),
        ("Write a Python function that adds two numbers.", "Write a Python function that adds two numbers."),
        ("Write a function that adds two numbers", "Write a Python function that adds two numbers"),
        ("Fibonacci numbers", "Write Python code for this: Fibonacci numbers"),
        ("create a todo list", "create a todo list (in Python)"),
    ],
)
def test_a_wish_becomes_a_request_to_write(wish: str, asked: str) -> None:
    assert question(CodeRequest(prompt=wish)) == asked


def test_each_task_has_its_own_words() -> None:
    code = "x = 1"
    block = "```python\nx = 1\n```"
    assert {
        task: question(CodeRequest(task=task, code=code))
        for task in ("explain", "find_bugs", "fix", "translate", "tests")
    } == {
        "explain": f"Explain this code:\n{block}",
        "find_bugs": f"Find bugs in this code:\n{block}",
        "fix": f"Fix this code:\n{block}",
        "translate": f"Translate this code to JavaScript:\n{block}",
        "tests": f"Write tests for this code:\n{block}",
    }


def test_what_a_person_adds_to_their_code_is_said_after_it() -> None:
    asked = question(CodeRequest(task="fix", code="x = 1", prompt="It should be 2."))
    assert asked == "Fix this code:\n```python\nx = 1\n```\n\nIt should be 2."


def test_code_in_the_prompt_alone_is_the_code() -> None:
    assert (
        question(CodeRequest(task="explain", prompt="x = 1")) == "Explain this code:\n```python\nx = 1\n```"
    )


def test_braces_in_code_are_not_taken_for_places_to_fill() -> None:
    assert "{wish}" in question(CodeRequest(task="explain", code="print(f'{wish}')"))


@pytest.mark.parametrize("task", ["explain", "complete", "find_bugs", "fix", "translate", "tests", "write"])
def test_nothing_to_work_on_is_refused(context: Ctx, task: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        made(context(tiny.tiny_chat()), task=task, code="" if task != "write" else "x = 1", prompt=" ")
    assert refusal.value.field == ("prompt" if task == "write" else "code")


# ---- filling gaps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
            "<|fim_prefix|>x =<|fim_suffix|>+ 1<|fim_middle|>",
        ),
        (("<fim_prefix>", "<fim_suffix>", "<fim_middle>"), "<fim_prefix>x =<fim_suffix>+ 1<fim_middle>"),
        (("<fim-prefix>", "<fim-suffix>", "<fim-middle>"), "<fim-prefix>x =<fim-suffix>+ 1<fim-middle>"),
        (
            ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
            "<｜fim▁begin｜>x =<｜fim▁hole｜>+ 1<｜fim▁end｜>",
        ),
        (("▁<PRE>", "▁<SUF>", "▁<MID>"), "▁<PRE>x =▁<SUF>+ 1▁<MID>"),
        (
            ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
            "<|code_prefix|>x =<|code_suffix|>+ 1<|code_middle|>",
        ),
        (("[PREFIX]", "[SUFFIX]"), "[SUFFIX]+ 1[PREFIX]x ="),
    ],
)
def test_a_gap_is_asked_for_in_the_model_s_own_tokens(names: tuple[str, ...], expected: str) -> None:
    folder = tiny.with_fim(f"fim_{FIM_FAMILIES_NAMES.index(names)}", names)
    model = causal_lm(tiny.spec_of(folder), torch.float32)
    request = CodeRequest(task="complete", code="x =", suffix="+ 1")
    prompt = prompt_of(model, request)
    assert model.tokenizer.decode(prompt.ids, clean_up_tokenization_spaces=False) == expected
    assert prompt.end_ids >= {model.tokenizer.convert_tokens_to_ids(name) for name in names}


FIM_FAMILIES_NAMES = [
    tuple(name for name in (fim.prefix, fim.suffix, fim.middle) if name) for fim in FIM_FAMILIES
]


def test_a_gap_before_all_the_code_is_enough_for_the_form_and_for_the_model(context: Ctx) -> None:
    request = CodeRequest(task="complete", suffix="\n\nprint(add(1, 2))\n")
    request.check_has_something_to_do()
    artifact = made(context(tiny.tiny_chat()), task="complete", code="", suffix=request.suffix)
    assert artifact.facts["inserted"][0] == 0
    assert (artifact.data or b"").decode().endswith(request.suffix)


def test_what_fills_the_gap_stands_in_its_place(context: Ctx) -> None:
    ctx = context(tiny.tiny_chat())
    artifact = made(ctx, task="complete", code="def add(a, b):\n    return ", suffix="\n\nprint(add(1, 2))\n")
    text = (artifact.data or b"").decode()
    start, end = artifact.facts["inserted"]
    assert text[:start] == "def add(a, b):\n    return "
    assert text[start:end] == streamed(ctx)
    assert text[end:] == "\n\nprint(add(1, 2))\n"
    assert (artifact.suffix, artifact.media_type) == ("py", "text/x-python")


def test_a_model_without_gap_tokens_continues_the_code_and_says_so(context: Ctx) -> None:
    artifact = made(context(tiny.tiny_base()), task="complete", code="def add(a, b):")
    assert artifact.facts["notes"] == [
        "tiny_base has no fill-in-the-middle tokens: it continues the code before the cursor."
    ]
    assert (artifact.data or b"").startswith(b"def add(a, b):")


def test_a_model_without_gap_tokens_refuses_code_after_the_cursor(context: Ctx) -> None:
    with pytest.raises(InvalidRequest, match="cannot fill a gap") as refusal:
        made(context(tiny.tiny_base()), task="complete", code="x =", suffix="+ 1")
    assert refusal.value.field == "suffix"


# ---- what is made of an answer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code", "suffix"),
    [
        ("Sure!\n\n```python\nx = 1\n```\n\nThis sets x.", "x = 1\n", "py"),
        ("```\nx = 1\n```", "x = 1\n", "py"),
        ("```bash\npip install x\n```\nthen\n```python\nimport x\n```", "import x\n", "py"),
        ("```js\nlet x = 1;\n```", "let x = 1;\n", "js"),
        ("Cut off:\n```python\nx = 1\ny =", "x = 1\ny =\n", "py"),
        ("~~~python\nx = '```'\n~~~", "x = '```'\n", "py"),
        ("````md\n```python\nx\n```\n````", "```python\nx\n```\n", "md"),
        ("def f():\n    return 1", "def f():\n    return 1\n", "py"),
        ("def f(:\n  broken", "def f(:\n  broken\n", "py"),
        ("x = [1, 2]", "x = [1, 2]\n", "py"),
    ],
)
def test_the_code_is_taken_out_of_the_answer(answer: str, code: str, suffix: str) -> None:
    found = code_in(answer, PYTHON)
    assert found is not None
    assert (found[0], found[1].suffix) == (code, suffix)


def test_words_alone_are_no_code() -> None:
    assert code_in("I am sorry, but I cannot do that.", PYTHON) is None
    assert code_in("  \n", PYTHON) is None


def test_written_code_becomes_a_file_of_its_language() -> None:
    request = CodeRequest(prompt="adds", language="python", target_language="go")
    file, code, facts = _taken_apart(request, PYTHON, "", "```python\nx = 1\n```")
    assert (code, file.suffix, file.media_type) == ("x = 1\n", "py", "text/x-python")
    assert facts == {"task": "write", "language": "Python", "is_code": True, "lines": 1}
    asked = request.model_copy(update={"task": "translate"})
    file, _, facts = _taken_apart(asked, PYTHON, "", "```\nx := 1\n```")
    assert (file.suffix, facts["language"]) == ("go", "Go")


def test_code_that_does_not_run_is_kept_and_said_to_be_broken() -> None:
    _, code, facts = _taken_apart(CodeRequest(prompt="adds"), PYTHON, "", "```python\nx = 1\ny = (\n```")
    assert code == "x = 1\ny = (\n"
    assert facts["syntax_error"].startswith("line 2: SyntaxError")


def test_an_explanation_is_markdown(context: Ctx) -> None:
    artifact = made(context(tiny.tiny_chat()), task="explain", code="x = 1")
    assert (artifact.suffix, artifact.media_type, artifact.facts["is_code"]) == ("md", "text/markdown", False)


def test_a_fence_is_longer_than_any_inside_the_code() -> None:
    assert fenced("a = '```'", PYTHON) == "````python\na = '```'\n````"


# ---- bugs ---------------------------------------------------------------------------------------------------------------


def test_python_s_own_findings_come_first_with_their_lines(context: Ctx) -> None:
    ctx = context(tiny.tiny_chat())
    artifact = made(ctx, task="find_bugs", code=BUGGY)
    text = (artifact.data or b"").decode()
    assert text == streamed(ctx)
    assert text.startswith("**Found by Python and ruff:**\n\n- line 1: A list, dict or set as default")
    assert [finding["line"] for finding in artifact.facts["findings"]] == [1, 2, 4, 5]


def test_an_undefined_name_is_found_and_told_with_its_line(context: Ctx) -> None:
    """The model alone once missed it, and made up another fault."""
    artifact = made(context(tiny.tiny_chat()), task="find_bugs", code="def f(x):\n    return x + missing\n")
    assert artifact.facts["findings"] == [{"line": 2, "message": "Undefined name `missing` (F821)."}]
    assert "- line 2: Undefined name `missing`" in (artifact.data or b"").decode()


def test_code_without_a_fault_is_said_to_have_none_and_the_model_may_be_wrong(context: Ctx) -> None:
    artifact = made(context(tiny.tiny_chat()), task="find_bugs", code="def f(x):\n    return x + 1\n")
    text = (artifact.data or b"").decode()
    assert text.startswith("**Found by Python and ruff:**\n\nNothing")
    assert "**What the model says, which may be wrong:**" in text


@pytest.mark.parametrize(
    ("answer", "doubts"),
    [
        ("There is a syntax error in line 1.", ["Python reads this code without a syntax error."]),
        ("`total` is not defined.", ["`total` is not an undefined name here."]),
        ("`missing` is not defined.", []),
        ("It divides by zero when x is 0.", []),
    ],
)
def test_what_a_model_claims_against_the_checkers_is_said_to_be_wrong(answer: str, doubts: list[str]) -> None:
    assert unconfirmed(answer, "def f(total):\n    return total + missing\n") == doubts


def test_ruff_s_findings_join_python_s_own() -> None:
    code = "import os\n\n\ndef f(a=[]):\n    b = 1\n    return c\n"
    assert [str(finding) for finding in certain_findings(code)] == [
        "line 1: `os` imported but unused (F401).",
        "line 4: A list, dict or set as default is shared by all calls; use None.",
        "line 5: Local variable `b` is assigned to but never used (F841).",
        "line 6: Undefined name `c` (F821).",
    ]


@pytest.mark.parametrize(
    ("code", "findings"),
    [
        ("x = 1\n", []),
        ("def f(:\n    pass\n", ["line 1: SyntaxError: invalid syntax"]),
        (
            "if True:\nx = 1\n",
            ["line 2: IndentationError: expected an indented block after 'if' statement on line 1"],
        ),
        ("return 1\n", ["line 1: SyntaxError: 'return' outside function"]),
        (
            "try:\n    pass\nexcept:\n    pass\n",
            ["line 3: A bare except also catches KeyboardInterrupt and typing errors."],
        ),
        ("d = {'a': 1, 'b': 2, 'a': 3}\n", ["line 1: The key 'a' is given twice; the last one wins."]),
        ("x = 1 / 0\ny = '%d' % 0\n", ["line 1: Division by zero."]),
        ("for i in []:\n    continue\n    print(i)\n", ["line 3: This is never reached."]),
        ("\0", ["line 1: "]),
    ],
)
def test_sure_signs_of_bugs(code: str, findings: list[str]) -> None:
    found = [str(finding) for finding in python_findings(code)]
    assert len(found) == len(findings)
    for has, expected in zip(found, findings, strict=True):
        assert has.startswith(expected)


def test_code_is_looked_at_and_never_run(tmp_path: Path) -> None:
    python_findings(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert not (tmp_path / "ran").exists()


def test_the_studio_s_own_code_has_no_findings() -> None:
    """A check that cries wolf on good code is worse than none."""
    for file in (Path(__file__).parents[2] / "pipelines").rglob("*.py"):
        assert python_findings(file.read_text()) == [], file


def test_deeply_nested_code_is_refused_kindly() -> None:
    assert python_findings("(" * 50_000)[0].line == 1
