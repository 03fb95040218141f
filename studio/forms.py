"""A request class ⇄ Gradio controls; the only place that knows both.

`describe` reads what a request class says about its fields (no Gradio in it), `Form` makes the controls, turns their values
into a request or into one message per field, and fills them again from a recipe, a draft or another model's defaults.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import gradio as gr
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from pipelines.catalog import Catalog, ModelSpec
from pipelines.catalog.voices import readable_voice
from pipelines.errors import InvalidRequest, StudioError
from pipelines.messages import REQUESTS, BaseRequest, Modality
from pipelines.samplers import SAMPLERS, sampler_of
from pipelines.texts import TORN
from studio.asset_field import asset_field
from studio.restoring import find_model, take_over

NOT_ON_THE_FORM = ("modality", "history")
WIDE = 20  # a range this many times its default is typed, not slid: a slider would have no useful middle

WIDE_LIST = 320  # for lists of names, a line of their own
NARROW = 140  # pixels a small control needs; two stand side by side on a phone

Widget = Literal["model", "line", "lines", "code", "number", "slider", "choice", "check", "asset", "texts"]
Choices = Sequence[tuple[str, Any]]


@dataclass(frozen=True)
class Control:
    """One field of a request as a form sees it. minimum and maximum are None where there is no bound."""

    name: str
    label: str
    hint: str
    simple: bool
    widget: Widget
    default: Any
    minimum: float | None = None
    maximum: float | None = None
    step: float = 1
    whole: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Late:
    """An answer nobody waited for: the form may have been changed since it was asked.

    offers: an update a control, of what it offers and never of its value. values: for those fields that still hold one of the
    values in `held`.
    """

    offers: list[dict[str, Any]]
    values: dict[str, Any]
    held: dict[str, list[Any]]


class FieldErrors(Exception):
    """What is wrong with a form, field by field: name → one sentence."""

    def __init__(self, messages: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in messages.items()))
        self.messages = dict(messages)


def describe(request_type: type[BaseRequest]) -> list[Control]:
    """The controls of a request class, in its own order."""
    fields = request_type.model_fields
    return [_control(name, field) for name, field in fields.items() if name not in NOT_ON_THE_FORM]


class Form:
    """The controls of one modality.

    choices: field → (label, value) pairs to offer, for free-text fields too, where they may still be typed over.
    """

    def __init__(
        self,
        catalog: Catalog,
        modality: Modality,
        choices: Mapping[str, Choices] | None = None,
    ) -> None:
        self.catalog, self.modality = catalog, modality
        self.request_type: Any = REQUESTS[modality]
        self.controls = {control.name: control for control in describe(self.request_type)}
        self.choices = {"scheduler": samplers(), **(choices or {})}
        self.components: dict[str, Any] = {}
        self.quiet: set[str] = set()  # built without a hint, and none comes with another model or a recipe

    # ---- building -------------------------------------------------------------------------------------------------

    def build(self, name: str, **changes: Any) -> Any:
        """Make the control of that field here; `changes` go to the Gradio component (lines, placeholder, …)."""
        control = self.controls[name]
        options = self._options(control, self._spec(self.default_model()))
        if changes.get("info", "") is None:
            self.quiet.add(name)
        options |= {"label": control.label, "elem_id": f"{self.modality}-{name.replace('_', '-')}"} | changes
        if control.widget == "asset":
            options = {"info": control.hint} | options
        self.components[name] = _COMPONENTS[control.widget](**options)
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
    def inputs(self) -> list[Any]:
        return list(self.components.values())

    def models(self) -> list[tuple[str, str]]:
        """The models that can run now, as (title · size · licence, id)."""
        ready = [spec for spec in self.catalog.all(self.modality) if spec.state == "ready"]
        return [(model_label(spec), spec.id) for spec in ready]

    def default_model(self) -> str:
        models = self.models()
        return models[0][1] if models else ""

    # ---- values → request -----------------------------------------------------------------------------------------

    def request(self, values: Sequence[Any]) -> Any:
        """The request these control values ask for, its model's limits checked; raises `FieldErrors`."""
        request, wrong = self._read(values)
        if wrong:
            raise FieldErrors(wrong)
        try:
            request.check_has_something_to_do()
            return self.catalog.complete(request)
        except InvalidRequest as error:
            raise FieldErrors({error.field or "model": self._in_its_words(error)}) from None
        except StudioError as error:
            raise FieldErrors({"model": _sentence(error)}) from None

    def sketch(self, values: Sequence[Any]) -> Any:
        """The request as far as it is written, to plan with: the prompt may still be missing. None while a field is wrong."""
        request, _ = self._read(values)
        try:
            return request and self.catalog.complete(request)
        except StudioError:
            return None

    def _in_its_words(self, error: InvalidRequest) -> str:
        """What is wrong, with the field called what the form calls it: a program's `max_tokens` is a person's length."""
        told = _sentence(error)
        if error.field not in self.controls:
            return told
        return re.sub(rf"\b{error.field}\b", self.title_of(error.field).lower(), told)

    def title_of(self, name: str) -> str:
        """What a field is called on this form."""
        return str(self.components[name].label) if name in self.components else self.controls[name].label

    # ---- recipe, draft, model → values ----------------------------------------------------------------------------

    def fill(self, recipe: Mapping[str, Any]) -> list[Any]:
        """Updates that put a recipe (or a part of one) into the form; fields it does not name keep their value."""
        known = {model for _, model in self.models()}
        spec = self._spec(recipe["model"]) if recipe.get("model") in known else None
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
                options["maximum"] = max(options["maximum"], value)
            updates.append(gr.update(**(options | {"value": value})))
        return updates

    def lay_out(self, recipe: Mapping[str, Any], chosen: str) -> tuple[list[Any], str, tuple[str, ...]]:
        """Updates that put a whole recipe in the place of what the form holds, its model, and what of it was not taken over.

        Fields it does not name go back to the model's own values. chosen: the model that is there now; it stays where the
        recipe's is not on this machine.
        """
        named = str(recipe.get("model") or "")
        ready = [spec for spec in self.catalog.all(self.modality) if spec.state == "ready"]
        spec = find_model(named, ready) or self._spec(chosen) or self._spec(self.default_model())
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

    def suited(self, recipe: Mapping[str, Any], chosen: str) -> dict[str, Any]:
        """The recipe with another model in it, when it brings a picture and the chosen model cannot look at pictures."""
        spec = self._spec(str(recipe.get("model") or chosen or ""))
        media = {name for name, value in recipe.items() if value and self._is_media(name)}
        if spec is None or recipe.get("model") or not media & set(spec.unused):
            return dict(recipe)
        for other in self.catalog.all(self.modality):
            if other.state == "ready" and not media & set(other.unused):
                return {**other.defaults, **recipe, "model": other.id}
        return dict(recipe)

    @property
    def media(self) -> list[str]:
        """Fields that hold an asset."""
        return [name for name in self.names if self._is_media(name)]

    def _is_media(self, name: str) -> bool:
        return name in self.controls and self.controls[name].widget == "asset"

    def restore(self, draft: Mapping[str, Any] | None) -> Late:
        """What the browser remembered of this form; what no longer fits is left out."""
        draft = dict(draft or {})
        if draft.get("model") not in {model for _, model in self.models()}:
            draft.pop("model", None)
        updates = self.fill({name: value for name, value in draft.items() if value is not None})
        drawn = {name: [component.value] for name, component in self.components.items()}
        # a page drawn before the first model came shows the one that `models` offers by now
        drawn["model"].append(self.default_model())
        return self._late(updates, drawn)

    def switch_model(self, previous: str, chosen: str, values: Sequence[Any]) -> Late:
        """After another model was picked: fields still at the old model's default take the new one's."""
        before, after = self._spec(previous), self._spec(chosen)
        updates = []
        for name, value in zip(self.names, values, strict=True):
            control = self.controls[name]
            if name in ("model", "prompt", "code"):
                updates.append(gr.skip())
                continue
            options = self._options(control, after)
            if value != self._default(control, before):
                options |= {"value": value, "visible": options["visible"] or value != options["value"]}
            updates.append(gr.update(**options))
        return self._late(updates, {name: [value] for name, value in zip(self.names, values, strict=True)})

    def _late(self, updates: Sequence[dict[str, Any]], held: Mapping[str, list[Any]]) -> Late:
        """Those updates, their values apart."""
        named = list(zip(self.names, updates, strict=True))
        values = {name: update["value"] for name, update in named if "value" in update}
        offers = [{key: value for key, value in update.items() if key != "value"} for _, update in named]
        return Late(offers, values, {name: held[name] for name in {*values, "model"}})

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _read(self, values: Sequence[Any]) -> tuple[Any, Mapping[str, str]]:
        """The request those control values spell, or None and what is wrong with it."""
        data: dict[str, Any] = {}
        wrong: dict[str, str] = {}
        for name, raw in zip(self.names, values, strict=True):
            try:
                data[name] = _plain(self.controls[name], raw)
            except ValueError as error:
                wrong[name] = str(error)
        try:
            request = self.request_type.model_validate(data)
        except ValidationError as error:
            spec = self._spec(str(data.get("model", "")))
            return None, self._messages(error, spec) | wrong
        return (None, wrong) if wrong else (request, {})

    def _messages(self, error: ValidationError, spec: ModelSpec | None) -> dict[str, str]:
        """Pydantic's findings, one per field."""
        told = {}
        for entry in reversed(error.errors()):
            # what is wrong with all fields together is said beside the first one people write in
            name = str(entry["loc"][0] if entry["loc"] else "prompt")
            told[name] = _message(entry, self._bounds(name, spec))
        return told

    def _bounds(self, name: str, spec: ModelSpec | None) -> tuple[float, float]:
        """The smallest and largest number that field takes with that model."""
        control = self.controls.get(name)
        least, most = (control.minimum, control.maximum) if control else (None, None)
        limit = (spec.limits if spec else {}).get(name, math.inf)
        return (-math.inf if least is None else least, min(math.inf if most is None else most, limit))

    def _spec(self, model_id: str) -> ModelSpec | None:
        return next((spec for spec in self.catalog.all(self.modality) if spec.id == model_id), None)

    def _default(self, control: Control, spec: ModelSpec | None) -> Any:
        if control.name == "model":
            return self.default_model()
        return _shown(control, (spec.defaults if spec else {}).get(control.name, control.default))

    def _options(self, control: Control, spec: ModelSpec | None) -> dict[str, Any]:
        """What the component needs to know, for that model."""
        options: dict[str, Any] = {"value": self._default(control, spec)}
        options["visible"] = spec is None or control.name not in spec.unused
        if control.widget not in ("asset", "code") and control.name not in self.quiet:
            options["info"] = control.hint
        if control.widget == "slider":
            limit = (spec.limits if spec else {}).get(control.name)
            highest = min(control.maximum or 0, limit) if limit else control.maximum
            options |= {"minimum": control.minimum, "maximum": highest, "step": control.step, "buttons": []}
        elif control.widget == "number":
            options |= {"step": control.step}
        elif control.widget == "model":
            options |= {"choices": self.models(), "value": options["value"] or None}
        elif control.widget == "choice":
            named = [(choice.replace("_", " "), choice) for choice in control.choices]
            options |= {"choices": list(self.choices.get(control.name, named))}
        elif control.name in self.choices or control.name == "voice":
            options |= {"choices": self._offered(control, spec)}
        return options

    def _offered(self, control: Control, spec: ModelSpec | None) -> list[tuple[str, Any]]:
        if control.name == "voice":
            return [("The model’s own voice", ""), *voices_of(spec)]
        return list(self.choices[control.name])


