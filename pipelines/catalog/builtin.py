"""What ships with the program: the starter models and the embedded voice."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, cast

from pipelines.catalog.families import unused_by
from pipelines.catalog.voices import espeak_voices
from pipelines.messages import AudioRequest, ImageRequest, Modality, VideoRequest
from pipelines.messages.spec import ModelFacts, ModelSpec, Source

ASSETS = Path(__file__).resolve().parents[2] / "assets"


def shipped() -> list[ModelSpec]:
    """Specs of the models in `assets/`, each told by the `studio.json` beside its weights."""
    illustrator, painter = _illustrator(), _painter()
    return [
        _starter(
            "text", "Starter writer", ("text",), "causal-lm", "A small language model for trying the studio."
        ),
        _starter(
            "code", "Starter coder", ("code",), "causal-lm", "A small code model for trying the studio."
        ),
        # the first of them is the default for pictures and clips
        *((painter, illustrator) if _meets_its_bars(painter) else (illustrator, painter)),
        ModelSpec(
            id="espeak",
            title="eSpeak NG",
            modalities=("audio",),
            loader="espeak",
            source=Source(),
            licence="GPL-3.0 (used as a separate process)",
            description="A small, clear, robotic voice that works everywhere, in over a hundred languages.",
            memory_bytes=80 << 20,
            facts={"voices": [dataclasses.asdict(voice) | {"id": voice.code} for voice in espeak_voices()]},
            unused=unused_by("espeak", AudioRequest),
            examples=(
                "Welcome to Atelier. Every picture, text and clip you make here stays on your machine.",
            ),
        ),
    ]


def _painter() -> ModelSpec:
    return _starter(
        "image",
        "Starter painter",
        ("image", "video"),
        "diffusers",
        "A small picture model for trying the studio.",
    )


def _illustrator() -> ModelSpec:
    """Shapes painted by program: no weights, so nothing can be missing."""
    folder = ASSETS / "starter" / "illustrator"
    notes = json.loads((folder / "studio.json").read_text())
    return ModelSpec(
        id="starter/illustrator",
        title="Illustrator",
        modalities=("image", "video"),
        loader="illustrator",
        source=Source(path=str(folder)),
        licence=notes["licence"],
        description="Paints shapes from the words it knows; a program, not a neural network, so it answers at once.",
        defaults=notes["defaults"],
        unused=unused_by("illustrator", ImageRequest, VideoRequest),
        facts={"understands": _understands(folder)},
        examples=tuple(notes["examples"]),
    )


def _meets_its_bars(spec: ModelSpec) -> bool:
    """Whether the scores in a starter model's card reach its bars, for combinations seen in training and for new ones."""
    report = Path(spec.source.path) / "evaluation.json"
    if spec.state != "ready" or not report.is_file():
        return False
    scores = json.loads(report.read_text())
    columns = [scores.get(name, {}) for name in ("seen combinations", "held-out combinations")]
    bars = scores.get("bars", {})
    return bool(bars) and all(
        column.get(group, 0) >= bar for column in columns for group, bar in bars.items()
    )


def _understands(folder: Path) -> dict[str, list[str]]:
    """Attribute → the plain words for its values, from the vocabulary beside a model; {} without one."""
    if not (folder / "vocabulary.json").is_file():
        return {}
    attributes = json.loads((folder / "vocabulary.json").read_text())["attributes"]
    return {name: [words[0] for words in values.values()] for name, values in attributes.items()}


class _Notes(TypedDict, total=False):
    """What a starter model's `studio.json` says; all but these are facts."""

    licence: str
    defaults: dict[str, object]
    limits: dict[str, float]
    examples: list[str]


def _starter(
    name: str, title: str, modalities: tuple[Modality, ...], loader: str, description: str
) -> ModelSpec:
    folder = ASSETS / "starter" / name
    notes: _Notes = {}
    if (folder / "studio.json").is_file():
        notes = json.loads((folder / "studio.json").read_text())
    weight_bytes = sum(file.stat().st_size for file in folder.rglob("*.safetensors"))
    return ModelSpec(
        id=f"starter/{name}",
        title=title,
        modalities=modalities,
        loader=loader,
        source=Source(path=str(folder)),
        licence=notes.get("licence", "CC0-1.0"),
        description=description,
        weight_bytes=weight_bytes,
        memory_bytes=int(weight_bytes * 2.5) + (200 << 20),
        state="ready" if weight_bytes else "broken",
        problem="" if weight_bytes else f"Its weights are missing from {folder}.",
        defaults=notes.get("defaults", {}),
        limits=notes.get("limits", {}),
        facts=_facts(notes, folder),
        examples=tuple(notes.get("examples", ())),
    )


def _facts(notes: Mapping[str, object], folder: Path) -> ModelFacts:
    rest = {name: told for name, told in notes.items() if name not in ("defaults", "limits", "examples")}
    return cast(ModelFacts, {**rest, "understands": _understands(folder)})
