"""What was made, kept for years: assets, files, lineage, and the recipes inside files. Imports nothing else of ours.

`Library` is imported when it is first asked for: the process that reads strangers' files needs no database.
"""

from typing import TYPE_CHECKING

from studio.library.asset import Asset
from studio.library.errors import AssetNotFound, DiskFull, LibraryError, NotAllowed, UnreadableFile

if TYPE_CHECKING:
    from studio.library.library import Library

__all__ = [
    "Asset",
    "AssetNotFound",
    "DiskFull",
    "Library",
    "LibraryError",
    "NotAllowed",
    "UnreadableFile",
]


def __getattr__(name: str) -> object:
    if name != "Library":
        raise AttributeError(name)
    from studio.library.library import Library

    return Library
