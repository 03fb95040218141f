"""What a studio keeps is its user's alone, whatever the umask was, and also what was left open before."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from studio.database import open_database
from studio.folder import private

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes of files are a thing of POSIX systems")
ROOT = Path(__file__).resolve().parents[2]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_to_all(path: Path) -> None:
    path.chmod(0o777 if path.is_dir() else 0o666)


def test_a_database_and_its_folder_are_ours_from_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    engine = open_database(data / "studio.db")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE more (x)")
        files = sorted(data.glob("studio.db*"))
        assert [mode(path) for path in (data, *files)] == [0o700, *[0o600] * len(files)]
    assert len(files) == 3
    engine.dispose()


def test_what_was_left_open_is_shut_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    inner = tmp_path / "library" / "2026"
    inner.mkdir(parents=True)
    picture, login, foreign = inner / "picture.png", tmp_path / "login.json", tmp_path / "notes.txt"
    outside = tmp_path / "outside.txt"
    for file in (picture, login, foreign, outside):
        file.write_text("x")
    (inner / "link").symlink_to(outside)
    for path in (tmp_path / "library", inner, picture, login, foreign, outside):
        open_to_all(path)
    private.mend(tmp_path).join(60)
    assert [mode(path) for path in (tmp_path / "library", inner, picture, login)] == [
        0o700,
        0o700,
        0o600,
        0o600,
    ]
    assert [mode(path) for path in (foreign, outside)] == [0o666, 0o666]


def test_a_program_stays_runnable_and_a_missing_folder_is_none(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("x")
    script.chmod(0o755)
    private.shut(script)
    private.shut(tmp_path / "nothing")
    assert mode(script) == 0o700


def test_new_files_of_a_server_and_its_children_are_ours(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys; from studio.folder import private; os.umask(0o022); private.from_now_on()\n"
        "open('one', 'w').close(); os.mkdir('two')\n"
        "subprocess.run([sys.executable, '-c', \"open('three', 'w').close()\"], check=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=120)
    assert [mode(tmp_path / name) for name in ("one", "two", "three")] == [0o600, 0o700, 0o600]
