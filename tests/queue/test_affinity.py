"""Who starts next: fair between owners first, then whose model is nearest, and nobody waits for ever."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from pipelines.catalog import ModelSpec, Source
from studio.queue.affinity import MOST_OVERTAKEN, WINDOW, Line, Turn, Waiting, choose, free
from studio.workers.nearness import Nearness


def queue(*jobs: str) -> list[Waiting]:
    """Jobs written as "owner model", oldest first; their ids are "owner model place"."""
    pairs = [job.split() for job in jobs]
    return [Waiting(f"{owner} {model} {place}", owner, model) for place, (owner, model) in enumerate(pairs)]


def near(*models: str) -> Callable[[str], float]:
    return lambda model: 0.0 if model in models else 5.0


def models(ids: list[str]) -> str:
    return "".join(job_id.split()[1] for job_id in ids)


owners_and_models = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz")), max_size=40)
last_turns = st.dictionaries(st.sampled_from("abcde"), st.builds(Turn, st.integers(1, 9), st.integers(1, 50)))
costs = st.fixed_dictionaries({model: st.sampled_from([0.0, 0.05, 1.0, 30.0]) for model in "wxyz"})


# ---- the choice ---------------------------------------------------------------------------------------------------------


def test_the_job_whose_model_is_nearest_starts_first() -> None:
    line = [(1, job) for job in queue("ada x", "ada y", "ada z")]
    choice = choose(line, {"x": 9.0, "y": 4.0, "z": 0.5}.__getitem__)
    assert choice.job.model == "z"
    assert choice.overtakes == ("ada x 0", "ada y 1")


def test_equal_costs_leave_the_line_as_it_is() -> None:
    for cost in (free, near(), near("x", "y"), {"x": 5.0, "y": 4.95}.__getitem__):
        assert choose([(1, job) for job in queue("ada x", "ada y")], cost).overtakes == ()


def test_only_the_first_few_are_looked_at() -> None:
    line = [(1, job) for job in queue(*["ada x"] * WINDOW, "ada y")]
    assert choose(line, near("y")).job.model == "x"


def test_nobody_goes_ahead_of_an_owner_whose_turn_it_is() -> None:
    """Ada had a turn in this round and Bob had not: however near her model is, it is his turn."""
    line = Line(queue("ada x", "bob y"), {"ada": Turn(3, 7), "bob": Turn(2, 6)}, round=3)
    assert line.next(near("x")).job.owner == "bob"


def test_within_a_round_the_nearer_of_two_owners_starts() -> None:
    line = Line(queue("ada x", "bob y"), {"ada": Turn(2, 6), "bob": Turn(2, 7)}, round=2)
    choice = line.next(near("y"))
    assert (choice.job.owner, choice.overtakes) == ("bob", ("ada x 0",))


def test_two_owners_of_two_models_share_a_load_every_other_turn() -> None:
    """Each round serves both; its order is free, so the model that is there makes two jobs in a row."""
    there = ["x"]
    line = Line(queue(*["ada x", "bob y"] * 4), {})
    order = []
    while line:
        choice = line.next(near(*there))
        there[:] = [choice.job.model]
        line.take(choice)
        order.append(choice.job.id)
    assert models(order) == "xyyxxyyx"


def test_one_overtaken_often_enough_is_passed_no_more() -> None:
    line = [(1, job) for job in queue("ada x", "ada y", "ada z")]
    line[1] = (1, Waiting("ada y 1", "ada", "y", overtaken=MOST_OVERTAKEN))
    assert choose(line, near("z")).job.model == "x"
    assert choose(line, near("y")).job.model == "y"


@given(owners_and_models, last_turns, costs)
def test_everyone_is_served_evenly_and_nobody_is_passed_too_often(
    jobs: list[tuple[str, str]], turns: dict[str, Turn], cost: Mapping[str, float]
) -> None:
    waiting = queue(*(" ".join(job) for job in jobs))
    latest = max((turn.round for turn in turns.values()), default=0)
    line = Line(waiting, turns, latest)
    owners, served = Counter(job.owner for job in waiting), Counter[str]()
    passed: Counter[str] = Counter()
    started: list[str] = []
    while line:
        head = line.head(1)[0][1]
        choice = line.next(cost.__getitem__)
        passed.update(choice.overtakes)
        assert choice.job is head or head.id in choice.overtakes
        line.take(choice)
        started.append(choice.job.id)
        served[choice.job.owner] += 1
        behind = [owner for owner in owners if served[owner] < owners[owner] and owner not in turns]
        assert all(served[choice.job.owner] - served[owner] <= 1 for owner in behind)
    assert sorted(started) == sorted(job.id for job in waiting)
    assert max(passed.values(), default=0) <= MOST_OVERTAKEN


@given(owners_and_models, last_turns)
def test_without_costs_each_owners_jobs_start_oldest_first(
    jobs: list[tuple[str, str]], turns: dict[str, Turn]
) -> None:
    waiting = queue(*(" ".join(job) for job in jobs))
    order = Line(waiting, turns, 3).order()
    for owner in "abcd":
        assert [job for job in order if job[0] == owner] == [job.id for job in waiting if job.owner == owner]


@given(owners_and_models, last_turns, costs)
def test_the_order_shown_is_the_order_in_which_they_start(
    jobs: list[tuple[str, str]], turns: dict[str, Turn], cost: Mapping[str, float]
) -> None:
    """As long as nobody comes and what ran stays in memory."""
    waiting = queue(*(" ".join(job) for job in jobs))
    shown = Line(waiting, turns, 1).order(cost.__getitem__)
    line, ran, started = Line(waiting, turns, 1), set[str](), []
    while line:
        choice = line.next(lambda model: 0.0 if model in ran else cost[model])
        line.take(choice)
        ran.add(choice.job.model)
        started.append(choice.job.id)
    assert started == shown


# ---- a day at a studio with many people ----------------------------------------------------------------------------------

LOAD_SECONDS = {"w": 6.0, "x": 12.0, "y": 3.0, "z": 20.0}
WORK_SECONDS = 4.0


def day(
    cost_of: Callable[[list[str]], Callable[[str], float]], seed: int
) -> tuple[float, list[float], Counter[str]]:
    """Eight people send 320 jobs to a device that holds two models: (seconds of loading, waits, how often passed)."""
    chance = random.Random(seed)
    people = {name: chance.choice("wxyz") for name in "abcdefgh"}
    arrivals = []
    at = 0.0
    for number in range(320):
        at += chance.expovariate(1 / 7.0)
        owner = chance.choice(list(people))
        model = people[owner] if chance.random() < 0.7 else chance.choice("wxyz")
        arrivals.append((at, Waiting(str(number), owner, model)))
    came = {job.id: at for at, job in arrivals}
    waiting: dict[str, Waiting] = {}
    turns: dict[str, Turn] = {}
    there: list[str] = []
    now, loading, round, number = 0.0, 0.0, 0, 0
    waits: list[float] = []
    passed: Counter[str] = Counter()
    while arrivals or waiting:
        if not waiting:
            now = max(now, arrivals[0][0])
        while arrivals and arrivals[0][0] <= now:
            _, job = arrivals.pop(0)
            waiting[job.id] = job
        choice = Line(waiting.values(), turns, round).next(cost_of(there))
        for job_id in choice.overtakes:
            passed[job_id] += 1
            job = waiting[job_id]
            waiting[job_id] = Waiting(job.id, job.owner, job.model, job.overtaken + 1)
        del waiting[choice.job.id]
        number += 1
        round, turns[choice.job.owner] = choice.round, Turn(choice.round, number)
        waits.append(now - came[choice.job.id])
        model = choice.job.model
        if model not in there:
            loading += LOAD_SECONDS[model]
            now += LOAD_SECONDS[model]
        there = [*[other for other in there if other != model], model][-2:]
        now += WORK_SECONDS
    return loading, sorted(waits), passed


def test_reordering_saves_loads_and_nobody_pays_for_it_with_a_long_wait() -> None:
    def nearest(there: list[str]) -> Callable[[str], float]:
        return lambda model: 0.0 if model in there else LOAD_SECONDS[model]

    saved = []
    for seed in range(5):
        in_line, waits_in_line, nobody = day(lambda there: free, seed)
        reordered, waits, passed = day(nearest, seed)
        assert not nobody
        assert max(passed.values()) <= MOST_OVERTAKEN
        assert sum(waits) < sum(waits_in_line)
        assert waits[-1] < waits_in_line[-1]
        saved.append(1 - reordered / in_line)
    assert min(saved) > 0.1
    assert sum(saved) / len(saved) > 0.25


def test_someone_with_one_job_is_not_held_up_by_someone_with_a_hundred() -> None:
    """Bob's hundred jobs suit the device; Ada's one does not, and still it starts within the next round."""
    line = Line(queue(*["bob x"] * 100, "ada y"), {"bob": Turn(5, 5)}, round=5)
    assert line.order(near("x")).index("ada y 100") <= 1


# ---- what a model costs ---------------------------------------------------------------------------------------------------


def spec(model: str, weight_bytes: int = 0) -> ModelSpec:
    return ModelSpec(model, model, ("image",), "diffusers", Source(), weight_bytes=weight_bytes)


def part(key: str, state: str, nbytes: int, restore_seconds: float | None = None) -> dict[str, object]:
    told: dict[str, object] = {"key": key, "state": state, "nbytes": nbytes}
    return told if restore_seconds is None else told | {"restore_seconds": restore_seconds}


def test_what_is_resident_costs_nothing_and_what_left_costs_its_way_back() -> None:
    nearness = Nearness()
    held = [part("a:unet", "resident", 10**9, 2.0), part("b:unet", "host", 10**9, 0.3)]
    assert nearness.tell({"components": held})
    assert not nearness.tell({"components": held})
    assert nearness.seconds(spec("a")) == 0
    assert nearness.seconds(spec("b")) == 0.3


def test_what_is_gone_from_memory_is_remembered_by_its_size() -> None:
    nearness = Nearness()
    nearness.tell({"components": [part("a:unet", "resident", 10**9), part("a:vae", "resident", 10**8)]})
    nearness.tell({"components": [part("a:vae", "resident", 10**8)]})
    assert nearness.seconds(spec("a")) == 2.0


def test_a_model_never_seen_is_guessed_by_its_weight() -> None:
    assert Nearness().seconds(spec("a", weight_bytes=5 * 10**9)) == 10.0
    assert Nearness().seconds(spec("espeak")) == 0.0


def test_a_component_of_several_models_is_near_for_all_of_them() -> None:
    shared = part("digest", "resident", 10**9) | {"models": ["a", "b"]}
    nearness = Nearness()
    nearness.tell({"components": [shared, part("b:unet", "host", 10**9, 0.7)]})
    assert (nearness.seconds(spec("a")), nearness.seconds(spec("b"))) == (0.0, 0.7)
