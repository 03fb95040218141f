"""The training loop's promises, on a model of a few dozen numbers."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pipelines.training.loop import Shuffled, TrainingPlan, load_weights, train
from pipelines.training.muon import orthogonal


def _model() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 1))


def _batches(step: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
    return x, x.sum(1, keepdim=True)


def _objective(model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, float]]:
    x, y = batch
    loss = (model(x + 0.01 * torch.randn_like(x)) - y).pow(2).mean()
    return loss, {"twice": 2 * loss.item()}


PLAN = TrainingPlan(steps=24, learning_rate=1e-2, warmup_steps=4, log_every=8, checkpoint_every=10)


@pytest.mark.parametrize("plan", [PLAN, replace(PLAN, optimizer="muon")], ids=["adamw", "muon"])
def test_a_resumed_run_gives_the_same_weights_as_an_uninterrupted_one(
    plan: TrainingPlan, tmp_path: Path
) -> None:
    """Dropout, noise, moments and the average all have to survive the stop."""
    whole, halves = _model(), _model()
    train(whole, _batches, _objective, plan, tmp_path / "whole")

    with pytest.raises(RuntimeError, match="power cut"):
        train(halves, lambda s: _batches(s) if s < 13 else _cut(), _objective, plan, tmp_path / "halves")
    again = _model()
    result = train(again, _batches, _objective, plan, tmp_path / "halves", resume=True)

    assert result.step == 24
    assert result.finished
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    load_weights(whole, tmp_path / "whole")
    load_weights(again, tmp_path / "halves")
    for a, b in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_optimizer_may_change_between_resumes(tmp_path: Path) -> None:
    """What the new one does not know of the old one's state is left behind; nothing else is lost."""
    model = _model()
    train(model, _batches, _objective, replace(PLAN, steps=10), tmp_path)
    before = [p.clone() for p in model.parameters()]
    result = train(model, _batches, _objective, replace(PLAN, optimizer="muon"), tmp_path, resume=True)
    assert result.step == 24
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("shape", [(3, 12, 40), (2, 40, 12), (1, 24, 24)])
def test_an_orthogonal_step_moves_every_direction_alike(shape: tuple[int, ...]) -> None:
    """Singular values a factor of thirty apart come within a factor of two of each other."""
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    values = torch.logspace(0, -1.5, left.shape[-1])
    after = torch.linalg.svdvals(orthogonal(left * values @ right))
    assert after.shape == (shape[0], min(shape[1:]))
    assert float(after.min()) > 0.6
    assert float(after.max()) < 1.3


def _cut() -> tuple[Tensor, Tensor]:
    raise RuntimeError("power cut")


def test_the_loss_falls_and_is_logged_and_drawn(tmp_path: Path) -> None:
    train(_model(), _batches, _objective, TrainingPlan(steps=200, learning_rate=2e-2, log_every=20), tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(20, 201, 20))
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    assert rows[-1]["twice"] > 0
    assert (tmp_path / "loss.png").stat().st_size > 0


def test_an_earlier_run_is_never_overwritten_by_accident(tmp_path: Path) -> None:
    train(_model(), _batches, _objective, PLAN, tmp_path)
    with pytest.raises(FileExistsError, match="--resume"):
        train(_model(), _batches, _objective, PLAN, tmp_path)


def test_minutes_stop_a_run_and_leave_a_checkpoint(tmp_path: Path) -> None:
    result = train(_model(), _batches, _objective, PLAN, tmp_path, minutes=0)
    assert result.step == 0
    assert not result.finished
    assert load_weights(_model(), tmp_path) == 0


def test_a_loss_that_is_not_a_number_stops_the_run_with_advice(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="lower learning rate"):
        train(_model(), _batches, lambda m, b: _objective(m, b)[0] * float("nan"), PLAN, tmp_path)


def test_samples_are_taken_with_the_averaged_weights(tmp_path: Path) -> None:
    model, seen = _model(), []
    plan = TrainingPlan(steps=6, learning_rate=1e-2, sample_every=6, ema=0.999)
    train(
        model, _batches, _objective, plan, tmp_path, sample=lambda m, s, f: seen.append(m[0].weight.clone())
    )
    averaged = _model()
    load_weights(averaged, tmp_path)
    assert torch.equal(seen[0], averaged[0].weight)
    assert not torch.equal(seen[0], model[0].weight)


def test_every_epoch_visits_every_example_once() -> None:
    order = Shuffled(12, batch_size=4, seed=3)
    first, second = ([int(i) for s in steps for i in order(s)] for steps in (range(3), range(3, 6)))
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second
    assert list(order(1)) == first[4:8]


def test_learning_rates_follow_steps() -> None:
    plan = TrainingPlan(steps=100, learning_rate=1.0, warmup_steps=10, decay="trapezoid", cooldown=0.5)
    assert plan.learning_rate_at(0) == pytest.approx(0.1)
    assert plan.learning_rate_at(30) == 1.0
    assert plan.learning_rate_at(75) == pytest.approx(0.5, abs=0.01)
