"""Programming tasks on a language model: write, complete, explain, find bugs, fix, translate, tests.

The same engine as the Text tab. What is said to the model is in `assets/prompts/code.toml`; what comes back is taken apart here:
code becomes a file of its language, explanations stay Markdown.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.catalog import ModelSpec
from pipelines.language.code_checks import certain_findings, unconfirmed
from pipelines.language.code_text import Finding, code_in, fenced, syntax_error
from pipelines.language.prompting import Prompt, chat, check_fits, fill_in
from pipelines.language.writing import write, writing_ways
from pipelines.loading.language import LanguageModel, causal_lm
from pipelines.media import FileType
from pipelines.memory import Component
from pipelines.messages import Artifact, CodeRequest
from pipelines.runtime.context import Context
from pipelines.runtime.ladder import Ladder, Way
from pipelines.runtime.pipeline import Pipeline
from pipelines.words.languages import Language, language_of

if TYPE_CHECKING:
    import torch

PROMPTS = Path(__file__).resolve().parents[2] / "assets" / "prompts" / "code.toml"
MARKDOWN = FileType("md", "text/markdown")
WORDS = ("explain", "find_bugs")
"""Tasks answered in words; the others are answered in code."""


class CodePipeline(Pipeline[CodeRequest]):
    """One task on one piece of code."""

    def plan(
        self, request: CodeRequest, spec: ModelSpec, dtype: torch.dtype | None = None
    ) -> tuple[list[Component], list[Way]]:
        """What to lease for this request, and the one way to do it. dtype: what the device computes in, if known."""
        from pipelines.runtime.device import TorchDevice

        model = causal_lm(spec, dtype or TorchDevice().dtype())
        prompt = prompt_of(model, request)
        most = min(request.max_tokens, check_fits(model, prompt, "code"))
        return [model.component], writing_ways(model, prompt, most)

    def generate(self, request: CodeRequest, ctx: Context) -> Iterator[Artifact]:
        # 1. Check the inputs before asking for the device: there is something to work on, and it fits the model's context
        request.check_has_something_to_do()
        model = causal_lm(ctx.spec, ctx.dtype)
        prompt = prompt_of(model, request)
        room = check_fits(model, prompt, "code")

        # 2. Look at Python code with Python's own eyes first: what it finds is certain
        ctx.progress("encode")
        language = language_of(request.language)
        looks = request.task == "find_bugs" and language.fence == "python"
        found = certain_findings(request.given_code) if looks else None
        report = _report(found)
        if report:
            ctx.text(report)

        # 3. Borrow the model, and room for the keys and values of every token
        most = min(request.max_tokens, room)
        with Ladder(ctx, [model.component], writing_ways(model, prompt, most)) as ladder:
            # 4. Write, token by token, each told as it comes
            ctx.progress("generate", 0, most)
            answer = write(ctx, ladder, model, prompt, request, room)

        # 5. Take the answer apart and hand it over as a file
        ctx.progress("save")
        doubts = _doubts(found, answer.text, request.given_code)
        if doubts:
            ctx.text(doubts)
        file, content, facts = _taken_apart(request, language, report, answer.text + doubts, found)
        yield ctx.artifact(request, file, content.encode(), {**answer.facts(), **facts})


def prompt_of(model: LanguageModel, request: CodeRequest) -> Prompt:
    """The request in the model's tokens."""
    if request.task == "complete":
        prompt = fill_in(model, request.given_code, request.suffix)
        if request.code and request.prompt.strip():
            note = "Completing looks at the code alone; the description was not used."
            prompt = replace(prompt, notes=(*prompt.notes, note))
        return prompt
    return chat(model, [{"role": "user", "content": question(request)}])


def question(request: CodeRequest) -> str:
    """What the model is asked, in words."""
    language, said = language_of(request.language), _said()
    code = request.given_code
    text = said.tasks[request.task].format(
        wish=_wish(request.prompt.strip(), language) if request.task == "write" else "",
        block=fenced(code, language),
        title=language.title,
        target=language_of(request.target_language).title,
    )
    if request.task == "write":
        return f"{text}\n\n{fenced(request.code, language)}" if request.code.strip() else text
    more = request.prompt.strip() if request.code.strip() else ""
    return f"{text}\n\n{more}" if more else text


