"""One training loop for every starter model and, later, for fine-tuning: seeded, resumable, watched as it runs.

The loop knows parameters and steps, nothing of pictures or language. A recipe hands it three plain callables:

    def batches(step: int) -> Batch              # batch number `step` of endless data: a pure function of the step
    def objective(model, batch) -> Tensor        # scalar loss, or (loss, {"name": number}) for the log
    def sample(model, step: int, folder: Path)   # optional; called with the averaged (EMA) weights in place, in eval mode

    plan = TrainingPlan(steps=20_000, learning_rate=1e-3, warmup_steps=200, decay="cosine", ema=0.999)
    result = train(model, batches, objective, plan, Path("data/training/starter-text"), resume=True, minutes=30, sample=sample)

Why a function of the step: before each step torch's own generator is seeded with (plan.seed, step), so dropout and noise drawn
inside `objective` need no care, and a run that was stopped and resumed gives the same weights, bit for bit, as one that was not.
`Shuffled(n, batch_size, seed)` gives the example numbers of any step, epoch after epoch.

In the run folder: `log.jsonl` (one line per `log_every` steps), `loss.png`, `samples/`, and the two newest `step-…/` checkpoints
(`model`, `ema` and `optimizer` as safetensors, `state.json`); the file `latest` names the one to trust and is replaced
atomically. `load_weights(model, run_dir)` puts the averaged weights of the newest checkpoint into a model.

Learning rates follow steps, never seconds: a busy machine makes a run slower, not different. `minutes` only stops it early.
"""

import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipelines.disk import write_whole
from pipelines.training.muon import Muon

Model = TypeVar("Model", bound=nn.Module)
Batch = TypeVar("Batch")
Batches = Callable[[int], Batch]
"""The step → what it learns from."""
Objective = Callable[[Model, Batch], Tensor | tuple[Tensor, dict[str, float]]]
"""The loss, and figures for the log if there are any."""
Sampler = Callable[[Model, int, Path], None]
"""Shows in a folder what the model can do at a step."""
MOMENTS: dict[type, tuple[str, ...]] = {
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    Muon: ("momentum",),
}


@dataclass(frozen=True)
class TrainingPlan:
    """How to train. Changing `steps` or `decay` between resumes is allowed: that is how a run is lengthened or cooled down."""

    steps: int
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    decay: Literal["cosine", "constant", "trapezoid"] = "cosine"  # trapezoid: constant, then linear to zero
    cooldown: float = 0.25  # the last part of a trapezoid, as a fraction of `steps`
    weight_decay: float = 0.01  # on matrices and kernels only, not on biases and norms
    optimizer: Literal["adamw", "muon"] = "adamw"  # muon: for hidden matrices; AdamW has the rest either way
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0  # largest gradient norm
    ema: float = 0.999  # 0 turns the average off
    seed: int = 0
    log_every: int = 50
    checkpoint_every: int = 1000
    sample_every: int = 0  # 0: never

    def learning_rate_at(self, step: int) -> float:
        """The rate used for step number `step` (from 0)."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        left = max(0.0, 1.0 - step / max(1, self.steps))
        if self.decay == "cosine":
            shape = 0.02 + 0.98 * 0.5 * (1 - math.cos(math.pi * left))
        elif self.decay == "trapezoid":
            shape = min(1.0, left / self.cooldown + 1e-3)
        else:
            shape = 1.0
        return self.learning_rate * warm * shape


@dataclass(frozen=True)
class Result:
    """Where a call to `train` left the run: `finished` is false when the minutes ran out or someone pressed Ctrl-C."""

    step: int
    loss: float  # mean of the last `log_every` steps
    finished: bool


class Shuffled:
    """Numbers of the examples in each batch: every epoch is a new permutation, and any step can be asked for directly."""

    def __init__(self, length: int, batch_size: int, seed: int = 0) -> None:
        self.length, self.batch_size, self.seed = length, batch_size, seed
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def __call__(self, step: int) -> np.ndarray:
        start = step * self.batch_size
        return np.array([self._at(start + i) for i in range(self.batch_size)])

    def _at(self, position: int) -> int:
        epoch, place = divmod(position, self.length)
        if epoch != self._epoch:
            self._epoch, self._order = (
                epoch,
                np.random.default_rng((self.seed, epoch)).permutation(self.length),
            )
        return int(self._order[place])


def train(
    model: Model,
    batches: Batches[Batch],
    objective: Objective[Model, Batch],
    plan: TrainingPlan,
    run_dir: Path,
    *,
    resume: bool = False,
    minutes: float | None = None,
    sample: Sampler[Model] | None = None,
) -> Result:
    """Train `model` in place until `plan.steps`, or until `minutes` are over, and leave a checkpoint either way.

    resume: go on from the newest checkpoint in `run_dir`; without one, start. Without `resume`, an earlier run there is refused.
    Raises FileExistsError as just said, FloatingPointError when the loss is no longer a number (the last checkpoint stays).
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    if not resume and (run_dir / "latest").exists():
        raise FileExistsError(
            f"{run_dir} holds an earlier run. Pass --resume to go on with it, or remove the folder."
        )
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimizers = _optimizers(named, plan)
    average = {name: p.detach().clone() for name, p in named.items()} if plan.ema else {}
    step = (
        _load(model, named, optimizers, average, run_dir) if resume and (run_dir / "latest").exists() else 0
    )

    extras: dict[str, float] = {}
    started, window, losses = time.monotonic(), time.monotonic(), []
    last_loss, last_logged, last_saved, finished = math.nan, step, step, True
    model.train()
    try:
        while step < plan.steps:
            if minutes is not None and time.monotonic() - started > minutes * 60:
                finished = False
                break
            loss, extras = _step(model, named, average, optimizers, batches, objective, plan, step)
            losses.append(loss)
            step += 1
            if step % plan.log_every == 0 or step == plan.steps:
                last_loss, now = float(np.mean(losses)), time.monotonic()
                rate, last_logged = (step - last_logged) / max(1e-9, now - window), step
                line = {"step": step, "loss": last_loss, "learning_rate": plan.learning_rate_at(step - 1)}
                _log(run_dir, line | {"steps_per_second": rate} | extras, plan.steps)
                window, losses = now, []
            if plan.sample_every and sample is not None and step % plan.sample_every == 0:
                _sample(model, named, average, sample, step, run_dir)
            if step % plan.checkpoint_every == 0:
                _save(model, named, optimizers, average, plan, step, run_dir)
                last_saved = step
    except KeyboardInterrupt:  # a person stops it: keep what was learned
        finished = False
    if step != last_saved or not (run_dir / "latest").exists():
        _save(model, named, optimizers, average, plan, step, run_dir)
    return Result(step, float(np.mean(losses)) if losses else last_loss, finished)


