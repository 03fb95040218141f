"""The voices of eSpeak NG, read from its data folder: what a form can offer without starting anything.

Imports no torch, and of eSpeak only its place on the disk.
"""

from __future__ import annotations

import difflib
import importlib.util
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

DEFAULT_VOICE = "en-us+max"  # the variant screen readers start with: clear at every speed
SEPARATOR = " – "
# Ways of speaking that suit English, offered before the plain voices of all languages.
CHARACTERS = (
    ("en-us+max", "English (America), Max"),
    ("en-us+Annie", "English (America), Annie"),
    ("en-us+Andy", "English (America), Andy"),
    ("en-us+steph", "English (America), Steph"),
    ("en-gb+Michael", "English (Great Britain), Michael"),
    ("en-gb+Alicia", "English (Great Britain), Alicia"),
    ("en-gb+f3", "English (Great Britain), female"),
    ("en-us+whisper", "English (America), whispering"),
)
# Names that OpenAI's clients send.
ALIASES = {
    "alloy": "en-us+max",
    "ash": "en-us+m3",
    "ballad": "en-gb+Michael",
    "coral": "en-us+f4",
    "echo": "en-us+m2",
    "fable": "en-gb+m7",
    "nova": "en-us+Annie",
    "onyx": "en-us+m6",
    "sage": "en-us+Alicia",
    "shimmer": "en-us+f2",
    "verse": "en-us+Andy",
}


def espeak_folder() -> Path | None:
    """The folder of the espeakng_loader package; None when it is not installed."""
    found = importlib.util.find_spec("espeakng_loader")
    return Path(found.origin).parent if found and found.origin else None


@dataclass(frozen=True)
class Voice:
    """A voice to choose. code: what a request says. title: what people read. language: what it speaks, for grouping."""

    code: str
    title: str
    language: str


@dataclass(frozen=True)
class _File:
    """One of eSpeak's language files. codes: every code it answers to → how well it fits, smaller is better."""

    file: str
    name: str
    codes: dict[str, int]

    @property
    def code(self) -> str:
        return next(iter(self.codes))


@lru_cache(maxsize=1)
def _languages() -> dict[str, _File]:
    """Voice code → its file, in the order of their names: {"en-gb": English (Great Britain), …}."""
    folder = espeak_folder()
    files = sorted((folder / "espeak-ng-data" / "lang").rglob("*")) if folder else []
    found = [_read(file) for file in files if file.is_file()]
    return {one.code: one for one in sorted(found, key=lambda one: one.name.lower())}


def _read(file: Path) -> _File:
    name = file.name
    codes: dict[str, int] = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        match line.split("//")[0].split():
            case ["name", *words] if words:
                name = " ".join(words).replace("_", " ")
            case ["language", code, *rank]:
                codes.setdefault(code.lower(), int(rank[0]) if rank and rank[0].isdigit() else 5)
    return _File(file.name, name, codes or {file.name.lower(): 5})


@lru_cache(maxsize=1)
def _spellings() -> dict[str, str]:
    """Every way to name a voice, in small letters → its code: its codes, its file, its name, and its language alone."""
    found: dict[str, tuple[int, str]] = {}
    for code, one in _languages().items():
        ways = {**one.codes, one.file.lower(): 0, one.name.lower(): 0}
        ways.setdefault(one.name.split(" (")[0].lower(), min(one.codes.values()))
        for way, rank in ways.items():
            found[way] = min(found.get(way, (99, "")), (rank, code))
    return {way: code for way, (_, code) in found.items()}


@lru_cache(maxsize=1)
def espeak_variants() -> tuple[str, ...]:
    """Ways of speaking that may follow any voice after a plus: `de+f3`."""
    folder = espeak_folder()
    place = folder / "espeak-ng-data" / "voices" / "!v" if folder else Path("/nonexistent")
    return tuple(sorted(file.name for file in place.iterdir())) if place.is_dir() else ()


@lru_cache(maxsize=1)
def espeak_voices() -> tuple[Voice, ...]:
    """What a form offers: a few characters first, then every language, by name."""
    languages = _languages()
    characters = [
        Voice(code, title, title.split(" (")[0])
        for code, title in CHARACTERS
        if code.split("+")[0] in languages
    ]
    plain = [Voice(code, one.name, one.name.split(" (")[0]) for code, one in languages.items()]
    return (*characters, *plain)


