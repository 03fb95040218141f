"""A process that speaks once and ends: eSpeak NG, called through ctypes.

    python -m pipelines.audio.espeak_process < request.json > sound

A process of its own for three reasons: the library is not thread-safe, repeats itself only when fresh, and is GPL while
this program is not. Imports the standard library alone, so that it starts in a moment.

In: one JSON object {"library", "data", "voice", "rate", "pitch", "volume", "sentences"}. Out, for each sentence: a line of
JSON {"samples", "events": [[position in the text from 0, milliseconds], …]}, then its samples, 16 bit, one channel. With
"phonemes": true only a line {"phonemes": text} in the International Phonetic Alphabet. An error is a line {"error": text}.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

SYNCHRONOUS, DONT_EXIT, UTF8, IPA = 2, 0x8000, 1, 2  # without DONT_EXIT a bad data folder ends our process
RATE, VOLUME, PITCH = 1, 2, 3
WORD = 1
LONGEST_PATH = 150  # eSpeak NG 1.52 fails beyond about 158 bytes


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # from 1, in characters
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Order(TypedDict, total=False):
    """What is asked for."""

    library: str
    data: str
    voice: str
    rate: int
    pitch: int
    volume: int
    sentences: list[str]
    phonemes: bool


class Header(TypedDict, total=False):
    """What comes before the samples of a sentence, or in place of them."""

    sample_rate: int
    samples: int
    events: list[tuple[int, int]]
    phonemes: str
    error: str


def main() -> int:
    request: Order = json.load(sys.stdin)
    out = sys.stdout.buffer
    try:
        with _short_path(request["data"]) as data:
            for header, sound in _speak(request, data):
                out.write(json.dumps(header).encode() + b"\n" + sound)
                out.flush()
    except (OSError, RuntimeError) as error:
        out.write(json.dumps({"error": str(error)}).encode() + b"\n")
        return 1
    return 0


def _speak(request: Order, data: str) -> Iterator[tuple[Header, bytes]]:
    espeak = ctypes.CDLL(request["library"])
    rate = espeak.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), DONT_EXIT)
    if rate <= 0:
        raise RuntimeError(f"eSpeak NG found no data in {request['data']}.")
    sound = bytearray()
    events: list[tuple[int, int]] = []

    @_Callback
    def receive(samples: Any, count: int, event: Any) -> int:
        if count > 0:
            sound.extend(ctypes.string_at(samples, count * 2))
        index = 0
        while event[index].type:
            if event[index].type == WORD:
                events.append((event[index].text_position - 1, event[index].audio_position))
            index += 1
        return 0

    espeak.espeak_SetSynthCallback(receive)
    if espeak.espeak_SetVoiceByName(request["voice"].encode()):
        raise RuntimeError(f"eSpeak NG has no voice {request['voice']!r}.")
    for knob, value in ((RATE, request["rate"]), (VOLUME, request["volume"]), (PITCH, request["pitch"])):
        espeak.espeak_SetParameter(knob, value, 0)
    for sentence in request["sentences"]:
        if request.get("phonemes"):
            yield {"phonemes": _phonemes(espeak, sentence)}, b""
            continue
        sound.clear()
        events.clear()
        text = sentence.encode() + b"\0"
        failed = espeak.espeak_Synth(text, len(text), 0, 1, 0, UTF8, None, None)
        if failed:
            raise RuntimeError(f"eSpeak NG could not speak (error {failed}).")
        yield {"sample_rate": rate, "samples": len(sound) // 2, "events": list(events)}, bytes(sound)


def _phonemes(espeak: ctypes.CDLL, text: str) -> str:
    """Clause by clause, as the library hands them out."""
    espeak.espeak_TextToPhonemes.restype = ctypes.c_char_p
    rest = ctypes.c_char_p(text.encode())
    clauses = []
    while rest.value:
        clauses.append(espeak.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, IPA) or b"")
    return " ".join(clause.decode("utf-8", "ignore") for clause in clauses)


@contextmanager
def _short_path(path: str) -> Iterator[str]:
    """The data folder under a path short enough for eSpeak."""
    if len(os.fsencode(path)) <= LONGEST_PATH:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="espeak-") as folder:
        short = os.path.join(folder, "data")
        try:
            os.symlink(path, short, target_is_directory=True)
        except OSError:  # Windows without the right to make links
            shutil.copytree(path, short)
        yield short


if __name__ == "__main__":
    sys.exit(main())
