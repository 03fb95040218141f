"""What a stranger can bring: the corpus is large, the same each time, and the benchmark tells a fault from an answer."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from tests.bench.hostile import films
from tests.bench.hostile.__main__ import faults
from tests.bench.hostile.corpus import Case, corpus, files, sample
from tests.bench.hostile.house import COLOUR, FILM_SIZE, WORDS, Answer, leaked

VICTIM = Path("/data/library/video/2026-01-01/00001.mp4")


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return corpus(1, VICTIM)


def test_the_corpus_has_hundreds_of_cases_with_names_of_their_own(cases: list[Case]) -> None:
    names = [(case.group, case.name) for case in cases]
    assert len(names) == len(set(names)) >= 300


def test_a_small_run_has_some_of_every_group(cases: list[Case]) -> None:
    assert {case.group for case in sample(cases, 40, 1)} == {case.group for case in cases}


def test_files_broken_by_chance_are_the_same_for_the_same_seed() -> None:
    def made(seed: int) -> list[bytes]:
        return [make() for group, _, make in files(seed, VICTIM) if group == "file: broken by chance"]

    assert made(1) == made(1) != made(2)


def test_a_manifest_passes_for_an_mp4_and_names_the_other_users_film() -> None:
    (whole,) = [
        make() for name, make in films.playlists(VICTIM).items() if name.startswith("dash in mp4, absolute")
    ]
    assert whole[4:8] == b"ftyp"
    assert str(VICTIM).encode() in whole


def test_the_other_users_words_size_and_colour_are_noticed() -> None:
    out = io.BytesIO()
    Image.new("RGB", (64, 64), COLOUR).save(out, "WEBP")
    facts = json.dumps({"facts": {"width": FILM_SIZE[0], "height": FILM_SIZE[1]}}).encode()
    told = {"content-type": "application/json"}
    assert leaked(Answer(200, 0.1, b"x " + WORDS.encode()))
    assert leaked(Answer(201, 0.1, facts, told))
    assert leaked(Answer(200, 0.1, out.getvalue(), {"content-type": "image/webp"}))
    assert not leaked(Answer(200, 0.1, b'{"facts": {"width": 64, "height": 64}}', told))


def test_late_answers_server_errors_and_open_connections_are_faults() -> None:
    assert [which for which, _ in faults(Answer(200, 5.1), 5)] == ["hangs"]
    assert [which for which, _ in faults(Answer(0, 1, is_open=True), 5)] == ["hangs"]
    assert [which for which, _ in faults(Answer(500, 0.1), 5)] == ["errors 500"]
    assert faults(Answer(400, 0.1), 5) == []
