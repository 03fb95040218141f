"""Text as it will be spoken: sentences, the words a caption shows, and how an engine should read them out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from pipelines.words.texts import has_words

CLOSERS = "\"'”’»)]}」』）"
ENDS = ".!?…。！？｡"
WRAPPED = 60  # a line this long was probably broken by a mail program, not by its writer

TITLES = {"dr": "doctor", "mr": "mister", "mrs": "missus", "ms": "miz", "prof": "professor", "st": "saint"}
SHORT = {
    "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "vs.": "versus", "approx.": "approximately",
    "a.m.": "a m", "p.m.": "p m", "jan.": "january", "feb.": "february", "aug.": "august", "sept.": "september",
    "oct.": "october", "nov.": "november", "dec.": "december", "inc.": "incorporated", "ltd.": "limited",
    "no.": "number", "fig.": "figure", "vol.": "volume", "jr.": "junior", "sr.": "senior", "u.s.": "u s", "u.k.": "u k",
}  # fmt: skip
COINS = {"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny")}
SCALES = ("hundred", "thousand", "million", "billion", "trillion")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True)
class Sentence:
    """One sentence. words: as written, for captions. spoken: what the engine is told, one text for each word."""

    words: tuple[str, ...]
    spoken: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def spoken_text(self) -> str:
        return " ".join(self.spoken)

    def word_at(self, position: int) -> int:
        """The index of the word that stands at this position of `spoken_text`."""
        end = 0
        for index, text in enumerate(self.spoken):
            end += len(text) + 1
            if position < end:
                return index
        return len(self.spoken) - 1


def sentences(text: str, language: str = "en", *, longest: int = 0) -> list[Sentence]:
    """The sentences of a text, those without anything to say left out.

    language: abbreviations, money and dates are written out in English only. longest: the most characters a sentence may
    have, 0 for no limit; longer ones are parted at commas, then between words.
    """
    found = []
    for block in _blocks(text):
        for words in _split(_words(block)):
            for part in _parted(words, longest) if longest else [words]:
                spoken = _written_out(part, language) if language.startswith("en") else part
                found.append(Sentence(tuple(part), tuple(spoken)))
    return [sentence for sentence in found if has_words(sentence.text)]


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs, and lines that were meant to be lines."""
    clean = "".join(char if _is_text(char) else " " for char in text.replace("\r\n", "\n"))
    clean = re.sub(r"([。！？｡]+[」』”’）]*)", r"\1 ", clean)
    block: list[str] = []
    for line in clean.split("\n"):
        if line.strip():
            block.append(line)
        if block and (not line.strip() or len(line) < WRAPPED):
            yield " ".join(block)
            block = []
    if block:
        yield " ".join(block)


def _is_text(char: str) -> bool:
    return char == "\n" or unicodedata.category(char) not in ("Cc", "Cs")


def _words(block: str) -> list[str]:
    """What stands between spaces; marks standing alone join the word before them, or the one after."""
    words: list[str] = []
    waiting = ""
    for token in block.split():
        if not has_words(token):
            if words:
                words[-1] += " " + token
            else:
                waiting += token + " "
            continue
        words.append(waiting + token)
        waiting = ""
    return words


def _split(words: Sequence[str]) -> Iterator[list[str]]:
    sentence: list[str] = []
    for index, word in enumerate(words):
        sentence.append(word)
        following = words[index + 1] if index + 1 < len(words) else ""
        if not following or _ends_sentence(word, following):
            yield sentence
            sentence = []


def _ends_sentence(word: str, following: str) -> bool:
    core = word.rstrip(CLOSERS + " —–-")
    if not core or core[-1] not in ENDS or following.lstrip("\"'“‘«([")[:1].islower():
        return False
    if core[-1] != "." or core.endswith(".."):
        return True
    bare = core.lstrip("\"'“‘«([").lower()
    is_initial = len(bare) == 2 and bare[0].isalpha() and bare != "i."
    is_title = bare[:-1] in TITLES
    # "at 5 p.m. We left" ends there, "vs. Goliath" does not
    is_short = bare in SHORT and bare not in (
        "a.m.",
        "p.m.",
        "etc.",
        "u.s.",
        "u.k.",
        "inc.",
        "ltd.",
        "jr.",
        "sr.",
        "no.",
    )
    is_number_sign = bare == "no." and following[:1].isdigit()
    return not (is_initial or is_title or is_short or is_number_sign)