def _wish(wish: str, language: Language) -> str:
    """A wish as a request to write in that language: "adds two numbers" → "Write a Python function that adds two numbers"."""
    said = _said()
    things = "|".join(said.words["things"])
    begins = re.match(r"(?i)(an? |the )?(?P<word>[\w'-]+)", wish)
    word = begins["word"].lower() if begins else ""
    names_language = re.search(rf"(?i)(?<!\w){re.escape(language.title)}(?!\w)", wish) is not None
    if not names_language:
        wish, placed = re.subn(rf"(?i)\b(?<!-)({things})\b", rf"{language.title} \1", wish, count=1)
        names_language = bool(placed)
    if word in said.words["verbs"]:
        return wish if names_language else f"{wish} (in {language.title})"
    if names_language:
        article = "" if begins and begins[1] else "a "
        return said.wish["named"].format(wish=article + wish)
    form = "doing" if word.endswith("s") and not word.endswith("ss") and begins and not begins[1] else "other"
    return said.wish[form].format(wish=wish, title=language.title)


@dataclass(frozen=True)
class _Said:
    """What the file of prompts holds: a text for each task, the forms of a wish, and the words a wish is told by."""

    tasks: dict[str, str]
    wish: dict[str, str]
    words: dict[str, list[str]]


@cache
def _said() -> _Said:
    told = tomllib.loads(PROMPTS.read_text(encoding="utf-8"))
    return _Said(
        {task: text for task, text in told.items() if isinstance(text, str)}, told["wish"], told["words"]
    )


def _report(found: Sequence[Finding] | None) -> str:
    """What needs no model to be known, as Markdown; empty where nobody looked."""
    if found is None:
        return ""
    lines = (
        "\n".join(f"- {finding}" for finding in found) or "Nothing: no undefined name, no slip they know of."
    )
    return f"**Found by Python and ruff:**\n\n{lines}\n\n**What the model says, which may be wrong:**\n\n"


def _doubts(found: Sequence[Finding] | None, answer: str, code: str) -> str:
    """What of the model's answer the checkers contradict, as Markdown."""
    claims = unconfirmed(answer, code) if found is not None else []
    lines = "\n".join(f"- {claim}" for claim in claims)
    return f"\n\n**The checkers do not agree:**\n\n{lines}\n" if lines else ""


def _taken_apart(
    request: CodeRequest,
    language: Language,
    report: str,
    answer: str,
    found: Sequence[Finding] | None = None,
) -> tuple[FileType, str, dict[str, object]]:
    """The answer as a file, and what is known of it: completed code in its place, the code of a fenced block, or words."""
    facts: dict[str, object] = {"task": request.task, "language": language.title}
    if found is not None:
        facts["findings"] = [{"line": one.line, "message": one.message} for one in found]
    if request.task == "complete":
        before = request.given_code
        facts["inserted"] = [len(before), len(before) + len(answer)]  # where the new characters are
        return _code_file(before + answer + request.suffix, language, facts)
    wanted = language_of(request.target_language) if request.task == "translate" else language
    held = None if request.task in WORDS else code_in(answer, wanted)
    if held is None:
        return MARKDOWN, report + answer, {**facts, "is_code": False}
    code, language = held
    return _code_file(code, language, {**facts, "language": language.title})


def _code_file(
    code: str, language: Language, facts: dict[str, object]
) -> tuple[FileType, str, dict[str, object]]:
    if language.fence == "python" and (broken := syntax_error(code)):
        facts["syntax_error"] = str(broken)  # told, not hidden: small models write code that does not run
    facts = {**facts, "is_code": True, "lines": code.count("\n") + (not code.endswith("\n"))}
    return FileType(language.suffix, language.media_type), code, facts
