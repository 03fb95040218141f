"""Strangers' files are read in a process of their own: bounded, fenced, replaced when it dies, and never in the server."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from studio.library import UnreadableFile
from studio.library.errors import LibraryError
from studio.library.reader import Reader
from tests.library.conftest import png

PREPARED = """
import os, sys, time
from studio.library import reader_process
{before}
reader_process.main()
"""


def reader_with(operations: str, **options: object) -> Reader:
    """A real reader whose process has operations of the test's own."""
    return Reader(command=(sys.executable, "-c", PREPARED.format(before=operations)), **options)  # type: ignore[arg-type]


def pids(reader: Reader) -> list[int]:
    """The processes that run now."""
    return [link.pid for link in reader._links if link.pid]


def placed(folder: Path, data: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    reader.close()


def test_a_file_and_bytes_are_read_alike(reader: Reader, tmp_path: Path) -> None:
    data = png()
    found = reader.examine(data, "a.png")
    assert (found.kind, found.media_type, found.facts) == ("image", "image/png", {"width": 48, "height": 32})
    assert reader.examine(placed(tmp_path, data), "a.png") == found


def test_a_reading_that_never_ends_is_ended_and_the_next_one_answers() -> None:
    """A graph wired to itself took 6^12 ways; whatever the next such file is, it costs its seconds and no more."""
    reader = reader_with(
        "was = reader_process.OPERATIONS['recipe']\n"
        "def recipe(file, asked):\n"
        "    while asked['filename'] == 'endless': pass\n"
        "    return was(file, asked)\n"
        "reader_process.OPERATIONS['recipe'] = recipe",
        cpu_seconds={"recipe": 1},
    )
    try:
        found = reader.recipe(png(), "endless")
        assert (found.recipe, found.reason) == (None, "The file takes too long to read.")
        assert reader.recipe(png(), "a.png").reason == "There are no settings in this file."
    finally:
        reader.close()


def test_a_reading_that_sleeps_is_ended_by_the_clock_and_nothing_is_left() -> None:
    """A reading that waits uses no computing time; then the clock counts, and its whole process group goes."""
    reader = reader_with(
        "import subprocess\n"
        "def sleep(file, asked):\n"
        "    subprocess.run(['sleep', '1000'])\n"
        "reader_process.OPERATIONS['examine'] = sleep\n"
        "reader_process.libraries = lambda: [__import__('pathlib').Path('/')]",
        cpu_seconds={"examine": 1},
        patience=1.0,
    )
    try:
        assert reader.recipe(png()).reason  # now the process runs
        (group,) = pids(reader)
        with pytest.raises(UnreadableFile, match="takes too long") as caught:
            reader.examine(png(), "a.png")
        assert "1 s" in caught.value.detail
        assert [process for process in psutil.process_iter() if _group(process) == group] == []
        assert reader.picture(png())
    finally:
        reader.close()


def _group(process: psutil.Process) -> int:
    try:
        return os.getpgid(process.pid) if process.status() != psutil.STATUS_ZOMBIE else -1
    except (ProcessLookupError, psutil.NoSuchProcess):
        return -1


# a fenced child cannot send signals to others: here it may, to play whoever kills readers
UNFENCED = "reader_process.sandbox.fence_files = lambda readable: True\n"


def test_a_reading_whose_process_is_killed_is_done_again(tmp_path: Path) -> None:
    """Whoever runs out of memory kills the wrong one, too: nobody should see that."""
    killed = tmp_path / "killed"
    reader = reader_with(
        f"{UNFENCED}was, first = reader_process.OPERATIONS['examine'], not os.path.exists({str(killed)!r})\n"
        f"open({str(killed)!r}, 'w').close()\n"
        "def examine(file, asked):\n"
        "    if first: os.kill(os.getppid(), 9)\n"
        "    return was(file, asked)\n"
        "reader_process.OPERATIONS['examine'] = examine"
    )
    try:
        assert reader.examine(png(), "a.png").kind == "image"
        assert killed.exists()
    finally:
        reader.close()


def test_a_reading_that_is_killed_each_time_is_given_up(tmp_path: Path) -> None:
    reader = reader_with("reader_process.OPERATIONS['examine'] = lambda file, asked: os.kill(os.getpid(), 9)")
    try:
        with pytest.raises(UnreadableFile, match="ended twice"):
            reader.examine(png(), "a.png")
        assert reader.picture(png())
    finally:
        reader.close()


def test_a_reader_killed_between_two_questions_is_started_again() -> None:
    reader = Reader()
    try:
        reader.examine(png(), "a.png")
        os.kill(pids(reader)[0], signal.SIGKILL)
        assert reader.examine(png(), "a.png").kind == "image"
    finally:
        reader.close()


def test_fifty_at_once_wait_for_their_turn(reader: Reader) -> None:
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(reader.examine(png(), "a.png").suffix))
        for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["png"] * 50
    assert 1 <= len(pids(reader)) <= 2


def test_a_decoder_that_crashes_takes_nothing_with_it() -> None:
    reader = reader_with(
        "import ctypes\nreader_process.OPERATIONS['examine'] = lambda file, asked: ctypes.string_at(0)"
    )
    try:
        with pytest.raises(UnreadableFile) as caught:
            reader.examine(png(), "a.png")
        assert "decoder fail" in caught.value.detail
        assert reader.picture(png())
    finally:
        reader.close()


def test_a_process_that_cannot_start_says_so() -> None:
    with pytest.raises(LibraryError, match="could not be started"):
        Reader(command=(sys.executable, "-c", "raise SystemExit(3)")).examine(png(), "a.png")


def test_the_process_has_no_torch_no_database_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    reader = reader_with(
        "def tell(file, asked):\n"
        "    heavy = sorted({'torch', 'gradio', 'sqlalchemy', 'fastapi'} & set(sys.modules))\n"
        "    return [' '.join(heavy), 'HF_TOKEN' in os.environ and 'token' or '', '', {}], b''\n"
        "reader_process.OPERATIONS['examine'] = tell"
    )
    try:
        found = reader.examine(png(), "a.png")
        assert (found.kind, found.media_type) == ("", "")
    finally:
        reader.close()


def test_a_picture_comes_back_with_its_own_pixels(reader: Reader) -> None:
    """What was made here goes the same way, and not one pixel changes."""
    made = Image.effect_noise((33, 17), 60).convert("RGB")
    data = io.BytesIO()
    made.save(data, "PNG")
    with Image.open(io.BytesIO(reader.picture(data.getvalue()))) as got:
        assert (got.mode, got.tobytes()) == ("RGB", made.tobytes())
