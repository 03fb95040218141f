"""SeededDraws: whatever a library draws on a job's thread is the job's own, and the same as after `torch.manual_seed`."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch

from pipelines.audio.seeded_draws import FACTORIES, LIKE, OF_TENSORS, SeededDraws

ONES = torch.ones(3, 4)
COUNTS = torch.ones(3, 4, dtype=torch.int64)
TURNED = torch.ones(4, 3).T
DRAWS: dict[str, Callable[[], torch.Tensor]] = {
    "rand": lambda: torch.rand(5),
    "randn": lambda: torch.randn(2, 3, dtype=torch.float64),
    "randint": lambda: torch.randint(3, 90, (5,)),
    "randperm": lambda: torch.randperm(9),
    "normal of tensors": lambda: torch.normal(ONES, std=ONES),
    "normal of numbers": lambda: torch.normal(0.0, 1.0, (4,)),
    "multinomial": lambda: torch.multinomial(ONES, 2),
    "bernoulli": lambda: torch.bernoulli(ONES * 0.5),
    "poisson": lambda: torch.poisson(ONES * 4),
    "Tensor.multinomial": lambda: ONES.multinomial(2),
    "Tensor.bernoulli": lambda: (ONES * 0.5).bernoulli(),
    "bernoulli_": lambda: torch.empty(5).bernoulli_(0.5),
    "cauchy_": lambda: torch.empty(5).cauchy_(),
    "exponential_": lambda: torch.empty(5).exponential_(),
    "geometric_": lambda: torch.empty(5).geometric_(0.3),
    "log_normal_": lambda: torch.empty(5).log_normal_(),
    "normal_": lambda: torch.empty(5).normal_(),
    "random_": lambda: torch.empty(5).random_(4, 99),
    "uniform_": lambda: torch.empty(5).uniform_(-1, 1),
    "rand_like": lambda: torch.rand_like(TURNED),
    "randn_like": lambda: torch.randn_like(TURNED),
    "randint_like": lambda: torch.randint_like(COUNTS, 50),
    "randint_like between": lambda: torch.randint_like(COUNTS, 10, 50),
    "randint_like by name": lambda: torch.randint_like(COUNTS, low=10, high=50),
    "randint_like from a number": lambda: torch.randint_like(COUNTS, 10, high=50),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_is_the_one_after_manual_seed_and_takes_nothing_from_others(name: str) -> None:
    draw = DRAWS[name]
    torch.manual_seed(11)
    wanted = [draw(), draw()]
    before = torch.get_rng_state()
    with SeededDraws(11, torch.device("cpu")):
        drawn = [draw(), draw()]
    assert all(torch.equal(*pair) for pair in zip(drawn, wanted, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_every_function_that_is_heard_is_tried_here() -> None:
    heard = {function.__name__ for function in FACTORIES | OF_TENSORS | LIKE.keys()}
    assert heard <= {name.split()[0].removeprefix("Tensor.") for name in DRAWS}


def test_a_draw_with_a_generator_keeps_it() -> None:
    own = torch.Generator().manual_seed(3)
    with SeededDraws(11, torch.device("cpu")):
        drawn = torch.rand(4, generator=own)
    assert torch.equal(drawn, torch.rand(4, generator=torch.Generator().manual_seed(3)))


def test_another_thread_draws_as_it_always_did() -> None:
    drawn: list[torch.Tensor] = []
    torch.manual_seed(5)
    wanted = torch.rand(4)
    torch.manual_seed(5)
    with SeededDraws(11, torch.device("cpu")):
        other = threading.Thread(target=lambda: drawn.append(torch.rand(4)))
        other.start()
        other.join()
    assert torch.equal(drawn[0], wanted)
