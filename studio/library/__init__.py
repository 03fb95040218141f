"""What was made, kept for years: assets, files, lineage, and the recipes inside files. Imports nothing else of ours."""

from studio.library.asset import Asset
from studio.library.errors import AssetNotFound, DiskFull, LibraryError, NotAllowed, UnreadableFile
from studio.library.library import KINDS, Library
from studio.library.metadata import read_recipe

__all__ = [
    "KINDS",
    "Asset",
    "AssetNotFound",
    "DiskFull",
    "Library",
    "LibraryError",
    "NotAllowed",
    "UnreadableFile",
    "read_recipe",
]
