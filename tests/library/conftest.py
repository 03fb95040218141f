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
from studio.library import Library
from studio.library.media import ffmpeg


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """A library whose clock moves one second with every look."""
    engine = open_database(tmp_path / "studio.db")
    ticks = itertools.count(1_790_000_000)
    yield Library(tmp_path / "library", engine, clock=lambda: float(next(ticks)))
    engine.dispose()


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
