"""A recipe from a file as a form takes it over: whole, or not at all, field by field, and what was not taken is told.

Knows requests and model specs, nothing of Gradio. Sending a part of a recipe to a form (a prompt, a start picture) is not this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pydantic import ValidationError

from pipelines.catalog import ModelSpec
from pipelines.messages import BaseRequest, knobs_of, label_of

Recipe = Mapping[str, object]
"""A recipe as it was found: it may be of another version, another program, or half of one."""
ENDINGS = (".safetensors", ".ckpt", ".gguf", ".sft", ".pt", ".bin")


@dataclass(frozen=True)
class TakenOver:
    """values: field → what the form shows; those not named go back to the model's own. left_out: a phrase for each wish lost."""

    values: Mapping[str, object]
    left_out: tuple[str, ...] = ()


def take_over(
    recipe: Recipe,
    request_type: type[BaseRequest],
    spec: ModelSpec | None,
    told: Callable[[ValidationError], Mapping[str, str]],
) -> TakenOver:
    """What of a recipe the form of that request and model can take.

    told: pydantic's findings as one sentence a field.
    """
    values: dict[str, object] = {}
    left_out = [str(phrase) for phrase in _listed(recipe.get("left_out"))]
    fields, knobs = request_type.model_fields, knobs_of(request_type)
    idle: list[str] = []
    for name, value in recipe.items():
        if name not in knobs or not knobs[name].on_form or name == "model":
            continue
        usual = (spec.defaults if spec else {}).get(name, fields[name].default)
        if spec and name in spec.unused:
            idle += [label_of(request_type, name)] if value not in (usual, fields[name].default) else []
        elif why := _unfit(request_type, spec, name, value, told):
            left_out.append(why)
        else:
            values[name] = value
    if idle and spec:
        left_out.append(
            f"{', '.join(idle).lower()}: {spec.title} has no use for {'it' if len(idle) == 1 else 'them'}"
        )
    if recipe.get("history"):
        left_out.append("the earlier turns of the conversation")
    return TakenOver(values, tuple(dict.fromkeys(left_out)))


def find_model(name: str, specs: Sequence[ModelSpec]) -> ModelSpec | None:
    """The model of that id, or the only one of that title or file name, as other programs write it; None where unsure."""
    exact = next((spec for spec in specs if spec.id == name), None)
    if exact or not name:
        return exact
    wanted = _stem(name)
    alike = [spec for spec in specs if wanted in (_stem(spec.title), _stem(spec.id), _stem(spec.source.path))]
    return alike[0] if len(alike) == 1 else None


def _unfit(
    request_type: type[BaseRequest],
    spec: ModelSpec | None,
    name: str,
    value: object,
    told: Callable[[ValidationError], Mapping[str, str]],
) -> str:
    """Why the form cannot have this value; "" when it can."""
    label = label_of(request_type, name)
    try:
        request_type.model_validate({name: value})
    except ValidationError as error:
        return f"{label}: {told(error).get(name, 'it is not a value for this').rstrip('.')}"
    limit = spec.limits.get(name) if spec else None
    if spec and limit is not None and isinstance(value, int | float) and value > limit:
        return f"{label} {value}: {spec.title} takes at most {limit}"
    offered = spec.facts.get("schedulers") if spec else None
    if spec and name == "scheduler" and value and offered and value not in offered:
        return f"{label} {value}: {spec.title} cannot use it"
    return ""


def _listed(value: object) -> list[object]:
    return value[:40] if isinstance(value, list) else []


def _stem(name: str) -> str:
    """A model's name without folders and ending, in one spelling."""
    last = PurePosixPath(name.replace("\\", "/")).name.casefold()
    ending = next((ending for ending in ENDINGS if last.endswith(ending)), "")
    return last.removesuffix(ending).replace("_", " ").replace("-", " ").strip()
