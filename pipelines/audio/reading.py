"""A text as a person would read it aloud: without the marks of Markdown, web pages and subtitles, addresses by their host.

What is left out is told. Plain prose comes back as it was. How numbers and abbreviations are said is in `speech.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipelines.words.texts import has_words

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

TIME = r"(?:\d+:)?\d{1,2}:\d{2}[.,]\d{3}"
TIMECODE = re.compile(rf"^[ \t]*{TIME}[ \t]*-->[ \t]*{TIME}.*$", re.MULTILINE)
NOT_SPOKEN_IN_VTT = ("WEBVTT", "NOTE", "STYLE", "REGION")
ADDRESS = re.compile(r"(?:https?://|ftp://|\bwww\.)[^\s<>\"'()\[\]{}]+", re.IGNORECASE)
HIDDEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
BREAKING = (
    "address article aside blockquote body br caption dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 head"
    " header hr html li main nav ol p pre section table tbody td tfoot th thead title tr ul"
)
QUIET = (
    "a abbr audio b bdi bdo big button canvas center cite code col colgroup data del details dfn em embed font i iframe img input"
    " ins kbd label legend link map mark meta meter noscript object option output picture q rp rt ruby s samp select small source"
    " span strike strong sub summary sup svg template textarea time tt u var video wbr"
)
TAG = re.compile(rf"</?({'|'.join((BREAKING + ' ' + QUIET).split())})(?:\s[^<>]*)?/?>", re.IGNORECASE)
PLACEHOLDER = re.compile(r"<(/?\w[\w -]{0,40})>")  # "Dear <name>": the word is meant to be said
FOOTNOTE = re.compile(r"\[\^[^\]\s]{1,20}\]:?")
BOX = re.compile(r"^\[[ xX]\] ")
CELL = "\x1f"  # between the cells of a table, until it is known which is the last
ENDS = ".!?…:;,。！？"


@dataclass(frozen=True)
class Reading:
    """What is spoken, and sentences about what is not."""

    text: str
    notes: tuple[str, ...] = ()

    @property
    def has_words(self) -> bool:
        return has_words(self.text)


def read_out(text: str) -> Reading:
    """The text as it is spoken."""
    given = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    left: Counter[str] = Counter()
    told = (
        _spoken_captions(given, left)
        if TIMECODE.search(given)
        else _spoken_markdown(_without_tags(given, left), left)
    )
    told = _short_addresses(told, left)
    if told.split() == text.split():
        return Reading(text)
    return Reading(told.strip(), _notes(left))


# ---- subtitles --------------------------------------------------------------------------------------------------------


def _spoken_captions(text: str, left: Counter[str]) -> str:
    """The words of SRT or VTT captions; a caption that ends no sentence goes on in the next."""
    told = ""
    for block in re.split(r"\n[ \t]*\n", text):
        lines = block.strip().split("\n")
        times = [index for index, line in enumerate(lines) if TIMECODE.match(line)]
        if times:
            left["time code"] += len(times)
            lines = lines[times[0] + 1 :]  # what stands before is the number or the name of the caption
        elif lines[0].startswith(NOT_SPOKEN_IN_VTT):
            continue
        # two captions without a blank line between them: the second one's number and times
        lines = [line for index, line in enumerate(lines) if not _is_head(lines, index)]
        words = " ".join(
            re.sub(r"<[^<>]*>|\{\\[^{}]*\}", "", line).strip().removeprefix("- ") for line in lines
        )
        if words.strip():
            told += words.strip() + ("\n" if words.strip()[-1] in ENDS else " ")
    return told


def _is_head(lines: Sequence[str], index: int) -> bool:
    """Whether this line is a caption's times, or the number right before them."""
    before_times = index + 1 < len(lines) and TIMECODE.match(lines[index + 1]) is not None
    return TIMECODE.match(lines[index]) is not None or (before_times and lines[index].strip().isdigit())


# ---- web pages and Markdown -------------------------------------------------------------------------------------------


def _without_tags(text: str, left: Counter[str]) -> str:
    """Without the tags HTML has; a word in angle brackets that is no tag of it stays, for it is meant to be said."""

    def silence(found: re.Match[str]) -> str:
        left["tag"] += 1
        return "\n" if found[1].lower() in BREAKING.split() else ""

    fences = re.split(r"(^```.*?(?:^```|\Z))", text, flags=re.DOTALL | re.MULTILINE)
    for index in range(0, len(fences), 2):  # what stands in a fence is code, and is left out as that
        shown, hidden = HIDDEN.subn("", fences[index])
        left["tag"] += hidden
        fences[index] = TAG.sub(silence, shown)
    return "".join(fences)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # an indented line is prose: in a letter or a poem it is no code
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable(["code"])


def _spoken_markdown(text: str, left: Counter[str]) -> str:
    """The words of Markdown, block by block; code in fences is left out."""
    text = re.sub(r"(?<=\d)\*(?=\d)", r"\*", text)  # 2*3*4 is a sum, and no 3 in italics
    found: dict[str, object] = {}
    told = "".join(_said(token, left) for token in _parser().parse(text, found))
    references = found.get("references")
    left["address"] += len(references) if isinstance(references, dict) else 0
    told = re.sub(f"{CELL}(?=\n)", ".", told).replace(CELL, ", ")
    return re.sub(r"\n{3,}", "\n\n", FOOTNOTE.sub("", told))


def _said(token: Token, left: Counter[str]) -> str:
    match token.type:
        case "inline":
            return BOX.sub("", "".join(_inline(token.children or [])))
        case "fence":
            left["code block"] += 1
            left["line"] += token.content.count("\n")
            return "\n\n"
        case "list_item_open" if token.info:  # "1986." at the start of a line may be a year
            return f"{token.info}{token.markup} "
        case "td_close" | "th_close":
            return CELL
        case "tr_close":
            return "\n\n"
    # a hidden paragraph is the text of a tight list
    return "\n\n" if token.nesting == -1 or token.type == "hr" else ""


def _inline(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "image":
            yield "".join(_inline(token.children or []))
        elif token.type in ("softbreak", "hardbreak"):
            yield "\n"
        elif token.type in ("text", "code_inline"):
            yield PLACEHOLDER.sub(r"\1", token.content)


# ---- addresses --------------------------------------------------------------------------------------------------------


def _short_addresses(text: str, left: Counter[str]) -> str:
    """Web addresses as people say them: the host."""

    def host(found: re.Match[str]) -> str:
        address = found[0].rstrip(".,;:!?…")
        try:
            name = urlsplit(address if "://" in address else f"//{address}").hostname or ""
        except ValueError:
            name = ""
        if not name:
            return found[0]
        left["address"] += 1
        return name.removeprefix("www.") + found[0][len(address) :]

    return ADDRESS.sub(host, text)


def _notes(left: Counter[str]) -> tuple[str, ...]:
    counted = [_count(left[name], name) for name in ("time code", "tag") if left[name]]
    if left["code block"]:
        code = f"{_count(left['code block'], 'code block')} ({_count(left['line'], 'line')})"
        counted.insert(0, code)
    notes = [f"Not spoken: {', '.join(counted)}."] if counted else []
    if left["address"]:
        many = left["address"] > 1
        notes.append(f"{_count(left['address'], 'address')} {'are' if many else 'is'} spoken by host alone.")
    return tuple(notes)


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 'es' if name.endswith('s') else 's'}"
