"""A request class ⇄ Gradio controls; the only place that knows both.

`controls.py` reads what a request class says about its fields; `Form` makes the Gradio components, turns their values into a
request or into one message per field, and fills them again from a recipe, a draft or another model's defaults.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr
from pydantic import ValidationError

from pipelines.catalog import Catalog, ModelSpec
from pipelines.catalog.voices import readable_voice
from pipelines.errors import InvalidRequest, StudioError
from pipelines.messages import REQUESTS, BaseRequest
from pipelines.words.samplers import sampler_of
from studio.page.components import component
from studio.page.controls import Control, describe
from studio.page.faults import FieldErrors, Reach, message, sentence
from studio.page.offers import OFFERS, Choices, model_label
from studio.page.restoring import Recipe, find_model, take_over

if TYPE_CHECKING:
    from gradio.components import Component

Values = Sequence[object]
"""What the controls hold, in their order."""
Update = dict[str, object]
"""What Gradio calls a change of a component."""


@dataclass(frozen=True)
class Late:
    """An answer nobody waited for: the form may have been changed since it was asked.

    offers: an update a control, of what it offers and never of its value. values: for those fields that still hold one of the
    values in `held`.
    """

    offers: list[Update]
    values: dict[str, object]
    held: dict[str, list[object]]


class Form:
    """The controls of one task, as `REQUESTS` names it; a modality's own task is called as the modality is.

    choices: field → (label, value) pairs to offer, for free-text fields too, where they may still be typed over.
    """

    def __init__(
        self,
        catalog: Catalog,
        task: str,
        choices: Mapping[str, Choices] | None = None,
    ) -> None:
        self.catalog, self.task = catalog, task
        self.request_type: type[BaseRequest] = REQUESTS[task]
        self.controls = {control.name: control for control in describe(self.request_type)}
        self.choices = dict(choices or {})
        self.components: dict[str, Component] = {}
        self.quiet: set[str] = set()  # built without a hint, and none comes with another model or a recipe

    def spec(self, model_id: str) -> ModelSpec | None:
        """The model of that id, if it is one for this task."""
        return next((spec for spec in self.catalog.able(self.request_type) if spec.id == model_id), None)

    # ---- building -------------------------------------------------------------------------------------------------

    def build(self, name: str, **changes: object) -> Component:
        """Make the control of that field here; `changes` go to the Gradio component (lines, placeholder, …)."""
        control = self.controls[name]
        options = self._options(control, self.spec(self.default_model()))
        if changes.get("info", "") is None:
            self.quiet.add(name)
        options |= {"label": control.label, "elem_id": f"{self.task}-{name.replace('_', '-')}"} | changes
        if control.widget == "asset":
            options = {"info": control.hint, "kind": control.asset} | options
        self.components[name] = component(control.widget, **options)
        return self.components[name]

    def build_rest(self, *, simple: bool) -> None:
        """Make every control not made yet: those of Simple, or those behind Advanced."""
        for name, control in self.controls.items():
            if name not in self.components and control.simple == simple:
                self.build(name)

    @property
    def names(self) -> list[str]:
        return list(self.components)

    @property
    def inputs(self) -> list[Component]:
        return list(self.components.values())

    def models(self) -> list[tuple[str, str]]:
        """The models that can run now, as (title · size · licence, id)."""
        return [(model_label(spec), spec.id) for spec in self._ready()]

    def default_model(self) -> str:
        models = self.models()
        return models[0][1] if models else ""

    # ---- values → request -----------------------------------------------------------------------------------------

    def request(self, values: Values) -> BaseRequest:
        """The request these control values ask for, its model's limits checked; raises `FieldErrors`."""
        request, wrong = self._read(values)
        if request is None:
            raise FieldErrors(wrong)
        try:
            request.check_has_something_to_do()
            return self.catalog.complete(request)
        except InvalidRequest as error:
            raise FieldErrors({error.field or "model": self._in_its_words(error)}) from None
        except StudioError as error:
            raise FieldErrors({"model": sentence(error)}) from None

    def sketch(self, values: Values) -> BaseRequest | None:
        """The request as far as it is written, to plan with: the prompt may still be missing. None while a field is wrong."""
        request, _ = self._read(values)
        try:
            return request and self.catalog.complete(request)
        except StudioError:
            return None

    def _in_its_words(self, error: InvalidRequest) -> str:
        """What is wrong, with the field called what the form calls it: a program's `max_tokens` is a person's length."""
        told = sentence(error)
        if error.field not in self.controls:
            return told
        return re.sub(rf"\b{error.field}\b", self.title_of(error.field).lower(), told)

    def title_of(self, name: str) -> str:
        """What a field is called on this form."""
        return str(self.components[name].label) if name in self.components else self.controls[name].label

    # ---- recipe, draft, model → values ----------------------------------------------------------------------------

    def fill(self, recipe: Recipe) -> list[Update]:
        """Updates that put a recipe (or a part of one) into the form; fields it does not name keep their value."""
        known = {model for _, model in self.models()}
        spec = self.spec(str(recipe["model"])) if recipe.get("model") in known else None
        updates = []
        for name in self.names:
            control = self.controls[name]
            if name not in recipe or (name == "model" and spec is None):
                updates.append(gr.update(visible=name not in spec.unused) if spec else gr.skip())
                continue
            options = self._options(control, spec) if spec else {}
            options.pop("info", None)  # it stands there, or was left away on purpose
            value = _shown(control, recipe[name])
            if spec and value != self._default(control, spec):
                options["visible"] = True  # what is set can be seen, even where it means nothing
            if control.widget == "slider" and spec and isinstance(value, int | float):
                options["maximum"] = max(self._highest(control, spec), value)
            updates.append(gr.update(**(options | {"value": value})))
        return updates

    def lay_out(self, recipe: Recipe, chosen: str) -> tuple[list[Update], str, tuple[str, ...]]:
        """Updates that put a whole recipe in the place of what the form holds, its model, and what of it was not taken over.

        Fields it does not name go back to the model's own values. chosen: the model that is there now; it stays where the
        recipe's is not on this machine.
        """
        named = str(recipe.get("model") or "")
        ready = self._ready()
        spec = find_model(named, ready) or self.spec(chosen) or self.spec(self.default_model())
        taken = take_over(recipe, self.request_type, spec, lambda error: self._messages(error, spec))
        left_out = taken.left_out
        if named and not find_model(named, ready):
            left_out = (f"the model {named[:100]}, which is not on this machine", *left_out)
        updates = []
        for name in self.names:
            control = self.controls[name]
            options = self._options(control, spec)
            options.pop("info", None)
            options["value"] = (
                _shown(control, taken.values[name]) if name in taken.values else options["value"]
            )
            if name == "model":
                options["value"] = spec.id if spec else None
            updates.append(gr.update(**options))
        return updates, spec.id if spec else "", left_out

    def suited(self, recipe: Recipe, chosen: str) -> dict[str, object]:
        """The recipe with another model in it, when it brings a picture and the chosen model cannot look at pictures."""
        spec = self.spec(str(recipe.get("model") or chosen or ""))
        media = {name for name, value in recipe.items() if value and self._is_media(name)}
        if spec is None or recipe.get("model") or not media & set(spec.unused):
            return dict(recipe)
        for other in self._ready():
            if not media & set(other.unused):
                return {**other.defaults, **recipe, "model": other.id}
        return dict(recipe)

    @property
    def weighing(self) -> list[Component]:
        """The controls whose change makes a forecast out of date."""
        return [part for name, part in self.components.items() if self.controls[name].affects_memory]

    @property
    def media(self) -> list[str]:
        """Fields that hold an asset."""
        return [name for name in self.names if self._is_media(name)]

    def _is_media(self, name: str) -> bool:
        return name in self.controls and bool(self.controls[name].asset)

    def restore(self, draft: Recipe | None) -> Late:
        """What the browser remembered of this form; what no longer fits is left out."""
        draft = dict(draft or {})
        if draft.get("model") not in {model for _, model in self.models()}:
            draft.pop("model", None)
        updates = self.fill({name: value for name, value in draft.items() if value is not None})
        drawn = {name: [component.value] for name, component in self.components.items()}
        # a page drawn before the first model came shows the one that `models` offers by now
        drawn["model"].append(self.default_model())
        return self._late(updates, drawn)

    def switch_model(self, previous: str, chosen: str, values: Values) -> Late:
        """After another model was picked: fields still at the old model's default take the new one's."""
        before, after = self.spec(previous), self.spec(chosen)
        updates = []
        for name, value in zip(self.names, values, strict=True):
            control = self.controls[name]
            if name == "model" or control.is_ones_own:
                updates.append(gr.skip())
                continue
            options = self._options(control, after)
            if value != self._default(control, before):
                options |= {"value": value, "visible": options["visible"] or value != options["value"]}
            updates.append(gr.update(**options))
        return self._late(updates, {name: [value] for name, value in zip(self.names, values, strict=True)})

    def _late(self, updates: Sequence[Update], held: Mapping[str, list[object]]) -> Late:
        """Those updates, their values apart."""
        named = list(zip(self.names, updates, strict=True))
        values = {name: update["value"] for name, update in named if "value" in update}
        offers = [{key: value for key, value in update.items() if key != "value"} for _, update in named]
        return Late(offers, values, {name: held[name] for name in {*values, "model"}})

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _read(self, values: Values) -> tuple[BaseRequest | None, Mapping[str, str]]:
        """The request those control values spell, or None and what is wrong with it."""
        data: dict[str, object] = {}
        wrong: dict[str, str] = {}
        for name, raw in zip(self.names, values, strict=True):
            try:
                data[name] = _plain(self.controls[name], raw)
            except ValueError as error:
                wrong[name] = str(error)
        try:
            request = self.request_type.model_validate(data)
        except ValidationError as error:
            spec = self.spec(str(data.get("model", "")))
            return None, self._messages(error, spec) | wrong
        return (None, wrong) if wrong else (request, {})

    def _messages(self, error: ValidationError, spec: ModelSpec | None) -> dict[str, str]:
        """Pydantic's findings, one per field."""
        told = {}
        for entry in reversed(error.errors()):
            # what is wrong with all fields together is said beside the first one people write in
            name = str(entry["loc"][0] if entry["loc"] else "prompt")
            told[name] = message(entry, self._bounds(name, spec))
        return told

    def _bounds(self, name: str, spec: ModelSpec | None) -> Reach:
        """The smallest and largest number that field takes with that model."""
        control = self.controls.get(name)
        least, most = (control.minimum, control.maximum) if control else (None, None)
        limit = spec.limits.get(name, math.inf) if spec else math.inf
        return (-math.inf if least is None else least, min(math.inf if most is None else most, limit))

    def _ready(self) -> list[ModelSpec]:
        return [spec for spec in self.catalog.able(self.request_type) if spec.state == "ready"]

    def _default(self, control: Control, spec: ModelSpec | None) -> object:
        if control.name == "model":
            return self.default_model()
        return _shown(control, (spec.defaults if spec else {}).get(control.name, control.default))

    def _highest(self, control: Control, spec: ModelSpec | None) -> float:
        """Where a slider ends with that model."""
        limit = spec.limits.get(control.name, math.inf) if spec else math.inf
        return min(math.inf if control.maximum is None else control.maximum, limit)

    def _options(self, control: Control, spec: ModelSpec | None) -> Update:
        """What the component needs to know, for that model."""
        options: Update = {"value": self._default(control, spec)}
        options["visible"] = spec is None or control.name not in spec.unused
        if control.widget not in ("asset", "code") and control.name not in self.quiet:
            options["info"] = control.hint
        if control.widget == "slider":
            highest = self._highest(control, spec)
            options |= {"minimum": control.minimum, "maximum": highest, "step": control.step, "buttons": []}
        elif control.widget == "number":
            options |= {"step": control.step}
        elif control.widget == "model":
            options |= {"choices": self.models(), "value": options["value"] or None}
        elif control.widget == "choice":
            named = [(choice.replace("_", " "), choice) for choice in control.choices]
            options |= {"choices": list(self.choices.get(control.name, named))}
        elif control.offers:
            options |= {"choices": list(self.choices.get(control.name) or OFFERS[control.offers](spec))}
        return options


def _plain(control: Control, raw: object) -> object:
    """A control's value as the request wants it; raises ValueError with a sentence."""
    if control.widget == "texts":
        return tuple(line for line in str(raw or "").splitlines() if line)
    if control.widget in ("number", "slider"):
        if not isinstance(raw, int | float | str) or raw == "":
            raise ValueError("A number is missing here.")
        return _number(control, raw)
    if control.widget == "check":
        return bool(raw)
    if control.offers == "samplers" and raw:
        return sampler_of(str(raw)).name or raw  # typed by the name people know
    return raw or ""


def _number(control: Control, raw: float | str) -> object:
    try:
        number = float(raw)
    except (ValueError, OverflowError):  # a word; more digits than a float holds
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("This is no number that can be used here.")
    return int(number) if control.whole and number.is_integer() else raw


def _shown(control: Control, value: object) -> object:
    """A request's value as the control shows it."""
    if control.widget == "texts":
        return "\n".join(map(str, value)) if isinstance(value, list | tuple) else value
    if control.offers == "voices" and isinstance(value, str):
        return readable_voice(value)[1]
    return value
