"""The lists a control is picked from: models, samplers, voices, programming languages, each as (what people read, value)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipelines.catalog import ModelSpec
from pipelines.catalog.voices import readable_voice
from pipelines.errors import readable_bytes
from pipelines.words.languages import LANGUAGES
from pipelines.words.samplers import SAMPLERS

Choices = Sequence[tuple[str, str]]


def model_label(spec: ModelSpec) -> str:
    """How a model is called in a picker: title · size · licence."""
    size = readable_bytes(spec.weight_bytes) if spec.weight_bytes else ""
    licence = spec.licence.split(" (")[0]
    return " · ".join(part for part in (spec.title, size, licence) if part)


def samplers(spec: ModelSpec | None = None) -> Choices:
    """The samplers as people know them, each with the class it is."""
    return [("The model’s own", ""), *((names[0], name) for name, names in SAMPLERS.items())]


def languages(spec: ModelSpec | None = None) -> Choices:
    """The programming languages, as a request names them."""
    return [(language.title, language.fence) for language in LANGUAGES]


def voices(spec: ModelSpec | None) -> Choices:
    """The model's own voice, and those it has to choose from."""
    return [("The model’s own voice", ""), *voices_of(spec)]


def voices_of(spec: ModelSpec | None) -> list[tuple[str, str]]:
    """The voices a model says it has."""
    found = spec.facts.get("voices", ()) if spec else ()
    return [readable_voice(one) if isinstance(one, str) else (one["title"], one["id"]) for one in found]


OFFERS: dict[str, Callable[[ModelSpec | None], Choices]] = {
    "samplers": samplers,
    "voices": voices,
    "languages": languages,
}
"""`Knob.offers` → the list, for the chosen model."""
