"""The page and the API as one FastAPI application: Gradio mounted at /, the API's routes beside it.

Gradio is imported inside `create_app`, because that takes seconds and the Studio should have started its worker by then.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fastapi import FastAPI

THEME = Path(__file__).resolve().parents[1] / "assets" / "theme"

MOST_SESSIONS = 250
"""Browser tabs whose small state is remembered: Gradio keeps 0.4 MB for each, and would keep 10,000. The longest unused begin anew."""


class Tab(NamedTuple):
    """One entry of the navigation. module: in `studio/page`, with `build(studio)`. icon: paths of a 24 × 24 line drawing."""

    module: str
    title: str
    icon: str


TABS = (
    Tab("text", "Text", '<path d="M5 6h14M5 11h14M5 16h9"/>'),
    Tab("code", "Code", '<path d="m8.500 7-5 5 5 5M15.500 7l5 5-5 5"/>'),
    Tab("image", "Image", '<rect x="3.500" y="4.500" width="17" height="15" rx="2.500"/><path d="m4 16 4.500-4.500 4 4 2.500-2.500 5 5"/><circle cx="15.500" cy="9" r="1.200"/>'),
    Tab("audio", "Audio", '<path d="M4 10v4M8 7v10M12 4v16M16 8v8M20 10.500v3"/>'),
    Tab("video", "Video", '<rect x="3.500" y="5" width="17" height="14" rx="2.500"/><path d="m10.500 9 4.500 3-4.500 3z"/>'),
    Tab("library", "Library", '<rect x="4" y="4" width="6.500" height="6.500" rx="1.500"/><rect x="13.500" y="4" width="6.500" height="6.500" rx="1.500"/><rect x="4" y="13.500" width="6.500" height="6.500" rx="1.500"/><rect x="13.500" y="13.500" width="6.500" height="6.500" rx="1.500"/>'),
    Tab("models", "Models", '<path d="m12 3.500 8 4.250-8 4.250-8-4.250zM4 12l8 4.250L20 12M4 16.250l8 4.250 8-4.250"/>'),
)  # fmt: skip


def create_app(studio: Any) -> FastAPI:
    """The application that serves this Studio. The page answers while the worker is still starting."""
    from studio.page import stubs

    stubs.not_written()  # before Gradio is imported
    import gradio as gr
    from fastapi import FastAPI
    from fastapi.staticfiles import StaticFiles

    from studio import accounts, api
    from studio.accounts.guard import close_page
    from studio.api.limits import UPLOAD_BYTES
    from studio.page import routes, theme

    app = FastAPI(title=theme.TITLE, docs_url=None, redoc_url=None)
    api.install(app, studio)
    app.include_router(routes.router(studio))
    accounts.install(app, studio.settings, studio.engine)
    app.mount("/theme", StaticFiles(directory=THEME), name="theme")
    api.enclose(app)
    gr.mount_gradio_app(
        app,
        build_page(studio),
        path="/",
        theme=theme.theme(),
        head=theme.head(),
        auth_dependency=accounts.gradio_auth(studio.settings),
        root_path=studio.settings.root_path or None,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        show_error=True,
        max_file_size=UPLOAD_BYTES,
    )
    close_page(app, theme.scripts())
    return app


def build_page(studio: Any) -> Any:
    """The Gradio page: masthead and one pane per tab."""
    from importlib import import_module

    import gradio as gr

    from studio import accounts
    from studio.page import theme
    from studio.page.waiting import Page

    with Page(title=theme.TITLE, analytics_enabled=False, fill_width=True) as page:
        gr.HTML(
            masthead(accounts.is_required(studio.settings)),
            apply_default_css=False,
            js_on_load=None,
            elem_classes=["masthead"],
        )
        for tab in TABS:
            import_module(f"studio.page.{tab.module}").build(studio)
    page.state_session_capacity = MOST_SESSIONS
    return page


def masthead(with_account: bool = False) -> str:
    """Name, navigation, the engine's state, the way to one's account and the switch between light and dark."""

    def drawn(paths: str, css: str = "") -> str:
        return (
            f'<svg class="{css}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.700"'
            f' stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{paths}</svg>'
        )

    items = "".join(
        f"{'<span class=gap></span>' if tab.module == 'library' else ''}"
        f'<a href="#{tab.module}" data-nav="{tab.module}">{drawn(tab.icon)}<span>{tab.title}</span></a>'
        for tab in TABS
    )
    sun = drawn(
        '<circle cx="12" cy="12" r="4"/><path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.600 5.600 7 7M17 17l1.400 1.400M18.400 5.600 17 7M7 17l-1.400 1.400"/>',
        "sun",
    )
    moon = drawn('<path d="M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z"/>', "moon")
    person = drawn('<circle cx="12" cy="8" r="4"/><path d="M4.500 20c1-4 4-6 7.500-6s6.500 2 7.500 6"/>')
    account = (
        f'<a class="icon-button" href="account" aria-label="Account">{person}</a>' if with_account else ""
    )
    return (
        f'<header class="mast"><a class="brand" href="#image" data-nav="image">Atelier</a><nav aria-label="Tabs">{items}</nav>'
        '<button type="button" class="status" data-queue data-status="starting" aria-expanded="false" aria-controls="queue">'
        "<i></i><span>Starting engine…</span></button>"
        f'{account}<button type="button" class="icon-button" data-toggle-theme aria-label="Switch theme">{sun}{moon}</button></header>'
        '<aside id="queue" class="queue" aria-label="Queue" tabindex="-1" hidden></aside>'
        '<p id="live" class="sr-only" role="status" aria-live="polite"></p>'
    )
