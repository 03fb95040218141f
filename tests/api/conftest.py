"""A real studio behind a real server: the embedded voice, the starter painter and a tiny language model answer over HTTP."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import event

from studio import accounts, api
from studio.settings import Settings
from studio.studio import Studio
from tests.checkpoints_language import tiny_base, tiny_chat


@contextmanager
def served(app: Any, **options: Any) -> Iterator[str]:
    """The address where uvicorn serves the application on a free port; options go to its configuration."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        threading.Event().wait(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("api")
    (folder / "models").mkdir()
    (folder / "models" / "tiny-chat").symlink_to(tiny_chat())
    (folder / "models" / "tiny-base").symlink_to(tiny_base())
    settings = Settings(data_dir=folder / "data", models_dirs=(folder / "models",), device="cpu")
    studio = Studio(settings, warm_up=False)
    watch_the_loop(studio)
    studio.start()
    yield studio
    studio.close()


LOOP_OFFENCES: list[str] = []
"""What was asked of the database, or opened in a data folder, on a thread that runs an event loop."""


def on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def watch_the_loop(studio: Studio) -> None:
    """Note every offence against "nothing heavy on the event loop"; an audit hook stays as long as the process does."""
    folder = str(studio.settings.data_dir)

    def hear(name: str, arguments: tuple[Any, ...]) -> None:
        path = str(arguments[0]) if name == "open" else ""
        # the logins are read once, when the application is put together
        if path.startswith(folder) and "login" not in path and on_a_loop():
            LOOP_OFFENCES.append(f"opened {path}\n{''.join(traceback.format_stack(limit=8))}")

    @event.listens_for(studio.engine, "before_cursor_execute")
    def asked(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if on_a_loop():
            LOOP_OFFENCES.append(f"{statement[:80]}\n{''.join(traceback.format_stack(limit=24))}")

    sys.addaudithook(hear)


@pytest.fixture(autouse=True)
def nothing_heavy_on_the_event_loop() -> Iterator[None]:
    """Whatever a test of the API does: while one request reads rows or files, all others are answered."""
    LOOP_OFFENCES.clear()
    yield
    assert LOOP_OFFENCES == []


@pytest.fixture(scope="session")
def chat_model(studio: Studio) -> str:
    return next(spec.id for spec in studio.catalog.all() if "tiny-chat" in spec.id or "tiny_chat" in spec.id)


@pytest.fixture(scope="session")
def base_model(studio: Studio) -> str:
    """A language model without chat template and without fill-in-the-middle tokens."""
    return next(spec.id for spec in studio.catalog.all() if "tiny-base" in spec.id or "tiny_base" in spec.id)


def application(studio: Studio, settings: Settings | None = None) -> FastAPI:
    app = FastAPI()
    api.install(app, studio)
    accounts.install(app, settings or studio.settings)
    api.enclose(app)
    return app


@pytest.fixture(scope="session")
def address(studio: Studio) -> Iterator[str]:
    with served(application(studio)) as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=120) as client:
        yield client


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    def wait(fact: Callable[[], bool]) -> None:
        for _ in range(6000):
            if fact():
                return
            threading.Event().wait(0.02)
        raise AssertionError("it never became so")

    return wait