def model_label(spec: ModelSpec) -> str:
    """How a model is called in a picker: title · size · licence."""
    licence = spec.licence.split(" (")[0]
    return " · ".join(part for part in (spec.title, size(spec.weight_bytes), licence) if part)


def size(nbytes: float) -> str:
    """Bytes as people read them: "14 MB", "3.2 GB"; nothing for nothing."""
    if not nbytes:
        return ""
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 1000 or unit == "GB":
            break
        nbytes /= 1000
    return f"{nbytes:.1f} {unit}" if unit == "GB" and nbytes < 100 else f"{nbytes:.0f} {unit}"


def samplers() -> list[tuple[str, str]]:
    """The samplers as people know them, each with the class it is."""
    return [("The model’s own", ""), *((names[0], name) for name, names in SAMPLERS.items())]


def voices_of(spec: ModelSpec | None) -> list[tuple[str, str]]:
    """The voices a model says it has, as (title, id)."""
    voices = (spec.facts if spec else {}).get("voices", ())
    if isinstance(voices, Mapping):
        return [(str(title), str(voice)) for voice, title in voices.items()]
    pairs = []
    for voice in voices:
        if isinstance(voice, Mapping):
            pairs.append((str(voice.get("title") or voice.get("name") or voice["id"]), str(voice["id"])))
        elif isinstance(voice, str):
            pairs.append(readable_voice(voice))
        else:
            pairs.append((str(voice[1]), str(voice[0])))
    return pairs


