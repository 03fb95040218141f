"""All HTML of ours: Jinja2 templates in this folder, each file a set of macros, and the one way to call them.

Every value is escaped, and a name a template misses is an error. A file is compiled when the first of its macros is called, and
that is kept beside it, as Python keeps what it compiles. Who shows something has a small typed function for it, which finds the
words and hands them to a macro.

    PIECES = Macros("pieces.html")
    PIECES.note("Words of a <person>.")

A line break in a template, with the indent after it, is nothing beside a tag or a value and one space between words or
attributes: what reads well here adds no gap on the page.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from markupsafe import Markup

from pipelines.messages import KINDS

FOLDER = Path(__file__).parent
AT_A_TAG = re.compile(r"(?:(?<=>)|\A)\s*\n\s*|\s*\n\s*(?:(?=<)|\Z)")
BREAK = re.compile(r"\s*\n\s*")


class Joined(Extension):
    """Takes the line breaks out of what stands in a template; values keep theirs."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        for token in stream:
            yield Token(token.lineno, "data", joined(token.value)) if token.type == "data" else token


def joined(text: str) -> str:
    """A piece of a template in one line."""
    return BREAK.sub(" ", AT_A_TAG.sub("", text))


def data(values: Mapping[str, object]) -> dict[str, str]:
    """Values as attributes that atelier.js reads: `some_name` is data-some-name; what is not text travels as JSON."""
    return {
        f"data-{name.replace('_', '-')}": value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


def present(facts: Iterable[str]) -> list[str]:
    """Those that say something."""
    return [fact for fact in facts if fact]


class Compiled(FileSystemBytecodeCache):
    """What templates were compiled to, for the next start: compiling all of them takes a third of a second."""

    def __init__(self, folder: Path) -> None:
        # another Jinja2, or other rules in this file, compile the same template to something else
        made_by = sha256(version("jinja2").encode() + Path(__file__).read_bytes()).hexdigest()[:12]
        super().__init__(str(folder), f"{made_by}-%s.cache")

    def dump_bytecode(self, bucket: Bucket) -> None:
        with contextlib.suppress(OSError):  # an installation that nobody may write to
            Path(self.directory).mkdir(exist_ok=True)
            super().dump_bytecode(bucket)


ENVIRONMENT = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
    extensions=[Joined],
    bytecode_cache=Compiled(FOLDER / "__pycache__"),
)
ENVIRONMENT.filters |= {"data": data, "present": present}
ENVIRONMENT.globals |= {
    "kinds": KINDS,
    "drawings": {name: Markup(kind.icon) for name, kind in KINDS.items()},
}


class Macros:
    """The macros of one file, by name. Each takes what its first line in the file says and returns HTML."""

    def __init__(self, file: str) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Callable[..., Markup]:
        macro: Callable[..., Markup] = getattr(ENVIRONMENT.get_template(self._file).module, name)
        setattr(self, name, macro)  # the next call finds it at once
        return macro
