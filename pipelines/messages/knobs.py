"""A knob: a field of a request, and all that is to be known of it beside its type and bounds.

Forms, forecasts, the queue's clock, the API and the command line ask the knob; none of them keeps a list of names.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, TypedDict, TypeVar, Unpack, cast

from pydantic import BaseModel, Field
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

from pipelines.messages.modalities import Modality

T = TypeVar("T")
Widget = Literal["", "lines", "code", "slider"]
Offer = Literal["", "samplers", "voices", "languages"]


class Bounds(TypedDict, total=False):
    """What pydantic checks of a value."""

    ge: float
    le: float
    multiple_of: float
    max_length: int


@dataclass(frozen=True)
class Knob:
    """What is to be known of a field.

    simple: one of the controls everyone sees, at most six. label: "" for the field's own name. widget: how it is shown, "" from
    its type: multi-line text, code, a slider. offers: the list it is picked from, though other values may be typed.
    asset: it holds the id of an asset of that kind. on_form: False for what a tab sets by itself.
    scales_time: the work grows with it in proportion. affects_memory: a forecast is made anew when it changes, because the
    memory or the time it takes does.
    only_for: traits of model families, or tasks of the request, that it means something for; empty for all.
    """

    simple: bool = False
    label: str = ""
    widget: Widget = ""
    asset: Modality | Literal[""] = ""
    offers: Offer = ""
    on_form: bool = True
    scales_time: bool = False
    affects_memory: bool = False
    only_for: tuple[str, ...] = ()

    def is_for(self, word: str) -> bool:
        """Whether it means something for models of that trait, or for that task."""
        return not self.only_for or word in self.only_for


class Facts(TypedDict, total=False):
    """The fields of `Knob`, as keywords."""

    simple: bool
    label: str
    widget: Widget
    asset: Modality | Literal[""]
    offers: Offer
    on_form: bool
    scales_time: bool
    affects_memory: bool
    only_for: tuple[str, ...]


class Settings(Bounds, Facts, total=False):
    """Both."""


NAMES = tuple(fact.name for fact in fields(Knob))
ALWAYS_TOLD = ("simple", "label", "widget")
"""In the API's schema of every field; the rest where it says something."""


def knob(default: T, description: str, **told: Unpack[Settings]) -> T:
    """A request field. description: one sentence of help for the person at the form. The rest: `Knob` and `Bounds`."""
    facts = Knob(**cast(Facts, {name: value for name, value in told.items() if name in NAMES}))
    bounds = cast(Bounds, {name: value for name, value in told.items() if name not in NAMES})
    field: T = Field(default, description=description, json_schema_extra=_as_json(facts), **bounds)
    return field


def knobs_of(request_type: type[BaseModel]) -> dict[str, Knob]:
    """Field → its knob, in the request's own order; what says which kind of request it is has none."""
    found = {name: knob_of(field) for name, field in request_type.model_fields.items()}
    return {name: facts for name, facts in found.items() if facts is not None}


def knob_of(field: FieldInfo) -> Knob | None:
    """What a field was declared with by `knob`, None for another."""
    told = field.json_schema_extra
    if not isinstance(told, dict) or not told.keys() >= set(ALWAYS_TOLD):
        return None
    facts = cast(Facts, told)
    return replace(Knob(**facts), only_for=tuple(facts.get("only_for", ())))


def label_of(request_type: type[BaseModel], name: str) -> str:
    """What a field is called in front of people."""
    facts = knob_of(request_type.model_fields[name])
    return (facts.label if facts else "") or name.replace("_", " ").capitalize()


def _as_json(facts: Knob) -> JsonDict:
    told = {name: getattr(facts, name) for name in NAMES}
    told["only_for"] = list(facts.only_for)
    usual = Knob()
    return {
        name: value
        for name, value in told.items()
        if name in ALWAYS_TOLD or getattr(facts, name) != getattr(usual, name)
    }
