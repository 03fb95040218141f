"""What a request class says about its fields, as a form needs it: one control for every knob. No Gradio in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from pipelines.messages import BaseRequest, Knob, knobs_of, label_of

WIDE = 20  # a range this many times its default is typed, not slid: a slider would have no useful middle

Widget = Literal["model", "line", "lines", "code", "number", "slider", "choice", "check", "asset", "texts"]
Value = str | int | float | bool | tuple[str, ...] | None


@dataclass(frozen=True)
class Control:
    """One field of a request as a form sees it. minimum and maximum are None where there is no bound.

    asset, offers, affects_memory: as in `Knob`.
    """

    name: str
    label: str
    hint: str
    simple: bool
    widget: Widget
    default: Value
    minimum: float | None = None
    maximum: float | None = None
    step: float = 1
    whole: bool = False
    choices: tuple[str, ...] = ()
    asset: str = ""
    offers: str = ""
    affects_memory: bool = False

    @property
    def is_ones_own(self) -> bool:
        """Whether it holds what a person wrote to be worked on: no model has a better idea of that."""
        return self.simple and self.widget in ("lines", "code")


def describe(request_type: type[BaseRequest]) -> list[Control]:
    """The controls of a request class, in its own order."""
    knobs = knobs_of(request_type)
    return [_control(request_type, name, knob) for name, knob in knobs.items() if knob.on_form]


def _control(request_type: type[BaseRequest], name: str, knob: Knob) -> Control:
    field = request_type.model_fields[name]
    bounds = _bounds(field)
    whole = field.annotation is int
    widget = _widget(name, field, knob, bounds)
    return Control(
        name=name,
        label=label_of(request_type, name),
        hint=field.description or "",
        simple=knob.simple,
        widget=widget,
        default=field.default,
        minimum=bounds.get("ge"),
        maximum=bounds.get("le"),
        step=bounds.get("multiple_of", 1 if whole else _step(bounds)),
        whole=whole,
        choices=get_args(field.annotation) if widget == "choice" else (),
        asset=knob.asset,
        offers=knob.offers,
        affects_memory=knob.affects_memory,
    )


def _bounds(field: FieldInfo) -> dict[str, float]:
    return {
        key: getattr(rule, key)
        for rule in field.metadata
        for key in ("ge", "le", "multiple_of")
        if hasattr(rule, key)
    }


def _widget(name: str, field: FieldInfo, knob: Knob, bounds: Mapping[str, float]) -> Widget:
    if name == "model":
        return "model"
    if knob.asset:
        return "asset"
    if get_origin(field.annotation) is Literal:
        return "choice"
    if get_origin(field.annotation) is tuple:
        return "texts"
    if field.annotation is bool:
        return "check"
    if field.annotation in (int, float):
        default = abs(field.default) if field.default else 0
        narrow = bounds.get("le", math.inf) <= WIDE * default or not default
        return "slider" if knob.widget == "slider" and narrow else "number"
    if knob.widget in ("lines", "code"):
        return "lines" if knob.widget == "lines" else "code"
    return "line"


def _step(bounds: Mapping[str, float]) -> float:
    reach = bounds.get("le", 100) - bounds.get("ge", 0)
    return 0.01 if reach <= 2 else 0.05 if reach <= 5 else 0.1 if reach <= 30 else 0.5
