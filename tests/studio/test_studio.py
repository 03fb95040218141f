"""Studio end to end, with a real worker process: the embedded voice speaks, and processes are killed in the middle."""

from __future__ import annotations

import asyncio
import io
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import event

from pipelines.catalog import ModelSpec, Source
from pipelines.errors import InvalidRequest, ModelUnavailable, OutOfDisk, StudioError
from pipelines.messages import (
    AudioRequest,
    CodeRequest,
    Finished,
    Hint,
    ImageRequest,
    Run,
    Telemetry,
    TextDelta,
    TextRequest,
    VideoRequest,
    parse_request,
)
from studio.folder.lock import FolderBusy
from studio.library import LibraryError
from studio.queue.checks import find_inputs, problem_of
from studio.queue.jobs import Job, UnknownJob
from studio.queue.pace import work_beforehand
from studio.queue.updates import Update
from studio.settings import ROOT, Settings
from studio.studio import Studio
from studio.workers.local import LocalWorker
from tests.links import Made, Obedient, done_at_once, held

LONG = "The quick brown fox jumps over the lazy dog, again and again. " * 300


def speak(text: str = "Hello there.", **more: Any) -> AudioRequest:
    return AudioRequest(prompt=text, model="espeak", **more)


def until(studio: Studio, job_id: str, found: Callable[[Update], bool], seconds: float = 180) -> Update:
    """The first update of that kind; fails when the job ends before."""

    async def look() -> Update:
        async for update in studio.watch(job_id):
            if found(update):
                return update
        raise AssertionError(f"the job ended first: {studio.job(job_id)}")

    return asyncio.run(asyncio.wait_for(look(), seconds))


def over(studio: Studio, job_id: str) -> Job:
    return until(studio, job_id, lambda update: update.job.is_over).job


def runs(update: Update) -> bool:
    return update.job.status == "in_progress"


def pid(studio: Studio) -> int:
    (worker,) = studio.pool.links
    assert isinstance(worker, LocalWorker)
    return worker.pid


def wait_for(fact: Callable[[], bool], seconds: float = 120) -> None:
    """For what no job tells: look until it is so."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it never became so"
        threading.Event().wait(0.02)


def one_pixel() -> bytes:
    png = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(png, "PNG")
    return png.getvalue()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Studio]]:
    """Studios on one data folder, closed afterwards."""
    made: list[Studio] = []

    def make_one(folder: Path = tmp_path / "data", **more: Any) -> Studio:
        made.append(Studio(Settings(data_dir=folder, device="cpu"), **{"warm_up": False, **more}))
        return made[-1]

    yield make_one
    for studio in made:
        studio.close()


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One running studio for the tests that leave its worker alive."""
    studio = Studio(Settings(data_dir=tmp_path_factory.mktemp("data"), device="cpu"), warm_up=False)
    studio.start()
    yield studio
    studio.close()


# ---- making something --------------------------------------------------------------------------------------------------


def test_a_chat_answers_while_a_video_renders(studio: Studio) -> None:
    film = studio.submit(
        VideoRequest(
            prompt="a city at night\na city at sunset",
            model="starter/image",
            width=256,
            height=256,
            num_inference_steps=16,
            seconds=6,
            keyframes_per_second=4,
        )
    )
    until(studio, film.id, lambda update: bool(update.progress and update.progress.stage == "denoise"))
    chat = studio.submit(
        TextRequest(
            prompt="Write a slogan for a coffee shop called Luna.", max_tokens=8, model="starter/text"
        )
    )
    until(studio, chat.id, lambda update: update.job.status == "completed")
    assert studio.job(film.id).status == "in_progress"
    studio.cancel(film.id)
    until(studio, film.id, lambda update: update.job.status == "cancelled")


def test_what_is_made_is_in_the_library_with_its_recipe(studio: Studio) -> None:
    job = studio.submit(speak("One two three."), owner="ada")
    assert job.request.seed >= 0
    done = over(studio, job.id)
    assert done.status == "completed"
    asset = studio.library.get(done.asset_ids[0])
    assert (asset.kind, asset.owner, asset.job_id) == ("audio", "ada", job.id)
    assert parse_request(asset.recipe) == job.request
    assert studio.library.read(asset)[:4] == b"RIFF"


def test_make_it_again_means_submit_it(studio: Studio) -> None:
    first = studio.library.get(over(studio, studio.submit(speak("Once more.")).id).asset_ids[0])
    again = studio.library.get(over(studio, studio.submit(parse_request(first.recipe)).id).asset_ids[0])
    assert again.id != first.id
    assert again.recipe == first.recipe
    assert again.facts == first.facts


