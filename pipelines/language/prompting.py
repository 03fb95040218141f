"""Words in, tokens in: conversations by the model's own chat template, plain text, and code with a gap to fill.

What a model understands is read from its tokenizer: the template, and which fill-in-the-middle tokens it has, whose names and
order differ from family to family.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.errors import InvalidRequest, ModelUnavailable
from pipelines.language.deadline import Overrun, within
from pipelines.loading.language import LanguageModel

TEMPLATE_SECONDS = 10.0

Turn = dict[str, str]  # role and content, as chat templates take them


@dataclass(frozen=True)
class Prompt:
    """Tokens to go on from. end_ids: tokens that end the answer. notes: what a person should know about how it was made."""

    ids: tuple[int, ...]
    end_ids: frozenset[int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fim:
    """A family's tokens around the code before (prefix) and after (suffix) a gap. suffix_first: the order it was trained in."""

    prefix: str
    suffix: str
    middle: str = ""
    suffix_first: bool = False


FIM_FAMILIES = (
    Fim("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen-Coder, CodeGemma
    Fim("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, Granite, StableCode
    Fim("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    Fim(
        "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"
    ),  # DeepSeek-Coder: the hole stands before the suffix
    Fim("▁<PRE>", "▁<SUF>", "▁<MID>"),  # CodeLlama
    Fim("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),  # CodeGeeX
    Fim("[PREFIX]", "[SUFFIX]", suffix_first=True),  # Codestral: the gap is at the end, so nothing marks it
)


def chat(model: LanguageModel, turns: Sequence[Turn], system: str = "") -> Prompt:
    """A conversation, ready for the assistant's next words.

    Written by the model's template. Where that has no place for a system text, it goes before the first user turn; a model
    without a template gets the words alone and goes on from them.
    """
    turns = _joined(turns)
    if not model.tokenizer.chat_template:
        text = "\n\n".join(part for part in (system, *(turn["content"] for turn in turns)) if part)
        note = f"{model.spec.title} is no chat model: it continues your text instead of answering it."
        return plain(model, text, (note,))
    text = _templated(model, turns, system)
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]  # the template has put them in itself
    return Prompt(tuple(ids), model.end_ids | _turn_end(model))


def plain(model: LanguageModel, text: str, notes: Sequence[str] = ()) -> Prompt:
    """Text to be continued as it stands."""
    return Prompt((*_start(model), *_ids(model, text)), model.end_ids, tuple(notes))


def fill_in(model: LanguageModel, before: str, after: str) -> Prompt:
    """Code with a gap to fill, in the order and with the tokens this model was trained on.

    A model without such tokens continues `before`; raises InvalidRequest if there is an `after` it could not see.
    """
    fim = fim_of(model)
    if fim is None:
        if after:
            raise InvalidRequest(
                f"{model.spec.id} cannot fill a gap.",
                field="suffix",
                detail=f"Its tokenizer has none of the {len(FIM_FAMILIES)} known sets of fill-in-the-middle tokens.",
                hint="Leave the code after the cursor empty, or pick a code model.",
            )
        note = (
            f"{model.spec.title} has no fill-in-the-middle tokens: it continues the code before the cursor."
        )
        return plain(model, before, (note,))
    number = model.tokenizer.convert_tokens_to_ids
    prefix = [number(fim.prefix), *_ids(model, before)]
    suffix = [number(fim.suffix), *_ids(model, after)]
    middle = [number(fim.middle)] if fim.middle else []
    ids = [*_start(model), *(suffix + prefix if fim.suffix_first else prefix + suffix), *middle]
    return Prompt(tuple(ids), model.end_ids | _special_ids(model))


def fim_of(model: LanguageModel) -> Fim | None:
    """The fill-in-the-middle tokens this tokenizer has, or None."""
    vocabulary = model.tokenizer.get_vocab()
    for fim in FIM_FAMILIES:
        if all(name in vocabulary for name in (fim.prefix, fim.suffix, fim.middle) if name):
            return fim
    return None


def check_fits(model: LanguageModel, prompt: Prompt, field: str = "prompt") -> int:
    """The most tokens the answer can have; raises InvalidRequest, naming `field`, when the prompt leaves room for none."""
    if not prompt.ids:
        raise InvalidRequest("There is nothing to go on from.", field=field, hint="Write a few words.")
    if max(prompt.ids) >= int(model.config.vocab_size):
        raise ModelUnavailable(
            f"The tokenizer of {model.spec.id} does not belong to its weights.",
            detail=f"It gave token {max(prompt.ids)}, and the weights know {model.config.vocab_size}.",
            hint="Download the model again, or pick another one.",
        )
    if pictures := model.marks & set(prompt.ids):
        raise InvalidRequest(
            f"The text holds a mark that stands for a picture: {model.tokenizer.decode(sorted(pictures)[:1])}",
            field=field,
            detail=f"{model.spec.title} can read pictures, and is given words only here.",
            hint="Remove the mark from the text.",
        )
    if model.context is None:
        return 1 << 30
    room = model.context - len(prompt.ids)
    if room < 1:
        raise InvalidRequest(
            f"This is too long for {model.spec.title}.",
            field=field,
            detail=f"It takes {len(prompt.ids):,} tokens, and the model reads at most {model.context:,} with its answer.",
            hint="Shorten it, begin a new conversation, or pick a model with a longer context.",
        )
    return room


def _templated(model: LanguageModel, turns: list[Turn], system: str) -> str:
    """The conversation as text. Some templates refuse a system turn, some leave it out without a word; then it is folded in."""
    from jinja2 import TemplateError

    if system:
        try:
            text = _render(model, [{"role": "system", "content": system}, *turns])
            if system.strip() in text:
                return text
        except TemplateError:
            pass
        first = {"role": "user", "content": f"{system}\n\n{turns[0]['content']}"}
        turns = [first, *turns[1:]]
    try:
        return _render(model, turns)
    except TemplateError as error:
        raise InvalidRequest(
            f"{model.spec.title} cannot take this conversation.",
            field="history",
            detail=str(error)[:300],
            hint="Begin a new conversation.",
        ) from None


def _render(model: LanguageModel, turns: list[Turn], reply: bool = True) -> str:
    """The conversation as the template writes it. Templates of models that read pictures too may want each turn in parts: given
    plain words they raise, or leave them out."""
    from jinja2 import TemplateError

    last = turns[-1]["content"].strip()
    text, failure = "", None
    try:
        text = _applied(model, turns, reply)
    except TemplateError as error:
        failure = error
    if failure is None and last in text:
        return text
    parts = [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in turns]
    with contextlib.suppress(TemplateError, TypeError):
        other = _applied(model, parts, reply)
        if last in other:
            return other
    if failure is not None:
        raise failure
    return text


def _applied(model: LanguageModel, turns: Sequence[Mapping[str, object]], reply: bool) -> str:
    """enable_thinking: models that can think aloud first answer at once; templates that do not know the word ignore it.

    Raises ModelUnavailable for a template that does not end: it is a program that came with the model.
    """
    try:
        with within(TEMPLATE_SECONDS):
            text: str = model.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=reply, enable_thinking=False
            )
    except Overrun:
        raise ModelUnavailable(
            f"The chat template of {model.spec.id} does not end.",
            detail=f"It was stopped after {TEMPLATE_SECONDS:.0f} seconds; a good one takes some milliseconds.",
            hint="Get the model from its maker again, or pick another one.",
        ) from None
    return text


def _turn_end(model: LanguageModel) -> frozenset[int]:
    """The special token the template puts after an assistant's words: it ends an answer even where no file says so."""
    from jinja2 import TemplateError

    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "@@@"}]
    try:
        tail = _render(model, turns, reply=False).rpartition("@@@")[2]
    except TemplateError:
        return frozenset()
    ids = model.tokenizer(tail, add_special_tokens=False)["input_ids"][:1]
    return frozenset(ids) & _special_ids(model)


def _joined(turns: Sequence[Turn]) -> list[Turn]:
    """Turns of one role in a row as one: many templates insist that roles alternate."""
    joined: list[Turn] = []
    for turn in turns:
        if joined and joined[-1]["role"] == turn["role"]:
            joined[-1] = {**turn, "content": f"{joined[-1]['content']}\n\n{turn['content']}"}
        else:
            joined.append(dict(turn))
    return joined


def _ids(model: LanguageModel, text: str) -> list[int]:
    ids: list[int] = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _special_ids(model: LanguageModel) -> frozenset[int]:
    """All tokens that are marks and not words; some are named by the tokenizer, others only flagged among those added."""
    added = model.tokenizer.added_tokens_decoder
    return frozenset(model.tokenizer.all_special_ids) | {
        number for number, token in added.items() if token.special
    }


def _start(model: LanguageModel) -> list[int]:
    """The token this tokenizer puts at the beginning of every text, if it does."""
    head = model.tokenizer("", add_special_tokens=True)["input_ids"][:1]
    return [int(head[0])] if head and head[0] == model.tokenizer.bos_token_id else []
