"""Does `starter/image` paint what was asked? Scored by a classifier that has only ever seen painted pictures.

200 captions in full words: half of scenes like those in training, half of combinations that training never showed. For every
attribute that a caption asks for, the classifier says whether the picture shows it; its own accuracy on painted pictures is
reported beside, since no score can be above it. The results, the model card and its montage are written into the model's folder.
"""

import json
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines.training.loop import TrainingPlan, load_weights, train
from pipelines.training.starter.flat_picture import paint
from pipelines.training.starter.image import DEFAULTS, contact_sheet
from pipelines.training.starter.image_model import to_tensor
from pipelines.training.starter.world import (
    COLOURED,
    EXAMPLES,
    OBJECT_COLOURS,
    WORDS,
    Scene,
    caption,
    random_scene,
)

VALUES: dict[str, list[str]] = {
    "kind": ["landscape", "emblem"],
    **{
        name: list(WORDS[name]) for name in ("place", "time", "weather", "season", "shape", "colour", "frame")
    },
    "background": list(WORDS["colour"]),
    **{f"has {name}": ["no", "yes"] for name in WORDS["object"]},
    **{f"colour of {name}": list(OBJECT_COLOURS) for name in COLOURED},
}
BARS = {
    "kind": 90,
    "place": 90,
    "time": 90,
    "shape": 90,
    "colour": 90,
    "background": 90,
    "object": 75,
    "object colour": 75,
}
PLAN = TrainingPlan(steps=1500, learning_rate=2e-3, warmup_steps=100, checkpoint_every=500, ema=0.99)


