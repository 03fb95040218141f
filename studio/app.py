"""The page and the API as one FastAPI application: Gradio mounted at /, the API's routes beside it.

Gradio is imported inside `create_app`, because that takes seconds and the Studio should have started its worker by then.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

    from studio.page.waiting import Page
    from studio.studio import Studio

THEME = Path(__file__).resolve().parents[1] / "assets" / "theme"

MOST_SESSIONS = 250
"""Browser tabs whose state is remembered: Gradio keeps 0.4 MB for each, up to 10,000. The longest unused begin anew."""


def create_app(studio: Studio) -> FastAPI:
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


def build_page(studio: Studio) -> Page:
    """The Gradio page: masthead and one pane per tab."""
    from importlib import import_module

    import gradio as gr

    from studio import accounts, templates
    from studio.page import theme
    from studio.page.tabs import TABS
    from studio.page.waiting import Page

    page = Page(title=theme.TITLE, analytics_enabled=False, fill_width=True)
    with page:
        gr.HTML(
            templates.Macros("masthead.html").masthead(TABS, accounts.is_required(studio.settings)),
            apply_default_css=False,
            js_on_load=None,
            elem_classes=["masthead"],
        )
        for tab in TABS:
            import_module(f"studio.page.{tab.module}").build(studio)
    page.state_session_capacity = MOST_SESSIONS
    return page
