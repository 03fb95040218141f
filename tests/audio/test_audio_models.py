"""Bark, VITS and MusicGen say and play exactly what plain transformers would, a piece at a time, and stop when asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.audio.audio import AudioPipeline
from pipelines.audio.bark import LONGEST_TEXT, _chunks, read_voice
from pipelines.audio.bark import _model as bark_model
from pipelines.audio.speech import sentences
from pipelines.catalog import ModelSpec, Source
from pipelines.catalog.voices import bark_voices
from pipelines.errors import Cancelled, InvalidRequest, ModelUnavailable
from pipelines.memory import MemoryManager
from pipelines.messages import Artifact, AudioRequest
from pipelines.runtime.context import Context
from pipelines.runtime.device import TorchDevice
from pipelines.runtime.ladder import ways_of
from tests import checkpoints_audio as tiny
from tests.audio.test_audio import samples
from tests.checkpoints import copied

TEXT = "the cat sat down and sang a song about the sea."


@pytest.fixture(scope="module")
def manager() -> MemoryManager:
    return MemoryManager(TorchDevice("cpu"))


def spec_of(folder: Path) -> ModelSpec:
    loader: Any = next(name for name in ("bark", "vits", "musicgen") if folder.name.startswith(name))
    return ModelSpec(f"local/{folder.name}", folder.name, ("audio",), loader, Source(path=str(folder)))


def context(manager: MemoryManager, folder: Path, **more: Any) -> Context:
    settings = {"emit": lambda event: None, "is_cancelled": lambda: False} | more
    return Context("job", spec_of(folder), manager, spool=folder, **settings)


def make(manager: MemoryManager, folder: Path, prompt: str = TEXT, **knobs: Any) -> Artifact:
    request = AudioRequest(**{"prompt": prompt, "seed": 5, **knobs})
    (artifact,) = AudioPipeline().generate(request, context(manager, folder))
    return artifact


def as_in_file(sound: torch.Tensor | np.ndarray) -> np.ndarray:
    """Samples as a 16-bit file keeps them."""
    return (np.round(np.clip(np.asarray(sound), -1, 1) * 32767) / 32767).astype(np.float32)


# ---- bark ----


def test_bark_says_what_plain_transformers_says(manager: MemoryManager) -> None:
    from transformers import AutoTokenizer, BarkModel

    folder = tiny.bark()
    model = BarkModel.from_pretrained(folder, dtype=torch.float32).eval()
    words = AutoTokenizer.from_pretrained(folder)(
        TEXT, return_tensors="pt", padding="max_length", max_length=64, add_special_tokens=False
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        plain = model.generate(
            words["input_ids"],
            attention_mask=words["attention_mask"],
            do_sample=True,
            semantic_temperature=0.7,
            coarse_temperature=0.7,
            fine_temperature=0.5,
        )
    assert np.array_equal(samples(make(manager, folder)), as_in_file(plain))


def test_bark_carries_its_voice_to_the_next_chunk(manager: MemoryManager) -> None:
    text = f"{TEXT} Then it slept on the warm red roof of the house."
    together = make(manager, tiny.bark(), text, pause_seconds=0.5)
    first, second = together.facts["sentences"]
    assert (first["text"], second["start"]) == (TEXT, pytest.approx(first["end"] + 0.5, abs=0.002))
    alone = make(
        manager, tiny.bark(), "Then it slept on the warm red roof of the house.", seed=6
    )  # the second chunk's seed
    start = round(second["start"] * 24_000)
    spoken = samples(together)[:, start : start + samples(alone).shape[1]]
    assert spoken.shape != samples(alone).shape or not np.array_equal(spoken, samples(alone))


def test_bark_chunks_are_short_enough_and_lose_nothing() -> None:
    text = (
        "Yes. No. "
        + "A rather long sentence that goes on, and on, and on, without any thought of an end. " * 5
        + "x" * 400
    )
    parts = sentences(text, longest=LONGEST_TEXT)
    chunks = _chunks(parts)
    assert [part for chunk in chunks for part in chunk] == parts
    lengths = [len(" ".join(part.spoken_text for part in chunk)) for chunk in chunks]
    assert all(length <= LONGEST_TEXT for length in lengths[:-1])
    assert [part.text for part in chunks[0]][:2] == ["Yes.", "No."]


def test_bark_finds_voices_of_both_kinds_and_they_change_the_sound(manager: MemoryManager) -> None:
    folder = tiny.bark()
    assert list(bark_voices(folder)) == ["v2/en_speaker_6", "de_speaker_1"]
    voice = read_voice(bark_model(spec_of(folder), torch.float32), "de_speaker_1")
    assert voice is not None
    assert [tuple(part.shape) for part in voice.values()] == [(40,), (2, 60), (8, 60)]
    names = ("", "v2/en_speaker_6", "de_speaker_1")
    spoken = [samples(make(manager, folder, voice=name)).tobytes() for name in names]
    assert len(set(spoken)) == 3


@pytest.mark.parametrize("name", ["v2/en_speaker_7", "../../../etc/passwd", "v2/en_speaker_6.npz"])
def test_bark_refuses_a_voice_it_has_not(manager: MemoryManager, name: str) -> None:
    with pytest.raises(InvalidRequest, match="has no voice") as caught:
        make(manager, tiny.bark(), voice=name)
    assert caught.value.field == "voice"
    assert "v2/en_speaker_6" in caught.value.detail


@pytest.mark.parametrize("damage", ["pickle", "cut", "shape"])
def test_bark_refuses_a_damaged_voice(manager: MemoryManager, tmp_path: Path, damage: str) -> None:
    folder = copied(tiny.bark(), tmp_path / "bark")
    file = folder / "speaker_embeddings" / "v2" / "en_speaker_6.npz"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:300])
    else:
        part = np.array([{"a": 1}], dtype=object) if damage == "pickle" else np.zeros((2, 2), np.int64)
        with np.load(file) as kept:
            arrays = dict(kept) | {"semantic_prompt": part}
        np.savez(file, **arrays)
    with pytest.raises(ModelUnavailable, match="Its voice v2/en_speaker_6 is damaged"):
        make(manager, folder, voice="v2/en_speaker_6")


def test_bark_without_its_generation_settings_is_refused(manager: MemoryManager, tmp_path: Path) -> None:
    folder = copied(tiny.bark(), tmp_path / "bark-plain")
    file = folder / "generation_config.json"
    settings = json.loads(file.read_text())
    del settings["coarse_acoustics_config"]
    file.write_text(json.dumps(settings))
    with pytest.raises(ModelUnavailable, match="has no coarse_acoustics_config"):
        make(manager, folder)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.97])
def test_bark_hears_a_cancel_in_every_stage(manager: MemoryManager, share: float) -> None:
    def asked_until(limit: int) -> int:
        asked = 0

        def is_cancelled() -> bool:
            nonlocal asked
            asked += 1
            return asked > limit

        ctx = context(manager, tiny.bark(), is_cancelled=is_cancelled)
        try:
            list(AudioPipeline().generate(AudioRequest(prompt=TEXT, seed=5), ctx))
        except Cancelled:
            assert asked <= limit + 3
            return asked
        return asked

    whole = asked_until(10**6)
    assert asked_until(round(share * whole)) < whole


def test_draws_of_other_threads_change_nothing(manager: MemoryManager) -> None:
    """The libraries draw from a generator all threads share; ours must not hear them, nor they us."""
    alone = [make(manager, folder).data for folder in (tiny.bark(), tiny.vits(), tiny.musicgen())]
    over = threading.Event()

    def draw() -> None:
        while not over.is_set():
            torch.rand(1)

    noisy = threading.Thread(target=draw)
    noisy.start()
    try:
        beside = [make(manager, folder).data for folder in (tiny.bark(), tiny.vits(), tiny.musicgen())]
    finally:
        over.set()
        noisy.join()
    assert beside == alone
    before = torch.random.get_rng_state()
    make(manager, tiny.bark())
    assert torch.equal(torch.random.get_rng_state(), before)


# ---- vits ----


def test_vits_says_what_plain_transformers_says(manager: MemoryManager) -> None:
    from transformers import AutoTokenizer, VitsModel

    folder = tiny.vits()
    model = VitsModel.from_pretrained(folder).eval()
    words = AutoTokenizer.from_pretrained(folder)(TEXT, return_tensors="pt")
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(5)
        plain = model(**words).waveform
    assert np.array_equal(samples(make(manager, folder)), as_in_file(plain))


def test_vits_speaks_each_sentence_and_reads_out_what_it_can(manager: MemoryManager) -> None:
    artifact = make(manager, tiny.vits(), "First Dr. Ray came. 漢字. Then he left.")
    assert [sentence["text"] for sentence in artifact.facts["sentences"]] == [
        "First Dr. Ray came.",
        "Then he left.",
    ]


@pytest.mark.parametrize("prompt", ["漢字", "123", "Привет"])
def test_vits_refuses_a_text_without_known_letters(manager: MemoryManager, prompt: str) -> None:
    with pytest.raises(InvalidRequest, match="knows none of these letters") as caught:
        make(manager, tiny.vits(), prompt)
    assert "abcdefghij" in caught.value.detail


def test_vits_speakers_are_told_apart_and_counted(manager: MemoryManager) -> None:
    heard = [samples(make(manager, tiny.vits_many(), voice=voice)).tobytes() for voice in ("", "0", "1", "2")]
    assert len(set(heard)) == 3
    assert heard[0] == heard[1]
    with pytest.raises(InvalidRequest, match="has no voice '3'") as caught:
        make(manager, tiny.vits_many(), voice="3")
    assert "0 to 2" in caught.value.detail


def test_vits_speed_is_the_models_own(manager: MemoryManager) -> None:
    slow, normal = (make(manager, tiny.vits(), speed=speed).facts["seconds"] for speed in (0.5, 1.0))
    assert slow == pytest.approx(2 * normal, rel=0.2)


def test_vits_on_phonemes_hears_the_same_in_words_that_sound_the_same(manager: MemoryManager) -> None:
    """The published English voices read phonemes; eSpeak NG writes them, no further package is needed."""
    heard = [samples(make(manager, tiny.vits_phonemes(), text)) for text in ("the sea", "the see", "the saw")]
    assert np.array_equal(heard[0], heard[1])
    assert heard[0].shape != heard[2].shape or not np.array_equal(heard[0], heard[2])


# ---- musicgen ----


@pytest.mark.parametrize(("build", "channels"), [(tiny.musicgen, 1), (tiny.musicgen_stereo, 2)])
def test_music_is_exactly_as_long_as_asked(
    manager: MemoryManager, build: Callable[[], Path], channels: int
) -> None:
    artifact = make(manager, build(), "calm", seconds=1.5)
    sound = samples(artifact)
    assert sound.shape == (channels, 48_000)
    assert (artifact.facts["seconds"], artifact.facts["channels"]) == (1.5, channels)
    assert "sentences" not in artifact.facts
    if channels == 2:
        assert not np.array_equal(sound[0], sound[1])
    assert make(manager, build(), "calm", seconds=1.5, seed=6).data != artifact.data


def test_music_tells_its_progress_and_stops_within_a_token(manager: MemoryManager) -> None:
    asked = 0

    def is_cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 20

    request = AudioRequest(prompt="calm", seconds=8.0)
    with pytest.raises(Cancelled):
        list(AudioPipeline().generate(request, context(manager, tiny.musicgen(), is_cancelled=is_cancelled)))
    assert asked <= 22


# ---- broken models ----


def broken(source: Path, target: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    folder = copied(source, target / source.name)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    return folder


def test_numbers_that_are_none_are_a_clear_error(manager: MemoryManager, tmp_path: Path) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors["decoder.conv_post.weight"] = torch.full_like(
            tensors["decoder.conv_post.weight"], float("nan")
        )

    with pytest.raises(ModelUnavailable, match="NaN"):
        make(manager, broken(tiny.vits(), tmp_path, spoil))


def test_silence_from_end_to_end_is_a_clear_error(manager: MemoryManager, tmp_path: Path) -> None:
    def hush(tensors: dict[str, torch.Tensor]) -> None:
        tensors["decoder.conv_post.weight"] = torch.zeros_like(tensors["decoder.conv_post.weight"])

    with pytest.raises(InvalidRequest, match="Only silence"):
        make(manager, broken(tiny.vits(), tmp_path, hush))


def test_a_folder_without_safetensors_is_refused(manager: MemoryManager, tmp_path: Path) -> None:
    folder = copied(tiny.vits(), tmp_path / "vits")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match="pickle"):
        make(manager, folder)


def test_the_plan_names_one_component_of_the_models_size() -> None:
    for build in (tiny.bark, tiny.vits, tiny.musicgen):
        folder = build()
        (component,), ways = AudioPipeline().plan(AudioRequest(prompt=TEXT), spec_of(folder), torch.float32)
        assert component.key.split("@")[0].endswith(":model:float32")
        assert component.model == f"local/{folder.name}"
        assert component.nbytes == pytest.approx((folder / "model.safetensors").stat().st_size, rel=0.35)
        assert [way.working_bytes > 1 << 20 for way in ways_of(ways)] == [True]