def _parted(words: list[str], longest: int) -> Iterator[list[str]]:
    """A long sentence in pieces, each ending at the last comma that fits, or at the last word that does."""
    rest = words
    while len(" ".join(rest)) > longest:
        fits, size = 0, -1
        while fits < len(rest) and size + 1 + len(rest[fits]) <= longest:
            size += 1 + len(rest[fits])
            fits += 1
        fits = max(1, fits)
        comma = next((i + 1 for i in range(fits - 1, fits // 3 - 1, -1) if rest[i][-1] in ",;:—、，；"), fits)
        yield rest[:comma]
        rest = rest[comma:]
    if rest:
        yield rest


# ---- English, written out ---------------------------------------------------------------------------------------------


def _written_out(words: Sequence[str], language: str) -> list[str]:
    spoken = []
    carried = ""  # the currency of "$3.5 million" is said after the million
    for index, word in enumerate(words):
        following = words[index + 1].lower().strip(".,;:!?") if index + 1 < len(words) else ""
        if carried:
            spoken.append(re.sub(r"(\w+)", rf"\1 {carried}", word, count=1))
            carried = ""
            continue
        money = re.fullmatch(r"([(\"'“‘]*)([$€£])(\d[\d,]*(?:\.\d+)?)(\W*)", word)
        if money and following in SCALES:
            carried = COINS[money[2]][0] + "s"
            spoken.append(money[1] + money[3] + money[4])
        elif money:
            spoken.append(money[1] + _money(money[3], *COINS[money[2]]) + money[4])
        else:
            after = words[index + 1] if index + 1 < len(words) else ""
            spoken.append(_date(word, language) or _abbreviation(word, after))
    return spoken


def _money(amount: str, coin: str, small: str) -> str:
    whole, _, part = amount.replace(",", "").partition(".")
    if len(part) not in (0, 2):
        return f"{amount} {coin}s"
    cents = int(part or 0)
    smalls = {"penny": "pence"}.get(small, small + "s")
    said = [f"{int(whole)} {coin if int(whole) == 1 else coin + 's'}"] if int(whole) or not cents else []
    said += [f"{cents} {small if cents == 1 else smalls}"] if cents else []
    return " and ".join(said)


def _date(word: str, language: str) -> str:
    """A date in figures as it is said; "" when it is none. 12/05/2026 is in December in America only."""
    found = re.fullmatch(r"(\W*)(?:(\d{4})-(\d\d)-(\d\d)|(\d\d?)/(\d\d?)/(\d{4}))(\W*)", word)
    if not found:
        return ""
    if found[2]:
        year, month, day = int(found[2]), int(found[3]), int(found[4])
    else:
        first, second, year = int(found[5]), int(found[6]), int(found[7])
        american = language.startswith("en-us") or language == "en"
        month, day = (first, second) if (american and first <= 12) or second > 12 else (second, first)
    try:
        date(year, month, day)
    except ValueError:
        return ""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if not 11 <= day <= 13 else 0, "th")
    return f"{found[1]}{MONTHS[month - 1]} {day}{ending}, {year}{found[8]}"


def _abbreviation(word: str, after: str) -> str:
    """The word behind an abbreviation; its dot kept where it also ends the sentence. after: the word that follows, if any."""
    found = re.fullmatch(r"([(\"'“‘«\[]*)([A-Za-z.]+\.)(\W*)", word)
    if not found:
        return word
    short = found[2].lower()
    said = SHORT.get(short) or TITLES.get(short[:-1])
    if said is None or (short == "no." and not after[:1].isdigit()):
        return word
    if short == "st." and not after[:1].isupper():
        said = "street"
    if found[2][0].isupper() and said.isalpha():
        said = said.capitalize()
    return found[1] + said + ("" if after else ".") + found[3]
