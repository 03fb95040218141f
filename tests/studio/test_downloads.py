"""Downloads the page started: watched, cancelled, failed with a reason. What fetches is tested in tests/catalog."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.catalog import Catalog, ModelSpec, download
from pipelines.errors import Cancelled, OutOfDisk
from studio.downloads import Downloads

MODEL = "Qwen/Qwen3-0.6B"
Report = Callable[[int, int], None]


@pytest.fixture
def downloads() -> Downloads:
    seconds = iter(range(0, 10_000, 2))
    return Downloads(Catalog(), clock=lambda: float(next(seconds)))


def test_a_download_tells_bytes_rate_and_time_left(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, seen = threading.Event(), threading.Event()

    def fetch(spec: ModelSpec, report: Report, is_cancelled: Callable[[], bool]) -> Path:
        report(100, 1000)  # was here before
        report(500, 1000)
        half.set()
        assert seen.wait(60)
        return Path()

    monkeypatch.setattr(download, "download", fetch)
    downloads.start(MODEL)
    assert half.wait(60)
    now = downloads.all()[MODEL]
    assert (now.state, now.done_bytes, now.total_bytes) == ("running", 500, 1000)
    assert now.rate == 400 / 4
    assert now.eta_seconds == 5
    assert downloads.start(MODEL) == now  # a second click starts no second download
    seen.set()
    assert downloads.wait(MODEL, 5).state == "completed"


def test_every_change_of_a_download_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int]] = []

    def fetch(spec: ModelSpec, report: Report, is_cancelled: Callable[[], bool]) -> Path:
        report(500, 1000)
        return Path()

    def hear() -> None:
        told.append((downloads.all()[MODEL].state, downloads.all()[MODEL].done_bytes))

    monkeypatch.setattr(download, "download", fetch)
    downloads = Downloads(Catalog(), hear)
    downloads.start(MODEL)
    downloads.wait(MODEL, 60)
    assert told == [("running", 0), ("running", 500), ("completed", 500)]


def test_cancel_reaches_the_download_and_it_can_start_again(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = threading.Event()

    def fetch(spec: ModelSpec, report: Report, is_cancelled: Callable[[], bool]) -> Path:
        started.set()
        while not is_cancelled():
            threading.Event().wait(0.001)
        raise Cancelled

    monkeypatch.setattr(download, "download", fetch)
    for _ in range(2):
        started.clear()
        downloads.start(MODEL)
        assert started.wait(60)
        downloads.cancel(MODEL)
        assert downloads.wait(MODEL, 5).state == "cancelled"


def test_a_failure_keeps_its_reason(downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*arguments: object) -> Path:
        raise OutOfDisk("There is no room.", hint="Free some space.")

    monkeypatch.setattr(download, "download", fetch)
    downloads.start(MODEL)
    ended = downloads.wait(MODEL, 5)
    assert ended.state == "failed"
    assert ended.problem is not None
    assert ended.problem.kind == "out_of_disk"
