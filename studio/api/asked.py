"""A request whose JSON is parsed beside the event loop when it is long: four megabytes take up to 40 ms, for everybody."""

from __future__ import annotations

import json

from fastapi import Request
from starlette.concurrency import run_in_threadpool

SHORT_BYTES = 10_000
"""Parsed at once: a thread would take longer."""


class Asked(Request):
    """What a route of ours is asked."""

    async def json(self) -> object:
        """The body as JSON, whatever that holds; raises ValueError."""
        if not hasattr(self, "_json") and len(body := await self.body()) > SHORT_BYTES:
            self._json = await run_in_threadpool(json.loads, body)
        return await super().json()
