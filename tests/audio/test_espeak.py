"""The embedded voice: repeatable, safe beside others of its kind, every word timed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipelines.audio import espeak, espeak_process
from pipelines.audio.espeak import known_voice, phonemes, pitch_of, rate_of, speak, word_times
from pipelines.audio.speech import Sentence, sentences
from pipelines.catalog.voices import ALIASES, CHARACTERS, espeak_variants, espeak_voices, voice_code
from pipelines.errors import InvalidRequest, ModelUnavailable, StudioError
from pipelines.words.texts import has_words

WELCOME = "Every picture, text and clip you make here stays on your machine."


def sound(text: str = WELCOME, voice: str = "en-us", **more: float) -> np.ndarray:
    (utterance,) = speak([text], voice, **more)
    return utterance.sound[0]


def pitch(samples: np.ndarray, rate: int = 22050) -> float:
    """Median fundamental frequency of the voiced parts, by autocorrelation."""
    found = []
    for start in range(0, len(samples) - 2048, 1024):
        window = samples[start : start + 2048] * np.hanning(2048)
        same = np.fft.irfft(np.abs(np.fft.rfft(window, 8192)) ** 2)
        lag = int(np.argmax(same[50:500])) + 50
        if same[0] > 0.5 and same[lag] > 0.4 * same[0]:
            found.append(rate / lag)
    return float(np.median(found))


def test_the_same_words_give_the_same_samples_in_every_process() -> None:
    text = [WELCOME, "Twice."]
    first, second = (list(speak(text, "en-us+max")) for _ in range(2))
    assert [a.sound.tobytes() for a in first] == [b.sound.tobytes() for b in second]
    assert [a.words for a in first] == [b.words for b in second]


def test_eight_at_once_do_not_disturb_each_other() -> None:
    alone = sound("Number four speaks.")
    with ThreadPoolExecutor(8) as pool:
        texts = [
            f"Number {n} speaks." for n in ("one", "two", "three", "four", "five", "six", "seven", "eight")
        ]
        together = list(pool.map(sound, texts))
    assert np.array_equal(together[3], alone)
    assert all(len(samples) > 10_000 for samples in together)


def test_the_process_loads_nothing_heavy() -> None:
    code = "import sys, pipelines.audio.espeak_process; print(len({'numpy', 'torch', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_it_speaks_without_clipping_or_silence() -> None:
    for voice, _ in CHARACTERS:
        samples = sound(voice=voice)
        assert 0.05 < np.abs(samples).max() < 0.99, voice


def test_speed_changes_the_length_as_asked() -> None:
    normal = len(sound())
    assert len(sound(speed=2.0)) == pytest.approx(normal / 2, rel=0.1)
    assert len(sound(speed=0.5)) == pytest.approx(normal * 2, rel=0.1)


def test_speeds_espeak_cannot_do_leave_a_rest() -> None:
    assert rate_of(1.0) == (175, 1.0)
    assert rate_of(4.0) == (449, 700 / 449)
    assert rate_of(0.25) == (80, 43.75 / 80)


def test_pitch_moves_by_about_the_semitones_asked_for() -> None:
    base = pitch(sound())
    for semitones in (-5, 5):
        moved = 12 * np.log2(pitch(sound(semitones=semitones)) / base)
        assert moved == pytest.approx(semitones, abs=1.5)
    assert pitch_of(0) == (50, 0.0)
    assert pitch_of(12) == (99, pytest.approx(3.4))


def test_every_word_is_timed_in_order() -> None:
    text = "Dr. Smith paid $3.50 on 12/05/2026, for “Hello” — said José, 1,024 times (nearly)."
    for sentence in sentences(text):
        (utterance,) = speak([sentence.spoken_text], "en-us")
        seconds = utterance.sound.shape[1] / utterance.sample_rate
        times = word_times(sentence, utterance.words, seconds)
        starts = [start for _, start in times]
        assert [word for word, _ in times] == list(sentence.words)
        assert starts == sorted(starts)
        assert starts[0] < 0.1
        assert starts[-1] < seconds
        assert len(set(starts)) == len(starts)


def test_words_without_an_event_lie_between_their_neighbours() -> None:
    sentence = Sentence(("one", "two", "three"), ("one", "two", "three"))
    assert word_times(sentence, [(0, 0.0), (8, 1.0), (9, 1.2)], 2.0) == (
        ("one", 0.0),
        ("two", 0.5),
        ("three", 1.0),
    )
    assert word_times(sentence, [], 3.0) == (("one", 0.0), ("two", 1.0), ("three", 2.0))


@pytest.mark.parametrize("text", ["a\0b", "😀", "漢字", "<b>&amp;", "x" * 5000])
def test_strange_text_does_no_harm(text: str) -> None:
    assert len(sound(text)) > 0


def test_lone_surrogates_are_left_out() -> None:
    assert len(sound("before \ud800 after")) > 1000


@pytest.mark.parametrize("text", ["", "...", "((((", " \n\t—"])
def test_text_without_a_word_has_nothing_to_say(text: str) -> None:
    assert not has_words(text)
    assert sentences(text) == []


def test_voices_are_found_by_label_code_and_openai_name() -> None:
    offered = espeak_voices()
    assert len(offered) > 100
    assert len({voice.code for voice in offered}) == len({voice.title for voice in offered}) == len(offered)
    assert all(voice_code(voice.code) == voice_code(voice.title) == voice.code for voice in offered)
    assert voice_code("German – de") == "de"
    assert voice_code("") == "en-us+max"
    assert voice_code("nova") == ALIASES["nova"]
    assert voice_code("EN_US+f3") == "en-us+f3"
    assert {code.split("+")[1] for code in [*ALIASES.values(), *(code for code, _ in CHARACTERS)]} <= set(
        espeak_variants()
    )


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("en", "en-gb"),  # as `espeak-ng -v en`
        ("de", "de"),
        ("pt", "pt"),
        ("fr", "fr-fr"),
        ("no", "nb"),
        ("en-US", "en-us"),
        ("en_us", "en-us"),
        ("PT-br", "pt-br"),
        ("EN-GB+F3", "en-gb+f3"),
        ("en+Max", "en-gb+max"),
        ("English (America)", "en-us"),
        ("english (america), max", "en-us+max"),
        ("German", "de"),
        ("english", "en-gb"),
        ("Portuguese", "pt"),
        ("yue-Latn-jyutping", "yue"),
    ],
)
def test_a_voice_is_named_as_people_and_espeak_name_it(said: str, code: str) -> None:
    assert voice_code(said) == code


@pytest.mark.parametrize(
    ("said", "near"),
    [("germn", "German – de"), ("en-uk", "– en-us"), ("portugese", "Portuguese (Portugal) – pt")],
)
def test_an_unknown_voice_is_told_near_ones(said: str, near: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        known_voice(said)
    assert near in caught.value.detail


def test_voices_have_a_title_and_a_language_to_group_by() -> None:
    by_code = {voice.code: (voice.title, voice.language) for voice in espeak_voices()}
    assert by_code["en-us+max"] == ("English (America), Max", "English")
    assert by_code["pt-br"] == ("Portuguese (Brazil)", "Portuguese")
    assert by_code["de"] == ("German", "German")
    names = [voice.title.lower() for voice in espeak_voices()[len(CHARACTERS) :]]
    assert names == sorted(names)


def test_every_voice_offered_speaks() -> None:
    """eSpeak knows `en-gb` and `fr-fr` only by their files."""
    for voice in ("en-gb", "fr-fr", "de", "cmn", "piqd"):
        assert np.abs(sound("1", voice=voice)).max() > 0.05, voice


@pytest.mark.parametrize("voice", ["dothraki", "en-us+nobody", "../../etc"])
def test_an_unknown_voice_is_refused_with_near_ones(voice: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        known_voice(voice)
    assert voice in caught.value.message
    assert caught.value.field == "voice"
    assert "–" in caught.value.detail


def test_missing_data_is_a_clear_error_and_not_the_end_of_us(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = espeak.espeak_folder()
    assert folder is not None
    (tmp_path / "libespeak-ng.so").symlink_to(folder / "libespeak-ng.so")
    (tmp_path / "libespeak-ng.dylib").symlink_to(folder / "libespeak-ng.dylib")
    monkeypatch.setattr(espeak, "espeak_folder", lambda: tmp_path)
    with pytest.raises(StudioError, match="could not speak") as caught:
        sound()
    assert "found no data" in caught.value.detail


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak, "espeak_folder", lambda: None)
    with pytest.raises(ModelUnavailable, match="not installed") as caught:
        sound()
    assert "pip install espeakng-loader" in caught.value.hint


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_deep_data_folder_is_reached_by_a_short_path(tmp_path: Path) -> None:
    folder = espeak.espeak_folder()
    assert folder is not None
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    (deep / "data").symlink_to(folder / "espeak-ng-data", target_is_directory=True)
    request = {
        "library": str(folder / espeak.LIBRARIES.get(sys.platform, "libespeak-ng.so")),
        "data": str(deep / "data"),
    }
    request |= {"voice": "en-us", "rate": 175, "pitch": 50, "volume": 75, "sentences": [WELCOME]}
    ((_, pcm),) = espeak._run(request, 1)
    assert np.array_equal(np.frombuffer(pcm, "<i2") / np.float32(32768), sound())
    assert len(str(deep)) > espeak_process.LONGEST_PATH


def test_closing_early_ends_the_process() -> None:
    """Speaking it all would take many minutes on any machine."""
    spoken = speak([WELCOME] * 50_000, "en-us")
    next(spoken)
    start = time.monotonic()
    spoken.close()
    assert time.monotonic() - start < 60


def test_phonemes_are_written_with_their_stress() -> None:
    assert phonemes(["Hello world", "cat"]) == ["həlˈoʊ wˈɜːld", "kˈæt"]


# ---- text ----


def test_sentences_end_where_people_end_them() -> None:
    text = "Dr. J. Smith left at 5 p.m. He said “No.” Then: e.g. this… and that! Version 2.0 is out? Yes.\nA line\nAnother"
    assert [sentence.text for sentence in sentences(text)] == [
        "Dr. J. Smith left at 5 p.m.",
        "He said “No.”",
        "Then: e.g. this… and that!",
        "Version 2.0 is out?",
        "Yes.",
        "A line",
        "Another",
    ]


def test_lines_broken_by_a_mail_program_stay_one_sentence() -> None:
    text = "This is a long line that a mail program has broken after seventy\ncharacters or so.\n\nNew."
    assert len(sentences(text)) == 2


def test_sentences_of_other_scripts_are_parted_too() -> None:
    assert [sentence.text for sentence in sentences("今日は。元気ですか？はい", "ja")] == [
        "今日は。",
        "元気ですか？",
        "はい",
    ]


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It cost $3.50, not £1.", "It cost 3 dollars and 50 cents, not 1 pound."),
        ("about $2.5 million!", "about 2.5 million dollars!"),
        ("€1,000.01", "1000 euros and 1 cent"),
        ("on 2026-05-12.", "on May 12th, 2026."),
        ("St. Paul lives on Main St. now", "Saint Paul lives on Main Street now"),
        ("Mr. and Mrs. Ray, etc.", "Mister and Missus Ray, et cetera."),
        ("No. 5, but no.", "Number 5, but no."),
        ("99/99/2026 is nothing", "99/99/2026 is nothing"),
    ],
)
def test_english_is_written_out_for_the_engine(written: str, spoken: str) -> None:
    assert [sentence.spoken_text for sentence in sentences(written)] == [spoken]


def test_a_date_is_read_the_way_the_country_does() -> None:
    assert sentences("on 12/05/2026", "en-us")[0].spoken_text == "on December 5th, 2026"
    assert sentences("on 12/05/2026", "en-gb")[0].spoken_text == "on May 12th, 2026"
    assert sentences("am 12/05/2026", "de")[0].spoken_text == "am 12/05/2026"


def test_long_sentences_are_parted_at_commas_and_lose_no_word() -> None:
    text = "one two three, four five six seven, eight nine ten eleven twelve thirteen"
    parts = sentences(text, longest=30)
    assert all(len(part.text) <= 30 for part in parts)
    assert " ".join(part.text for part in parts) == text
    assert parts[0].text == "one two three,"