class Looker(nn.Module):
    """A small convolutional network: (B, 3, 64, 64) in [-1, 1] → scores for every attribute in `VALUES`."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, o in ((3, width), (width, 2 * width), (2 * width, 4 * width), (4 * width, 4 * width)):
            layers += [nn.Conv2d(i, o, 3, stride=2, padding=1), nn.GroupNorm(8, o), nn.ReLU()]
        layers += [
            nn.Conv2d(4 * width, 4 * width, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * width, 8 * width),
            nn.ReLU(),
        ]
        self.body = nn.Sequential(*layers)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(8 * width, len(values)) for name, values in VALUES.items()}
        )

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        seen = self.body(pictures)
        return {name: head(seen) for name, head in self.heads.items()}


def truth(scene: Scene) -> dict[str, str]:
    """What the picture of a scene shows, in the words of `VALUES`; attributes that do not apply are left out."""
    if scene.kind == "emblem":
        return {name: getattr(scene, name) for name in ("kind", "shape", "colour", "background", "frame")}
    shown = {
        name: getattr(scene, name)
        for name in ("kind", "place", "time", "weather", "season")
        if getattr(scene, name)
    }
    shown |= {f"has {name}": "no" for name in WORDS["object"]}
    for thing in scene.things:
        shown[f"has {thing.name}"] = "yes"
        if thing.colour:
            shown[f"colour of {thing.name}"] = thing.colour
    return shown


def asked(said: dict[str, str]) -> dict[str, str]:
    """What a caption asked for (see `world.caption`), in the words of `VALUES`."""
    wanted = {name: value for name, value in said.items() if name in VALUES}
    for slot in ("thing0", "thing1"):
        if slot in said:
            wanted[f"has {said[slot]}"] = "yes"
            if f"{slot}_colour" in said:
                wanted[f"colour of {said[slot]}"] = said[f"{slot}_colour"]
    return wanted


def train_looker(run_dir: Path, plan: TrainingPlan = PLAN) -> Looker:
    """The classifier of this run folder, trained on the first call (a minute or two)."""

    def batches(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng((4, step))
        scenes = [random_scene(rng, held=None) for _ in range(48)]
        pictures = torch.stack([to_tensor(paint(scene, 256, 1).reduce(4)) for scene in scenes])
        if rng.random() < 0.5:  # soft and noisy ones too, so that only content counts
            pictures = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        pictures = pictures + 0.15 * rng.random() * torch.randn_like(pictures)
        return pictures, labels([truth(scene) for scene in scenes])

    def objective(model: Looker, batch: tuple[Tensor, dict[str, Tensor]]) -> Tensor:
        out = model(batch[0])
        losses = [
            F.cross_entropy(out[name], batch[1][name], ignore_index=-1)
            for name in VALUES
            if (batch[1][name] >= 0).any()
        ]
        return torch.stack(losses).sum()

    torch.manual_seed(0)
    looker = Looker()
    train(looker, batches, objective, plan, run_dir, resume=True)
    load_weights(looker, run_dir)
    return looker.eval()


def labels(shown: list[dict[str, str]]) -> dict[str, Tensor]:
    """Value numbers (B,) for each attribute; -1 where it does not apply."""
    return {n: torch.tensor([v.index(s[n]) if n in s else -1 for s in shown]) for n, v in VALUES.items()}


def score(looker: Looker, pictures: list[Image.Image], wanted: list[dict[str, str]]) -> dict[str, float]:
    """Percent right for each group of attributes, and over all of them ("all")."""
    small = torch.stack(
        [to_tensor(picture.convert("RGB").resize((256, 256)).reduce(4)) for picture in pictures]
    )
    with torch.no_grad():
        seen = {name: values.argmax(1) for name, values in looker(small).items()}
    hits: dict[str, list[bool]] = {}
    for name, target in labels(wanted).items():
        group = (
            "object"
            if name.startswith("has ")
            else "object colour"
            if name.startswith("colour of ")
            else name
        )
        right = [bool(a == b) for a, b in zip(seen[name], target, strict=True) if b >= 0]
        hits.setdefault(group, []).extend(right)
    hits["all"] = [hit for group in hits.values() for hit in group]
    return {group: 100 * float(np.mean(right)) for group, right in hits.items() if right}


def evaluate(
    folder: Path, run_dir: Path, count: int = 200, into: Path | None = None, plan: TrainingPlan = PLAN
) -> dict[str, object]:
    """Score the model in `folder`; write `evaluation.json` and `montage.png` into it, or `into`, and return the numbers."""
    looker, into = train_looker(run_dir / "looker", plan), into or folder
    studio = json.loads((folder / "studio.json").read_text())["defaults"]
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    pipe.set_progress_bar_config(disable=True)
    rng, numbers, own = np.random.default_rng(2024), {}, []
    started = time.monotonic()
    shown: list[Image.Image] = []
    for name, held in (("seen combinations", False), ("held-out combinations", True)):
        scenes = [random_scene(rng, held=held) for _ in range(count // 2)]
        own += scenes
        texts, wanted, pictures = [], [], []
        for scene in scenes:
            text, said = caption(scene, rng, complete=True)
            texts.append(text)
            wanted.append(asked(said))
        for first in range(0, len(texts), 10):
            generator = torch.Generator().manual_seed(first)
            pictures += pipe(texts[first : first + 10], generator=generator, **studio).images
        numbers[name] = score(looker, pictures, wanted)
        shown += pictures[:16]
    seconds = (time.monotonic() - started) / count
    painted = score(looker, [paint(scene) for scene in own], [truth(scene) for scene in own])
    report: dict[str, object] = {
        **numbers,
        "the classifier itself, on painted pictures": painted,
        "bars": BARS,
        "captions": count,
        "seconds_per_picture": round(seconds, 2),
        "settings": studio,
    }
    (into / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    examples = pipe(EXAMPLES, generator=torch.Generator().manual_seed(1), **studio).images
    contact_sheet(examples, into / "montage.png", across=4, size=192)
    contact_sheet(shown, run_dir / "evaluated.png", across=8, size=192)
    return report


def table(report: dict[str, object]) -> str:
    """The scores as a Markdown table, with the bar each group should reach."""
    columns = [
        name for name, value in report.items() if isinstance(value, dict) and name not in ("settings", "bars")
    ]
    lines = ["| asked for | bar | " + " | ".join(columns) + " |", "| --- |" + " --- |" * (len(columns) + 1)]
    groups = list(dict.fromkeys(group for name in columns for group in report[name]))  # type: ignore[attr-defined]
    for group in groups:
        cells = [f"{report[name][group]:.0f} %" if group in report[name] else "" for name in columns]  # type: ignore[index, operator]
        lines.append(
            f"| {group} | {f'{BARS[group]} %' if group in BARS else ''} | " + " | ".join(cells) + " |"
        )
    return "\n".join(lines)


def bench(folder: Path, run_dir: Path, small: bool = False) -> str:
    """Evaluate, and say it in Markdown for the model card. small: a classifier that learned nothing looks at two pictures."""
    report = (
        evaluate(folder, run_dir, 2, run_dir, TrainingPlan(steps=1)) if small else evaluate(folder, run_dir)
    )
    settings = ", ".join(f"{name} {value}" for name, value in DEFAULTS.items())
    return f"{report['captions']} captions; {settings}; {report['seconds_per_picture']} s a picture here.\n\n{table(report)}"
