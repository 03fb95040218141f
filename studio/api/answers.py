"""What goes out: JSON and headers that can always be written, whatever a stored text holds."""

from __future__ import annotations

import json
import math
from urllib.parse import quote

from fastapi.responses import JSONResponse


class Json(JSONResponse):
    """JSON in UTF-8. Half a character in an old row or in a stranger's file becomes a question mark, a NaN becomes null."""

    def render(self, content: object) -> bytes:
        return as_json(content).encode()


def as_json(content: object) -> str:
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:  # a number that is none
        text = json.dumps(_finite(content), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()


def header_text(words: str) -> str:
    """Words as a header may carry them: ASCII as it stands, all else (and the percent sign) percent-encoded UTF-8."""
    return quote(words, safe=" !#$&'()*+,/:;=?@[]~", errors="replace")


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value