def test_a_late_watcher_gets_the_state_as_it_stands(studio: Studio) -> None:
    job = studio.submit(speak("Late."))
    done = over(studio, job.id)
    update = until(studio, job.id, lambda update: True)
    assert (update.job, update.assets, update.position) == (done, done.asset_ids, 0)


def test_many_watch_one_job_from_any_event_loop(studio: Studio) -> None:
    job = studio.submit(speak(LONG[:1500]))
    seen: list[Job] = []

    async def look() -> None:
        async for update in studio.watch(job.id):
            last = update.job
        seen.append(last)

    async def several() -> None:
        await asyncio.gather(look(), look(), look())

    threads = [threading.Thread(target=lambda: asyncio.run(several())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [job.status for job in seen] == ["completed"] * 6
    assert not studio.watchers.watched()


def test_a_watcher_that_leaves_disturbs_nobody(studio: Studio) -> None:
    job = studio.submit(speak(LONG[:1500]))
    until(studio, job.id, lambda update: True)
    assert over(studio, job.id).status == "completed"


def test_progress_says_how_far_and_how_long(studio: Studio) -> None:
    over(studio, studio.submit(speak(LONG[:1500])).id)  # teaches how long one takes
    job = studio.submit(speak(LONG[:1500]))
    update = until(
        studio,
        job.id,
        lambda update: bool(update.progress and update.progress.total > 1 and update.eta_seconds is not None),
    )
    assert 0 <= (update.eta_seconds or 0) < 60
    over(studio, job.id)


# ---- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (speak("  \n"), "prompt"),
        (TextRequest(prompt=""), "prompt"),
        (CodeRequest(task="write", prompt=""), "prompt"),
        (CodeRequest(task="explain", prompt=""), "code"),
        (CodeRequest(task="complete"), "code"),
        (CodeRequest(task="explain", suffix="return x"), "code"),
        (speak("… !"), "prompt"),
    ],
)
def test_nothing_to_do_is_said_beside_the_field(bad: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        bad.check_has_something_to_do()
    assert caught.value.field == field


@pytest.mark.parametrize(
    "good", [CodeRequest(task="complete", code="def f("), CodeRequest(task="complete", suffix="return x")]
)
def test_code_to_complete_needs_no_prompt(good: CodeRequest) -> None:
    good.check_has_something_to_do()


def test_an_unknown_model_is_refused_before_it_is_queued(studio: Studio) -> None:
    before = studio.telemetry()["queue"]
    with pytest.raises(ModelUnavailable, match="no/such"):
        studio.submit(AudioRequest(prompt="x", model="no/such"))
    assert studio.telemetry()["queue"] == before


def test_a_start_image_must_be_a_picture_that_is_there(studio: Studio) -> None:
    sound = over(studio, studio.submit(speak("Not a picture.")).id).asset_ids[0]
    picture = studio.library.add_upload(one_pixel(), "dot.png", owner="ada").id
    assert (
        find_inputs(studio.library, ImageRequest(prompt="x", init_image=picture), "ada")["init_image"].id
        == picture
    )
    for asset_id in ("0" * 32, sound, picture):
        with pytest.raises(InvalidRequest) as caught:
            find_inputs(studio.library, ImageRequest(prompt="x", init_image=asset_id), "local")
        assert caught.value.field == "init_image"


def test_an_unknown_job_is_said_so(studio: Studio) -> None:
    for ask in (studio.job, studio.cancel, studio.position):
        with pytest.raises(UnknownJob):
            ask("1234")
    with pytest.raises(UnknownJob):
        until(studio, "1234", lambda update: True)
    assert not studio.watchers.watched()


# ---- the queue ---------------------------------------------------------------------------------------------------------


def test_the_line_moves_and_cancel_takes_a_job_out(studio: Studio) -> None:
    os.kill(pid(studio), signal.SIGSTOP)  # a worker that takes its time
    try:
        jobs = [studio.submit(speak(f"Number {number}.")).id for number in range(4)]
        until(studio, jobs[0], runs)
        assert [studio.position(job) for job in jobs] == [0, 1, 2, 3]
        studio.cancel(jobs[1])
        assert studio.job(jobs[1]).status == "cancelled"
        assert [studio.position(job) for job in jobs] == [0, 0, 1, 2]
        assert studio.telemetry()["queue"] == {"queued": 2, "running": 1}
        moved: list[int] = []
        last = threading.Thread(target=lambda: moved.append(until(studio, jobs[3], runs).position))
        last.start()
    finally:
        os.kill(pid(studio), signal.SIGCONT)
    assert [over(studio, job).status for job in jobs] == ["completed", "cancelled", "completed", "completed"]
    last.join(60)
    assert moved == [0]


def test_owners_take_turns_in_the_running_studio(studio: Studio) -> None:
    os.kill(pid(studio), signal.SIGSTOP)
    try:
        first = studio.submit(speak("a0"), owner="ada").id
        until(studio, first, runs)
        ada = [studio.submit(speak(f"a {n}"), owner="ada").id for n in (1, 2)]
        bob = studio.submit(speak("b 1"), owner="bob").id
    finally:
        os.kill(pid(studio), signal.SIGCONT)
    finished = sorted((over(studio, job).started_at or 0, job) for job in [*ada, bob])
    assert [job for _, job in finished] == [bob, *ada]


def test_a_running_job_is_cancelled_at_its_next_step(studio: Studio) -> None:
    worker = pid(studio)
    job = studio.submit(speak(LONG))
    until(studio, job.id, lambda update: update.progress is not None)
    studio.cancel(job.id)
    assert over(studio, job.id).status == "cancelled"
    assert over(studio, studio.submit(speak("And on.")).id).status == "completed"
    assert pid(studio) == worker
    studio.cancel(job.id)  # once more does nothing


def test_history_is_listed_with_running_jobs_as_they_are(studio: Studio) -> None:
    job = studio.submit(speak("Listed."), owner="carol")
    over(studio, job.id)
    assert [found.id for found in studio.jobs(owner="carol")] == [job.id]
    assert studio.jobs(owner="carol", active_only=True) == []


# ---- what can break ----------------------------------------------------------------------------------------------------


def test_a_killed_worker_fails_its_job_and_the_queue_goes_on(make: Callable[..., Studio]) -> None:
    studio = make()
    studio.start()
    os.kill(pid(studio), signal.SIGSTOP)  # so that the job is surely in the middle
    lost, waiting = studio.submit(speak("Lost.")), studio.submit(speak("Saved."))
    until(studio, lost.id, runs)
    os.kill(pid(studio), signal.SIGKILL)
    failed = over(studio, lost.id)
    assert failed.status == "failed"
    assert failed.problem is not None
    assert failed.problem.kind == "worker_lost"
    assert "exit code -9" in failed.problem.detail
    assert over(studio, waiting.id).status == "completed"
    assert [job.id for job in studio.interrupted("local")] == [lost.id]
    studio.put_back(lost.id)
    assert over(studio, lost.id).status == "completed"
    assert studio.interrupted() == []


def test_a_deaf_worker_is_replaced(make: Callable[..., Studio], caplog: pytest.LogCaptureFixture) -> None:
    studio = make(cancel_grace_seconds=0.2)
    studio.start()
    os.kill(pid(studio), signal.SIGSTOP)
    deaf, waiting = studio.submit(speak("Deaf.")), studio.submit(speak("Heard."))
    until(studio, deaf.id, runs)
    studio.cancel(deaf.id)
    assert over(studio, deaf.id).status == "cancelled"
    assert over(studio, waiting.id).status == "completed"
    assert "ended the worker process itself" in caplog.text
    assert "memory runs out" not in caplog.text  # the signal is the one the system uses then


def test_closing_leaves_the_queue_and_closes_the_running_job(make: Callable[..., Studio]) -> None:
    studio = make()
    studio.start()
    running, waiting = studio.submit(speak(LONG)), studio.submit(speak("Tomorrow."))
    until(studio, running.id, lambda update: update.progress is not None)
    studio.close()
    again = make()
    closed = again.job(running.id)
    assert closed.status == "failed"
    assert closed.problem is not None
    assert (closed.problem.kind, closed.problem.hint) == ("worker_lost", "Try again.")
    assert again.job(waiting.id).status == "queued"
    again.start()
    assert over(again, waiting.id).status == "completed"


SERVER = """
import asyncio, os, signal, sys, threading
from pathlib import Path
from pipelines.messages import AudioRequest
from studio.settings import Settings
from studio.studio import Studio

async def until(job_id, status):
    async for update in studio.watch(job_id):
        if update.job.status == status:
            return

studio = Studio(Settings(data_dir=Path(sys.argv[1]), device="cpu"), warm_up=False)
studio.start()
first = studio.submit(AudioRequest(prompt="The worker is up.", model="espeak"))
asyncio.run(until(first.id, "completed"))
os.kill(studio.pool.links[0].pid, signal.SIGSTOP)
ids = [studio.submit(AudioRequest(prompt=f"Number {n}.", model="espeak")).id for n in range(2)]
asyncio.run(until(ids[0], "in_progress"))
print(*ids, flush=True)
threading.Event().wait()
"""


def test_a_killed_server_loses_nothing_that_waited(make: Callable[..., Studio], tmp_path: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path / "data")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    running, waiting = server.stdout.readline().split()
    with pytest.raises(FolderBusy, match="Another studio") as busy:
        make().start()
    assert f"process {server.pid}" in busy.value.detail
    server.kill()
    server.wait()
    server.stdout.close()
    studio = make()
    studio.start()
    lost = studio.job(running)
    assert lost.problem is not None
    assert (lost.status, lost.problem.kind) == ("failed", "worker_lost")
    assert over(studio, waiting).status == "completed"


def test_another_process_uses_the_queue_of_the_running_studio(make: Callable[..., Studio]) -> None:
    studio, guest = make(), make()
    studio.start()
    assert not guest.try_start()
    job = guest.submit(speak("From outside."))
    done = over(guest, job.id)
    assert done.status == "completed"
    assert guest.library.get(done.asset_ids[0]).job_id == job.id
    long = guest.submit(speak(LONG))
    until(guest, long.id, runs)
    guest.cancel(long.id)
    assert over(guest, long.id).status == "cancelled"


def test_a_command_runs_its_own_jobs_only(make: Callable[..., Studio]) -> None:
    left = make().submit(speak("Not yours."))
    command = make(only_own=True)
    command.start()
    assert over(command, command.submit(speak("Mine.")).id).status == "completed"
    assert command.job(left.id).status == "queued"


def test_a_full_disk_fails_the_job_and_keeps_what_was_made(
    make: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = make()
    studio.start()
    kept = over(studio, studio.submit(speak("Kept.")).id).asset_ids

    def full(*args: Any, **more: Any) -> Any:
        raise OSError(28, os.strerror(28), "library")

    with monkeypatch.context() as patch:
        patch.setattr(studio.library, "add", full)
        failed = over(studio, studio.submit(speak("No room.")).id)
    assert failed.problem is not None
    assert (failed.status, failed.problem.kind) == ("failed", "out_of_disk")
    assert not studio.library.get(kept[0]).missing
    assert over(studio, studio.submit(speak("Room again.")).id).status == "completed"


def test_a_request_that_cannot_be_queued_says_the_disk_is_full(make: Callable[..., Studio]) -> None:
    """SQLite itself says so here: its file may not grow."""
    studio = make()

    def may_not_grow(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    event.listen(studio.engine, "connect", may_not_grow)
    studio.engine.dispose()
    with pytest.raises(OutOfDisk, match="could not be written") as caught:
        studio.submit(speak(LONG))
    assert "full" in caught.value.detail


@contextmanager
def no_room_to_end_jobs(studio: Studio) -> Iterator[None]:
    """The database itself refuses every end of a job meanwhile."""
    with studio.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER no_room BEFORE UPDATE ON jobs WHEN NEW.finished_at IS NOT NULL "
            "BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    try:
        yield
    finally:
        with studio.engine.begin() as connection:
            connection.exec_driver_sql("DROP TRIGGER no_room")


def test_an_end_that_cannot_be_written_is_written_later(make: Callable[..., Studio]) -> None:
    studio = make()
    studio.start()
    with no_room_to_end_jobs(studio):
        job = studio.submit(speak("Patience."))
        assert until(studio, job.id, lambda update: bool(update.assets)).job.status == "in_progress"
        wait_for(lambda: bool(studio.feeder.filing.endings.unwritten()))
        assert studio.job(job.id).status == "in_progress"
    assert over(studio, job.id).status == "completed"


def test_a_job_that_cannot_be_begun_ends_even_when_that_cannot_be_written_at_once(
    make: Callable[..., Studio],
) -> None:
    """Its start picture is gone, and the disk is full at that moment; the next of its line waits and then runs."""
    studio = make(start_worker=partial(Made, done_at_once))
    picture = studio.library.add_upload(one_pixel(), "dot.png", owner="local")
    edit = ImageRequest(prompt="x", model="starter/image", init_image=picture.id)
    lost, later = studio.submit(edit), studio.submit(edit.model_copy(update={"init_image": ""}))
    studio.library.store.remove(picture.file)
    with no_room_to_end_jobs(studio):
        studio.start()
        wait_for(lambda: lost.id in studio.feeder.filing.endings.unwritten())
        assert (studio.job(lost.id).status, studio.job(later.id).status) == ("in_progress", "queued")
    failed = over(studio, lost.id)
    assert failed.problem is not None
    assert (failed.status, failed.problem.message) == ("failed", "A file this job starts from is gone.")
    assert over(studio, later.id).status == "completed"


def test_whatever_goes_wrong_before_a_job_begins_ends_the_job(
    make: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only what somebody foresaw: the row says running by then, and nobody else would end it."""
    studio = make(start_worker=partial(Made, done_at_once))
    job = studio.submit(speak())

    def broken(*asked: Any) -> Any:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("studio.queue.feeder.find_inputs", broken)
    studio.start()
    failed = over(studio, job.id)
    assert (failed.status, failed.problem is not None) == ("failed", True)


def test_a_fault_on_our_side_while_a_job_ends_is_written_later_too(
    make: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = make(start_worker=partial(Made, done_at_once))

    def broken(*asked: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(studio.feeder.filing, "_finish", broken)
    studio.start()
    with no_room_to_end_jobs(studio):
        job = studio.submit(speak())
        wait_for(lambda: job.id in studio.feeder.filing.endings.unwritten())
    assert over(studio, job.id).status == "failed"


def test_a_job_marked_as_running_that_is_nowhere_is_ended(make: Callable[..., Studio]) -> None:
    """Whatever stumbled between the row and the worker, nobody waits for ever, and it can be put back."""
    studio = make(start_worker=partial(Made, done_at_once))
    studio.start()
    lost = studio.store.add(speak(), "ada")
    with studio.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE jobs SET status = 'in_progress'")
    assert over(studio, lost.id).status == "failed"
    assert [job.id for job in studio.interrupted("ada")] == [lost.id]


def test_a_studio_starts_when_what_was_left_running_cannot_be_closed_yet(make: Callable[..., Studio]) -> None:
    left = make().submit(speak())
    studio = make(start_worker=partial(Made, done_at_once))
    studio.store.claim("audio")
    with no_room_to_end_jobs(studio):
        studio.start()
        assert studio.job(left.id).status == "in_progress"
    assert over(studio, left.id).status == "failed"


def test_half_a_character_does_not_keep_a_job_from_ending(make: Callable[..., Studio]) -> None:
    def write(worker: Made, run: Run) -> None:
        worker.emit(TextDelta(run.job_id, "half \ud83d"))
        worker.emit(Finished(run.job_id, "completed"))

    studio = make(start_worker=partial(Made, write))
    studio.start()
    done = over(studio, studio.submit(speak()).id)
    assert (done.status, done.text) == ("completed", "half ?")


# ---- jobs that a crash or a stop ended ---------------------------------------------------------------------------------


def test_a_job_whose_worker_died_runs_again_by_itself_once_where_that_was_asked_for(
    make: Callable[..., Studio], tmp_path: Path
) -> None:
    runs_of: list[str] = []

    def die(worker: Made, run: Run) -> None:
        runs_of.append(run.job_id)
        worker.kill()

    settings = Settings(data_dir=tmp_path / "data", device="cpu", interrupted="once")
    studio = Studio(settings, start_worker=partial(Made, die), timer=iter(range(0, 10**9, 60)).__next__)
    studio.start()
    try:
        job = studio.submit(speak())
        assert over(studio, job.id).status == "failed"
        assert runs_of == [job.id, job.id]
        assert [job.id for job in studio.interrupted()] == [job.id]  # and from here on a person decides
    finally:
        studio.close()


@pytest.mark.parametrize(
    ("interrupted", "status"), [("ask", "failed"), ("never", "failed"), ("once", "queued")]
)
def test_a_job_that_a_stop_ended_waits_again_only_where_that_was_asked_for(
    tmp_path: Path, interrupted: Any, status: str
) -> None:
    settings = Settings(data_dir=tmp_path, device="cpu", interrupted=interrupted)
    studio = Studio(settings, start_worker=partial(Obedient, held))
    studio.start()
    job = studio.submit(speak())
    until(studio, job.id, runs)
    studio.close()
    again = Studio(settings)
    assert again.job(job.id).status == status
    assert len(again.interrupted()) == (1 if interrupted == "ask" else 0)
    again.close()


@pytest.mark.parametrize(("interrupted", "status"), [("ask", "failed"), ("once", "queued")])
def test_a_job_that_a_killed_studio_left_waits_again_only_where_that_was_asked_for(
    tmp_path: Path, interrupted: Any, status: str
) -> None:
    settings = Settings(data_dir=tmp_path, device="cpu", interrupted=interrupted)
    studio = Studio(settings, only_own=True, start_worker=partial(Made, held))
    job = Studio(settings).submit(speak())
    studio.store.claim("audio")  # and here its studio was killed
    studio.start()
    assert studio.job(job.id).status == status
    studio.close()


def test_a_question_nobody_can_answer_is_refused_at_once(make: Callable[..., Studio]) -> None:
    studio = make(start_worker=partial(Made, held))
    started = time.monotonic()
    with pytest.raises(StudioError, match="No worker runs"):
        studio.plan(speak(), timeout=300)
    studio.start()
    asking = threading.Thread(
        target=lambda: refused.append(refusal(lambda: studio.plan(speak(), timeout=300)))
    )
    refused: list[str] = []
    asking.start()
    wait_for(lambda: bool(studio.pool.stations[0]._questions))
    worker: Any = studio.pool.links[0]
    worker.kill()
    asking.join(60)
    assert refused == ["The worker was lost."]
    assert time.monotonic() - started < 300


def refusal(ask: Callable[[], Any]) -> str:
    try:
        ask()
    except StudioError as error:
        return error.message
    return ""


def test_errors_of_the_library_keep_their_three_parts() -> None:
    problem = problem_of(LibraryError("It broke.", detail="3 of 4.", hint="Mend it."))
    assert (problem.message, problem.detail, problem.hint) == ("It broke.", "3 of 4.", "Mend it.")


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StudioError, match="cannot be made") as caught:
        Studio(Settings(data_dir=tmp_path / "file" / "data"))
    assert "--data-dir" in caught.value.hint


# ---- with a made-up worker: what threads and chance can do ---------------------------------------------------------------


def test_no_word_is_lost_to_whoever_watches_and_whenever_they_came(make: Callable[..., Studio]) -> None:
    words = [f"word{number} " for number in range(400)]
    come_in = [threading.Event() for _ in range(6)]

    def write(worker: Made, run: Run) -> None:
        for number, word in enumerate(words):
            worker.emit(TextDelta(run.job_id, word))
            if number % 70 == 0:
                come_in[number // 70].set()
        worker.emit(Finished(run.job_id, "completed"))

    studio = make(start_worker=partial(Made, write))
    job = studio.submit(speak())
    seen: list[list[Update]] = []

    def look(when: threading.Event) -> None:
        when.wait()

        async def collect() -> None:
            seen.append([update async for update in studio.watch(job.id)])

        asyncio.run(collect())

    threads = [threading.Thread(target=look, args=(event,)) for event in come_in]
    for thread in threads:
        thread.start()
    studio.start()
    for thread in threads:
        thread.join(60)
    assert len(seen) == 6
    for updates in seen:
        texts = [update.text for update in updates]
        assert texts[-1] == "".join(words)
        assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
        assert updates[-1].job.status == "completed"
    assert studio.store.get(job.id).text == "".join(words)


def test_whatever_is_submitted_and_cancelled_every_job_ends_once(make: Callable[..., Studio]) -> None:
    chance = random.Random(5)
    running: set[str] = set()
    most: list[int] = []
    began: list[str] = []

    def finish(worker: Made, run: Run) -> None:
        running.add(run.job_id)
        began.append(run.job_id)
        most.append(len(running))
        running.discard(run.job_id)
        worker.emit(Finished(run.job_id, "completed"))

    studio = make(start_worker=partial(Made, finish))
    studio.start()
    ids: list[str] = []

    def act(owner: str) -> None:
        for number in range(25):
            job = studio.submit(speak(str(number)), owner=owner)
            ids.append(job.id)
            if chance.random() < 0.3:
                studio.cancel(job.id)

    threads = [threading.Thread(target=act, args=(f"owner {n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ends = {job_id: over(studio, job_id).status for job_id in ids}
    assert set(ends.values()) == {"completed", "cancelled"}
    assert sorted(began) == sorted(job_id for job_id in ids if job_id in set(began))  # none ran twice
    assert {job_id for job_id, status in ends.items() if status == "completed"} <= set(began)
    assert max(most) == 1  # one of a modality at a time
    assert studio.telemetry()["queue"] == {"queued": 0, "running": 0}


def test_workers_that_end_at_once_are_started_again_ever_more_rarely(make: Callable[..., Studio]) -> None:
    now = [0.0]
    starts: list[float] = []

    def dead(config: Any, **link: Any) -> Any:
        starts.append(now[0])
        link["on_exit"](1)
        return Made(lambda worker, run: None, config, **link)

    studio = make(start_worker=dead, timer=lambda: now[0])
    studio.pool.start(studio.feeder.filing)
    for second in range(200):
        now[0] = float(second)
        studio.pool.look_after()
    waits = [later - earlier for earlier, later in pairwise(starts)]
    assert waits[:6] == [0, 4, 8, 16, 30, 30]
    assert studio.worker_state() == "lost"


def test_a_job_claimed_while_the_worker_ends_goes_back_to_the_queue(make: Callable[..., Studio]) -> None:
    studio = make(start_worker=partial(Made, lambda worker, run: None))
    studio.pool.start(studio.feeder.filing)
    job = studio.submit(speak())
    claimed = studio.store.claim("audio")
    assert claimed is not None
    studio.pool.links[0].kill()
    studio.feeder._begin(claimed)
    assert studio.job(job.id).status == "queued"


def paint(model: str) -> ImageRequest:
    return ImageRequest(prompt=model, model=model, seed=1, width=64, height=64)


def test_the_worker_hears_what_comes_next_and_hears_it_again_when_that_changes(
    make: Callable[..., Studio],
) -> None:
    """At most three of each line, the next of every line before the second of any."""
    go_on = threading.Event()

    def wait(worker: Made, run: Run) -> None:
        go_on.wait(60)
        worker.emit(Finished(run.job_id, "completed"))

    studio = make(start_worker=partial(Made, wait))
    studio.start()
    worker: Any = studio.pool.links[0]

    def hints() -> list[list[str]]:
        return [
            [request.prompt for request, _ in heard.upcoming]
            for heard in worker.heard
            if isinstance(heard, Hint)
        ]

    until(studio, studio.submit(speak("said now")).id, runs)
    until(studio, studio.submit(paint("starter/image")).id, runs)
    waiting = [studio.submit(speak(f"said {n}")) for n in range(4)]
    studio.submit(paint("starter/image"))
    wait_for(lambda: hints()[-1:] == [["said 0", "starter/image", "said 1", "said 2"]])
    studio.cancel(waiting[1].id)
    wait_for(lambda: hints()[-1] == ["said 0", "starter/image", "said 2", "said 3"])
    go_on.set()
    wait_for(lambda: hints()[-1] == [])
    assert all(earlier != later for earlier, later in pairwise(hints()))  # only what changed is said


def test_what_the_worker_holds_moves_the_line(make: Callable[..., Studio]) -> None:
    """A job whose model is there goes first, and the positions shown say so at once."""
    go_on = threading.Event()

    def wait(worker: Made, run: Run) -> None:
        go_on.wait(60)
        worker.emit(Finished(run.job_id, "completed"))

    studio = make(start_worker=partial(Made, wait))
    far, near = (
        ModelSpec(name, name, ("image",), "diffusers", Source(path=name), weight_bytes=10**9)
        for name in ("far", "near")
    )
    studio.catalog._load().update({"far": far, "near": near})
    studio.start()
    worker: Any = studio.pool.links[0]
    until(studio, studio.submit(paint("far")).id, runs)
    jobs = [studio.submit(paint(model)).id for model in ("far", "near", "near")]
    assert [studio.position(job) for job in jobs] == [1, 2, 3]
    moved: list[int] = []
    watching = threading.Thread(
        target=lambda: moved.append(until(studio, jobs[1], lambda update: update.position == 1).position)
    )
    watching.start()
    wait_for(lambda: jobs[1] in studio.watchers.watched())
    held = {"key": "near:unet", "models": ["near"], "state": "resident", "nbytes": 10**9}
    worker.emit(Telemetry({"components": [held]}))
    watching.join(60)
    assert moved == [1]
    assert [studio.position(job) for job in jobs] == [3, 1, 2]
    go_on.set()
    started = sorted((over(studio, job).started_at or 0, jobs.index(job)) for job in jobs)
    assert [place for _, place in started] == [1, 2, 0]


def test_the_line_tells_who_runs_and_who_waits_and_hides_what_is_someone_elses(
    make: Callable[..., Studio],
) -> None:
    studio = make(start_worker=partial(Made, held))
    studio.start()
    until(studio, studio.submit(speak("now"), owner="ada").id, runs)
    studio.submit(speak("my  secret\nplan"), owner="ada")
    studio.submit(speak("mine " * 40), owner="bob")
    whole = [(one.owner, one.words, one.status, one.position) for one in studio.line()]
    mine = ("bob", ("mine " * 16).strip(), "queued", 1)
    assert whole == [("ada", "now", "in_progress", 0), mine, ("ada", "my secret plan", "queued", 2)]
    seen = studio.line("bob")
    assert [(one.owner, one.words, one.status, one.position) for one in seen] == [
        ("", "", "in_progress", 0),
        mine,
        ("", "", "queued", 2),
    ]
    assert [bool(one.job_id or one.model) for one in seen] == [False, True, False]


def test_a_job_moved_up_starts_before_the_same_owners_others(make: Callable[..., Studio]) -> None:
    studio = make(start_worker=partial(Made, held))
    studio.start()
    running = studio.submit(speak("now"), owner="ada").id
    until(studio, running, runs)
    first, second = (studio.submit(speak(word), owner="ada").id for word in ("first", "second"))
    with pytest.raises(UnknownJob):
        studio.move_up(second, "bob")
    studio.move_up(second, "ada")
    assert [one.job_id for one in studio.line("ada")] == [running, second, first]
    studio.move_up(running, "ada")  # it waits no more: nothing happens
    assert [one.job_id for one in studio.line("ada")] == [running, second, first]


def test_a_line_tells_when_each_of_its_jobs_will_be_done(make: Callable[..., Studio]) -> None:
    studio = make(start_worker=partial(Made, held))
    first, second = (studio.submit(paint("starter/image")) for _ in range(2))
    unknown = studio.submit(speak("as long as it takes")).id
    studio.store.claim("image")
    work = work_beforehand(first.request)
    assert work is not None
    studio.store.finish(first.id, "completed", pace={"work": work, "denoise": 4.0})
    third = studio.submit(paint("starter/image")).id
    etas = {one.job_id: one.eta_seconds for one in studio.line()}
    assert etas == {second.id: 4.0, third: 8.0, unknown: None}


def test_a_job_that_was_not_interrupted_is_not_put_back(make: Callable[..., Studio]) -> None:
    studio = make()
    job = studio.submit(speak("waits"))
    with pytest.raises(InvalidRequest, match="not interrupted"):
        studio.put_back(job.id)
    with pytest.raises(UnknownJob):
        studio.put_back("1234")


# ---- with a model ------------------------------------------------------------------------------------------------------


def test_a_model_is_planned_lent_shared_and_let_go(make: Callable[..., Studio]) -> None:
    """The whole road once: plan, a batch, the same picture again, a picture from a picture, unload."""
    studio = make(warm_up=True)
    assert studio.worker_state() == "starting"
    studio.start()
    asked = ImageRequest(
        prompt="a lighthouse",
        model="starter/image",
        width=64,
        height=64,
        num_inference_steps=2,
        num_images=2,
        seed=11,
    )
    plan = studio.plan(asked, timeout=120)
    assert (plan.fits, plan.evicts, plan.problem) == (True, (), None)
    assert plan.need_bytes > 1 << 20
    assert studio.worker_state() == "ready"

    job = studio.submit(asked)
    progress = until(
        studio, job.id, lambda update: update.progress is not None and update.progress.stage == "denoise"
    )
    assert progress.position == 0
    first, second = map(studio.library.get, over(studio, job.id).asset_ids)
    assert [first.recipe["seed"], second.recipe["seed"]] == [11, 12]
    assert {recipe["num_images"] for recipe in (first.recipe, second.recipe)} == {1}

    again = studio.submit(parse_request(second.recipe))
    assert studio.library.get(over(studio, again.id).asset_ids[0]).sha256 == second.sha256

    edit = asked.model_copy(update={"init_image": first.id, "num_images": 1, "strength": 0.5})
    edited = over(studio, studio.submit(edit).id).asset_ids[0]
    assert [(asset.id, role) for asset, role in studio.library.parents(edited)] == [(first.id, "init_image")]

    def held() -> set[str]:
        components = studio.telemetry()["memory"].get("components", ())
        return {model for part in components for model in part["models"]}

    wait_for(lambda: held() == {"starter/image"})
    studio.unload("starter/image")
    wait_for(lambda: held() == set())


# ---- the server process ------------------------------------------------------------------------------------------------


def test_the_server_never_imports_torch(tmp_path: Path) -> None:
    """Its memory and its start-up time are promises; one import of a pipeline would break both."""
    code = textwrap.dedent(
        """
        import asyncio, sys
        from pathlib import Path
        from pipelines.messages import AudioRequest
        import studio.cli.generate
        from studio.settings import Settings
        from studio.studio import Studio
        studio = Studio(Settings(data_dir=Path(sys.argv[1]), device="cpu"), warm_up=False)
        studio.start()
        job = studio.submit(AudioRequest(prompt="Hello.", model="espeak"))
        async def look():
            async for update in studio.watch(job.id):
                pass
            return update.job.status
        print(asyncio.run(look()))
        studio.telemetry()
        studio.close()
        print(*sorted({"torch", "diffusers", "transformers", "gradio", "cv2"} & set(sys.modules)))
        """
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert answer.stdout.split() == ["completed"], answer.stdout + answer.stderr
