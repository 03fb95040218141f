"""Serve the page and the API: start the worker, then import Gradio while the worker imports torch, then listen.

The public link is Gradio's own tunnel; where it cannot be made, local serving goes on.
"""

from __future__ import annotations

import gc
import logging
import os
import secrets
import signal
import socket
import threading
import webbrowser
from typing import TYPE_CHECKING

from pipelines.errors import StudioError
from studio.folder import private
from studio.settings import Settings

if TYPE_CHECKING:
    import uvicorn

log = logging.getLogger(__name__)

RARELY = (20_000, 10, 1000)
"""When Python looks for circles of garbage during the start: what is imported and built stays, and looking again and again took
a tenth of the time."""


def main(settings: Settings) -> int:
    """Serve until stopped. Raises StudioError when the port is taken."""
    usual = gc.get_threshold()
    gc.set_threshold(*RARELY)
    private.from_now_on()
    os.environ.update(settings.environment())
    listener = bind(settings)
    from studio.folder.scratch import Scratch
    from studio.studio import Studio

    signal.signal(signal.SIGTERM, _stop)  # uvicorn hands it on once the connections are closed
    studio, scratch = Studio(settings), Scratch(settings.data_dir)
    try:
        scratch.enter()
        studio.start()
        private.mend(settings.data_dir)
        import uvicorn

        from studio.api.connection import TimedConnection
        from studio.app import create_app

        app = create_app(studio)
        gc.freeze()  # from here on only what comes later is looked through
        gc.set_threshold(*usual)
        config = uvicorn.Config(
            app,
            http=TimedConnection,
            log_level="warning",
            ssl_keyfile=settings.tls_keyfile,
            ssl_certfile=settings.tls_certfile,
            root_path=settings.root_path,
            timeout_graceful_shutdown=3,
        )
        server = uvicorn.Server(config)
        threading.Thread(target=announce, args=(settings, server), daemon=True).start()
        server.run(sockets=[listener])
    finally:
        studio.close()
        scratch.leave()
        listener.close()
    return 0


def _stop(signum: int, frame: object) -> None:
    raise SystemExit(0)


def bind(settings: Settings) -> socket.socket:
    """A listening socket, made before anything slow, so that a taken port is told at once."""
    host = settings.bind_host
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, settings.port))
        listener.listen()  # a browser that comes early waits instead of being refused
    except OSError as error:
        listener.close()
        raise StudioError(
            f"Port {settings.port} on {host} cannot be used.",
            detail=str(error),
            hint=f"Another studio may be running there. Stop it, or start with --port {settings.port + 1}.",
        ) from None
    return listener


def announce(settings: Settings, server: uvicorn.Server) -> None:
    """Print where the page is once it answers, open it when asked, and make the public link."""
    from studio import accounts

    while not server.started:
        if server.should_exit:
            return
        threading.Event().wait(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    scheme = "https" if settings.tls_certfile else "http"
    address = f"{scheme}://{'127.0.0.1' if settings.bind_host == '0.0.0.0' else settings.bind_host}:{port}{settings.root_path}"
    print(f"\nAtelier is at {address}", flush=True)
    for line in accounts.announcement(settings):
        print(line, flush=True)
    if settings.share:
        print(share_link(port), flush=True)
    if settings.autolaunch:
        webbrowser.open(address)


def share_link(port: int) -> str:
    """One line about the public link: its address, or why there is none."""
    try:
        from gradio.networking import setup_tunnel

        address = setup_tunnel("127.0.0.1", port, secrets.token_urlsafe(32), None, None)
        return f"Public link, for up to a week: {address}"
    except Exception as error:  # the tunnel raises what its many parts raise; local serving must go on
        log.info("no public link", exc_info=True)
        return (
            f"The public link could not be made ({type(error).__name__}: {error}). The studio goes on at the local address.\n"
            "Check that this machine reaches the internet, or use --listen inside your own network."
        )
