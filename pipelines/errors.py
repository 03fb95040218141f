"""Errors we can explain to a person: what happened, the numbers, what to do.

Raised anywhere, turned into a `Problem` once at the edge (worker, API, CLI). Everything else becomes `internal`.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

GB = 10**9
"""Bytes. Every size people read or write is decimal, as disks, file managers and the hub count: one for file and memory."""


@dataclass(frozen=True)
class Problem:
    """An error as data: stored on the job, shown on the page, mapped by the API to a status code."""

    kind: str
    message: str
    hint: str = ""
    detail: str = ""

    def __str__(self) -> str:
        return "\n".join(part for part in (self.message, self.detail, self.hint) if part)


class StudioError(Exception):
    """Base of every error with an explanation. message: what happened; detail: the numbers; hint: what to do."""

    kind = "internal"

    def __init__(self, message: str, *, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.detail, self.hint = message, detail, hint

    def problem(self) -> Problem:
        return Problem(self.kind, self.message, self.hint, self.detail)


class InvalidRequest(StudioError):
    """The request cannot be carried out as written. field: the request field to look at, if it is one."""

    kind = "invalid_request"

    def __init__(self, message: str, *, field: str = "", detail: str = "", hint: str = "") -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.field = field


class ModelUnavailable(StudioError):
    """The model is unknown, not downloaded, broken, or in a format we refuse."""

    kind = "model_unavailable"


class OutOfMemory(StudioError):
    """It cannot fit, now or ever; the detail carries the bytes."""

    kind = "out_of_memory"


class OutOfDisk(StudioError):
    """The disk is full; nothing already made was touched."""

    kind = "out_of_disk"


class TooManyWaiting(StudioError):
    """This person has as many jobs waiting as one may have."""

    kind = "too_many"


class Cancelled(StudioError):
    """Someone asked for the job to stop."""

    kind = "cancelled"

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)


class WorkerLost(StudioError):
    """The worker process ended while it held the job."""

    kind = "worker_lost"


def as_problem(error: BaseException) -> Problem:
    """The `Problem` a person sees for any exception; the traceback belongs in the log, not here."""
    if isinstance(error, StudioError):
        return error.problem()
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutOfDisk(
            "The disk is full.",
            detail=f"{error.strerror}{f': {error.filename}' if error.filename else ''}. What was made before is untouched.",
            hint="Free some space, or empty the library's trash, and try again.",
        ).problem()
    return Problem(
        "internal",
        "Something went wrong inside the studio.",
        hint="Try again; if it happens again, the log of the worker has the details.",
        detail=f"{type(error).__name__}: {error}"[:500],
    )


def first_line(error: BaseException) -> str:
    """What an error says in its first line, short enough for a person."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def readable_bytes(nbytes: float) -> str:
    """Bytes as people read them, memory and files alike: "900 B", "3.4 MB", "61 GB"."""
    units, power = ("B", "kB", "MB", "GB", "TB"), 0
    while abs(nbytes) >= 999.5 and power < len(units) - 1:
        nbytes, power = nbytes / 1000, power + 1
    digits = 1 if power and abs(nbytes) < 9.95 else 0
    return f"{nbytes:.{digits}f} {units[power]}"
