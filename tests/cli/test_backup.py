"""A backup taken while the studio works opens as a studio again, whole, and never costs anybody a file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import OutOfDisk, StudioError
from pipelines.messages import AudioRequest
from studio.cli import backup
from studio.cli.backup import NoBackup, back_up, restore
from studio.library import LibraryError
from studio.settings import Settings
from studio.studio import Studio
from tests.links import Idle


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def studio(data: Path) -> Iterator[Studio]:
    studio = Studio(Settings(data_dir=data), start_worker=Idle)
    studio.library.reader = NoReader()  # type: ignore[assignment]
    studio.start()
    yield studio
    studio.close()


class NoReader:
    def thumbnail(self, *asked: Any) -> bytes:
        raise LibraryError("none here")


def write(studio: Studio, words: str) -> str:
    made = studio.library.add(
        words.encode(),
        kind="text",
        media_type="text/plain",
        suffix="txt",
        owner="ada",
        recipe={"prompt": words, "seed": 1},
    )
    return made.id


def test_what_is_restored_is_what_was_there_to_the_byte(studio: Studio, data: Path, tmp_path: Path) -> None:
    asset = studio.library.tag(write(studio, "kept"), ["blue"])
    job = studio.submit(AudioRequest(prompt="waits", model="espeak"), owner="ada")
    (data / "studio.toml").write_text("theme = 'dark'\n")
    (data / "models").mkdir()
    (data / "models" / "huge.safetensors").write_bytes(b"x")
    taken = back_up(data, tmp_path / "backup")
    assert (taken.files, taken.missing) == (4, ())  # database, file, sidecar, settings
    restore(tmp_path / "backup", tmp_path / "again")
    again = Studio(Settings(data_dir=tmp_path / "again"))
    assert again.library.get(asset.id) == asset
    assert again.library.read(asset) == b"kept"
    assert again.job(job.id).request.prompt == "waits"
    assert (tmp_path / "again" / "studio.toml").read_text() == "theme = 'dark'\n"
    assert not (tmp_path / "again" / "models").exists()
    again.close()


def test_a_backup_taken_while_jobs_are_filed_and_assets_deleted_opens_whole(
    studio: Studio, data: Path, tmp_path: Path
) -> None:
    before = {write(studio, f"before {number}") for number in range(50)}
    stop = threading.Event()
    deleted: set[str] = set()

    def file_on() -> None:
        for number in range(10_000):
            if stop.is_set():
                return
            write(studio, f"meanwhile {number}")
            studio.submit(AudioRequest(prompt=f"job {number}", model="espeak"), owner=f"owner {number}")

    def throw_away() -> None:
        for asset_id in sorted(before)[:20]:
            studio.library.trash(asset_id)
            studio.library.delete(asset_id)
            deleted.add(asset_id)

    threads = [threading.Thread(target=work) for work in (file_on, file_on, throw_away)]
    for thread in threads:
        thread.start()
    backups = [tmp_path / f"backup {number}" for number in range(3)]
    try:
        for target in backups:
            assert back_up(data, target).missing == ()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for target in backups:
        again = Studio(Settings(data_dir=restore(target, tmp_path / f"restored from {target.name}").folder))
        found = again.library.search(limit=100_000)
        assert before - deleted <= {asset.id for asset in found}
        for asset in found:
            assert hashlib.sha256(again.library.read(asset)).hexdigest() == asset.sha256
        with again.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        again.close()


def test_a_file_that_was_gone_before_is_told_and_keeps_its_row(
    studio: Studio, data: Path, tmp_path: Path
) -> None:
    asset = studio.library.get(write(studio, "gone"))
    studio.library.store.remove(asset.file)
    assert back_up(data, tmp_path / "backup").missing == (asset.file,)
    restore(tmp_path / "backup", tmp_path / "again")
    again = Studio(Settings(data_dir=tmp_path / "again"))
    assert again.library.get(asset.id).missing
    again.close()


def test_nothing_is_ever_overwritten(studio: Studio, data: Path, tmp_path: Path) -> None:
    write(studio, "mine")
    full = tmp_path / "full"
    full.mkdir()
    (full / "other").write_text("theirs")
    with pytest.raises(StudioError, match="not empty"):
        back_up(data, full)
    back_up(data, tmp_path / "backup")
    for target in (full, data):
        with pytest.raises(StudioError, match="not empty"):
            restore(tmp_path / "backup", target)
    assert [path.name for path in full.iterdir()] == ["other"]
    assert len(studio.library.search()) == 1


def test_a_backup_does_not_lie_in_what_it_backs_up(studio: Studio, data: Path) -> None:
    for target in (data / "backup", data.parent):
        with pytest.raises(StudioError):
            back_up(data, target)
    assert not (data / "backup").exists()


@pytest.mark.parametrize(
    "fault", ["changed", "missing", "no list", "half a list", "a path out of it", "later"]
)
def test_what_is_no_whole_backup_is_refused_and_nothing_is_restored(
    studio: Studio, data: Path, tmp_path: Path, fault: str
) -> None:
    write(studio, "precious")
    source, target = back_up(data, tmp_path / "backup").folder, tmp_path / "again"
    (file,) = source.glob("library/text/*/*.txt")
    listed = json.loads((source / "backup.json").read_text())
    match fault:
        case "changed":
            file.write_bytes(b"precioux")
        case "missing":
            file.unlink()
        case "no list":
            (source / "backup.json").unlink()
        case "half a list":
            (source / "backup.json").write_text('{"files": {"studio.db"')
        case "a path out of it":
            listed["files"]["../out"] = {"nbytes": 1, "sha256": ""}
            (source / "backup.json").write_text(json.dumps(listed))
        case "later":
            (source / "backup.json").write_text(json.dumps({**listed, "format": 99}))
    with pytest.raises(StudioError):
        restore(source, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]


@pytest.mark.parametrize(
    "fault", ["a pipe", "a link", "a linked folder", "a row of a file", "a row of an id"]
)
def test_a_backup_made_to_harm_is_refused_and_nothing_is_restored(
    studio: Studio, data: Path, tmp_path: Path, fault: str
) -> None:
    """A pipe would keep us waiting for ever, and a row of `../../.ssh/id_rsa` would be an asset to look at and to delete."""
    write(studio, "precious")
    source, target = back_up(data, tmp_path / "backup").folder, tmp_path / "again"
    (file,) = source.glob("library/text/*/*.txt")
    match fault:
        case "a pipe":
            file.unlink()
            os.mkfifo(file)
        case "a link":
            file.rename(tmp_path / "elsewhere")
            file.symlink_to(tmp_path / "elsewhere")
        case "a linked folder":
            file.parent.rename(tmp_path / "elsewhere")
            file.parent.symlink_to(tmp_path / "elsewhere")
        case "a row of a file":
            forge(source, "UPDATE assets SET file = '../../secret'")
        case "a row of an id":
            forge(source, "UPDATE assets SET id = '../../secret'")
    with pytest.raises(NoBackup, match=r"plain file|not what a studio wrote"):
        restore(source, target)
    assert not target.exists()


def forge(source: Path, statement: str) -> None:
    """Change the database of a backup, and its checksum with it."""
    with closing(sqlite3.connect(source / "studio.db")) as rows:
        rows.execute("PRAGMA foreign_keys = OFF")
        rows.execute(statement)
        rows.commit()
    listed = json.loads((source / "backup.json").read_text())
    content = (source / "studio.db").read_bytes()
    entry = {"nbytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    listed["files"]["studio.db"] = entry
    (source / "backup.json").write_text(json.dumps(listed))


def test_too_little_room_is_told_with_numbers_before_anything_is_copied(
    studio: Studio, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(studio, "x")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(OutOfDisk, match="not enough room") as caught:
        back_up(data, tmp_path / "backup")
    assert "1.0 kB is free" in caught.value.detail
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_there_is_nothing_to_back_up_where_no_studio_was(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match="nothing to back up"):
        back_up(tmp_path / "empty", tmp_path / "backup")
    assert list(tmp_path.iterdir()) == []
