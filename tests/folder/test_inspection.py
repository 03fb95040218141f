"""A data folder in a bad state is told in plain words, and nothing in it is touched."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.errors import OutOfDisk, StudioError
from pipelines.messages import AudioRequest
from studio import database
from studio.database import connect, migrate, open_database
from studio.folder.inspection import inspect_database, known_revisions
from studio.queue.store import JobStore
from studio.settings import ROOT
from tests.bench.startup import free_port


def good(file: Path) -> None:
    engine = open_database(file)
    for number in range(40):
        JobStore(engine).add(AudioRequest(prompt=f"words {number} " * 90, model="espeak"), "ada")
    engine.dispose()


def of_a_later_version(file: Path) -> None:
    good(file)
    with sqlite3.connect(file) as later:
        later.execute("UPDATE alembic_version SET version_num = '9999'")
    later.close()


def cut_to_half(file: Path) -> None:
    good(file)
    os.truncate(file, file.stat().st_size // 2)


def cut_to_a_word(file: Path) -> None:
    good(file)
    os.truncate(file, 20)


def cut_to_nothing(file: Path) -> None:
    (file.parent / "library").mkdir()
    file.write_bytes(b"")


def overwritten(file: Path) -> None:
    good(file)
    data = bytearray(file.read_bytes())
    data[100:4096] = b"\xaa" * 3996
    file.write_bytes(data)


def of_another_program(file: Path) -> None:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    other.close()


def of_another_program_that_migrates_too(file: Path) -> None:
    with sqlite3.connect(file) as other:
        other.executescript(
            "CREATE TABLE jobs (cron TEXT); CREATE TABLE alembic_version (version_num TEXT);"
            "INSERT INTO alembic_version VALUES ('0002')"
        )
    other.close()


def no_database(file: Path) -> None:
    file.write_text("Dear diary, " * 500)


def a_folder(file: Path) -> None:
    (file / "inside").mkdir(parents=True)


def a_link_to_nowhere(file: Path) -> None:
    file.symlink_to(file.parent / "gone" / "studio.db")


BAD: dict[Callable[[Path], None], str] = {
    of_a_later_version: "later version",
    cut_to_half: "damaged",
    cut_to_a_word: "damaged",
    cut_to_nothing: "damaged",
    overwritten: "damaged",
    of_another_program: "another program",
    of_another_program_that_migrates_too: "another program",
    no_database: "not a database of the studio",
    a_folder: "is a folder",
    a_link_to_nowhere: "points to a file that is not there",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def everything(folder: Path) -> dict[str, str]:
    """Every path in it, with a checksum of what it holds."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "-"
        for path in sorted(folder.glob("**/*"))
    }


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_a_bad_database_is_told_in_three_parts_and_left_as_it_was(
    data: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(data / "studio.db")
    before = everything(data)
    with pytest.raises(StudioError) as caught:
        open_database(data / "studio.db")
    assert BAD[spoil] in caught.value.message
    assert "Nothing was changed." in caught.value.detail
    assert caught.value.hint
    assert everything(data) == before


COMMANDS = {
    "serve": ["--port", "PORT"],
    "generate": ["generate", "audio", "Hello.", "--model", "espeak"],
    "backup": ["backup"],
    "doctor": ["doctor"],
    "keys": ["keys", "list"],
}


@pytest.mark.parametrize(
    ("command", "spoil"),
    [
        *((command, of_a_later_version) for command in COMMANDS),
        ("serve", cut_to_half),
        ("generate", no_database),
        ("backup", of_another_program),
        ("keys", a_folder),
    ],
)
def test_every_command_says_it_ends_with_1_and_changes_nothing(
    data: Path, spoil: Callable[[Path], None], command: str
) -> None:
    spoil(data / "studio.db")
    before = everything(data)
    done = launch(COMMANDS[command], data)
    assert done.returncode == 1, done.stdout + done.stderr
    assert BAD[spoil] in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert everything(data) == before
    assert sorted(path.name for path in data.parent.iterdir()) == ["data"]


def launch(arguments: list[str], data: Path, **more: object) -> subprocess.CompletedProcess[str]:
    arguments = [str(free_port()) if word == "PORT" else word for word in arguments]
    command = [sys.executable, str(ROOT / "launch.py"), "--skip-install", *arguments, "--data-dir", str(data)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False, **more)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("command", ["serve", "generate", "keys"])
def test_a_file_where_the_data_folder_should_be_is_said_so(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("mine")
    done = launch(COMMANDS[command], tmp_path / "file" / "data")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert str(tmp_path / "file") in done.stderr
    assert (tmp_path / "file").read_text() == "mine"


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder that another user of this machine can reach."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


OPEN_IT = """
import os, sys
from pathlib import Path
from pipelines.errors import StudioError
from studio.settings import Settings
from studio.studio import Studio
Studio(Settings(data_dir=Path(sys.argv[2]), device="cpu"), warm_up=False).close()  # what is imported late is by now
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    studio = Studio(Settings(data_dir=Path(sys.argv[1]), device="cpu"), warm_up=False)
    studio.start()
    print("started")
    studio.close()
except StudioError as error:
    print(error.problem())
    sys.exit(1)
"""


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="becomes another user, which only root may")
@pytest.mark.parametrize("what", ["the file", "the folder", "the file is not even readable"])
def test_a_folder_or_file_that_may_not_be_written_is_said_so(elsewhere: Path, what: str) -> None:
    data = elsewhere / "data"
    data.mkdir()
    good(data / "studio.db")
    data.chmod(0o777 if what != "the folder" else 0o755)
    (data / "studio.db").chmod({"the file": 0o444, "the folder": 0o666}.get(what, 0o600))
    before = everything(data)
    done = subprocess.run(
        [sys.executable, "-c", OPEN_IT, str(data), str(elsewhere / "other")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "may not be written" in done.stdout or "cannot be opened" in done.stdout
    assert "Traceback" not in done.stderr
    assert everything(data) == before


def test_a_full_disk_is_said_so_and_leaves_no_half_made_database(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself says so here: its file may not grow beyond a few pages."""

    def may_hardly_grow(dbapi_connection: sqlite3.Connection, record: object) -> None:
        dbapi_connection.execute("PRAGMA max_page_count = 2")

    monkeypatch.setattr(database, "_set_up", may_hardly_grow)
    with pytest.raises(OutOfDisk, match="disk is full"):
        open_database(data / "studio.db")
    assert everything(data) == {}


FULL = """
import subprocess, sys
from pathlib import Path
from pipelines.errors import StudioError
from studio.database import open_database
disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], check=True)
if sys.argv[2] == "there":
    open_database(disk / "data" / "studio.db").dispose()
with open(disk / "fill", "wb", buffering=0) as fill:
    try:
        while fill.write(bytes(1024)):
            pass
    except OSError:
        pass
try:
    open_database(disk / "data" / "studio.db")
except StudioError as error:
    print(error.kind, error.message)
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a disk of its own, which Linux gives")
@pytest.mark.parametrize("database_is", ["there", "not there"])
def test_a_disk_that_is_really_full_is_said_so(tmp_path: Path, database_is: str) -> None:
    command = ["unshare", "-m", sys.executable, "-c", FULL, str(tmp_path), database_is]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if "Operation not permitted" in done.stderr or "mount" in done.stderr:
        pytest.skip("this user may not have a disk of its own")
    assert done.stdout.startswith("out_of_disk The disk is full"), done.stdout + done.stderr


def test_a_database_someone_holds_is_waited_for_and_then_said_so(data: Path) -> None:
    """One that must be brought to today's schema; one that is at it opens all the same."""
    old = data / "studio.db"
    engine = connect(old)
    migrate(engine, known_revisions()[0])
    engine.dispose()
    holder = sqlite3.connect(old, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StudioError, match="held by another program"):
        open_database(old, wait_seconds=0.2)
    holder.execute("ROLLBACK")
    open_database(old).dispose()
    holder.execute("BEGIN IMMEDIATE")
    assert JobStore(open_database(old, wait_seconds=0.2)).counts() == {"queued": 0, "running": 0}
    holder.close()


def test_a_database_of_today_or_yesterday_or_none_is_no_trouble(data: Path) -> None:
    assert inspect_database(data / "studio.db") is None
    (data / "studio.db").write_bytes(b"")  # a first start that was killed before it wrote anything
    assert inspect_database(data / "studio.db") is None
    for revision in known_revisions():
        file = data / f"{revision}.db"
        engine = connect(file)
        migrate(engine, revision)
        assert inspect_database(file) == revision  # while it is open, its changes still in the log
        engine.dispose()
        assert inspect_database(file) == revision


def test_models_and_doctor_answer_beside_a_broken_database(data: Path) -> None:
    of_a_later_version(data / "studio.db")
    done = launch(["models", "list"], data)
    assert done.returncode == 0
    assert "starter/image" in done.stdout
