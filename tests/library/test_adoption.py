"""What a crash leaves in the library is listed again, each file for itself, whatever lies beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from studio.database import connect
from studio.library import Library
from studio.library.folder import FolderStore
from studio.library.sidecar import note_of, sidecar_of
from studio.settings import ROOT
from tests.library.conftest import folder_of, path_of, png

DAY = "2026-03-01"


@pytest.fixture
def later(library: Library) -> Library:
    """The library two minutes after everything in it was written."""
    library.clock = lambda: time.time() + 120
    return library


def stray(library: Library, name: str = "00001-7.png", kind: str = "image") -> Path:
    """A good picture without a row."""
    path = folder_of(library) / kind / DAY / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png())
    return path


def beside(path: Path) -> Path:
    """Where the sidecar of a file lies."""
    return Path(sidecar_of(str(path)))


def a_folder(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "inside.png").write_bytes(png())


def a_link_out_of_the_library(path: Path) -> None:
    secret = path.parents[3] / "secret.png"
    secret.write_bytes(png())
    path.symlink_to(secret)


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def a_pipe_that_never_ends(path: Path) -> None:
    os.mkfifo(path)


def no_picture(path: Path) -> None:
    path.write_bytes(b"\0\xff\xfe" * 99)


def a_name_that_is_no_text(path: Path) -> None:
    with open(os.fsencode(path.parent) + b"/00000-\xff.png", "wb") as file:
        file.write(png())


@pytest.mark.parametrize(
    "odd",
    [
        a_folder,
        a_link_out_of_the_library,
        a_link_to_itself,
        a_pipe_that_never_ends,
        no_picture,
        a_name_that_is_no_text,
    ],
)
def test_one_odd_file_keeps_no_other_from_being_listed(later: Library, odd: Callable[[Path], None]) -> None:
    good = stray(later)
    odd(good.with_name("00000-1.png"))
    assert [asset.file for asset in later.adopt()] == [f"image/{DAY}/00001-7.png"]
    assert later.adopt() == []


@pytest.mark.parametrize("day", ["a link to itself", "a file"])
def test_a_day_that_is_no_folder_keeps_no_other_from_being_listed(later: Library, day: str) -> None:
    good = stray(later)
    odd = good.parent.with_name("2026-02-28")
    odd.symlink_to(odd) if day == "a link to itself" else odd.write_text("")
    assert len(later.adopt()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="everything may be read by root")
def test_a_folder_that_may_not_be_read_keeps_no_other_from_being_listed(later: Library) -> None:
    closed = stray(later).parent
    good = folder_of(later) / "image" / "2026-03-02" / "00001.png"
    good.parent.mkdir()
    good.write_bytes(png())
    closed.chmod(0)
    try:
        assert [asset.file for asset in later.adopt()] == ["image/2026-03-02/00001.png"]
    finally:
        closed.chmod(0o755)


SIDECARS = {
    "half a character": '{"title": "half \\ud83d", "recipe": {"prompt": "\\ud83d", "seed": 3}, "owner": "ada"}',
    "a list": "[1, 2]",
    "no json": "{",
    "bottomless": "[" * 100_000,
    "wrong types": '{"id": {}, "owner": 3, "recipe": "x", "facts": [], "parents": 7, "job_id": null, "created_at": "x"}',
    "half parents": '{"parents": [["a"], ["b", "init_image"], 3, ["c", 4]], "owner": "ada"}',
    "long names": '{"id": "' + "x" * 1000 + '", "parents": [["' + "p" * 999 + '", "' + "r" * 999 + '"]]}',
}


@pytest.mark.parametrize("told", SIDECARS.values(), ids=SIDECARS)
def test_an_odd_note_does_not_keep_its_file_from_being_listed(later: Library, told: str) -> None:
    path = stray(later)
    beside(path).write_text(told)
    (asset,) = later.adopt()
    found = later.get(asset.id)
    assert found == asset
    json.dumps(
        [found.recipe, found.title, found.facts], ensure_ascii=False
    ).encode()  # it can be sent to a client
    if "ada" in told:
        assert found.owner == "ada"
    if "half parents" in told:
        assert later.parents(asset.id) == []


def test_a_copied_file_with_its_note_is_an_asset_of_its_own(library: Library) -> None:
    asset = library.add(
        png(),
        kind="image",
        media_type="image/png",
        suffix="png",
        recipe={"prompt": "x", "seed": 7},
        owner="ada",
    )
    path = path_of(library, asset)
    copy = path.with_name("00009-7.png")
    copy.write_bytes(path.read_bytes())
    beside(copy).write_bytes(beside(path).read_bytes())
    library.clock = lambda: time.time() + 120
    (listed,) = library.adopt()
    assert (listed.owner, listed.recipe) == ("ada", asset.recipe)
    assert listed.id != asset.id


def test_the_note_of_a_deleted_file_is_not_listed_as_one(later: Library) -> None:
    path = stray(later)
    beside(path).write_text('{"owner": "ada"}')
    path.unlink()
    assert later.adopt() == []


KILLED = """
import os, shutil, sys
from pathlib import Path
from studio.database import connect, open_database
from studio.library import Library, LibraryError
from studio.library.folder import FolderStore

