"""What can go wrong in the library, told in three parts: what happened, the numbers, what to do.

The `kind` words are those of the whole house, so that whoever shows or maps these errors needs no table of its own.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from pipelines.errors import readable_bytes


class LibraryError(Exception):
    """Base of every library error. message: what happened; detail: the numbers; hint: what to do."""

    kind = "internal"

    def __init__(self, message: str, *, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.detail, self.hint = message, detail, hint

    def __str__(self) -> str:
        return "\n".join(part for part in (self.message, self.detail, self.hint) if part)


class AssetNotFound(LibraryError, KeyError):
    """No asset has that id."""

    kind = "not_found"

    def __init__(self, asset_id: str) -> None:
        super().__init__(
            f"There is no asset {asset_id[:64]!r} in the library.",
            hint="It may have been deleted; look for it in the Library tab.",
        )


class NotAllowed(LibraryError):
    """The asset is not in a state that allows this, such as deleting what is not in the trash."""

    kind = "invalid_request"


class UnreadableFile(LibraryError):
    """An upload that is not what the library can read."""

    kind = "invalid_request"


class ReaderBusy(LibraryError):
    """More files are being read than there are turns."""

    kind = "busy"


class DiskFull(LibraryError):
    """There is no room for the file; nothing already made was touched."""

    kind = "out_of_disk"


def explain_write(error: OSError, folder: Path, nbytes: int) -> LibraryError:
    """The library's word for a write that failed in that folder."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull(
            "The disk is full, so this could not be saved.",
            detail=f"It needs {readable_bytes(nbytes)}; {_free(folder)} is free in {folder}.",
            hint="Free some space and try again. Nothing already in the library was touched.",
        )
    return LibraryError(
        f"The library could not write into {folder}.",
        detail=f"{type(error).__name__}: {error.strerror or error}",
        hint="Check that the folder exists and may be written to.",
    )


def _free(folder: Path) -> str:
    try:
        return readable_bytes(shutil.disk_usage(folder).free)
    except OSError:
        return "an unknown amount"
