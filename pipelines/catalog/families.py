"""Families of models: one row for each way a model is opened, with what server and worker have to know of it.

`ModelSpec.loader` names the row. A family that makes sound is this row and its engine, a file in `pipelines/audio`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.catalog.voices import bark_voices
from pipelines.messages import BaseRequest, knobs_of

VoicesOf = Callable[[Path, Mapping[str, object]], list[str]]


def numbered(folder: Path, config: Mapping[str, object]) -> list[str]:
    """The speakers of a model that only counts them."""
    count = config.get("num_speakers")
    return [str(number) for number in range(count)] if isinstance(count, int) and count > 1 else []


@dataclass(frozen=True)
class Family:
    """One way a model is opened.

    classes: the `architectures` of a config.json that are opened so. traits: what a knob may be `only_for`. engine: the module
    and class in `pipelines/audio` that performs with it. voices: those a folder has to choose from, by its config.json.
    needs_torch: False lets a job start while torch is still being loaded.
    """

    loader: str
    classes: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    engine: str = ""
    voices: VoicesOf = numbered
    needs_torch: bool = True


ROWS = (
    Family("diffusers", traits=("denoised",)),
    Family("diffusers-single-file", traits=("denoised",)),
    Family("causal-lm"),
    Family("illustrator", needs_torch=False),
    Family("espeak", engine="espeak:Espeak", needs_torch=False),
    Family("vits", ("VitsModel",), engine="vits:Vits"),
    Family(
        "bark",
        ("BarkModel",),
        ("sampled",),
        "bark:Bark",
        voices=lambda folder, config: list(bark_voices(folder)),
    ),
    Family("musicgen", ("MusicgenForConditionalGeneration",), ("sampled", "music"), "musicgen:MusicGen"),
)
FAMILIES = {family.loader: family for family in ROWS}
TRAITS = frozenset(trait for family in ROWS for trait in family.traits)


def family_of_class(name: str) -> Family | None:
    """The family a config.json with that architecture belongs to."""
    return next((family for family in ROWS if name in family.classes), None)


def unused_by(loader: str, *request_types: type[BaseRequest]) -> tuple[str, ...]:
    """The fields of such requests that mean nothing to models of that family."""
    missing = TRAITS.difference(FAMILIES[loader].traits)
    knobs = {name: knob for kind in request_types for name, knob in knobs_of(kind).items()}
    return tuple(name for name, knob in knobs.items() if knob.only_for and missing.issuperset(knob.only_for))
