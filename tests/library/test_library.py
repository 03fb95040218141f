"""The library keeps what was made: files first, nothing overwritten, found again, never lost."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI, Response
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import inspect

from studio.library import AssetNotFound, DiskFull, Library, LibraryError, NotAllowed, UnreadableFile
from studio.library.asset import Asset
from studio.library.sidecar import sidecar_of
from studio.library.tables import assets, metadata
from tests.library.conftest import EVERY_STORE, made_by_ffmpeg, path_of, png

STEPS = 100
"""SQLite tells of its steps in hundreds."""


def add(library: Library, prompt: str = "a red fox", **changes: Any) -> Any:
    recipe = {"modality": "image", "prompt": prompt, "model": "starter/image", "seed": 7} | changes.pop(
        "recipe", {}
    )
    given: dict[str, Any] = {"kind": "image", "media_type": "image/png", "suffix": "png", "recipe": recipe}
    return library.add(png(), **(given | changes))


@EVERY_STORE
def test_an_asset_comes_back_as_it_was_added(library: Library) -> None:
    asset = add(library, facts={"width": 48}, owner="ada", job_id="job1")
    assert library.get(asset.id) == asset
    assert (asset.title, asset.prompt, asset.model, asset.seed) == (
        "a red fox",
        "a red fox",
        "starter/image",
        7,
    )
    assert (asset.facts, asset.owner, asset.job_id, asset.missing) == ({"width": 48}, "ada", "job1", False)
    assert library.read(asset) == png()


@EVERY_STORE
def test_files_have_names_for_people(library: Library) -> None:
    first, second = add(library), add(library, recipe={"seed": 8})
    day = Path(first.file).parent.name
    assert [first.file, second.file] == [f"image/{day}/00001-7.png", f"image/{day}/00002-8.png"]


@EVERY_STORE
def test_a_seed_longer_than_a_file_name_is_cut_in_the_name(library: Library) -> None:
    """A stranger's file may carry any number: it ended as an error of the disk."""
    asset = library.add(b"x", kind="text", media_type="text/plain", suffix="txt", recipe={"seed": 10**400})
    assert (asset.recipe["seed"], len(path_of(library, asset).name)) == (10**400, len("00001-.txt") + 40)


def test_a_file_is_never_overwritten(library: Library) -> None:
    taken = path_of(library, add(library)).with_name("00002-7.png")
    taken.write_bytes(b"someone put this here")
    asset = add(library)
    assert asset.file.endswith("00003-7.png")
    assert taken.read_bytes() == b"someone put this here"


