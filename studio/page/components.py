"""A control as a Gradio component: which one, and how wide."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import gradio as gr

from studio.page.asset_field import asset_field
from studio.page.controls import Widget

if TYPE_CHECKING:
    from gradio.components import Component

WIDE_LIST = 320  # for lists of names, a line of their own
NARROW = 140  # pixels a small control needs; two stand side by side on a phone


def component(widget: Widget, **options: object) -> Component:
    """The component of such a control; options: what Gradio's class takes, and stronger than what is usual here."""
    return _MADE[widget](**options)


def _line(**options: object) -> Component:
    """A line of text; with choices, one that can be picked or typed."""
    if "choices" not in options:
        return gr.Textbox(**options)
    return _pick(allow_custom_value=True, **({"min_width": WIDE_LIST} | options))


def _pick(**options: object) -> Component:
    return gr.Dropdown(**({"elem_classes": ["pick"], "min_width": NARROW} | options))


def _lines(**options: object) -> Component:
    return gr.Textbox(**({"lines": 2, "max_lines": 12, "min_width": 320} | options))


def _texts(**options: object) -> Component:
    return gr.Textbox(**({"lines": 2, "placeholder": "One per line", "min_width": 320} | options))


def _code(**options: object) -> Component:
    return gr.Code(**({"lines": 6, "max_lines": 16, "elem_classes": ["code-field"]} | options))


def _number(**options: object) -> Component:
    return gr.Number(**({"min_width": NARROW} | options))


def _slider(**options: object) -> Component:
    return gr.Slider(**({"min_width": NARROW} | options))


def _check(**options: object) -> Component:
    return gr.Checkbox(**({"min_width": NARROW} | options))


_MADE: dict[Widget, Callable[..., Component]] = {
    "model": _pick,
    "choice": _pick,
    "line": _line,
    "lines": _lines,
    "texts": _texts,
    "code": _code,
    "number": _number,
    "slider": _slider,
    "check": _check,
    "asset": asset_field,
}
