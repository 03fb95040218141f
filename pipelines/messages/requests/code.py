"""Tasks that make code."""

from __future__ import annotations

from typing import Literal

from pipelines.errors import InvalidRequest
from pipelines.messages.knobs import knob
from pipelines.messages.requests.base import Words
from pipelines.messages.requests.shared import SamplingRequest
from pipelines.words.texts import CODE_CHARS

CodeTask = Literal["write", "complete", "explain", "find_bugs", "fix", "translate", "tests"]


class CodeRequest(SamplingRequest):
    """Programming tasks on a language model; they share their knobs, so one class serves all seven."""

    modality: Literal["code"] = "code"
    task: CodeTask = knob("write", "What to do.", simple=True, label="Task")
    code: Words = knob(
        "",
        "The code to work on; for *complete*, what stands before the cursor.",
        simple=True,
        widget="code",
        max_length=CODE_CHARS,
    )
    suffix: Words = knob(
        "",
        "For *complete*: what stands after the cursor.",
        label="Code after the cursor",
        widget="code",
        only_for=("complete",),
        max_length=CODE_CHARS,
    )
    language: str = knob(
        "python", "The language of the code.", simple=True, offers="languages", max_length=40
    )
    target_language: str = knob(
        "javascript",
        "For *translate*: the language to translate to.",
        offers="languages",
        only_for=("translate",),
        max_length=40,
    )
    temperature: float = knob(
        0.2,
        "Low is careful, high is surprising; 0 always takes the likeliest word.",
        label="Creativity",
        widget="slider",
        ge=0.0,
        le=2.0,
    )

    @property
    def given_code(self) -> str:
        """The code to work on; where only the prompt was filled in, that is it."""
        return self.code if self.code.strip() or self.task == "write" else self.prompt

    def check_has_something_to_do(self) -> None:
        if self.task == "write":
            if not self.prompt.strip():
                raise InvalidRequest(
                    "The prompt is empty.", field="prompt", hint="Write what the code should do."
                )
            return
        gap = self.suffix if self.task == "complete" else ""
        if not (self.given_code.strip() or gap.strip()):
            raise InvalidRequest(
                "There is no code to work on.", field="code", hint="Paste the code, or pick the task *write*."
            )
