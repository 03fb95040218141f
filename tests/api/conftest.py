"""A real studio behind a real server: the embedded voice, the starter painter and a tiny language model answer over HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from studio import api, auth
from studio.settings import Settings
from studio.studio import Studio
from tests.checkpoints_language import tiny_chat


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address where uvicorn serves the application on a free port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        threading.Event().wait(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("api")
    (folder / "models").mkdir()
    (folder / "models" / "tiny-chat").symlink_to(tiny_chat())
    settings = Settings(data_dir=folder / "data", models_dirs=(folder / "models",), device="cpu")
    studio = Studio(settings, warm_up=False)
    studio.start()
    yield studio
    studio.close()


@pytest.fixture(scope="session")
def chat_model(studio: Studio) -> str:
    return next(spec.id for spec in studio.catalog.all() if "tiny-chat" in spec.id or "tiny_chat" in spec.id)


def application(studio: Studio, settings: Settings | None = None) -> FastAPI:
    app = FastAPI()
    app.include_router(api.router(studio))
    auth.install(app, settings or studio.settings)
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
        for _ in range(3000):
            if fact():
                return
            threading.Event().wait(0.02)
        raise AssertionError("it never became so")

    return wait