@EVERY_STORE
def test_many_threads_add_without_losing_one(library: Library) -> None:
    threads = [threading.Thread(target=lambda: [add(library) for _ in range(5)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = library.search(limit=100)
    assert len({asset.file for asset in found}) == 40
    assert not any(asset.missing for asset in found)


@EVERY_STORE
def test_a_spool_file_is_moved_in(library: Library, tmp_path: Path) -> None:
    spool = tmp_path / "clip.mp4"
    spool.write_bytes(b"film")
    asset = library.add(spool, kind="video", media_type="video/mp4", suffix="mp4")
    assert library.read(asset) == b"film"
    assert not spool.exists()


@EVERY_STORE
def test_a_file_is_opened_read_and_served_in_ranges_wherever_it_lies(library: Library) -> None:
    asset = library.add(b"0123456789", kind="text", media_type="text/plain", suffix="txt")
    app = FastAPI()
    app.add_api_route("/", lambda: library.serve(asset, {"X-Ours": "yes"}), response_class=Response)
    with library.open(asset) as file, TestClient(app) as client:
        assert (file.read(3), library.read(asset), library.text(asset, 4)) == (b"012", b"0123456789", "0123")
        assert client.get("/").content == b"0123456789"
        part = client.get("/", headers={"Range": "bytes=2-4"})
        beyond = client.get("/", headers={"Range": "bytes=90-"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert (part.headers["X-Ours"], part.headers["Content-Type"]) == ("yes", "text/plain; charset=utf-8")
    assert beyond.status_code == 416


@EVERY_STORE
def test_a_file_that_is_not_there_is_told_as_one(library: Library) -> None:
    asset = add(library)
    library.store.remove(asset.file)
    for look in (library.open, library.read, library.picture):
        with pytest.raises(FileNotFoundError):
            look(asset)


@pytest.mark.parametrize("from_spool", [False, True])
def test_a_full_disk_loses_nothing_and_says_so(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_spool: bool
) -> None:
    kept = add(library)
    spool = tmp_path / "spool.png"
    spool.write_bytes(png())

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)  # where a full disk speaks up at the latest
    with pytest.raises(DiskFull) as caught:
        library.add(spool if from_spool else png(), kind="image", media_type="image/png", suffix="png")
    assert "disk is full" in caught.value.message
    assert "free" in caught.value.detail
    assert caught.value.kind == "out_of_disk"
    assert [asset.id for asset in library.search()] == [kept.id]
    assert spool.read_bytes() == png()
    assert sorted(path.name for path in path_of(library, kept).parent.iterdir()) == [
        "00001-7.png",
        "00001-7.png.json",
    ]


@EVERY_STORE
def test_a_missing_file_breaks_nothing(library: Library) -> None:
    asset = add(library)
    library.store.remove(asset.file)
    gone = library.get(asset.id)
    assert gone.missing
    with Image.open(library.open(library.thumbnail(gone))) as picture:
        assert picture.size == (384, 384)
    assert library.search()[0].missing


@EVERY_STORE
def test_only_what_is_in_the_trash_can_be_deleted(library: Library) -> None:
    asset = add(library)
    with pytest.raises(NotAllowed, match="not in the trash"):
        library.delete(asset.id)
    library.trash(asset.id)
    assert library.search() == []
    assert [found.id for found in library.search(trashed=True)] == [asset.id]
    library.restore(asset.id)
    assert [found.id for found in library.search()] == [asset.id]
    small = library.thumbnail(asset)
    library.trash(asset.id)
    library.delete(asset.id)
    with pytest.raises(AssetNotFound):
        library.get(asset.id)
    assert [
        name for name in (asset.file, sidecar_of(asset.file), small.file) if library.store.has(name)
    ] == []


@EVERY_STORE
def test_lineage_is_told_both_ways_and_outlives_a_deleted_parent(library: Library) -> None:
    parent, other = add(library), add(library)
    child = add(library, parents=[(parent.id, "init_image"), (other.id, "style")])
    assert [(asset.id, role) for asset, role in library.parents(child.id)] == [
        (parent.id, "init_image"),
        (other.id, "style"),
    ]
    assert [(asset.id, role) for asset, role in library.children(parent.id)] == [(child.id, "init_image")]
    library.trash(parent.id)
    library.delete(parent.id)
    assert [asset.id for asset, _ in library.parents(child.id)] == [other.id]
    assert json.loads(library.store.open(sidecar_of(child.file)).read())["parents"][0] == [
        parent.id,
        "init_image",
    ]


def test_search_finds_by_words_kind_model_star_tag_owner_and_date(library: Library) -> None:
    fox = add(library, "A red FOX in Österreich", owner="ada")
    tram = add(library, "a 100% yellow_tram", recipe={"model": "local/tram", "seed": 4242})
    song = library.add(
        "Über den Wolken".encode(),
        kind="text",
        media_type="text/plain",
        suffix="txt",
        recipe={"prompt": "a song"},
    )

    def ids(*arguments: Any, **filters: Any) -> list[str]:
        found = [asset.id for asset in library.search(*arguments, **filters)]
        assert library.count(*arguments, **filters) == len(found)
        return found

    assert ids() == [song.id, tram.id, fox.id]
    assert ids("fox RED") == [fox.id]
    assert ids('"red fox"') == [fox.id]
    assert ids('"fox red"') == []
    assert ids("österreich") == [fox.id]
    assert ids("100%") == [tram.id]
    assert ids("w_t") == [tram.id]
    assert ids("d%f") == []
    assert ids("4242") == [tram.id]
    assert ids(kind="text") == ids("über WOLKEN") == [song.id]
    assert ids(model="local/tram") == [tram.id]
    assert ids(owner="ada") == [fox.id]
    library.star(fox.id)
    assert ids(starred=True) == [fox.id]
    library.tag(fox.id, ["Client A", " client  A "])
    library.tag(tram.id, ["draft"])
    assert ids(tag="draft") == [tram.id]
    assert library.get(fox.id).tags == ("Client A", "client A")
    assert ids("client") == [fox.id]
    library.tag(fox.id, [])
    assert ids("client") == []
    assert ids(since=tram.created_at) == [song.id, tram.id]
    assert ids(until=tram.created_at) == [fox.id]
    assert [asset.id for asset in library.search(limit=1, offset=1)] == [tram.id]
    assert library.models() == ["local/tram", "starter/image"]


def test_a_search_among_twenty_thousand_assets_takes_a_bounded_number_of_steps(library: Library) -> None:
    """Other studios freeze at this size. Counted in steps of SQLite's machine, which no busy processor changes."""
    add(library, "a needle in the hay")
    with library.engine.begin() as connection:
        row = dict(connection.execute(assets.select()).mappings().one())
        rows = []
        for number in range(20_000):
            prompt = f"a picture of a {number} haystack under a wide evening sky, oil on canvas " * 3
            changes = {
                "number": None,
                "id": f"{number:016}",
                "file": f"image/x/{number}.png",
                "title": prompt,
            }
            recipe = {**row["recipe"], "prompt": prompt}
            rows.append(
                {**row, **changes, "search_text": prompt, "recipe": recipe, "created_at": float(number)}
            )
        connection.execute(assets.insert(), [{k: v for k, v in row.items() if k != "number"} for row in rows])

    def steps(**query: Any) -> int:
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        def listen(connection: Any, *_: Any) -> None:
            connection.set_progress_handler(count, STEPS)

        sa.event.listen(library.engine, "checkout", listen)
        try:
            library.search(**query)
        finally:
            sa.event.remove(library.engine, "checkout", listen)
        return counted * STEPS

    assert len(library.search("needle hay")) == 1
    each = 10  # about eight for each asset that is looked at
    assert steps(text="needle hay") < each * 20_000
    assert steps(text="19999 haystack") < each * 20_000
    assert steps(offset=19_900) < each * 20_000
    assert steps() < each * 1_000  # the first page looks at little more than it shows


@EVERY_STORE
def test_an_upload_keeps_every_byte_and_brings_its_recipe(library: Library, tmp_path: Path) -> None:
    from PIL import PngImagePlugin

    info = PngImagePlugin.PngInfo()
    info.add_text(
        "parameters", "a lighthouse\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 48x32"
    )
    data = png(pnginfo=info)
    asset = library.add_upload(data, r"C:\pictures\light house.png", "ada")
    assert library.read(asset) == data
    assert (asset.title, asset.kind, asset.uploaded) == ("light house.png", "image", True)
    assert (asset.facts["width"], asset.facts["height"]) == (48, 32)
    assert asset.recipe["prompt"] == "a lighthouse"
    assert library.add_upload(data, "again.png", "ada").id == asset.id
    assert library.add_upload(data, "again.png", "bob").id != asset.id


def test_the_same_file_brought_four_times_at_once_is_one_asset(library: Library) -> None:
    """Each looked before any other had listed it: four threads made three assets of one picture."""
    data, together = png(), threading.Barrier(4)
    look = library._same_upload

    def look_together(digest: str, suffix: str, owner: str) -> Asset | None:
        found = look(digest, suffix, owner)
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(0.2)  # whoever is alone here has waited for nobody
        return found

    library._same_upload = look_together  # type: ignore[method-assign]
    with ThreadPoolExecutor(4) as threads:
        brought = list(threads.map(lambda _: library.add_upload(data, "fox.png", "ada"), range(4)))
    assert {asset.id for asset in brought} == {brought[0].id}
    assert library.count(owner="ada") == 1


@EVERY_STORE
def test_a_sound_and_a_film_are_recognised_by_their_bytes(library: Library, tmp_path: Path) -> None:
    sound = made_by_ffmpeg(tmp_path / "s.mp3", "-f", "lavfi", "-i", "sine=duration=0.5")
    film = made_by_ffmpeg(tmp_path / "v.mp4", "-f", "lavfi", "-i", "testsrc=duration=0.5:size=64x48:rate=10")
    heard = library.add_upload(sound, "voice.dat")
    seen = library.add_upload(film, "film.wav")
    assert (heard.kind, heard.media_type, heard.facts["sample_rate"]) == ("audio", "audio/mpeg", 44100)
    assert (seen.kind, seen.media_type, seen.facts["width"], seen.facts["fps"]) == (
        "video",
        "video/mp4",
        64,
        10.0,
    )
    assert seen.facts["seconds"] == pytest.approx(0.5, abs=0.01)
    with Image.open(library.open(library.thumbnail(seen))) as picture:
        assert picture.size == (64, 48)
    with Image.open(library.open(library.thumbnail(heard))) as picture:
        assert len(picture.getcolors(1 << 20) or []) > 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "cannot be read"),
        (png()[:60], "cannot be read"),
        (b"\0\1\2\3" * 30, "cannot be read"),
        (b"\xff\xfe" + "text".encode("utf-16-le"), "cannot be read"),
        (b"RIFF\x24\0\0\0WAVEjunkjunkjunk", "cannot be read"),
        (b"#EXTM3U\n\0file:///etc/passwd", "cannot be read"),
    ],
)
def test_an_unreadable_upload_says_what_can_be_read(library: Library, data: bytes, why: str) -> None:
    with pytest.raises(UnreadableFile, match=why) as caught:
        library.add_upload(data, "thing.png")
    assert caught.value.hint
    assert library.count() == 0


def test_a_playlist_cannot_make_ffmpeg_read_other_files(library: Library) -> None:
    """An HLS list is text to us, whatever it is called; ffmpeg never opens it."""
    asset = library.add_upload(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "film.mp4")
    assert asset.kind == "text"


def test_a_decompression_bomb_is_refused_before_it_is_decoded(library: Library) -> None:
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(UnreadableFile, match="too large"):
        library.add_upload(png()[:8] + chunk + png()[33:], "bomb.png")


@EVERY_STORE
def test_text_gets_a_card_and_code_its_language(library: Library) -> None:
    asset = library.add_upload(b"def f():\n    return 1\n", "f.py")
    assert (asset.kind, asset.facts["language"]) == ("code", "python")
    with Image.open(library.open(library.thumbnail(asset))) as picture:
        assert picture.format == "WEBP"


@EVERY_STORE
def test_a_file_without_a_row_is_listed_again(library: Library) -> None:
    """A crash between file and row must not lose the file."""
    asset = add(library, owner="ada")
    with library.engine.begin() as connection:
        connection.execute(assets.delete())
    day = asset.file.rpartition("/")[0]
    half, foreign = f"{day}/.abc.part", f"{day}/Thumbs.db"
    library.store.write(half, b"half")
    library.store.write(foreign, b"\0\xff\xfe")
    assert library.adopt() == []  # it may still be being written
    library.clock = lambda: time.time() + 61
    assert [found.id for found in library.adopt()] == [asset.id]
    found = library.get(asset.id)
    assert (found.recipe, found.owner, found.sha256) == (asset.recipe, "ada", asset.sha256)
    assert (library.store.has(half), library.store.has(foreign)) == (False, True)
    assert library.adopt() == []


def test_without_sidecars_no_prompt_lies_beside_the_file(library: Library) -> None:
    library.sidecars = False
    asset = add(library)
    assert [path.name for path in path_of(library, asset).parent.iterdir()] == [Path(asset.file).name]


def test_a_row_that_cannot_be_written_leaves_the_file_and_says_where(library: Library) -> None:
    with library.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE assets")
    with pytest.raises(LibraryError, match="saved, but could not be listed") as caught:
        add(library)
    assert "00001-7.png" in caught.value.detail


def test_the_migration_makes_the_tables_the_library_asks(library: Library) -> None:
    found = inspect(library.engine)
    for name, table in metadata.tables.items():
        made = {
            column["name"]: (str(column["type"]), column["nullable"]) for column in found.get_columns(name)
        }
        assert made == {column.name: (str(column.type), bool(column.nullable)) for column in table.columns}
        assert {index["name"] for index in found.get_indexes(name)} >= {index.name for index in table.indexes}


def test_the_same_bytes_under_another_name_have_that_name(library: Library) -> None:
    first = library.add_upload(png(), "IMG_0001.png")
    library.tag(first.id, ["harbour"])
    second = library.add_upload(png(), "Lighthouse.png")
    assert (second.id, second.title, second.facts["filename"]) == (
        first.id,
        "Lighthouse.png",
        "Lighthouse.png",
    )
    for words in ("lighthouse", "img_0001", "harbour"):
        assert [asset.id for asset in library.search(words)] == [first.id]


def test_the_same_bytes_as_another_kind_are_another_asset(library: Library) -> None:
    text, code = library.add_upload(b"print(1)\n", "a.txt"), library.add_upload(b"print(1)\n", "a.py")
    assert (text.kind, code.kind) == ("text", "code")
    assert library.add_upload(b"print(1)\n", "b.py").id == code.id


@pytest.mark.parametrize("typed", ["Caf\u00e9 M\u00fcnchen", "Cafe\u0301 Mu\u0308nchen"])
def test_an_accent_is_found_whichever_way_it_was_typed(library: Library, typed: str) -> None:
    """A Mac writes \u00e9 as two letters, others as one; they look the same."""
    asset = add(library, recipe={"prompt": typed})
    library.tag(asset.id, [typed])
    for asked in ("caf\u00e9", "cafe\u0301", '"M\u00fcnchen"', '"Mu\u0308nchen"', "CAF\u00c9"):
        assert [found.id for found in library.search(asked)] == [asset.id], asked
    for tag in ("Caf\u00e9 M\u00fcnchen", "Cafe\u0301 Mu\u0308nchen"):
        assert library.count(tag=tag) == 1


def test_words_stored_with_their_accents_apart_are_still_found(library: Library) -> None:
    """Rows written before all of them were put into one spelling."""
    asset = add(library, recipe={"prompt": "x"})
    with library.engine.begin() as connection:
        connection.execute(assets.update().values(search_text="cafe\u0301"))
    assert [found.id for found in library.search("caf\u00e9")] == [asset.id]


def test_a_mark_of_byte_order_is_no_letter_of_a_text(library: Library) -> None:
    asset = library.add_upload(b"\xef\xbb\xbfprint(1)\n", "one.py")
    assert (asset.kind, asset.facts["characters"]) == ("code", 9)
