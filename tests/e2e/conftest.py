"""A real studio on a free port and a real headless Chromium to look at it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import launch

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)
    path = launch.find_browser()
    if not path:
        pytest.fail(
            f"No browser for the end-to-end tests: looked for {', '.join(launch.BROWSERS)} and Playwright's own "
            "Chromium. `python3 launch.py test` installs one."
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What ships, and a tiny language model for the tabs whose starter model is not there."""
    from studio.settings import Settings
    from studio.studio import Studio
    from tests.checkpoints_language import tiny_chat

    data = tmp_path_factory.mktemp("data")
    studio = Studio(Settings(data_dir=data, device="cpu", models_dirs=(tiny_chat(),)))
    studio.start()
    yield studio
    studio.close()


@pytest.fixture(scope="package")
def address(studio: Any) -> Iterator[str]:
    """Where the page is."""
    import uvicorn

    from studio.app import create_app

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(studio), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.05)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(60)


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """A fresh browser profile at 1366 × 768. Fails when the page asks another host for something or a script breaks."""
    context = browser.new_context(viewport={"width": 1366, "height": 768}, base_url=address)
    context.set_default_timeout(60_000)
    page = context.new_page()
    foreign: list[str] = []
    broken: list[str] = []
    refused = policy_violations(page)
    page.on("request", lambda asked: foreign.append(asked.url) if not is_local(asked.url, address) else None)
    page.on("pageerror", lambda error: broken.append(str(error)))
    yield page
    context.close()
    assert foreign == []
    assert broken == []
    assert refused == []


def policy_violations(page: Any) -> list[str]:
    """What this page's browser refuses because of our own Content-Security-Policy, as it happens."""
    refused: list[str] = []

    def hear(message: Any) -> None:
        if "Content Security Policy" in message.text or "Permissions policy" in message.text:
            refused.append(message.text)

    page.on("console", hear)
    return refused


def is_local(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:"))
