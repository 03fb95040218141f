"""Signing in as a person does it: the form in a real browser, then the page itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from studio import accounts
from studio.settings import Settings
from studio.studio import Studio
from tests.api.conftest import served
from tests.e2e.conftest import policy_violations

pytestmark = pytest.mark.browser


@contextmanager
def opened(
    browser: Any, data_dir: Path, *, may_break_rules: bool = False, **settings: Any
) -> Iterator[tuple[Page, Settings]]:
    """A fresh profile at a studio with these settings. No worker: who may come in does not depend on one.

    Fails when the browser refuses something because of our own policy.
    """
    from studio.app import create_app

    given = Settings(data_dir=data_dir, device="cpu", **settings)
    studio = Studio(given, warm_up=False)
    with served(create_app(studio)) as address:
        context = browser.new_context(viewport={"width": 1366, "height": 768}, base_url=address)
        context.set_default_timeout(60_000)
        page = context.new_page()
        refused = policy_violations(page)
        yield page, given
        context.close()
    studio.close()
    assert refused == [] or may_break_rules


def sign_in(page: Page, name: str, password: str) -> None:
    page.goto("/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_the_printed_login_opens_the_page(browser: Any, tmp_path: Path) -> None:
    with opened(browser, tmp_path, listen=True) as (page, settings):
        (name, password), *_ = accounts.logins(settings).items()
        sign_in(page, name, password)
        expect(page.locator("#generate-image")).to_be_visible()


@pytest.mark.parametrize("name", ["Käthe Groß", "a b"])
def test_a_name_may_hold_umlauts_and_blanks(browser: Any, tmp_path: Path, name: str) -> None:
    with opened(browser, tmp_path, auth=f"{name}:geheim für alle") as (page, _):
        sign_in(page, name, "geheim für alle")
        expect(page.locator("#generate-image")).to_be_visible()


def test_wrong_then_right_then_out(browser: Any, tmp_path: Path) -> None:
    """The session is over on the server: the way back leads to the sign-in page."""
    with opened(browser, tmp_path, auth="ada:lovelace1815") as (page, _):
        sign_in(page, "ada", "babbage")
        expect(page.get_by_role("alert")).to_have_text("That name and password do not match. Try again.")
        expect(page.get_by_label("Name")).to_have_value("ada")
        page.get_by_label("Password").fill("lovelace1815")
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#generate-image")).to_be_visible()
        page.get_by_role("link", name="Account").click()
        expect(page.get_by_text("You are ada, the administrator, logged in with 1 browser.")).to_be_visible()
        page.get_by_role("button", name="Log out", exact=True).click()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        page.go_back()
        page.reload()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_a_key_is_made_shown_once_and_revoked_on_the_account_page(browser: Any, tmp_path: Path) -> None:
    with opened(browser, tmp_path, auth="ada:lovelace1815") as (page, _):
        page.goto("/account")
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill("lovelace1815")
        page.get_by_role("button", name="Log in").click()
        page.get_by_label("Name of the program").fill("Käthes <b>Laptop</b>")
        page.get_by_role("button", name="Make a key").click()
        key = page.get_by_label("The new key").input_value()
        bearer = {"Authorization": f"Bearer {key}"}
        program = page.context.browser.new_context(base_url=page.url, extra_http_headers=bearer)
        assert program.request.get("/api/account").json()["by"] == "key"
        page.goto("/account")
        expect(page.get_by_label("The new key")).to_have_count(0)
        expect(page.get_by_text(f"sk-…{key[-4:]}")).to_be_visible()
        page.get_by_role("button", name="Revoke Käthes <b>Laptop</b>").click()
        expect(page.get_by_role("status")).to_contain_text("opens nothing any more")
        assert program.request.get("/api/account").status == 401
        program.close()


def test_smuggled_markup_runs_no_script(browser: Any, tmp_path: Path) -> None:
    """Even if some text of a stranger became markup of the page one day."""
    with opened(browser, tmp_path, may_break_rules=True) as (page, _):
        page.goto("/")
        expect(page.locator("#generate-image")).to_be_visible()
        page.evaluate(
            """() => {
                document.body.insertAdjacentHTML('beforeend', '<img src="theme/nothing.png" onerror="window.ran = 1">');
                const script = document.createElement('script');
                script.textContent = 'window.ran = 2';
                document.body.append(script);
            }"""
        )
        page.wait_for_function("() => [...document.images].at(-1).complete")
        assert page.evaluate("() => window.ran ?? 'nothing ran'") == "nothing ran"


def test_the_page_cannot_be_framed_or_reach_elsewhere(browser: Any, tmp_path: Path) -> None:
    with opened(browser, tmp_path) as (page, _):
        policy = page.goto("/").headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "connect-src 'self'" in policy
        assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
