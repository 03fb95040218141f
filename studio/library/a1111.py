"""The text AUTOMATIC1111 made customary: prompt, `Negative prompt:`, and `Key: value` pairs; and marks people write in prompts.

Everything here is one pass over the text: a line without a colon, however long, is looked at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from studio.library.asset import Json

MOST_PAIRS = 400
MOST_SETTINGS = 200_000  # characters from the first pair to the end
MOST_MARKED = 100_000  # characters of a prompt in which marks are looked for; a request takes 20,000
MOST_TOLD = 12

# Words that settings are written with: three pairs of a prompt ("a sign: open, a door: red") are none without them.
KNOWN = {
    "steps", "sampler", "schedule type", "cfg scale", "seed", "size", "model", "model hash", "version", "denoising strength",
    "clip skip", "vae", "lora hashes", "hires upscale", "ensd", "rng", "distilled cfg scale",
}  # fmt: skip
_KEY = re.compile(r"\w[\w \-/]{1,60}")
_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TAG = re.compile(r"<(lora|lyco|hypernet|ti):([^<>:]{1,200})((?::[^<>:]{0,100}){0,3})>", re.IGNORECASE)
_WEIGHT = re.compile(r"(?<!\\)\(([^()\[\]:\\]{1,300}):\s?(-?\d{1,3}(?:\.\d{1,4})?)\)")
_DEPTH = 4  # weights inside weights


def is_settings(text: str) -> bool:
    """Whether the text ends in settings, and is not a prompt alone."""
    return bool(_split(text)[1])


def read_text(text: str) -> Json:
    """Prompt, negative prompt and every pair, under the names found; sizes as width and height."""
    words, values = _split(text)
    lines = words.split("\n")
    marked = next(
        (i for i, line in enumerate(lines) if line.lstrip().startswith("Negative prompt:")), len(lines)
    )
    negative = "\n".join(lines[marked:]).lstrip().removeprefix("Negative prompt:")
    if match := re.fullmatch(r"(\d{1,6})\s*x\s*(\d{1,6})", str(values.get("Size", "")).strip()):
        del values["Size"]
        values |= {"width": match[1], "height": match[2]}
    return values | {"prompt": _trimmed(lines[:marked]), "negative prompt": _trimmed(negative.split("\n"))}


def plain_prompt(prompt: str) -> tuple[str, list[str]]:
    """The prompt in words alone, and a phrase for every mark that means nothing here: LoRA tags, weights."""
    told: list[str] = []

    def tag(match: re.Match[str]) -> str:
        weight = match[3].removeprefix(":").split(":")[0]
        kind = (
            "embedding"
            if match[1].lower() == "ti"
            else "hypernetwork"
            if match[1].lower() == "hypernet"
            else "LoRA"
        )
        told.append(f"the {kind} {match[2]}" + (f" at {weight}" if weight else ""))
        return ""

    def weight(match: re.Match[str]) -> str:
        told.append(f"the weight {match[2]} of “{match[1].strip()[:60]}”")
        return match[1]

    if len(prompt) > MOST_MARKED:
        return prompt, []
    words = "\n".join(_without(line, tag) for line in prompt.split("\n")).strip()
    for _ in range(_DEPTH):
        words, count = _WEIGHT.subn(weight, words)
        if not count:
            break
    told = list(dict.fromkeys(told))
    if len(told) > MOST_TOLD:
        told = [*told[: MOST_TOLD - 1], f"{len(told) - MOST_TOLD + 1} more marks of that kind"]
    return re.sub(r"\\([()])", r"\1", words), told


def _without(line: str, tag: Callable[[re.Match[str]], str]) -> str:
    """A line of the prompt without its tags, and without the commas they leave behind."""
    bare = _TAG.sub(tag, line)
    return bare if bare == line else ", ".join(part for part in map(str.strip, bare.split(",")) if part)


def _split(text: str) -> tuple[str, Json]:
    """(what comes before the settings, the settings); no settings where too few of its words are known."""
    text = text.strip()
    for start in dict.fromkeys(_starts(text)):
        if len(text) - start > MOST_SETTINGS:
            continue
        values = dict(_pairs(text[start:]))
        if len(values) >= 3 and len({key.lower() for key in values} & KNOWN) >= 2:
            return text[:start], values
    return text, {}


def _starts(text: str) -> Iterator[int]:
    """Where the settings may begin: the last line that starts with `Steps:`, or the last line, as far up as a quote is open."""
    at = text.rfind("\nSteps:")
    yield at + 1 if at >= 0 or text.startswith("Steps:") else text.rfind("\n") + 1
    start, quotes = len(text) + 1, 0
    while start > 0:
        end, start = start - 1, text.rfind("\n", 0, max(0, start - 1)) + 1
        quotes += text.count('"', start, end) - text.count('\\"', start, end)
        if quotes % 2 == 0:
            break
    yield start


def _pairs(text: str) -> Iterator[tuple[str, object]]:
    """`Key: value` after `Key: value`, separated by commas; a value may be quoted, or JSON."""
    at, colon, count = 0, -1, 0
    while at < len(text) and count < MOST_PAIRS:
        if colon < at and (colon := text.find(":", at)) < 0:
            return
        comma = text.find(",", at)
        if 0 <= comma < colon:  # words without a colon
            at = text.rfind(",", at, colon) + 1
        key = text[at:colon].strip()
        if _KEY.fullmatch(key):
            value, at = _value(text, colon + 1)
            count += 1
            yield key, value
        else:
            at = text.find(",", colon) + 1 or len(text)


def _value(text: str, at: int) -> tuple[object, int]:
    """The value that begins there, and where the next pair does."""
    while at < len(text) and text[at] in " \t":
        at += 1
    if match := _QUOTED.match(text, at):
        end = match.end()
        if text[end : end + 40].lstrip()[:1] in ("", ","):
            return _unquoted(match[0]), text.find(",", end) + 1 or len(text)
    if text[at : at + 1] in ("[", "{"):
        try:
            found, end = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            pass
        else:
            return found, text.find(",", end) + 1 or len(text)
    end = text.find(",", at)
    end = len(text) if end < 0 else end
    return text[at:end].strip(), end + 1


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text, strict=False))  # a line break inside is a line break
    except ValueError:
        return text.strip('"')


def _trimmed(lines: list[str]) -> str:
    return "\n".join(line.strip() for line in lines).strip()
