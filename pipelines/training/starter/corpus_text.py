"""The text corpus: endless instruction–answer pairs for `starter/text`, each a pure function of its number.

The grammars live in `language_email`, `language_office`, `language_summary` and `language_creative`; here they are mixed
and wrapped into conversations.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.training.starter import language_creative as creative
from pipelines.training.starter import language_office as office
from pipelines.training.starter.language_email import email
from pipelines.training.starter.language_summary import summary
from pipelines.training.starter.language_words import Made, Pen

Message = dict[str, str]  # {"role": …, "content": …}

MAKERS: dict[str, tuple[Callable[[Pen], Made], float]] = {  # kind → maker, weight
    "email": (email, 3.0),
    "report": (office.report, 1.2),
    "product": (office.product, 1.4),
    "summary": (summary, 1.2),
    "titles": (office.titles, 1.2),
    "caption": (creative.caption, 1.0),
    "slogan": (creative.slogan, 1.0),
    "story": (creative.story, 1.6),
    "message": (creative.message, 1.2),
    "poem": (creative.poem, 1.0),
    "image_prompt": (creative.image_prompt, 1.0),
    "out_of_reach": (creative.out_of_reach, 1.2),
}
SYSTEMS = (
    "You are a helpful assistant.", "You are a helpful writing assistant.", "You write short office and creative texts.",
    "Answer briefly and clearly.", "You are Atelier's starter writer.", "Be friendly and concise.",
)  # fmt: skip


@dataclass(frozen=True)
class Example:
    """An instruction with a good answer, and the facts that an answer must carry."""

    kind: str
    instruction: str
    answer: str
    facts: tuple[str, ...]


def example(
    number: int, *, held_out: bool = False, kind: str | None = None, pieces: Sequence[str] = ()
) -> Example:
    """Example `number`; held-out ones use names, things and phrasings that training never shows. pieces: see `Pen`."""
    rng = random.Random(f"text {number} {held_out}")
    kind = kind or rng.choices(list(MAKERS), [weight for _, weight in MAKERS.values()])[0]
    instruction, answer, facts = MAKERS[kind][0](Pen(rng, held_out, pieces))
    if rng.random() < 0.12 and kind != "summary":
        instruction = instruction[0].lower() + instruction[1:]
    return Example(kind, instruction, answer, facts)


def conversation(number: int, pieces: Sequence[str] = ()) -> list[Message]:
    """A training conversation: mostly one turn, at times an earlier one or a system prompt before it."""
    rng = random.Random(f"conversation {number}")
    messages: list[Message] = []
    if rng.random() < 0.25:
        messages.append({"role": "system", "content": rng.choice(SYSTEMS)})
    if rng.random() < 0.06:
        messages += _turn(example(-1 - number, pieces=pieces))
    return messages + _turn(example(number, pieces=pieces))


def _turn(made: Example) -> list[Message]:
    return [{"role": "user", "content": made.instruction}, {"role": "assistant", "content": made.answer}]
