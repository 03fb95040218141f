"""What is wrong with a form, field by field, in a person's words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipelines.errors import StudioError
from pipelines.words.texts import TORN

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Reach = tuple[float, float]
"""The smallest and the largest number a field and the chosen model allow."""
ANYTHING: Reach = (-math.inf, math.inf)


class FieldErrors(Exception):
    """What is wrong with a form, field by field: name → one sentence."""

    def __init__(self, messages: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in messages.items()))
        self.messages = dict(messages)


def sentence(error: StudioError) -> str:
    """An error with an explanation, on one line."""
    return " ".join(part for part in (error.message, error.detail, error.hint) if part)


def message(entry: ErrorDetails, bounds: Reach = ANYTHING) -> str:
    """One of pydantic's findings in a person's words. bounds: what the field and the chosen model allow."""
    bound, given = entry.get("ctx", {}), entry.get("input")
    match entry["type"]:
        case "greater_than_equal":
            return f"{given} is too small: at least {max(bound['ge'], bounds[0])}."
        case "less_than_equal":
            return f"{given} is too large: at most {min(bound['le'], bounds[1])}."
        case "multiple_of":
            return _not_a_multiple(given, bound["multiple_of"], bounds)
        case "int_from_float" | "int_parsing" | "int_type":
            return f"{given} is not a whole number."
        case "float_parsing" | "float_type":
            return f"{given} is not a number."
        case "string_too_long":
            return f"{len(given):,} characters are too many: at most {bound['max_length']:,}."
        case "too_long":
            return f"{len(given)} entries are too many: at most {bound['max_length']}."
        case "string_unicode":
            return f"{TORN[0].upper()}{TORN[1:]}."
        case "value_error":
            return f"{bound['error']}."[:300]
        case _:
            return str(entry["msg"])


def _not_a_multiple(given: float, multiple: int, bounds: Reach) -> str:
    """What to write instead: the multiples on both sides, as far as they are allowed."""
    least, most = bounds
    if given > most:
        return f"{given} is too large: at most {most}."
    if given < least:
        return f"{given} is too small: at least {least}."
    below = int(given // multiple * multiple)
    near = [str(value) for value in (below, below + multiple) if least <= value <= most]
    return f"{given} is not a multiple of {multiple}: use {' or '.join(near)}."
