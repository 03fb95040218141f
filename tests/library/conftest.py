"""A real library in a fresh folder, and small real media."""

from __future__ import annotations

import io
import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from studio.database import open_database
from studio.library import Asset, Library
from studio.library.folder import FolderStore
from studio.library.media import ffmpeg
from studio.library.store import Store
from tests.library.memory import MemoryStore

EVERY_STORE = pytest.mark.parametrize("store", ["folder", "memory"], indirect=True)
"""On a test of what the library promises wherever its files lie."""


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A folder, unless the test is for every store."""
    kind = getattr(request, "param", "folder")
    return FolderStore(tmp_path / "library") if kind == "folder" else MemoryStore()


@pytest.fixture
def library(tmp_path: Path, store: Store) -> Iterator[Library]:
    """A library whose clock moves one second with every look."""
    engine = open_database(tmp_path / "studio.db")
    ticks = itertools.count(1_790_000_000)
    yield Library(store, engine, clock=lambda: float(next(ticks)))
    engine.dispose()


def folder_of(library: Library) -> Path:
    """Where a library that lies in a folder does."""
    return Path(library.store.where(""))


def path_of(library: Library, asset: Asset) -> Path:
    """Where the file of an asset lies in a folder."""
    return Path(library.where(asset))


def png(colour: tuple[int, int, int] = (200, 30, 30), size: tuple[int, int] = (48, 32), **info: Any) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, "PNG", **info)
    return data.getvalue()


def png_with(**texts: str) -> bytes:
    """A picture with those texts inside, by their PNG keywords."""
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_itxt(key, text, zip=len(text) > 1000)
    return png(size=(4, 4), pnginfo=info)


def made_by_ffmpeg(target: Path, *arguments: str) -> bytes:
    """A small real sound or film."""
    subprocess.run([ffmpeg(), "-loglevel", "error", "-y", *arguments, str(target)], check=True)
    return target.read_bytes()
