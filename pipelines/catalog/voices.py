"""The voices of eSpeak NG, read from its data folder: what a form can offer without starting anything.

Imports no torch, and of eSpeak only its place on the disk.
"""

from __future__ import annotations

import importlib.util
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


@lru_cache(maxsize=1)
def _languages() -> dict[str, tuple[str, str]]:
    """Voice code → (name, name of its file), in the order of their names: {"en-gb": ("English (Great Britain)", "en"), …}."""
    folder = espeak_folder()
    if folder is None:
        return {}
    found = {}
    for file in (folder / "espeak-ng-data" / "lang").rglob("*"):
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            words = [line.split("//")[0].split() for line in text.splitlines()]
            name = next((" ".join(line[1:]) for line in words if line[:1] == ["name"]), file.name)
            code = next((line[1] for line in words if line[:1] == ["language"] and len(line) > 1), file.name)
            found[code.lower()] = (name.replace("_", " ").strip(), file.name)
    return dict(sorted(found.items(), key=lambda item: item[1][0].lower()))


@lru_cache(maxsize=1)
def espeak_variants() -> tuple[str, ...]:
    """Ways of speaking that may follow any voice after a plus: `de+f3`."""
    folder = espeak_folder()
    place = folder / "espeak-ng-data" / "voices" / "!v" if folder else Path("/nonexistent")
    return tuple(sorted(file.name for file in place.iterdir())) if place.is_dir() else ()


def espeak_voices() -> list[str]:
    """What a form offers, each `name – code`: a few characters first, then every language."""
    languages = _languages()
    characters = [f"{name}{SEPARATOR}{code}" for code, name in CHARACTERS if code.split("+")[0] in languages]
    return characters + [f"{name}{SEPARATOR}{code}" for code, (name, _) in languages.items()]


def voice_code(voice: str) -> str | None:
    """The code eSpeak knows a voice by, from a label, a code, a name of OpenAI's, or "" for the default; None if unknown."""
    code = voice.strip().split(SEPARATOR)[-1].strip() or DEFAULT_VOICE
    code = ALIASES.get(code.lower(), code)
    language, _, variant = code.partition("+")
    language = language.lower().replace("_", "-")
    if language not in _languages() or (variant and variant not in espeak_variants()):
        return None
    return f"{language}+{variant}" if variant else language


def espeak_name(code: str) -> str:
    """What eSpeak itself calls a voice: the name of its file, as not every language code finds one (`en-gb` is `en`)."""
    language, _, variant = code.partition("+")
    name = _languages()[language][1]
    return f"{name}+{variant}" if variant else name


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
