"""Errors as OpenAI's clients expect them: a status code and {error: {message, type, param, code}}.

The `type` and `code` words are OpenAI's where it has one; message, detail and hint of our own errors are joined, so that a client
that only shows the message still tells what to do.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Coroutine

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from pipelines.errors import InvalidRequest, ModelUnavailable, Problem, StudioError
from studio.api.answers import Json
from studio.api.asked import Asked
from studio.api.limits import FORM
from studio.library import LibraryError
from studio.queue.checks import first_fault, problem_of
from studio.queue.jobs import UnknownJob

log = logging.getLogger(__name__)

STATUS = {
    "invalid_request": 400,
    "forbidden": 403,
    "not_found": 404,
    "model_unavailable": 409,
    "too_many": 429,
    "cancelled": 499,
    "out_of_memory": 507,
    "out_of_disk": 507,
    "worker_lost": 503,
    "busy": 503,
    "internal": 500,
}


LONGEST_MESSAGE = 2_000


class UnknownModel(ModelUnavailable):
    """No model of that name is on offer."""


class JobFailed(StudioError):
    """A job ended without what was asked for; carries its problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message, detail=problem.detail, hint=problem.hint)
        self.kind = problem.kind


class ErrorRoute(APIRoute):
    """A route whose errors become OpenAI's error bodies, whatever application it is part of; a form it takes is bounded."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        handle = super().get_route_handler()
        takes_form = isinstance(getattr(self.body_field, "field_info", None), Form)

        async def answer(request: Request) -> Response:
            request = Asked(request.scope, request.receive)
            try:
                if takes_form:  # read here, it is there when the framework asks for it with no such bounds
                    await request.form(**FORM)
                return await handle(request)
            except HTTPException as error:
                return http_error(error)
            except Exception as error:
                return error_response(error)

        return answer


def http_error(error: HTTPException) -> Json:
    """What the framework refuses by itself, such as a body that is no JSON."""
    answer = respond(error.status_code, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


def error_response(error: Exception) -> Json:
    """The response for any exception; what nobody foresaw is logged with its traceback."""
    if isinstance(error, RequestValidationError | ValidationError):
        message, param = first_fault(error)
        return respond(400, message, param=param, code="invalid_value")
    problem = problem_of(error)
    if not isinstance(error, StudioError | LibraryError) and problem.kind == "internal":
        return unforeseen(error)
    if isinstance(error, UnknownModel):
        return respond(404, str(problem), param="model", code="model_not_found")
    if isinstance(error, UnknownJob):
        return respond(404, str(problem), param=error.field, code="not_found")
    field = error.field if isinstance(error, InvalidRequest) else ""
    return respond(STATUS.get(problem.kind, 500), str(problem), param=field or None, code=problem.kind)


def unforeseen(error: Exception) -> Json:
    """What nobody foresaw: the traceback goes to the log, the number to find it by to the client, and nothing else."""
    number = secrets.token_hex(4)
    log.error("unforeseen error %s", number, exc_info=error)
    message = (
        f"Something went wrong inside the studio (error {number}).\n"
        "Try again; if it happens again, its log has the details."
    )
    return respond(500, message, code="internal")


def respond(status: int, message: str, *, param: str | None = None, code: str | None = None) -> Json:
    return Json(error_body(status, message, param, code), status)


def error_body(
    status: int, message: str, param: str | None = None, code: str | None = None
) -> dict[str, object]:
    kind = "rate_limit_error" if status == 429 else "invalid_request_error"
    if status >= 500 or status == 499:
        kind = "server_error"
    if len(message) > LONGEST_MESSAGE:  # what was sent may be quoted in it
        message = message[: LONGEST_MESSAGE - 1] + "…"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def problem_body(problem: Problem) -> dict[str, object]:
    """The error of a job that failed after its answer had begun."""
    return error_body(STATUS.get(problem.kind, 500), str(problem), None, problem.kind)


def unsupported(field: str, what: str, hint: str = "Leave it out.") -> InvalidRequest:
    return InvalidRequest(f"{what} is not supported here.", field=field, hint=hint)