def load_weights(model: nn.Module, run_dir: Path, *, averaged: bool = True) -> int:
    """Put the newest checkpoint's weights into `model` (the averaged ones where there are any); returns its step.

    Raises FileNotFoundError when the run has no checkpoint yet.
    """
    folder = _latest(run_dir)
    _copy_into(model, load_file(folder / "model.safetensors"))
    if averaged and (folder / "ema.safetensors").exists():
        _copy_into(model, load_file(folder / "ema.safetensors"))
    return int(json.loads((folder / "state.json").read_text())["step"])


@contextmanager
def averaged_weights(named: dict[str, nn.Parameter], average: dict[str, Tensor]) -> Iterator[None]:
    """Inside the block the parameters hold their running average; afterwards their own values again."""
    kept = {name: named[name].detach().clone() for name in average}
    with torch.no_grad():
        for name, value in average.items():
            named[name].copy_(value)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in kept.items():
                named[name].copy_(value)


def plot_losses(run_dir: Path, width: int = 720, height: int = 360) -> Path:
    """Draw `log.jsonl` as `loss.png`, loss on a logarithmic scale over steps."""
    rows = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    points = [(r["step"], math.log10(r["loss"])) for r in rows if r["loss"] > 0]
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    if points:
        low, high = min(y for _, y in points), max(y for _, y in points)
        last = max(1, max(x for x, _ in points))
        place = [
            (50 + (width - 70) * x / last, 20 + (height - 50) * (high - y) / max(1e-9, high - low))
            for x, y in points
        ]
        draw.line(place if len(place) > 1 else place * 2, fill="#1f6feb", width=2)
        draw.text((6, 12), f"{10**high:.4g}", fill="black")
        draw.text((6, height - 38), f"{10**low:.4g}", fill="black")
        draw.text((width - 120, height - 20), f"{last} steps", fill="black")
    path = run_dir / "loss.png"
    image.save(path)
    return path


def _step(
    model: Model,
    named: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    optimizers: list[torch.optim.Optimizer],
    batches: Batches[Batch],
    objective: Objective[Model, Batch],
    plan: TrainingPlan,
    step: int,
) -> tuple[float, dict[str, float]]:
    torch.manual_seed((plan.seed << 32) + step)
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        group["lr"] = plan.learning_rate_at(step)
    out = objective(model, batches(step))
    loss, extras = out if isinstance(out, tuple) else (out, {})
    value = float(loss.detach())
    if not math.isfinite(value):
        raise FloatingPointError(
            f"The loss became {value} at step {step}. Resume from the last checkpoint with a lower learning rate "
            f"(it was {plan.learning_rate_at(step):.2g})."
        )
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(named.values(), plan.clip)
    for optimizer in optimizers:
        optimizer.step()
    if average:
        decay = min(plan.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), [named[n] for n in average], 1 - decay)
    return value, {name: float(number) for name, number in extras.items()}


