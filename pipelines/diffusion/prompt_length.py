"""How much of a prompt a diffusion model reads: counted with the model's own tokenizers, since most families cut without a word.

The limit is the pipeline's: `max_sequence_length` where it has one, a CLIP encoder's own length, and what a few old families have
written into their code.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.loading.parts import Untyped

PARTS = ("tokenizer", "tokenizer_2", "tokenizer_3", "tokenizer_4")
# Lengths that stand in the code of a family, by the start of its class name: one for each tokenizer.
WRITTEN = {"IF": (77,), "Kandinsky3": (128,), "Latte": (120,), "HunyuanDiT": (77, 256), "Kandinsky5": (0, 77)}
UNBOUNDED = 100_000  # tokenizers without a length say a number with thirty digits
LONGEST_WORD = 30
SHOWN = 300  # characters of what was cut
MARKS = re.compile(r"<(?:lora|lyco):[^<>]{1,200}>|\([^()]{1,200}:\d(?:\.\d+)?\)")


@dataclass(frozen=True)
class _Cut:
    """What one encoder leaves out. reads: tokens it takes; has: tokens of the text; words: the rest it never sees."""

    reads: int
    has: int
    words: str


def length_notes(pipeline: Untyped, prompt: str, negative_prompt: str = "") -> list[str]:
    """A sentence for each of the two texts that this pipeline does not read to the end, with the words it leaves out."""
    named = (("prompt", prompt), ("negative prompt", negative_prompt))
    notes = [note for name, text in named if text and (note := _note(pipeline, name, text))]
    if marks := MARKS.findall(f"{prompt}\n{negative_prompt}"):
        notes.append(
            f"{marks[0]} was read as plain words: the studio knows no LoRA tags and no weights in a prompt."
        )
    return notes


def _note(pipeline: Untyped, name: str, text: str) -> str:
    found = list(_encoders(pipeline, text))
    cuts = [cut for cut in found if cut]
    if not cuts:
        return ""
    cut = max(cuts, key=lambda cut: cut.reads)
    words = cut.words if len(cut.words) <= SHOWN else f"{cut.words[:SHOWN]} … ({len(cut.words):,} characters)"
    if len(cuts) < len(found):
        return (
            f"One of this model's text encoders reads {cut.reads} tokens, and the {name} has {cut.has}; only the other "
            f"read its end: {words}"
        )
    return (
        f"This model reads {cut.reads} tokens, and the {name} has {cut.has}, so its end was left out: {words}"
    )


def _encoders(pipeline: Untyped, text: str) -> Iterator[_Cut | None]:
    """For each text encoder what it cuts off, None where it reads all."""
    for place, part in enumerate(PARTS):
        tokenizer = getattr(pipeline, part, None)
        tokenizer = getattr(tokenizer, "tokenizer", tokenizer)  # some families hold a processor
        if not hasattr(tokenizer, "num_special_tokens_to_add"):
            continue
        limit = _limit(pipeline, part, place, tokenizer)
        if limit is not None:
            yield _cut(tokenizer, text, limit)


def _limit(pipeline: Untyped, part: str, place: int, tokenizer: Untyped) -> int | None:
    """Tokens this encoder takes, its marks of beginning and end included; None for one without a bound that we know."""
    for start, lengths in WRITTEN.items():
        if type(pipeline).__name__.startswith(start) and place < len(lengths) and lengths[place]:
            return lengths[place]
    own = getattr(tokenizer, "model_max_length", None)
    own = own if isinstance(own, int) and own < UNBOUNDED else None
    if "CLIP" in type(tokenizer).__name__:
        return own or 77
    for function in (pipeline.__call__, getattr(pipeline, "encode_prompt", None)):
        given = inspect.signature(function).parameters.get("max_sequence_length") if function else None
        if given is not None and isinstance(given.default, int):
            return given.default
    told = getattr(pipeline, f"{part}_max_length", None)
    return told if isinstance(told, int) and told < UNBOUNDED else own


def _cut(tokenizer: Untyped, text: str, limit: int) -> _Cut | None:
    marks = tokenizer.num_special_tokens_to_add()
    is_fast = bool(getattr(tokenizer, "is_fast", False))
    coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=is_fast, verbose=False)
    ids = coded["input_ids"]
    if len(ids) + marks <= limit:
        return None
    kept = max(0, limit - marks)
    words = text[_word(text, coded["offset_mapping"][kept][0]) :] if is_fast else tokenizer.decode(ids[kept:])
    return _Cut(limit, len(ids) + marks, words.strip())


def _word(text: str, at: int) -> int:
    """Where the word begins that is cut there; `at` itself in scripts without spaces."""
    begin = max(
        text.rfind(" ", max(0, at - LONGEST_WORD), at), text.rfind("\n", max(0, at - LONGEST_WORD), at)
    )
    return begin + 1 if begin >= 0 else at
