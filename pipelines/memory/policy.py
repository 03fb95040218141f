"""Who leaves when room is needed: the set of idle components whose return is expected to cost the least time.

Pure functions over numbers. The expected cost of evicting a component is the seconds it takes to bring it back, times how
likely it is to be wanted again soon. Among sets that free enough, the cheapest leaves; equal costs prefer fewer components,
then fewer bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

HORIZON_SECONDS = 300.0
"""How far ahead a return counts."""
EXACT_UP_TO = 16
"""Subsets are searched exactly up to this many candidates (a few milliseconds), greedily beyond."""


def expected_cost(
    restore_seconds: float, idle_seconds: float, mean_gap_seconds: float | None, hint_rank: int | None
) -> float:
    """Expected seconds lost by evicting now.

    mean_gap_seconds: usual time between two uses, None until there were two. hint_rank: place in the announced future
    (0 is next), None when nobody announced it.
    """
    if hint_rank is not None:
        return restore_seconds * (1.0 + 1.0 / (1 + hint_rank))  # it will be wanted: always above any guess
    gap = max(mean_gap_seconds or 1.0, 0.7 * idle_seconds, 1e-3)
    return restore_seconds * (1.0 - math.exp(-HORIZON_SECONDS / gap))


def cheapest_set(candidates: Sequence[tuple[float, int]], short_bytes: int) -> list[int] | None:
    """Indices of the cheapest candidates that together free `short_bytes`; None when all of them do not.

    candidates: (cost, nbytes) each.
    """
    if short_bytes <= 0:
        return []
    if sum(nbytes for _, nbytes in candidates) < short_bytes:
        return None
    useful = [i for i, (_, nbytes) in enumerate(candidates) if nbytes > 0]
    if len(useful) > EXACT_UP_TO:
        return _greedy(candidates, useful, short_bytes)
    return _exact(candidates, useful, short_bytes)


def _exact(candidates: Sequence[tuple[float, int]], useful: list[int], short_bytes: int) -> list[int]:
    order = sorted(
        useful, key=lambda i: -candidates[i][1]
    )  # large first: solutions, and so bounds, come early
    left = [0] * (len(order) + 1)
    for place in range(len(order) - 1, -1, -1):
        left[place] = left[place + 1] + candidates[order[place]][1]
    best: tuple[tuple[float, int, int], list[int]] = ((math.inf, 0, 0), [])

    def search(place: int, chosen: list[int], cost: float, freed: int) -> None:
        nonlocal best
        if freed >= short_bytes:
            best = min(best, ((cost, len(chosen), freed), list(chosen)))
            return
        if cost > best[0][0] or freed + left[place] < short_bytes:
            return
        i = order[place]
        search(place + 1, [*chosen, i], cost + candidates[i][0], freed + candidates[i][1])
        search(place + 1, chosen, cost, freed)

    search(0, [], 0.0, 0)
    return best[1]


def _greedy(candidates: Sequence[tuple[float, int]], useful: list[int], short_bytes: int) -> list[int]:
    chosen: list[int] = []
    freed = 0
    for i in sorted(useful, key=lambda i: candidates[i][0] / candidates[i][1]):
        chosen.append(i)
        freed += candidates[i][1]
        if freed >= short_bytes:
            break
    for i in sorted(
        chosen, key=lambda i: -candidates[i][0]
    ):  # the last one may have made earlier ones needless
        if freed - candidates[i][1] >= short_bytes:
            chosen.remove(i)
            freed -= candidates[i][1]
    single = min(
        (i for i in useful if candidates[i][1] >= short_bytes), key=lambda i: candidates[i], default=None
    )
    if single is not None and candidates[single][0] <= sum(candidates[i][0] for i in chosen):
        return [single]
    return chosen
