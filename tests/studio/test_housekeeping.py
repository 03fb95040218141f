"""What nobody needs any more goes, and what a crash left in the library comes back onto its job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.disk import part_of
from pipelines.messages import AudioRequest
from studio.folder.scratch import Scratch
from studio.housekeeping import DAY, HOUR
from studio.library.tables import assets
from studio.settings import ROOT, Settings
from studio.studio import Studio
from tests.links import Idle


@pytest.fixture
def now() -> list[float]:
    """Seconds since now that the studio's clock is ahead."""
    return [0.0]


@pytest.fixture
def studio(tmp_path: Path, now: list[float]) -> Iterator[Studio]:
    studio = Studio(
        Settings(data_dir=tmp_path / "data"), clock=lambda: time.time() + now[0], start_worker=Idle
    )
    studio.library.clock = studio.store.clock
    yield studio
    studio.close()


def spoken(studio: Studio, job_id: str) -> str:
    """A text the job made."""
    return studio.library.add(
        b"x", kind="text", media_type="text/plain", suffix="txt", job_id=job_id, recipe={"seed": 1}
    ).id


def left_running(studio: Studio) -> str:
    """A job whose studio was killed before the job was told what it had made."""
    job = studio.submit(AudioRequest(prompt="x", model="espeak"))
    studio.store.claim("audio")
    return job.id


def test_what_was_filed_before_a_crash_belongs_to_its_job(studio: Studio) -> None:
    """The row of the asset is written before its id is added to the job."""
    job_id = left_running(studio)
    made = [spoken(studio, job_id), spoken(studio, job_id)]
    studio.start()
    lost = studio.job(job_id)
    assert (lost.status, list(lost.asset_ids)) == ("failed", made)


def test_a_file_without_a_row_comes_back_onto_its_job(studio: Studio, now: list[float]) -> None:
    job_id = left_running(studio)
    asset_id = spoken(studio, job_id)
    with studio.engine.begin() as connection:
        connection.execute(assets.delete())
    studio.store.recover()
    now[0] = 120.0
    studio.housekeeping.adopt()
    assert studio.job(job_id).asset_ids == (asset_id,)
    assert studio.library.get(asset_id).job_id == job_id
    studio.housekeeping.adopt()
    assert studio.job(job_id).asset_ids == (asset_id,)


def test_a_job_that_was_put_back_lists_what_its_next_run_makes(studio: Studio, now: list[float]) -> None:
    job_id = left_running(studio)
    asset_id = spoken(studio, job_id)
    with studio.engine.begin() as connection:
        connection.execute(assets.delete())
    studio.store.recover()
    studio.put_back(job_id)
    now[0] = 120.0
    studio.housekeeping.adopt()
    assert studio.job(job_id).asset_ids == ()
    assert studio.library.made_by(job_id) == [asset_id]


def test_uploads_of_the_page_go_after_a_day(studio: Studio, now: list[float]) -> None:
    cache = studio.settings.data_dir / "gradio" / "abc"
    cache.mkdir(parents=True)
    (cache / "big.wav").write_bytes(b"x")
    now[0] = DAY - HOUR
    studio.housekeeping.sweep()
    assert (cache / "big.wav").exists()
    now[0] = DAY + HOUR
    studio.housekeeping.sweep()
    assert not cache.exists()


def test_what_was_begun_and_never_ended_goes_after_an_hour(studio: Studio, now: list[float]) -> None:
    data = studio.settings.data_dir
    library = data / "library"
    left = [
        library / "upload-abc" / "upload",
        library / "thumbnails" / "ab" / ".0123.part",
        part_of(data / "models.json"),
        part_of(data / "cache" / "learned.json"),
    ]
    for file in left:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    kept = data / "cache" / "learned.json"
    kept.write_text("{}")
    studio.housekeeping.sweep()
    assert all(file.exists() for file in left)
    now[0] = 2 * HOUR
    studio.housekeeping.sweep()
    assert [file for file in left if file.exists()] == []
    assert not (library / "upload-abc").exists()
    assert kept.exists()


DIES = """
import os, sys, tempfile
from pathlib import Path
from studio.folder.scratch import Scratch
scratch = Scratch(Path(sys.argv[1]))
scratch.enter()
print(tempfile.mkdtemp(), flush=True)
sys.stdin.read()
"""


def test_the_temporary_folder_of_a_living_process_stays_and_of_a_dead_one_goes(
    studio: Studio, now: list[float]
) -> None:
    data = studio.settings.data_dir
    command = [sys.executable, "-c", DIES, str(data)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        folder = Path(other.stdout.readline().strip())
        assert folder.is_relative_to(data / "tmp")
        now[0] = HOUR
        studio.housekeeping.sweep()
        assert folder.exists()
        other.send_signal(signal.SIGKILL)
    studio.housekeeping.sweep()
    assert list((data / "tmp").iterdir()) == []


def test_a_process_that_ends_in_order_leaves_no_temporary_folder(tmp_path: Path) -> None:
    before = tempfile.gettempdir(), os.environ.get("TMPDIR")
    scratch = Scratch(tmp_path)
    scratch.enter()
    with tempfile.NamedTemporaryFile(delete=False) as file:
        assert Path(file.name).is_relative_to(tmp_path / "tmp")
    scratch.leave()
    assert list((tmp_path / "tmp").iterdir()) == []
    assert (tempfile.gettempdir(), os.environ.get("TMPDIR")) == before


def test_one_task_that_fails_keeps_no_other_from_being_done(studio: Studio, now: list[float]) -> None:
    """A file where a folder should be, for instance."""
    (studio.settings.data_dir / "tmp").write_text("")
    asset_id = spoken(studio, "")
    with studio.engine.begin() as connection:
        connection.execute(assets.delete())
    now[0] = 120.0
    studio.housekeeping._closed.set()  # one round
    studio.housekeeping._work_until_closed()
    assert studio.library.get(asset_id).kind == "text"


def test_what_a_killed_worker_left_is_gone_when_the_next_one_starts(studio: Studio) -> None:
    left = studio.pool.stations[0].spool / "half.mp4"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x")
    studio.start()
    assert studio.pool.stations[0].spool.is_dir()
    assert not left.exists()
