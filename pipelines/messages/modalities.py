"""The modalities: one record of each. Tables, tabs, filters, refusals and the page's script take their words from here.

Imports nothing of ours, so that whoever wants the words alone loads nothing else. A new modality is a word and a record here,
its requests in `requests/`, a pipeline with its row in the worker's registry, and a pane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Modality = Literal["text", "code", "image", "audio", "video"]


@dataclass(frozen=True)
class Kind:
    """All that is the same wherever a modality is named.

    title: on its tab and in lists. thing: what one of it is called in a sentence. icon: paths of a 24 × 24 line drawing.
    pane: the module of its tab in `studio/page`. accept: the files a dialog offers for it, as HTML writes them.
    shows_itself: its thumbnail is the thing made small, otherwise a drawing. is_written: words, which can be searched.
    """

    title: str
    thing: str
    icon: str
    pane: str
    accept: str
    shows_itself: bool = False
    is_written: bool = False


KINDS: Mapping[str, Kind] = {
    "text": Kind(
        "Text", "a text", '<path d="M5 6h14M5 11h14M5 16h9"/>', "text", "text/*,.txt,.md", is_written=True
    ),
    "code": Kind(
        "Code", "code", '<path d="m8.500 7-5 5 5 5M15.500 7l5 5-5 5"/>', "code", "text/*", is_written=True
    ),
    "image": Kind(
        "Image",
        "a picture",
        '<rect x="3.500" y="4.500" width="17" height="15" rx="2.500"/><path d="m4 16 4.500-4.500 4 4 2.500-2.500 5 5"/>'
        '<circle cx="15.500" cy="9" r="1.200"/>',
        "image",
        "image/*,.heic,.heif,.avif,.tif,.tiff",
        shows_itself=True,
    ),
    "audio": Kind(
        "Audio", "a sound", '<path d="M4 10v4M8 7v10M12 4v16M16 8v8M20 10.500v3"/>', "audio", "audio/*"
    ),
    "video": Kind(
        "Video",
        "a film",
        '<rect x="3.500" y="5" width="17" height="14" rx="2.500"/><path d="m10.500 9 4.500 3-4.500 3z"/>',
        "video",
        "video/*",
        shows_itself=True,
    ),
}
"""In the order people see them."""
MODALITIES: tuple[Modality, ...] = get_args(Modality)