def _control(name: str, field: FieldInfo) -> Control:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    bounds = {
        key: getattr(rule, key)
        for rule in field.metadata
        for key in ("ge", "le", "multiple_of")
        if hasattr(rule, key)
    }
    whole = field.annotation is int
    control = Control(
        name=name,
        label=str(extra.get("label") or name.replace("_", " ").capitalize()),
        hint=field.description or "",
        simple=bool(extra.get("simple")),
        widget=_widget(name, field, str(extra.get("widget") or ""), bounds),
        default=field.default,
        minimum=bounds.get("ge"),
        maximum=bounds.get("le"),
        step=bounds.get("multiple_of", 1 if whole else _step(bounds)),
        whole=whole,
    )
    if control.widget == "choice":
        return Control(**{**vars(control), "choices": get_args(field.annotation)})
    return control


def _widget(name: str, field: FieldInfo, wish: str, bounds: Mapping[str, float]) -> Widget:
    if name == "model":
        return "model"
    if get_origin(field.annotation) is Literal:
        return "choice"
    if get_origin(field.annotation) is tuple:
        return "texts"
    if field.annotation is bool:
        return "check"
    if field.annotation in (int, float):
        default = abs(field.default) if field.default else 0
        narrow = bounds.get("le", float("inf")) <= WIDE * default or not default
        return "slider" if wish == "slider" and narrow else "number"
    if wish.startswith("asset:"):
        return "asset"
    if wish in ("lines", "code"):
        return "lines" if wish == "lines" else "code"
    return "line"


