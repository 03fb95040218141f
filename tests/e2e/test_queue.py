"""The queue as people see it from every tab and every device: who runs, who waits, and what can be done about it."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pipelines.messages import VideoRequest
from tests.e2e.test_tabs import open_tab

pytestmark = pytest.mark.browser


def film(words: str, seconds: float = 120.0) -> VideoRequest:
    return VideoRequest(prompt=words, seconds=seconds, width=256, height=256)


@pytest.fixture
def other(browser: Any, address: str) -> Any:
    """Another device: a browser that remembers nothing of this one."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, base_url=address)
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


@pytest.fixture(autouse=True)
def _empty(studio: Any) -> Any:
    """Nothing of this test runs on into the next."""
    yield
    for standing in studio.line():
        studio.cancel(standing.job_id)
    for job in studio.interrupted():
        studio.let_be(job.id)
    while studio.line():  # else the next job's turn may be someone else's
        threading.Event().wait(0.05)


def test_another_device_sees_a_job_and_stops_it(page: Page, other: Page) -> None:
    open_tab(page, "video")
    page.locator("#video-prompt textarea").fill("a city skyline at night")
    page.locator("#video-seconds input").fill("60")
    page.locator("#generate-video").click()
    expect(page.locator("#bar-video [data-act=cancel]")).to_be_visible()
    other.goto("/#models")
    expect(other.locator("[data-queue]")).to_contain_text("1 running")
    other.locator("[data-queue]").click()
    row = other.locator("#queue li").filter(has_text="a city skyline at night")
    expect(row).to_be_visible()
    assert other.evaluate("document.documentElement.scrollWidth") <= 390
    row.get_by_role("button", name="Stop").click()
    expect(row).to_have_count(0)
    expect(other.locator("#queue")).to_contain_text("Nothing runs or waits.")
    expect(page.locator("#bar-video")).to_contain_text("Cancelled.")


def test_a_job_sent_elsewhere_can_be_shown_here(page: Page, studio: Any) -> None:
    job = studio.submit(film("a harbour in winter"))
    open_tab(page, "image")
    page.locator("[data-queue]").click()
    page.locator("#queue").get_by_role("button", name="a harbour in winter").click()
    expect(page.locator("body")).to_have_attribute("data-tab", "video")
    expect(page.locator("#queue")).to_be_hidden()
    stop = page.locator("#bar-video [data-act=cancel]")
    expect(stop).to_have_attribute("data-job", job.id)


def test_ones_own_waiting_job_is_moved_up_and_others_are_only_places(page: Page, studio: Any) -> None:
    studio.submit(film("the one that runs"))
    secret = studio.submit(film("nobody else may read this"), owner="ada")
    studio.submit(film("the first of mine"))
    studio.submit(film("the last of mine"))
    page.goto("/#text")
    page.locator("[data-queue]").click()
    panel = page.locator("#queue")
    expect(panel.locator("li")).to_have_count(4)
    expect(panel).to_contain_text("Someone else’s")
    assert "nobody else" not in panel.inner_html()
    assert secret.id not in panel.inner_html()
    mine = panel.locator("li:not(.other) .words")
    expect(mine).to_have_text(["the one that runs", "the first of mine", "the last of mine"])
    ups = panel.get_by_role("button", name="Move up")
    expect(ups).to_have_count(1)
    ups.focus()
    page.keyboard.press("Enter")
    expect(mine).to_have_text(["the one that runs", "the last of mine", "the first of mine"])
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("[data-queue]")).to_be_focused()


def test_the_tab_shows_the_job_that_was_moved_up(page: Page, studio: Any) -> None:
    open_tab(page, "video")
    page.locator("#video-seconds input").fill("60")
    for waiting, prompt in enumerate(("the first", "the second", "the third")):
        page.locator("#video-prompt textarea").fill(prompt)
        page.locator("#generate-video").click()
        if waiting:
            expect(page.locator("#bar-video")).to_contain_text(f"{waiting} more waiting")
    first, third = (
        next(one for one in studio.line() if one.words == words) for words in ("the first", "the third")
    )
    studio.move_up(third.job_id, third.owner)
    studio.cancel(first.job_id)
    expect(page.locator("#bar-video")).to_contain_text("1 more waiting")
    expect(page.locator("#bar-video [data-act=cancel]")).to_have_attribute("data-job", third.job_id)


def test_a_job_the_engine_was_lost_with_is_offered_again(page: Page, other: Page, studio: Any) -> None:
    open_tab(page, "video")
    page.locator("#video-prompt textarea").fill("a pine forest in autumn")
    page.locator("#video-seconds input").fill("60")
    page.locator("#generate-video").click()
    expect(page.locator("#bar-video [role=progressbar]")).to_have_attribute("aria-label", "Drawing")
    os.kill(studio.pool.links[0].pid, signal.SIGKILL)
    back = page.locator("#bar-video").get_by_role("button", name="Put back")
    expect(back).to_be_visible(timeout=120_000)
    other.goto("/#library")
    other.locator("[data-queue]").click()
    offered = other.locator("#queue li").filter(has_text="a pine forest in autumn")
    expect(offered.get_by_role("button", name="Let it be")).to_be_visible()
    back.click()
    expect(page.locator("#bar-video [data-act=cancel]")).to_be_visible()
    expect(offered.get_by_role("button", name="Put back")).to_have_count(0)
