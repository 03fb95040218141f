"""The queue: order, fairness, and what survives a restart."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from pipelines.errors import Problem
from pipelines.messages import AudioRequest, ImageRequest, TextRequest, VideoRequest
from studio import database
from studio.database import open_database
from studio.queue.affinity import free
from studio.queue.jobs import UnknownJob
from studio.queue.rows import jobs
from studio.queue.standing import Standings
from studio.queue.store import JobStore
from studio.settings import ROOT


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(tmp_path / "studio.db")


@pytest.fixture
def store(engine: Engine) -> JobStore:
    ticks = itertools.count(1000.0)
    return JobStore(engine, clock=lambda: next(ticks))


def speak(text: str) -> AudioRequest:
    return AudioRequest(prompt=text, model="espeak", seed=1)


def test_a_job_reads_back_as_it_was_written(store: JobStore) -> None:
    request = ImageRequest(prompt="a lighthouse", model="starter/image", seed=7, width=64)
    job = store.add(request, owner="ada")
    assert store.get(job.id) == job
    assert store.get(job.id).request == request
    assert (job.status, job.created_at, job.started_at, job.asset_ids) == ("queued", 1000.0, None, ())


def test_an_unknown_job_is_named_in_the_error(store: JobStore) -> None:
    with pytest.raises(UnknownJob, match="no job 1234"):
        store.get("1234")


def test_one_owners_jobs_start_oldest_first(store: JobStore) -> None:
    made = [store.add(speak(word), "ada").id for word in ("one", "two", "three")]
    claimed = [store.claim("audio"), store.claim("audio"), store.claim("audio")]
    assert [job.id for job in claimed if job] == made
    assert store.claim("audio") is None


def test_owners_take_turns_whoever_queued_more(store: JobStore) -> None:
    ada = [store.add(speak("a"), "ada").id for _ in range(3)]
    bob = [store.add(speak("b"), "bob").id for _ in range(2)]
    expected = [ada[0], bob[0], ada[1], bob[1], ada[2]]
    assert store.line("audio") == expected
    claimed = [store.claim("audio") for _ in range(5)]
    assert [job.id for job in claimed if job] == expected


def test_who_waited_longest_for_a_turn_goes_first(store: JobStore) -> None:
    """A turn is remembered: coming back with a new job does not put an owner ahead of one who was not served since."""
    store.add(speak("b"), "bob")
    store.add(speak("a"), "ada")
    store.claim("audio")
    store.claim("audio")
    again = store.add(speak("a again"), "ada").id
    bob = store.add(speak("b again"), "bob").id
    assert store.line("audio") == [bob, again]


def test_a_chat_does_not_stand_behind_a_video_line(store: JobStore) -> None:
    store.add(ImageRequest(prompt="x"), "ada")
    chat = store.add(TextRequest(prompt="hello"), "ada")
    claimed = store.claim("text")
    assert claimed is not None
    assert claimed.id == chat.id


def paint(model: str) -> ImageRequest:
    return ImageRequest(prompt="x", model=model, seed=1)


def near(there: str) -> Callable[[str], float]:
    return lambda model: 0.0 if model == there else 9.0


def test_a_job_is_overtaken_three_times_at_most_also_after_restarts(engine: Engine) -> None:
    """How often it was passed is on its row, not in anybody's memory."""
    first = JobStore(engine).add(paint("far"), "ada").id
    for _ in range(5):
        JobStore(engine).add(paint("near"), "ada")
    claimed: list[str] = []
    for _ in range(4):
        store = JobStore(engine)
        assert store.line("image", near("near")).index(first) == 3 - len(claimed)
        job = store.claim("image", cost=near("near"))
        assert job is not None
        claimed.append(job.request.model)
    assert claimed == ["near", "near", "near", "far"]


def test_rounds_survive_a_restart(engine: Engine) -> None:
    """Within a round the nearer job of two owners starts; nobody has a second turn before the other had one."""
    for owner, model in [("ada", "x"), ("bob", "y")] * 3:
        JobStore(engine).add(paint(model), owner)
    models = "x"
    while job := JobStore(engine).claim("image", cost=near(models[-1])):
        models += job.request.model
    assert models[1:] == "xyyxxy"


def test_cancel_in_the_queue_takes_the_job_out(store: JobStore) -> None:
    job = store.add(speak("no"), "ada")
    assert store.cancel_queued(job.id)
    assert store.get(job.id).status == "cancelled"
    assert store.claim("audio") is None
    assert not store.cancel_queued(job.id)


def test_word_to_stop_reaches_the_process_that_runs_the_job(store: JobStore, engine: Engine) -> None:
    job = store.add(speak("long"), "ada")
    store.claim("audio")
    JobStore(engine).ask_cancel(job.id)
    assert store.cancel_asked() == [job.id]


def test_a_job_is_closed_once(store: JobStore) -> None:
    job = store.add(speak("hello"), "ada")
    store.claim("audio")
    store.add_asset(job.id, "asset-1")
    store.add_asset(job.id, "asset-2")
    assert store.finish(job.id, "completed", text="hello", pace={"generate": 0.5})
    assert not store.finish(job.id, "failed", problem=Problem("worker_lost", "late"))
    closed = store.get(job.id)
    assert (closed.status, closed.text, closed.asset_ids) == ("completed", "hello", ("asset-1", "asset-2"))
    assert closed.problem is None
    assert closed.is_over
    assert store.paces("espeak", "audio") == [{"generate": 0.5}]


