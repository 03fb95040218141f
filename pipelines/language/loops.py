"""Small models fall into loops: the same passage over and over until the room is used up. This keeps them out."""

import math
from collections.abc import Sequence

import torch
from transformers import LogitsProcessor

LONGEST = 64  # tokens of a passage that is recognised
VARIETY = 3  # different tokens that make a passage; fewer are a ruler, a row of noughts, the head of a table


def third_time(tokens: Sequence[int]) -> set[int]:
    """The next tokens that would begin a third copy in a row of what the last tokens say twice."""
    starts = set()
    for length in range(VARIETY, min(LONGEST, len(tokens) // 2) + 1):
        passage = tokens[-length:]
        if passage == tokens[-2 * length : -length] and len(set(passage)) >= VARIETY:
            starts.add(passage[0])
    return starts


class NoThirdTime(LogitsProcessor):
    """Forbids those tokens in the answer; what the prompt repeats is not looked at.

    prompt: tokens of the prompt, padding included, the same for every row.
    """

    def __init__(self, prompt: int) -> None:
        self._prompt = prompt

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """input_ids: (B, L); scores: (B, V), returned with -inf at what is forbidden."""
        forbidden = [third_time(row) for row in input_ids[:, self._prompt :].tolist()]
        if any(forbidden):
            scores = scores.clone()
            for row, tokens in enumerate(forbidden):
                scores[row, list(tokens)] = -math.inf
        return scores
