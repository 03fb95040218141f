"""The tabs of the page, in the order of the navigation: one for every modality, then the library and the models."""

from __future__ import annotations

from typing import NamedTuple

from pipelines.messages import KINDS


class Tab(NamedTuple):
    """One entry of the navigation. module: in `studio/page`, with `build(studio)`; `icons.html` draws it by that name too."""

    module: str
    title: str


TABS = (
    *(Tab(kind.pane, kind.title) for kind in KINDS.values()),
    Tab("library", "Library"),
    Tab("models", "Models"),
)