def test_after_a_restart_running_jobs_failed_and_waiting_ones_wait(store: JobStore, engine: Engine) -> None:
    running = store.add(speak("one"), "ada")
    waiting = store.add(speak("two"), "ada")
    store.claim("audio")
    after = JobStore(engine)
    assert after.recover() == [running.id]
    lost = after.get(running.id)
    assert lost.status == "failed"
    assert lost.problem is not None
    assert (lost.problem.kind, lost.problem.hint) == ("worker_lost", "Try again.")
    assert after.get(waiting.id).status == "queued"
    assert after.recover() == []


def test_a_job_can_be_claimed_by_one_thread_only(store: JobStore) -> None:
    made = {store.add(speak(str(number)), f"owner {number % 3}").id for number in range(24)}
    claimed: list[str] = []

    def claim_all() -> None:
        while job := store.claim("audio"):
            claimed.append(job.id)

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 24
    assert set(claimed) == made


def test_a_job_queued_by_another_version_fails_with_a_reason(store: JobStore, engine: Engine) -> None:
    job = store.add(speak("hello"), "ada")
    later = store.add(speak("next"), "ada")
    with engine.begin() as connection:
        old = {**job.request.model_dump(mode="json"), "chorus": 3}
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(request=old))
    claimed = store.claim("audio")
    assert claimed is not None
    assert claimed.id == later.id
    failed = store.get(job.id)
    assert failed.status == "failed"
    assert failed.problem is not None
    assert "chorus" in failed.problem.detail
    assert failed.request.prompt == "hello"


def test_a_job_that_was_not_begun_goes_back_to_its_place(store: JobStore) -> None:
    first, second = store.add(speak("1"), "ada"), store.add(speak("2"), "ada")
    store.claim("audio")
    store.unclaim(first.id)
    assert store.get(first.id) == first
    assert store.line("audio") == [first.id, second.id]


def test_moving_up_changes_only_the_order_of_ones_own_jobs(store: JobStore) -> None:
    ada = [store.add(speak("a"), "ada").id for _ in range(2)]
    bob = store.add(speak("b"), "bob").id
    ada.append(store.add(speak("a"), "ada").id)
    assert store.line("audio") == [ada[0], bob, ada[1], ada[2]]
    assert store.move_up(ada[2], "ada")
    assert store.line("audio") == [ada[2], bob, ada[0], ada[1]]
    later = store.add(speak("a"), "ada").id
    assert store.line("audio") == [ada[2], bob, ada[0], ada[1], later]


def test_a_job_of_someone_else_or_one_that_runs_is_not_moved(store: JobStore) -> None:
    running, second, third = (store.add(speak("a"), "ada").id for _ in range(3))
    store.claim("audio")
    assert not store.move_up(running, "ada")
    assert not store.move_up(third, "bob")
    assert not store.move_up("nothing", "ada")
    assert store.line("audio") == [second, third]


def test_an_interrupted_job_is_put_back_behind_its_owners_others_and_only_once(store: JobStore) -> None:
    job = store.add(speak("one"), "ada")
    store.claim("audio")
    store.add_asset(job.id, "half")
    store.recover()
    waiting = store.add(speak("two"), "ada").id
    assert [found.id for found in store.interrupted("ada")] == [job.id]
    assert store.interrupted("bob") == []
    assert store.put_back(job.id)
    assert not store.put_back(job.id)
    assert store.get(job.id) == job  # as if it had just come
    assert store.line("audio") == [waiting, job.id]
    assert store.interrupted() == []


def interrupted(store: JobStore, count: int) -> list[str]:
    made = [store.add(speak("lost"), "ada").id for _ in range(count)]
    for _ in made:
        store.claim("audio")
    store.recover()
    return made


def test_a_job_put_back_can_be_moved_before_another_that_was_put_back(store: JobStore) -> None:
    """Both once had the same place: the answer was yes, and nothing moved."""
    first, second = interrupted(store, 2)
    assert store.put_back(first)
    assert store.put_back(second)
    assert store.line("audio") == [first, second]
    assert store.move_up(second, "ada")
    assert store.line("audio") == [second, first]


def test_a_job_that_comes_after_one_was_put_back_can_be_moved_before_it(store: JobStore) -> None:
    (lost,) = interrupted(store, 1)
    assert store.put_back(lost)
    later = store.add(speak("later"), "ada").id
    assert store.line("audio") == [lost, later]
    assert store.move_up(later, "ada")
    assert store.line("audio") == [later, lost]


def test_jobs_put_back_stand_in_the_order_they_were_put_back(store: JobStore) -> None:
    first, second = interrupted(store, 2)
    assert store.put_back(second)
    assert store.put_back(first)
    later = store.add(speak("later"), "ada").id
    assert store.line("audio") == [second, first, later]


