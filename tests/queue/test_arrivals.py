"""Files that come in pieces are filed whole, or nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from pipelines.messages import Artifact, AudioRequest, Finished, Piece, Produced, Run
from studio.library import DiskFull, LibraryError
from studio.queue.arrivals import Arrivals
from studio.queue.jobs import Job
from studio.settings import Settings
from studio.studio import Studio
from tests.links import Made


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def produced(file: str, job_id: str = "job") -> Produced:
    return Produced(job_id, Artifact("audio", "audio/wav", "wav"), file)


def test_two_files_that_come_at_once_stay_apart(here: Path) -> None:
    arrivals = Arrivals()
    for data in (b"one", b"two"):
        arrivals.take(Piece("job", "a", data))
        arrivals.take(Piece("other", "b", data.upper()))
    first, second = arrivals.of(produced("a")), arrivals.of(produced("b", "other"))
    assert isinstance(first, Path)
    assert isinstance(second, Path)
    assert (first.read_bytes(), second.read_bytes()) == (b"onetwo", b"ONETWO")
    arrivals.drop("job")
    assert list(here.iterdir()) == [second]


def test_a_name_no_piece_came_for_is_told(here: Path) -> None:
    """A path is no name: what a worker says is never opened here."""
    with pytest.raises(LibraryError, match="did not come"):
        Arrivals().of(produced("/etc/passwd"))


@pytest.mark.skipif(os.name != "posix", reason="the bound on files is that of POSIX")
def test_a_full_disk_is_told_when_the_file_is_wanted(here: Path) -> None:
    import resource

    arrivals = Arrivals()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        for _ in range(3):
            arrivals.take(Piece("job", "a", bytes(800)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(DiskFull):
        arrivals.of(produced("a"))
    assert list(here.iterdir()) == []


class House:
    """A studio whose worker sends a sound in pieces."""

    def __init__(self, folder: Path, ends_well: bool) -> None:
        self.ends_well, self.sent = ends_well, threading.Event()
        self.studio = Studio(
            Settings(data_dir=folder, device="cpu"), warm_up=False, start_worker=partial(Made, self.work)
        )
        self.studio.start()

    def work(self, worker: Made, run: Run) -> None:
        for data in (b"RIFF", b"and more"):
            worker.emit(Piece(run.job_id, "name", data))
        if not self.ends_well:
            worker.exit(-9)
            return
        worker.emit(produced("name", run.job_id))
        worker.emit(Finished(run.job_id, "completed"))

    def over(self) -> Job:
        job = self.studio.submit(AudioRequest(prompt="Hello", model="espeak"))

        async def look() -> Job:
            async for update in self.studio.watch(job.id):
                last = update.job
            return last

        return asyncio.run(look())


@pytest.fixture
def house(request: pytest.FixtureRequest, here: Path, tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "data", request.param)
    yield made
    made.studio.close()


@pytest.mark.parametrize("house", [True], indirect=True)
def test_a_file_that_came_in_pieces_is_in_the_library_and_nowhere_else(house: House, here: Path) -> None:
    job = house.over()
    (asset_id,) = job.asset_ids
    assert house.studio.library.read(house.studio.library.get(asset_id)) == b"RIFFand more"
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("house", [False], indirect=True)
def test_a_worker_that_dies_in_the_middle_of_a_file_leaves_nothing_of_it(house: House, here: Path) -> None:
    job = house.over()
    assert (job.status, job.asset_ids) == ("failed", ())
    assert list(here.iterdir()) == []
