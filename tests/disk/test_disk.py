"""A file is written whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pipelines.disk import whole, write_whole


def begin_and_fail(file: Path) -> None:
    with whole(file) as part:
        part.write_text("half")
        raise OSError("the disk is full")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "kept.json"
    write_whole(file, "old")
    with pytest.raises(OSError, match="full"):
        begin_and_fail(file)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("kept.json", "old")]


def test_until_it_is_whole_the_old_one_is_read(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "kept.json"
    write_whole(file, b"old")
    with whole(file) as part:
        part.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="rights are those of POSIX")
def test_a_private_file_is_its_users_alone_from_the_first_byte(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with whole(tmp_path / "secret", private=True) as part:
            rights = stat.S_IMODE(part.stat().st_mode)
            part.write_text("x")
    finally:
        os.umask(before)
    assert (rights, stat.S_IMODE((tmp_path / "secret").stat().st_mode)) == (0o600, 0o600)
