"""Refusals: why something was not sent, in words that stay until the person changes something or sends again.

Near the button stands what is wrong with everything; `assets/theme/desk.js` sets each field's own sentence beside the field and
takes both away again. Gradio's validators are not used: they forget their words when anything else asks for the same field.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping

from markupsafe import Markup

from pipelines.errors import InvalidRequest, StudioError
from studio.page import pieces
from studio.page.faults import FieldErrors
from studio.page.forms import Form
from studio.templates import Macros

ANSWERS = Macros("answers.html")


def refused(form: Form, error: FieldErrors | StudioError) -> Markup:
    """What is wrong, for the place near the button, and field by field for those who are to blame."""
    if isinstance(error, FieldErrors):
        ordered = [name for name in form.names if name in error.messages]
        fields = {name: error.messages[name] for name in ordered} or error.messages
        lines = [f"{form.title_of(name)}: {text}" for name, text in fields.items()]
        return _answer(ANSWERS.lines(lines), form.task, fields)
    field = error.field if isinstance(error, InvalidRequest) else None
    fields = {field: error.message} if field in form.components else {}
    return _answer(pieces.problem(error.problem()), form.task, fields)


def accepted() -> Markup:
    """Nothing to read; tells the page that what was sent has arrived."""
    return _answer(Markup(), "", {})


def _answer(words: Markup, task: str, fields: Mapping[str, str]) -> Markup:
    # numbered, because the page hears only of values that differ from the one before
    blamed = {f"{task}-{name.replace('_', '-')}": text for name, text in fields.items()}
    return ANSWERS.answer(words, secrets.token_hex(4), json.dumps(blamed, ensure_ascii=False))
