"""Tokens to text as they come: whole characters only, spaces right, and nothing of a stop text ever shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNFINISHED = "�"
LONGEST_CHARACTER = 8
"""Tokens one character may take before it counts as broken; four bytes do, and a few families put marks between."""


class TokenDecoder:
    """Turns tokens into text piece by piece; the pieces joined are the text of all tokens.

    A token's text depends on those before it (sentencepiece drops a leading space, a character may be spread over several
    tokens), so each piece is the difference between decoding with and without the new tokens. context: the last tokens of the
    prompt, shown to the tokenizer but not returned.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, context: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._ids = list(context[-LONGEST_CHARACTER:])
        self._start, self._done = 0, len(self._ids)

    def push(self, token: int) -> str:
        """The text that is certain now; empty while a character is unfinished."""
        self._ids.append(token)
        text = self._new()
        if text.endswith(UNFINISHED) and len(self._ids) - self._done < LONGEST_CHARACTER:
            return ""
        if text:
            self._start, self._done = self._done, len(self._ids)
        return text

    def finish(self) -> str:
        """What is left when no more tokens come."""
        text = self._new()
        self._start = self._done = len(self._ids)
        return text

    def _new(self) -> str:
        before, now = self._decode(self._start, self._done), self._decode(self._start, len(self._ids))
        return now[len(before) :]

    def _decode(self, start: int, end: int) -> str:
        text: str = self._tokenizer.decode(
            self._ids[start:end], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text


class StopFilter:
    """Lets text through up to the first of the stop texts; holds back what may be the beginning of one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.has_stopped = False

    def push(self, text: str) -> str:
        """The part of it that may be shown now."""
        if self.has_stopped:
            return ""
        self._held += text
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.has_stopped = True
            keep = min(found)
        else:
            keep = len(self._held) - max((self._overlap(stop) for stop in self._stops), default=0)
        shown, self._held = self._held[:keep], self._held[keep:]
        return shown

    def finish(self) -> str:
        """What was held back, now that nothing follows; empty after a stop text."""
        shown, self._held = ("" if self.has_stopped else self._held), ""
        return shown

    def _overlap(self, stop: str) -> int:
        """How many characters at the end of the held text begin this stop text."""
        for length in range(min(len(stop) - 1, len(self._held)), 0, -1):
            if self._held.endswith(stop[:length]):
                return length
        return 0
