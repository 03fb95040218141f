"""Refusals: why something was not sent, in words that stay until the person changes something or sends again.

Near the button stands what is wrong with everything; `assets/theme/desk.js` sets each field's own sentence beside the field and
takes both away again. Gradio's validators are not used: they forget their words when anything else asks for the same field.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from html import escape

from pipelines.errors import InvalidRequest, StudioError
from studio.page import pieces
from studio.page.faults import FieldErrors
from studio.page.forms import Form


def refused(form: Form, error: FieldErrors | StudioError) -> str:
    """What is wrong, for the place near the button, and field by field for those who are to blame."""
    if isinstance(error, FieldErrors):
        ordered = [name for name in form.names if name in error.messages]
        fields = {name: error.messages[name] for name in ordered} or error.messages
        lines = [f"{form.title_of(name)}: {text}" for name, text in fields.items()]
        words = "".join(f'<p class="what">{escape(line)}</p>' for line in lines)
        return _answer(f'<div class="problem">{words}</div>', form.task, fields)
    field = error.field if isinstance(error, InvalidRequest) else None
    fields = {field: error.message} if field in form.components else {}
    return _answer(pieces.problem(error.problem()), form.task, fields)


def accepted() -> str:
    """Nothing to read; tells the page that what was sent has arrived."""
    return _answer("", "", {})


def _answer(words: str, task: str, fields: Mapping[str, str]) -> str:
    # numbered, because the page hears only of values that differ from the one before
    blamed = {f"{task}-{name.replace('_', '-')}": text for name, text in fields.items()}
    told = escape(json.dumps(blamed, ensure_ascii=False))
    return f'<div class="answer" data-answer="{secrets.token_hex(4)}" data-fields="{told}">{words}</div>'
