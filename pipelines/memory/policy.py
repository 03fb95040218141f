"""Who leaves when room is needed: those idle components whose return is expected to cost the least time, and no more of them.

Pure functions over numbers. The expected cost of evicting a component is the seconds it takes to bring it back, times how
likely it is to be wanted again soon. What can stay in part gives up just the bytes that are missing. Among choices that free
enough, the cheapest; equal costs prefer fewer components, then fewer bytes. docs/memory-measurements.md has it beside others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

HORIZON_SECONDS = 300.0
"""How far ahead a return counts."""
EXACT_UP_TO = 16
"""Subsets of what leaves whole are searched exactly up to this many (a few milliseconds), greedily beyond."""


def expected_cost(
    restore_seconds: float, idle_seconds: float, mean_gap_seconds: float | None, hint_rank: int | None
) -> float:
    """Expected seconds lost by evicting now.

    mean_gap_seconds: usual time between two uses, None until there were two. hint_rank: place in the announced future
    (0 is next), None when nobody announced it. How long until the next use is guessed by the usual gap and by the rest so far,
    their geometric mean: of twelve guesses tried it cost the least on sessions of people.
    """
    if hint_rank is not None:
        return restore_seconds * (1.0 + 1.0 / (1 + hint_rank))  # it will be wanted: always above any guess
    usual = idle_seconds if mean_gap_seconds is None else mean_gap_seconds
    until_next = math.sqrt((1.0 + max(0.0, usual)) * (1.0 + max(0.0, idle_seconds)))
    return restore_seconds * (1.0 - math.exp(-HORIZON_SECONDS / until_next))


def cheapest_set(candidates: Sequence[tuple[float, int]], short_bytes: int) -> list[int] | None:
    """Indices of the cheapest candidates that together free `short_bytes`; None when all of them do not.

    candidates: (cost, nbytes) each, leaving whole.
    """
    chosen = cheapest_parts([(cost, nbytes, False) for cost, nbytes in candidates], short_bytes)
    return None if chosen is None else [i for i, _ in chosen]


def cheapest_parts(
    candidates: Sequence[tuple[float, int, bool]], short_bytes: int
) -> list[tuple[int, int]] | None:
    """(index, bytes that leave) of the cheapest candidates that together free `short_bytes`; None when all of them do not.

    candidates: (cost of all its bytes, nbytes, whether a part of it may leave for a part of the cost) each.
    """
    if short_bytes <= 0:
        return []
    if sum(nbytes for _, nbytes, _ in candidates) < short_bytes:
        return None
    useful = [i for i, (_, nbytes, _) in enumerate(candidates) if nbytes > 0]
    divisible = [i for i in useful if candidates[i][2]]
    divisible.sort(key=lambda i: (candidates[i][0] / candidates[i][1], -candidates[i][1]))
    whole = [i for i in useful if not candidates[i][2]]
    if len(whole) > EXACT_UP_TO:
        return _greedy(candidates, useful, short_bytes)
    return _exact(candidates, whole, divisible, short_bytes)


Choice = list[tuple[int, int]]


def _exact(
    candidates: Sequence[tuple[float, int, bool]], whole: list[int], divisible: list[int], short_bytes: int
) -> Choice:
    """Every set of those that leave whole, filled up with parts, least cost per byte first: nothing can be cheaper."""
    order = sorted(
        whole, key=lambda i: -candidates[i][1]
    )  # large first: solutions, and so bounds, come early
    left = [sum(candidates[i][1] for i in divisible)] * (len(order) + 1)
    for place in range(len(order) - 1, -1, -1):
        left[place] = left[place + 1] + candidates[order[place]][1]
    best: tuple[tuple[float, int, int], Choice] = ((math.inf, 0, 0), [])

    def search(place: int, chosen: Choice, cost: float, freed: int) -> None:
        nonlocal best
        if cost > best[0][0] or freed + left[place] < short_bytes:
            return
        if freed + left[-1] >= short_bytes:
            parts, price = _fill(candidates, divisible, short_bytes - freed)
            all_freed = freed + sum(nbytes for _, nbytes in parts)
            best = min(best, ((cost + price, len(chosen) + len(parts), all_freed), [*chosen, *parts]))
        if freed >= short_bytes or place == len(order):
            return
        i = order[place]
        search(place + 1, [*chosen, (i, candidates[i][1])], cost + candidates[i][0], freed + candidates[i][1])
        search(place + 1, chosen, cost, freed)

    search(0, [], 0.0, 0)
    return best[1]


def _fill(
    candidates: Sequence[tuple[float, int, bool]], divisible: list[int], short_bytes: int
) -> tuple[Choice, float]:
    """Parts that free exactly so much, and their cost."""
    parts, price = Choice(), 0.0
    for i in divisible:
        if short_bytes <= 0:
            break
        cost, nbytes, _ = candidates[i]
        leaves = min(nbytes, short_bytes)
        parts.append((i, leaves))
        price += cost * leaves / nbytes
        short_bytes -= leaves
    return parts, price


def _greedy(candidates: Sequence[tuple[float, int, bool]], useful: list[int], short_bytes: int) -> Choice:
    """Least cost per byte first, without those that turn out needless; or the single one that frees enough, if cheaper."""
    chosen: dict[int, int] = {}
    missing = short_bytes
    for i in sorted(useful, key=lambda i: candidates[i][0] / candidates[i][1]):
        chosen[i] = candidates[i][1]
        missing -= candidates[i][1]
        if missing <= 0:
            break
    for i in sorted(chosen, key=lambda i: -candidates[i][0]):
        gives_back = min(chosen[i], -missing)
        if gives_back == chosen[i] or candidates[i][2]:
            chosen[i] -= gives_back
            missing += gives_back
    picked = [(i, nbytes) for i, nbytes in chosen.items() if nbytes]
    single = min(
        (i for i in useful if candidates[i][1] >= short_bytes), key=lambda i: candidates[i], default=None
    )
    if single is not None:
        cost, nbytes, in_pieces = candidates[single]
        leaves = short_bytes if in_pieces else nbytes
        if cost * leaves / nbytes <= sum(candidates[i][0] * n / candidates[i][1] for i, n in picked):
            return [(single, leaves)]
    return picked