class NoReader:
    def thumbnail(self, *asked):
        raise LibraryError("none here")

def add(folder, step, sidecars, spooled):
    library = Library(FolderStore(folder / "library"), connect(folder / "studio.db"), sidecars=sidecars, reader=NoReader())
    library.count()
    spool = folder / "spool.bin"
    spool.write_bytes(b"made")
    left = [step]

    def hear(name, arguments):
        touched = str(arguments[0]) if arguments else ""
        if name in ("open", "os.rename", "os.remove", "os.mkdir", "os.scandir") and str(folder) in touched:
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)

    sys.addaudithook(hear)
    told = dict(kind="text", media_type="text/plain", suffix="txt", recipe={"prompt": "x", "seed": 7}, owner="ada",
                job_id="job-1", parents=[("p", "init_image")])
    library.add(spool if spooled else b"made", **told)

open_database(Path(sys.argv[1]) / "empty" / "studio.db").dispose()
for step in range(1, 60):
    folder = Path(sys.argv[1]) / str(step)
    shutil.copytree(Path(sys.argv[1]) / "empty", folder)
    child = os.fork()
    if child == 0:
        add(folder, step, sys.argv[2] == "True", sys.argv[3] == "True")
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(code)
    if code != 9:
        break
"""


@pytest.mark.skipif(
    not hasattr(os, "fork"), reason="a copy of this process for every step, which Windows has not"
)
@pytest.mark.parametrize(("sidecars", "spooled"), [(True, False), (False, False), (False, True)])
def test_killed_at_any_step_a_file_is_listed_whole_with_its_job_or_is_not_there(
    tmp_path: Path, sidecars: bool, spooled: bool
) -> None:
    """Every opening, renaming and removing of a file in `Library.add` once as the last thing that process did."""
    arguments = [str(tmp_path), str(sidecars), str(spooled)]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    codes = done.stdout.split()
    assert set(codes[:-1]) == {"9"}
    assert codes[-1] == "0"
    listed = [look_after(tmp_path / str(step), sidecars) for step in range(1, len(codes) + 1)]
    assert listed == sorted(listed)  # not there up to some step, there from then on
    assert (listed[0], listed[-1]) == (False, True)


def look_after(folder: Path, sidecars: bool) -> bool:
    """Whether the killed process left the file, which then is whole and has its job."""
    engine = connect(folder / "studio.db")
    library = Library(
        FolderStore(folder / "library"), engine, sidecars=sidecars, clock=lambda: time.time() + 120
    )
    library.adopt()
    found, files = library.search(), {path.name for path in (folder / "library" / "text").glob("*/*")}
    if not found:
        assert files == set()
    for asset in found:
        told = (asset.owner, asset.job_id, asset.recipe, library.read(asset))
        assert told == ("ada", "job-1", {"prompt": "x", "seed": 7}, b"made")
        assert library.made_by("job-1") == [asset.id]
        note = {Path(sidecar_of(asset.file)).name} if sidecars else set()
        assert files == {Path(asset.file).name} | note
    engine.dispose()
    return bool(found)


def test_no_note_outlives_its_row_where_prompts_are_left_out(later: Library) -> None:
    later.sidecars = False
    asset = later.add(b"x", kind="text", media_type="text/plain", suffix="txt", recipe={"prompt": "secret"})
    note = path_of(later, asset).with_name(Path(note_of(asset.file)).name)
    note.write_text('{"recipe": {"prompt": "secret"}}')  # as a crash between row and removal leaves it
    later.adopt()
    assert not note.exists()
    assert not later.get(asset.id).missing


def test_filing_one_more_lists_no_folder(library: Library) -> None:
    """The cost of the n-th file of a day does not grow with n."""
    library.clock = lambda: 1_790_000_000.0
    listed: list[str] = []
    watching = [True]

    def hear(name: str, arguments: tuple[Any, ...]) -> None:
        if (
            watching[0]
            and name in ("os.scandir", "os.listdir")
            and str(folder_of(library)) in str(arguments[0])
        ):
            listed.append(str(arguments[0]))

    sys.addaudithook(hear)  # it stays; from `watching` on it does nothing
    names = [library.add(b"x", kind="text", media_type="text/plain", suffix="txt").file for _ in range(30)]
    watching[0] = False
    assert len(listed) == 1
    assert [Path(name).name for name in names] == [f"{number:05}.txt" for number in range(1, 31)]


def test_numbers_go_on_where_the_last_studio_stopped_also_beyond_five_digits(library: Library) -> None:
    library.clock = lambda: 1_790_000_000.0
    first = path_of(library, library.add(b"x", kind="text", media_type="text/plain", suffix="txt"))
    (first.parent / "123456-7.txt").write_text("")
    again = Library(FolderStore(folder_of(library)), library.engine, clock=library.clock)
    assert again.add(b"y", kind="text", media_type="text/plain", suffix="txt").file.endswith("/123457.txt")


def test_a_recipe_with_half_a_character_can_be_kept_and_sent(library: Library) -> None:
    asset = library.add(
        b"x", kind="text", media_type="text/plain", suffix="txt", recipe={"prompt": "\ud83d"}, title="\ud83d"
    )
    assert (asset.title, asset.prompt) == ("?", "?")
    assert library.get(asset.id) == asset
