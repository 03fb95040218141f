"""The baseline that `starter/code` has to beat: the most frequent next token after the longest known context.

Backs off from four tokens of context to none, over the same tokens that the model learned from. Counts are kept in sorted arrays,
so three million tokens take seconds and little memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

_MIX = np.uint64(0x9E3779B97F4A7C15)


class NGram:
    """Predicts one token: `NGram(ids).next(context)`."""

    def __init__(self, texts: Iterable[Sequence[int]], order: int = 5) -> None:
        """texts: token ids of each text; order: the length of the longest n-gram, its last token included."""
        documents = [np.asarray(ids, dtype=np.uint64) for ids in texts if len(ids) > order]
        self._tables = [self._count(documents, length) for length in range(order - 1, 0, -1)]
        everything = np.concatenate(documents).astype(np.int64)
        self._commonest = int(np.bincount(everything).argmax())

    def next(self, context: Sequence[int]) -> int:
        """The likeliest token after `context`."""
        for length, keys, best in self._tables:
            if len(context) < length:
                continue
            key = _hash(np.asarray([context[-length:]], dtype=np.uint64))[0]
            place = int(np.searchsorted(keys, key))
            if place < len(keys) and keys[place] == key:
                return int(best[place])
        return self._commonest

    @staticmethod
    def _count(documents: list[np.ndarray], length: int) -> tuple[int, np.ndarray, np.ndarray]:
        """For every context of that length the token that followed most often: sorted hashes, and tokens beside them."""
        windows = [np.lib.stride_tricks.sliding_window_view(ids, length + 1) for ids in documents]
        keys = np.concatenate([_hash(window[:, :-1]) for window in windows])
        following = np.concatenate([window[:, -1] for window in windows])
        order = np.lexsort((following, keys))
        keys, following = keys[order], following[order]
        starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]) | (following[1:] != following[:-1])])
        counts = np.diff(np.r_[starts, len(keys)])
        keys, following = keys[starts], following[starts]
        order = np.lexsort((counts, keys))  # within a context the commonest comes last
        keys, following = keys[order], following[order]
        last = np.r_[keys[1:] != keys[:-1], True]
        return length, keys[last], following[last]


def _hash(contexts: np.ndarray) -> np.ndarray:
    """(N, length) token ids → (N,) 64-bit keys; overflow wraps on purpose."""
    key = np.full(len(contexts), 1469598103934665603, dtype=np.uint64)
    for column in contexts.T:
        key = (key ^ (column + np.uint64(1))) * _MIX
        key ^= key >> np.uint64(29)
    return key
