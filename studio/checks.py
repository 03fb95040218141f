"""What a request must satisfy beyond its own bounds: media that are there."""

from __future__ import annotations

from pipelines.errors import InvalidRequest, Problem, as_problem
from pipelines.messages import BaseRequest
from studio.library import Asset, Library, LibraryError

KIND_WORDS = {"image": "a picture", "video": "a film", "audio": "a sound", "text": "a text", "code": "code"}


def find_inputs(library: Library, request: BaseRequest, owner: str) -> dict[str, Asset]:
    """Field → the asset it names; raises InvalidRequest for one that is not there, not theirs, or of another kind."""
    found = {}
    for name, field in type(request).model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        widget = str(extra.get("widget", ""))
        asset_id = getattr(request, name)
        if not widget.startswith("asset:") or not asset_id:
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
        if asset.kind != widget.removeprefix("asset:"):
            wanted, label = widget.removeprefix("asset:"), str(extra.get("label") or name)
            raise InvalidRequest(
                f"{label} takes {KIND_WORDS[wanted]}, not {KIND_WORDS[asset.kind]}.",
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
        return library.picture(asset) if asset.kind == "image" else library.path(asset).read_bytes()
    except FileNotFoundError:
        raise InvalidRequest(
            "A file this job starts from is gone.", detail=f"It was {asset.file}.", hint="Upload it again."
        ) from None


def explained(error: BaseException) -> Problem:
    """The `Problem` a person sees for any exception, the library's own among them."""
    if isinstance(error, LibraryError):
        return Problem(error.kind, error.message, error.hint, error.detail)
    return as_problem(error)
