"""What tabs share: the bridge that the page's script speaks through, and the pace at which a page is drawn."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import gradio as gr

from studio.page import frame
from studio.page.watching import paced


def test_the_bridge_hears_what_is_declared_and_nothing_else() -> None:
    """Gradio gives a gr.HTML the events whose quoted names stand in its script: that is made from the declaration."""
    with gr.Blocks(analytics_enabled=False):
        bridge = frame.bridge("image")
        for event in frame.ASKS:
            assert callable(getattr(bridge, event))
        assert not hasattr(bridge, "undeclared")


def test_every_event_a_tab_listens_to_is_declared() -> None:
    page = Path(frame.__file__).parent
    heard = {name for file in page.glob("*.py") for name in re.findall(r"\bbridge\.(\w+)", file.read_text())}
    assert heard == set(frame.ASKS)


def test_a_fast_stream_is_told_now_and_then_and_its_last_word_always() -> None:
    async def many() -> AsyncIterator[int]:
        for number in range(1000):
            yield number

    async def told() -> list[int]:
        return [number async for number in paced(many(), seconds=0.01)]

    heard = asyncio.run(told())
    assert heard[-1] == 999
    assert len(heard) < 1000