def _step(bounds: Mapping[str, float]) -> float:
    reach = bounds.get("le", 100) - bounds.get("ge", 0)
    return 0.01 if reach <= 2 else 0.05 if reach <= 5 else 0.1 if reach <= 30 else 0.5


def _line(choices: Any = None, **options: Any) -> Any:
    """A line of text; with choices, one that can be picked or typed."""
    if choices is None:
        return gr.Textbox(**options)
    return _pick(choices=choices, allow_custom_value=True, **({"min_width": WIDE_LIST} | options))


def _pick(**options: Any) -> Any:
    return gr.Dropdown(**({"elem_classes": ["pick"], "min_width": NARROW} | options))


_COMPONENTS: dict[Widget, Callable[..., Any]] = {
    "model": _pick,
    "line": _line,
    "lines": lambda **options: gr.Textbox(**({"lines": 2, "max_lines": 12, "min_width": 320} | options)),
    "code": lambda **options: gr.Code(
        **({"lines": 6, "max_lines": 16, "elem_classes": ["code-field"]} | options)
    ),
    "number": lambda **options: gr.Number(**({"min_width": NARROW} | options)),
    "slider": lambda **options: gr.Slider(**({"min_width": NARROW} | options)),
    "choice": _pick,
    "check": lambda **options: gr.Checkbox(**({"min_width": NARROW} | options)),
    "asset": asset_field,
    "texts": lambda **options: gr.Textbox(
        **({"lines": 2, "placeholder": "One per line", "min_width": 320} | options)
    ),
}


def _plain(control: Control, raw: Any) -> Any:
    """A control's value as the request wants it; raises ValueError with a sentence."""
    if control.widget == "texts":
        return tuple(line for line in (raw or "").splitlines() if line)
    if control.widget in ("number", "slider"):
        if raw is None or raw == "":
            raise ValueError("A number is missing here.")
        if control.whole and float(raw) == int(float(raw)):
            return int(float(raw))
        return raw
    if control.widget == "check":
        return bool(raw)
    if control.name == "scheduler" and raw:
        return sampler_of(raw).name or raw  # typed by the name people know
    return raw or ""


def _shown(control: Control, value: Any) -> Any:
    """A request's value as the control shows it."""
    if control.widget == "texts":
        return "\n".join(value) if not isinstance(value, str) else value
    if control.name == "voice" and isinstance(value, str):
        return readable_voice(value)[1]
    return value


def _sentence(error: StudioError) -> str:
    return " ".join(part for part in (error.message, error.detail, error.hint) if part)


def _not_a_multiple(given: float, multiple: int, bounds: tuple[float, float]) -> str:
    """What to write instead: the multiples on both sides, as far as they are allowed."""
    least, most = bounds
    if given > most:
        return f"{given} is too large: at most {most}."
    if given < least:
        return f"{given} is too small: at least {least}."
    below = int(given // multiple * multiple)
    near = [str(value) for value in (below, below + multiple) if least <= value <= most]
    return f"{given} is not a multiple of {multiple}: use {' or '.join(near)}."


def _message(entry: Any, bounds: tuple[float, float]) -> str:
    """One of pydantic's findings in a person's words. bounds: what the field and the chosen model allow."""
    bound, given = entry.get("ctx", {}), entry.get("input")
    match entry["type"]:
        case "greater_than_equal":
            return f"{given} is too small: at least {max(bound['ge'], bounds[0])}."
        case "less_than_equal":
            return f"{given} is too large: at most {min(bound['le'], bounds[1])}."
        case "multiple_of":
            return _not_a_multiple(given, bound["multiple_of"], bounds)
        case "int_from_float" | "int_parsing" | "int_type":
            return f"{given} is not a whole number."
        case "float_parsing" | "float_type":
            return f"{given} is not a number."
        case "string_too_long":
            return f"{len(given):,} characters are too many: at most {bound['max_length']:,}."
        case "too_long":
            return f"{len(given)} entries are too many: at most {bound['max_length']}."
        case "string_unicode":
            return f"{TORN[0].upper()}{TORN[1:]}."
        case "value_error":
            return f"{bound['error']}."[:300]
        case _:
            return str(entry["msg"])