def _optimizers(named: dict[str, nn.Parameter], plan: TrainingPlan) -> list[torch.optim.Optimizer]:
    hidden = {n: p for n, p in named.items() if plan.optimizer == "muon" and p.ndim >= 2 and "embed" not in n}
    rest = [p for name, p in named.items() if name not in hidden]
    groups = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": plan.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    optimizers: list[torch.optim.Optimizer] = []
    if groups:
        optimizers.append(torch.optim.AdamW(groups, lr=plan.learning_rate, betas=plan.betas, fused=True))
    if hidden:
        optimizers.append(Muon(hidden.values(), lr=plan.learning_rate, weight_decay=plan.weight_decay))
    return optimizers


def _log(run_dir: Path, line: dict[str, float], steps: int) -> None:
    with (run_dir / "log.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    left = (steps - line["step"]) / max(1e-9, line["steps_per_second"])
    text = f"step {line['step']:.0f}/{steps}  loss {line['loss']:.4f}  {line['steps_per_second']:.2f} it/s  "
    text += f"ETA {int(left // 3600)}:{int(left // 60) % 60:02d}:{int(left) % 60:02d}"
    print(text, end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


def _sample(
    model: Model,
    named: dict[str, nn.Parameter],
    average: dict[str, Tensor],
    sample: Sampler[Model],
    step: int,
    run_dir: Path,
) -> None:
    folder = run_dir / "samples"
    folder.mkdir(exist_ok=True)
    model.eval()
    with torch.no_grad(), averaged_weights(named, average):
        sample(model, step, folder)
    model.train()
    plot_losses(run_dir)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, tied weights once."""
    saved = set(model.state_dict())
    buffers = {name: b for name, b in model.named_buffers() if name in saved}
    return {name: t.detach().contiguous() for name, t in [*model.named_parameters(), *buffers.items()]}


def _copy_into(model: nn.Module, values: dict[str, Tensor]) -> None:
    here = dict([*model.named_parameters(), *model.named_buffers()])
    with torch.no_grad():
        for name, value in values.items():
            here[name].copy_(value)


def _save(
    model: nn.Module,
    named: dict[str, nn.Parameter],
    optimizers: list[torch.optim.Optimizer],
    average: dict[str, Tensor],
    plan: TrainingPlan,
    step: int,
    run_dir: Path,
) -> None:
    folder, building = run_dir / f"step-{step:08d}", run_dir / f".step-{step:08d}"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    save_file(_tensors(model), building / "model.safetensors")
    if average:
        save_file({name: t.contiguous() for name, t in average.items()}, building / "ema.safetensors")
    moments = {
        f"{moment}:{name}": value.contiguous()
        for name, p in named.items()
        for optimizer in optimizers
        for moment, value in optimizer.state.get(p, {}).items()
    }
    save_file(moments, building / "optimizer.safetensors")
    (building / "state.json").write_text(json.dumps({"step": step, "plan": asdict(plan)}))
    shutil.rmtree(folder, ignore_errors=True)
    building.rename(folder)
    write_whole(run_dir / "latest", folder.name)
    for old in sorted(run_dir.glob("step-*"))[:-2]:
        if old != folder:
            shutil.rmtree(old)
    if (run_dir / "log.jsonl").exists():
        plot_losses(run_dir)


def _latest(run_dir: Path) -> Path:
    return run_dir / (run_dir / "latest").read_text().strip()


def _load(
    model: nn.Module,
    named: dict[str, nn.Parameter],
    optimizers: list[torch.optim.Optimizer],
    average: dict[str, Tensor],
    run_dir: Path,
) -> int:
    folder = _latest(run_dir)
    _copy_into(model, load_file(folder / "model.safetensors"))
    if average and (folder / "ema.safetensors").exists():
        for name, value in load_file(folder / "ema.safetensors").items():
            average[name].copy_(value)
    moments = load_file(folder / "optimizer.safetensors")
    names = {p: name for name, p in named.items()}
    for optimizer in optimizers:
        for p in (p for group in optimizer.param_groups for p in group["params"]):
            state = {
                m: moments[f"{m}:{names[p]}"]
                for m in MOMENTS[type(optimizer)]
                if f"{m}:{names[p]}" in moments
            }
            if state:
                optimizer.state[p] = state
    return int(json.loads((folder / "state.json").read_text())["step"])
