"""/openapi.json: this API as it is, with our requests and our errors in it."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from pipelines.messages import MODALITIES, REQUESTS
from studio import __version__

REF = "#/components/schemas/"
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "What happened, the numbers, what to do."},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "The field to look at."},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}
REQUEST_BODY: dict[str, object] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": f"{REF}Request"}}}}
}
"""For routes that take any request: `openapi_extra=REQUEST_BODY`."""


def install(app: FastAPI) -> None:
    """Serve the description of the application's own routes; what is mounted beside them is not in it."""
    described: dict[str, object] = {}

    def describe() -> dict[str, object]:
        if not described:
            described.update(_description(app))
        return described

    app.openapi = describe  # type: ignore[method-assign]  # FastAPI's documented way to change it


def _description(app: FastAPI) -> dict[str, object]:
    found = get_openapi(title=app.title, version=__version__, routes=app.routes)
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    schemas |= request_schemas() | {"Error": ERROR}
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    told = {"description": "An error", "content": {"application/json": {"schema": {"$ref": f"{REF}Error"}}}}
    for path in found["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = told
    return found


def request_schemas() -> dict[str, object]:
    """`Request`, which is one of our tasks, and the schema of each."""
    told, every = models_json_schema(
        [(kind, "validation") for kind in REQUESTS.values()], ref_template=REF + "{model}"
    )
    one_of = [told[kind, "validation"] for kind in REQUESTS.values()]
    own = {modality: told[REQUESTS[modality], "validation"]["$ref"] for modality in MODALITIES}
    request: dict[str, object] = {"oneOf": one_of}
    if len(own) == len(REQUESTS):  # a modality with more tasks is told apart by `task` too
        request["discriminator"] = {"propertyName": "modality", "mapping": own}
    return {"Request": request, **every["$defs"]}
