"""What every request is: words, a model, a seed; and the list of all tasks, which a request class joins by being written.

The wire names a request by `modality`, and by `task` where the modality has more than one. Old recipes, drafts and rows name no
task: they mean the modality's own, the first that was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from pipelines.errors import InvalidRequest
from pipelines.messages.knobs import knob
from pipelines.messages.modalities import MODALITIES, Modality
from pipelines.words.texts import PROMPT_CHARS, check_total

MAX_SEED = 2**32 - 1

REQUESTS: dict[str, type[BaseRequest]] = {}
"""Task → its request class. A modality's own task is called as the modality is, any other by its `task`."""


def _without_mark(value: object) -> object:
    return value.removeprefix("\ufeff") if isinstance(value, str) else value


Words = Annotated[str, BeforeValidator(_without_mark)]
"""A text that may come out of a file: the mark of byte order some programs begin with is no letter of it."""


class BaseRequest(BaseModel):
    """What someone asks for, whatever the task. Frozen: a stored request is the recipe.

    A class that says its `modality` is a task: it is listed, and the worker's registry says who carries it out. The first of a
    modality is its own task; every other has a field `task: Literal["its name"] = "its name"`.

    needs_model: False for tasks that are done without one. made_by: the task whose models do it; "" for the modality's own.
    says_how_much: how long it takes can be told from its knobs; an answer ends when it ends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    task_name: ClassVar[str] = ""
    needs_model: ClassVar[bool] = True
    made_by: ClassVar[str] = ""
    says_how_much: ClassVar[bool] = False

    if TYPE_CHECKING:
        modality: Modality  # each class says its own, after the fields it shares with others

    prompt: Words = knob(
        "", "What to make, in your own words.", simple=True, widget="lines", max_length=PROMPT_CHARS
    )
    model: str = knob("", "The model that makes it.", simple=True, max_length=300)
    seed: int = knob(-1, "Same seed, same result. -1 draws a new one.", label="Seed", ge=-1, le=MAX_SEED)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "modality" in cls.model_fields:
            _list(cls)

    @model_validator(mode="after")
    def _texts_are_bounded(self) -> Self:
        check_total(self.model_dump())
        return self

    def check_has_something_to_do(self) -> None:
        """Raise InvalidRequest beside the field that is empty: the one rule for form, API, queue and worker."""
        if not self.prompt.strip():
            raise InvalidRequest("The prompt is empty.", field="prompt", hint="Write what to make.")

    @classmethod
    def done_by(cls) -> str:
        """The task whose models carry it out."""
        return cls.made_by or str(cls.model_fields["modality"].default)

    def number_of_seeds(self) -> int:
        """How many it takes, counted up from the first."""
        return 1

    def share_of_work(self) -> float:
        """How much of what its knobs say is really done, 0 to 1."""
        return 1.0


def parse_request(data: Mapping[str, object]) -> BaseRequest:
    """The request a plain dict describes; raises pydantic.ValidationError with one entry per bad field."""
    return request_class(data).model_validate(data)


def request_class(data: Mapping[str, object]) -> type[BaseRequest]:
    """The class of the request a plain dict describes; raises pydantic.ValidationError when it names no modality there is."""
    modality = data.get("modality")
    if modality not in MODALITIES:
        known = " or ".join(repr(name) for name in MODALITIES)
        wrong = InitErrorDetails(
            type="literal_error", loc=("modality",), input=modality, ctx={"expected": known}
        )
        raise ValidationError.from_exception_data("Request", [wrong])
    own, named = REQUESTS[modality], REQUESTS.get(str(data.get("task", "")))
    return named if named is not None and _modality(named) == modality else own


def words_for(kind: type[BaseRequest]) -> tuple[str, ...]:
    """What `task` may say where that class is meant; nothing for one that is alone in its modality or was the first there."""
    return get_args(kind.model_fields["task"].annotation) if "task" in kind.model_fields else ()


def _modality(kind: type[BaseRequest]) -> str:
    return str(kind.model_fields["modality"].default)


def _list(kind: type[BaseRequest]) -> None:
    modality = _modality(kind)
    is_own = modality not in REQUESTS
    if not is_own and "task" not in kind.model_fields:
        raise TypeError(f"{kind.__name__} makes {modality} as others do: give it a field `task` of its own.")
    name = modality if is_own else str(kind.model_fields["task"].default)
    if name in REQUESTS:
        raise TypeError(f"{kind.__name__} and {REQUESTS[name].__name__} are both the task {name!r}.")
    if not is_own and name in words_for(
        own := REQUESTS[modality]
    ):  # jobs stored under it would become another's
        raise TypeError(
            f"{kind.__name__} is called {name!r}, which {own.__name__} answers to: give it another name."
        )
    kind.task_name = name
    REQUESTS[name] = kind
