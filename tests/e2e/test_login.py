"""Signing in as a person does it: the form in a real browser, then the page itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from studio import auth
from studio.settings import Settings
from studio.studio import Studio
from tests.api.conftest import served

pytestmark = pytest.mark.browser


@contextmanager
def opened(browser: Any, data_dir: Path, **settings: Any) -> Iterator[tuple[Page, Settings]]:
    """A fresh profile at a studio with these settings. No worker: who may come in does not depend on one."""
    from studio.app import create_app

    given = Settings(data_dir=data_dir, device="cpu", **settings)
    studio = Studio(given, warm_up=False)
    with served(create_app(studio)) as address:
        context = browser.new_context(viewport={"width": 1366, "height": 768}, base_url=address)
        context.set_default_timeout(60_000)
        yield context.new_page(), given
        context.close()
    studio.close()


def sign_in(page: Page, name: str, password: str) -> None:
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_the_printed_login_opens_the_page(browser: Any, tmp_path: Path) -> None:
    with opened(browser, tmp_path, listen=True) as (page, settings):
        (name, password), *_ = auth.logins(settings).items()
        sign_in(page, name, password)
        expect(page.locator("#generate-image")).to_be_visible()


@pytest.mark.parametrize("name", ["Käthe Groß", "a b"])
def test_a_name_may_hold_umlauts_and_blanks(browser: Any, tmp_path: Path, name: str) -> None:
    with opened(browser, tmp_path, auth=f"{name}:geheim für alle") as (page, _):
        sign_in(page, name, "geheim für alle")
        expect(page.locator("#generate-image")).to_be_visible()
