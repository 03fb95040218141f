"""A connection that says nothing is closed: uvicorn's own protocol, with a clock on the head of each request.

uvicorn times only the pause between two requests. A body is timed by `studio/api/door.py`.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from studio.api.limits import HEADER_SECONDS

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState


class TimedConnection(H11Protocol):
    """header_seconds: from the connection, or the first byte of a later request, until the request's head is whole.

    So long, too, may the rest of a body take that was answered without being read.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        header_seconds: float = HEADER_SECONDS,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._header_seconds = header_seconds
        self._clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        is_answered = self.cycle is not None and self.cycle.response_complete  # and the body still comes
        if (self.conn.their_state is h11.IDLE or is_answered) and not self.transport.is_closing():
            self._start()
        else:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _start(self) -> None:
        if self._clock is None:
            self._clock = self.loop.call_later(self._header_seconds, self.transport.abort)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


def timed(header_seconds: float) -> type[asyncio.Protocol]:
    """The protocol with other patience, as `uvicorn.Config(http=…)` takes it: it asks for a class, and only ever calls it."""
    return cast("type[asyncio.Protocol]", partial(TimedConnection, header_seconds=header_seconds))