def test_a_job_that_runs_keeps_its_place_to_itself(store: JobStore) -> None:
    """Its worker may go before it is begun, and then it waits at its place again."""
    (lost,) = interrupted(store, 1)
    assert store.put_back(lost)
    store.claim("audio")
    later = store.add(speak("later"), "ada").id
    store.unclaim(lost)
    assert store.move_up(later, "ada")
    assert store.line("audio") == [later, lost]


@pytest.mark.parametrize("kind", ["out_of_memory", "internal", "model_unavailable"])
def test_a_job_that_failed_by_itself_is_not_offered_again(store: JobStore, kind: str) -> None:
    job = store.add(speak("one"), "ada")
    store.claim("audio")
    store.finish(job.id, "failed", problem=Problem(kind, "It failed."))
    assert store.interrupted() == []
    assert not store.put_back(job.id)
    assert store.get(job.id).status == "failed"


def test_an_interrupted_job_can_be_let_be(store: JobStore) -> None:
    job = store.add(speak("one"), "ada")
    store.claim("audio")
    store.recover()
    store.let_be(job.id)
    assert store.interrupted() == []
    assert not store.put_back(job.id)


def test_only_our_own_jobs_are_claimed_when_asked(store: JobStore) -> None:
    store.add(speak("theirs"), "ada")
    ours = store.add(speak("ours"), "ada")
    claimed = store.claim("audio", only=[ours.id])
    assert claimed is not None
    assert claimed.id == ours.id
    assert store.claim("audio", only=[ours.id]) is None


def test_history_is_newest_first_and_by_owner(store: JobStore) -> None:
    first, second = store.add(speak("1"), "ada"), store.add(speak("2"), "bob")
    store.claim("audio")
    store.finish(first.id, "completed")
    assert [job.id for job in store.recent()] == [second.id, first.id]
    assert [job.id for job in store.recent(owner="ada")] == [first.id]
    assert [job.id for job in store.recent(active_only=True)] == [second.id]
    assert store.counts() == {"queued": 1, "running": 0}


def test_the_database_outlives_two_processes_opening_it_at_once(tmp_path: Path) -> None:
    """Both find no tables; one migrates, the other waits and finds it done."""
    file = tmp_path / "new" / "studio.db"
    code = (
        "import sys; from studio.database import open_database; from studio.queue.store import JobStore;"
        "from pipelines.messages import AudioRequest as A;"
        f"s = JobStore(open_database({str(file)!r}));"
        "[s.add(A(prompt='x', model='espeak'), 'o') for _ in range(20)]"
    )
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert JobStore(open_database(file)).counts() == {"queued": 40, "running": 0}


def test_yesterdays_schema_opens_today(tmp_path: Path) -> None:
    """Every step of the migrations keeps the jobs of a database that stopped there."""
    revisions = sorted(
        file.name.split("_")[0] for file in (database.MIGRATIONS / "versions").glob("[0-9]*.py")
    )
    for revision in revisions:
        file = tmp_path / f"{revision}.db"
        engine = database.connect(file)
        database.migrate(engine, revision)
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO jobs (id, owner, modality, model, request, status, created_at, asset_ids) VALUES "
                "('j1', 'ada', 'audio', 'espeak', '{\"modality\": \"audio\", \"prompt\": \"hi\"}', 'queued', 1.0, '[]')"
            )
        engine.dispose()
        job = JobStore(open_database(file)).get("j1")
        assert (job.owner, job.request.prompt, job.status) == ("ada", "hi", "queued")


def test_rows_are_written_ahead_and_synced(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_failed_migration_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "migrations" / "env.py").write_text((database.MIGRATIONS / "env.py").read_text())
    (versions / "0001_half.py").write_text(
        "from alembic import op\nimport sqlalchemy as sa\nrevision = '0001'\ndown_revision = None\n"
        "def upgrade():\n    op.create_table('half', sa.Column('id', sa.Integer))\n    raise RuntimeError('power cut')\n"
    )
    monkeypatch.setattr(database, "MIGRATIONS", tmp_path / "migrations")
    with pytest.raises(RuntimeError, match="power cut"):
        open_database(tmp_path / "studio.db")
    tables = sqlite3.connect(tmp_path / "studio.db").execute("SELECT name FROM sqlite_master").fetchall()
    assert tables == []


def test_what_clips_took_says_nothing_of_a_picture_by_the_same_model(store: JobStore) -> None:
    """It once did: a picture was told to take 37 s, and waited for the frames between that only a clip has."""
    for _ in range(3):
        clip = store.add(VideoRequest(prompt="a lighthouse", model="local/painter", seed=1), "ada")
        store.claim("video")
        store.finish(clip.id, "completed", pace={"denoise": 30.0, "interpolate": 7.0})
    picture = store.add(ImageRequest(prompt="a lighthouse", model="local/painter", seed=1), "ada")
    standings = Standings(store, free, lambda job_id: None, lambda job_id: None)
    assert standings.current()[picture.id].eta_seconds is None
    assert store.paces("local/painter", "image") == []
    assert store.paces("local/painter", "video") == [{"denoise": 30.0, "interpolate": 7.0}] * 3
