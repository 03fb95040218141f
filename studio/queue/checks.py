"""What a request must satisfy beyond its own bounds: media that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pydantic import ValidationError

from pipelines.errors import InvalidRequest, Problem, as_problem
from pipelines.messages import KINDS, BaseRequest, knobs_of, label_of
from pipelines.words.texts import TORN
from studio.library import Asset, Library, LibraryError


def find_inputs(library: Library, request: BaseRequest, owner: str) -> dict[str, Asset]:
    """Field → the asset it names; raises InvalidRequest for one that is not there, not theirs, or of another kind."""
    found = {}
    for name, knob in knobs_of(type(request)).items():
        asset_id = getattr(request, name)
        if not knob.asset or not asset_id:
            continue
        try:
            asset = library.get(asset_id)
        except LibraryError as error:
            raise InvalidRequest(error.message, field=name, detail=error.detail, hint=error.hint) from None
        if asset.owner != owner:
            raise InvalidRequest(
                f"There is no asset {asset_id!r} in your library.",
                field=name,
                hint="Upload it, or pick another.",
            )
        if asset.kind != knob.asset:
            raise InvalidRequest(
                f"{label_of(type(request), name)} takes {KINDS[knob.asset].thing}, not {KINDS[asset.kind].thing}.",
                field=name,
                detail=f"{asset.title or asset_id} is {asset.media_type}.",
                hint="Pick another one.",
            )
        found[name] = asset
    return found


def read_input(library: Library, asset: Asset) -> bytes:
    """An asset a job starts from, as a worker gets it; raises InvalidRequest when its file is gone, UnreadableFile.

    A picture was made 8-bit RGB and upright on the way: a worker never decodes a stranger's file.
    """
    try:
        return library.picture(asset) if asset.kind == "image" else library.read(asset)
    except FileNotFoundError:
        raise InvalidRequest(
            "A file this job starts from is gone.", detail=f"It was {asset.file}.", hint="Upload it again."
        ) from None


def problem_of(error: BaseException) -> Problem:
    """The `Problem` a person sees for any exception, the library's own among them."""
    if isinstance(error, LibraryError):
        return Problem(error.kind, error.message, error.hint, error.detail)
    return as_problem(error)


class Faulty(Protocol):
    """An error of pydantic, or FastAPI's own."""

    def errors(self) -> Sequence[Mapping[str, object]]: ...


def first_fault(error: Faulty) -> tuple[str, str]:
    """Message and field of the first thing that does not fit, and how many more there are."""
    faults = error.errors()
    loc = faults[0]["loc"]
    parts = loc if isinstance(loc, tuple | list) else ()
    place = [str(part) for part in parts if part not in ("body", "query", "path")]
    reason = TORN if faults[0]["type"] == "string_unicode" else str(faults[0]["msg"])
    reason = reason.removeprefix("Value error, ")
    message = f"{'.'.join(place)}: {reason}" if place else reason
    return message + (f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""), ".".join(place)


def as_invalid(error: ValidationError) -> InvalidRequest:
    """Pydantic's findings as an error with an explanation, for a request that was put together here: a long conversation, say."""
    message, field = first_fault(error)
    name = field.split(".")[0]
    hint = "Begin a new conversation." if name in ("", "history") else "Change it and try again."
    return InvalidRequest(
        "The request cannot be taken as it is.", field=name or "prompt", detail=f"{message}.", hint=hint
    )
