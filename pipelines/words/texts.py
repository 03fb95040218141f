"""What a text may be, declared once: how long, of which characters, and whether anything is said in it.

Requests, the page's forms and the HTTP door all take their bounds from here. Imports no torch and nothing of ours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

PROMPT_CHARS = 20_000
CODE_CHARS = 100_000
MESSAGE_CHARS = 200_000  # one turn of a conversation: the longest answer (32,768 tokens) fits
REQUEST_CHARS = 400_000
"""All texts of one request together: about 100,000 tokens, more than the models this is made for can read."""


def texts_in(value: object) -> Iterator[str]:
    """Every text inside a value made of dicts, lists and the like."""
    waiting: list[object] = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value


def check_total(value: object) -> None:
    """Raises ValueError, with the numbers, when the texts inside are too long together."""
    total = sum(map(len, texts_in(value)))
    if total > REQUEST_CHARS:
        raise ValueError(
            f"all texts of the request together have {total:,} characters; at most {REQUEST_CHARS:,} are taken"
        )


TORN = "it holds half of a character (a lone surrogate), which cannot be written anywhere"


def has_words(text: str) -> bool:
    """Whether there is a letter, a digit or a sign with a name in it."""
    return any(unicodedata.category(char)[0] in "LN" or unicodedata.category(char) == "So" for char in text)


def parts(text: str, most: int = PROMPT_CHARS) -> list[str]:
    """The text in pieces of at most so many characters, each ending where a reader would stop; together they are the whole."""
    found = []
    while len(text) > most:
        found.append(text[: _stop(text, most)])
        text = text[len(found[-1]) :]
    return [*found, text] if text else found


def _stop(text: str, most: int) -> int:
    """Where a piece ends: after the last paragraph, sentence, line or word of its second half, in this order."""
    for mark in (r"\n[ \t]*\n", r"[.!?…。！？][\"'”’»)]*\s+", r"\n", r"\s+"):
        ends = [found.end() for found in re.finditer(mark, text[:most])]
        if ends and ends[-1] > most // 2:
            return ends[-1]
    return most
