"""Who leaves: the choice beside every other possible one, on small numbers."""

from __future__ import annotations

import itertools
import math
import random
import statistics
import time

import pytest

from pipelines.memory import policy
from pipelines.memory.policy import cheapest_parts, cheapest_set, expected_cost
from tests.bench.memory.optimum import RULES, SINGLE_OWNER, optimum, rule_seconds
from tests.bench.memory.replay import LINKS, NOTHING, OWN_JOB, replay
from tests.bench.memory.traces import GIB, all_traces


def least_cost(candidates: list[tuple[float, int, bool]], short_bytes: int) -> float:
    """By trying every number of bytes from each."""
    choices = [range(n + 1) if in_pieces else (0, n) for _, n, in_pieces in candidates]
    return min(
        sum(cost * leaves / n for (cost, n, _), leaves in zip(candidates, each, strict=True) if n)
        for each in itertools.product(*choices)
        if sum(each) >= short_bytes
    )


@pytest.mark.parametrize("seed", range(60))
def test_no_other_choice_is_cheaper(seed: int) -> None:
    draw = random.Random(seed)
    candidates = [
        (draw.uniform(0, 3), draw.randint(1, 6), draw.random() < 0.4) for _ in range(draw.randint(1, 5))
    ]
    short = draw.randint(1, sum(n for _, n, _ in candidates))
    chosen = cheapest_parts(candidates, short)
    assert chosen is not None
    cost = sum(candidates[i][0] * leaves / candidates[i][1] for i, leaves in chosen)
    assert math.isclose(cost, least_cost(candidates, short), abs_tol=1e-9)
    assert sum(leaves for _, leaves in chosen) >= short
    assert all(leaves == candidates[i][1] or candidates[i][2] for i, leaves in chosen)


def test_what_may_stay_in_part_gives_up_no_more_than_is_missing() -> None:
    assert cheapest_parts([(1.0, 50, True), (9.0, 60, True)], 20) == [(0, 20)]
    assert cheapest_parts([(1.0, 50, True), (9.0, 60, True)], 70) == [(0, 50), (1, 20)]
    assert cheapest_parts([(1.0, 50, False), (9.0, 60, True)], 20) == [(0, 50)]


def test_the_single_one_that_frees_enough_is_preferred_to_two_at_the_same_cost() -> None:
    assert cheapest_set([(1.0, 15), (1.0, 15), (2.0, 30)], 30) == [2]


def test_too_little_is_nobody_and_nothing_short_is_nothing() -> None:
    assert cheapest_set([(1.0, 10), (1.0, 10)], 21) is None
    assert cheapest_set([(1.0, 10)], 0) == []
    assert cheapest_set([(1.0, 0)], 1) is None


@pytest.mark.parametrize("in_pieces", [False, True])
def test_many_candidates_are_chosen_in_milliseconds_and_free_enough(in_pieces: bool) -> None:
    draw = random.Random(7)
    candidates = [(draw.uniform(0, 3), draw.randint(1, 1 << 30), in_pieces) for _ in range(400)]
    short = sum(n for _, n, _ in candidates) // 2
    started = time.process_time()
    chosen = cheapest_parts(candidates, short)
    assert time.process_time() - started < 0.25
    assert chosen is not None
    freed = sum(leaves for _, leaves in chosen)
    assert short <= freed <= short + (1 << 30)
    assert all(0 < leaves <= candidates[i][1] for i, leaves in chosen)


def test_the_exact_search_stays_within_its_time_at_its_largest() -> None:
    draw = random.Random(3)
    candidates = [(draw.uniform(1, 1.1), draw.randint(90, 110), False) for _ in range(policy.EXACT_UP_TO)]
    started = time.process_time()
    assert cheapest_parts(candidates, 800) is not None
    assert time.process_time() - started < 1.0


def test_what_was_announced_is_dearer_than_any_guess_and_sooner_dearer_than_later() -> None:
    guess = expected_cost(1.0, 0.0, 1e-3, None)
    assert expected_cost(1.0, 1e6, None, 0) > expected_cost(1.0, 1e6, None, 5) > guess


def test_what_rests_longer_than_usual_gets_cheaper() -> None:
    costs = [expected_cost(2.0, idle, 10.0, None) for idle in (1.0, 100.0, 1000.0, 10000.0)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 1.9
    assert costs[-1] < 0.7 * costs[0]


# ---- whole sessions ---------------------------------------------------------------------------------------------------


def test_sessions_stay_within_their_bars_of_the_optimum_and_nobody_leaves_needlessly() -> None:
    """Reload seconds from RAM; `bench memory policy` prints the whole table."""
    ratios: dict[int, list[float]] = {}
    link = LINKS[1]
    for trace in all_traces(seed=21, length=80):
        for gib in (8, 12, 16):
            best = optimum(trace, gib * GIB, link.costs())
            for told in (NOTHING, OWN_JOB, 2):
                outcome = replay(trace, gib * GIB, link, told)
                assert outcome.needless == 0
                ratios.setdefault(told, []).append(outcome.reload_seconds / best)
    assert statistics.mean(ratios[NOTHING]) <= 1.20
    assert statistics.mean(ratios[OWN_JOB]) <= 1.10
    assert statistics.mean(ratios[2]) <= 1.05


def test_no_rule_for_whole_components_beats_the_optimum() -> None:
    for link in (LINKS[0], LINKS[3]):
        for trace in all_traces(seed=22, length=30):
            best = optimum(trace, 12 * GIB, link.costs())
            ours = replay(trace, 12 * GIB, LINKS[3], 2).reload_seconds if link is LINKS[3] else math.inf
            others = [rule_seconds(rule, trace, 12 * GIB, link.costs()) for rule in (*RULES, SINGLE_OWNER)]
            assert best <= min([*others, ours]) + 1e-9
