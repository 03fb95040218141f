"""Gradio's queue as the page has it: told when there is something to do, and as quick and as complete as Gradio's own."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import pytest
import uvicorn
from fastapi import FastAPI
from gradio.queueing import Queue

from studio.page import waiting
from studio.page.waiting import KNOWN, Page, WaitingQueue, fingerprint


def test_this_gradio_has_the_loops_the_queue_was_written_for() -> None:
    """Read them again when this fails: what may give them work must set an event in `WaitingQueue`. Until then the page has
    Gradio's own queue, which answers as well and costs 8 % of a core."""
    assert {name: fingerprint(getattr(Queue, name)) for name in KNOWN} == KNOWN


def test_another_gradio_keeps_its_own_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(waiting.KNOWN, "start_processing", "of another version")
    with Page() as page:
        gr.Textbox()
    assert type(page._queue) is Queue
    assert page._queue.max_thread_count == waiting.MOST_AT_ONCE
    assert page._queue.default_concurrency_limit is None


class Jumping(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to whatever is due next: ten seconds are over at once, on any machine."""

    def __init__(self) -> None:
        super().__init__()
        self.now, really_select = 0.0, self._selector.select  # type: ignore[attr-defined]

        def select(timeout: float | None = None) -> Any:
            self.now += timeout or 0.0
            return really_select(0)

        self._selector.select = select  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.now


def looks_in_ten_seconds(kind: type) -> int:
    class Counted(kind):  # type: ignore[misc,valid-type]
        looks = 0

        def __len__(self) -> int:
            self.looks += 1
            return int(super().__len__())

    async def idle() -> int:
        queue = Counted(True, 40, 1, None, gr.Blocks())
        queue.start()
        await asyncio.sleep(10)
        return int(queue.looks)

    with asyncio.Runner(loop_factory=Jumping) as runner:
        return runner.run(idle())


def test_a_queue_without_events_looks_once_a_second_and_no_more() -> None:
    assert looks_in_ten_seconds(WaitingQueue) <= 11
    assert looks_in_ten_seconds(Queue) > 5000  # or Gradio mended it, and ours can go


# ---- through HTTP ---------------------------------------------------------------------------------------------------------


class Events:
    """A page with one function, asked as a browser asks."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, session: str, value: str) -> None:
        body = json.dumps({"data": [value], "fn_index": 0, "session_hash": session}).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.address}/gradio_api/queue/join", body, headers)
        urllib.request.urlopen(request, timeout=60).read()

    def messages(self, session: str) -> Iterator[dict[str, Any]]:
        with urllib.request.urlopen(
            f"{self.address}/gradio_api/queue/data?session_hash={session}", timeout=60
        ) as told:
            for line in told:
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))

    def answers(self, session: str) -> list[Any]:
        done = [one for one in self.messages(session) if one["msg"] == "process_completed"]
        return [one["output"]["data"][0] for one in done]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Events]]:
    """Serves a page with that function until the test is over. Nobody looks by themselves: what is not told never happens."""
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 3600.0)
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(function: Callable[..., Any], **options: Any) -> Events:
        with Page() as page:
            box = gr.Textbox()
            gr.Button().click(function, box, box, **options)
        app = gr.mount_gradio_app(FastAPI(), page, path="/")
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        servers.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return Events(f"http://127.0.0.1:{listener.getsockname()[1]}")

    yield start
    for server, thread in servers:
        server.should_exit = server.force_exit = True
        thread.join(30)


def test_an_event_is_answered_when_it_comes(serve: Callable[..., Events]) -> None:
    page = serve(str.upper)
    for word in ("one", "two", "three"):
        page.ask("someone", word)
        assert page.answers("someone") == [word.upper()]


def test_what_waited_for_a_place_runs_when_there_is_one(serve: Callable[..., Events]) -> None:
    page = serve(str.upper, concurrency_limit=1)
    for word in ("one", "two", "three"):
        page.ask("someone", word)
    assert page.answers("someone") == ["ONE", "TWO", "THREE"]


def test_steps_are_told_while_the_event_runs(serve: Callable[..., Events]) -> None:
    seen = threading.Event()

    def slow(text: str, progress: gr.Progress = gr.Progress()) -> str:  # noqa: B008 — Gradio's way to ask for it
        progress(0.5)
        return "seen" if seen.wait(60) else "not seen"

    page = serve(slow)
    page.ask("someone", "")
    for message in page.messages("someone"):
        if message["msg"] == "progress":
            seen.set()
        if message["msg"] == "process_completed":
            assert message["output"]["data"] == ["seen"]
    assert seen.is_set()


def test_many_pages_that_follow_a_job_leave_room_for_the_next(serve: Callable[..., Events]) -> None:
    """Gradio's own queue runs 40 events at once, and an open page holds one as long as its job runs."""
    over = asyncio.Event()

    async def follow(text: str) -> str:
        if text == "follow":
            await over.wait()
        else:
            over.set()
        return text

    page = serve(follow)
    for number in range(60):
        page.ask(f"follower-{number}", "follow")
    page.ask("someone", "asks")
    assert page.answers("someone") == ["asks"]
    assert page.answers("follower-59") == ["follow"]