def voice_code(voice: str) -> str | None:
    """The code of a voice from however people name it; None if unknown.

    A code of ours or of eSpeak's own (`en`, `pt-BR`, `en_us+f3`), a name (`English (America)`, `German`), a label of a form
    (`German – de`), one of OpenAI's names, "" for the default.
    """
    wanted = voice.strip().split(SEPARATOR)[-1].strip() or DEFAULT_VOICE
    titles = {one.title.lower(): one.code for one in espeak_voices()[: len(CHARACTERS)]}
    wanted = titles.get(wanted.lower()) or ALIASES.get(wanted.lower(), wanted)
    language, _, variant = wanted.partition("+")
    spelled = language.strip().lower()
    code = _spellings().get(spelled) or _spellings().get(spelled.replace("_", "-"))
    if code is None or not variant:
        return code
    variants = {name.lower(): name for name in espeak_variants()}
    return f"{code}+{variants[variant.lower()]}" if variant.lower() in variants else None


def near_voices(voice: str, most: int = 4) -> list[str]:
    """Voices that are spelled like it, each `name – code`; the first ones when none is."""
    wanted = voice.strip().lower().partition("+")[0]
    close = difflib.get_close_matches(wanted, _spellings(), most, cutoff=0.7)
    codes = [_spellings()[way] for way in close]
    codes += [one.code for one in espeak_voices() if len(wanted) > 2 and wanted[:4] in one.title.lower()]
    titles = {one.code: one.title for one in espeak_voices()}
    chosen = list(dict.fromkeys(codes))[:most] or list(titles)[:most]
    return [f"{titles[code]}{SEPARATOR}{code}" for code in chosen]


def espeak_name(code: str) -> str:
    """What eSpeak itself calls a voice: the name of its file, as not every language code finds one (`en-gb` is `en`)."""
    language, _, variant = code.partition("+")
    name = _languages()[language].file
    return f"{name}+{variant}" if variant else name


# ---- as people read them ----------------------------------------------------------------------------------------------

LANGUAGES = {
    "de": "German", "en": "English", "es": "Spanish", "fr": "French", "hi": "Hindi", "it": "Italian", "ja": "Japanese",
    "ko": "Korean", "pl": "Polish", "pt": "Portuguese", "ru": "Russian", "tr": "Turkish", "zh": "Chinese",
}  # fmt: skip
_SPEAKER = re.compile(r"(?:(?P<set>v\d+)/)?(?P<language>[a-z]{2})_speaker_(?P<number>\d+)")


def readable_voice(voice: str) -> tuple[str, str]:
    """(what people read, what is sent) of a voice as a model lists it: a label, a preset's name, a plain name."""
    title, separator, code = voice.rpartition(SEPARATOR)
    if separator:
        return title.strip(), code.strip()
    if match := _SPEAKER.fullmatch(voice):
        language = LANGUAGES.get(match["language"], match["language"].upper())
        older = "" if match["set"] else ", older"
        return f"{language}, speaker {int(match['number']) + 1}{older}", voice
    plain = voice.rpartition("/")[2].replace("_", " ")
    return plain[:1].upper() + plain[1:], voice


# ---- Bark -------------------------------------------------------------------------------------------------------------

BARK_PARTS = ("semantic_prompt", "coarse_prompt", "fine_prompt")


def bark_voices(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Voice presets in a Bark folder: name such as `v2/en_speaker_6` → its one .npz file, or its three .npy files.

    Names come from what lies on the disk, so a name someone typed can only ever find one of these files.
    """
    root = folder / "speaker_embeddings"
    found: dict[str, tuple[Path, ...]] = {}
    for file in sorted(root.rglob("*.npz")):
        found[file.relative_to(root).with_suffix("").as_posix()] = (file,)
    for file in sorted(root.rglob(f"*_{BARK_PARTS[0]}.npy")):
        name = file.relative_to(root).as_posix().removesuffix(f"_{BARK_PARTS[0]}.npy")
        files = tuple(file.with_name(f"{Path(name).name}_{part}.npy") for part in BARK_PARTS)
        if all(part.is_file() for part in files):
            found.setdefault(name, files)
    return dict(sorted(found.items(), key=lambda item: (item[0].count("/") == 0, item[0])))
