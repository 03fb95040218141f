"""Whether files hold the same weights: told for nothing where that can be, and never wrongly."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pipelines.catalog.digest import SAMPLES, Digests, component_key

NUMBERS = 300_000


def weights(path: Path, seed: int = 0, change: int | None = None) -> Path:
    """1.2 MB of float32. change: which byte of the file differs from the others of that seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"w": np.random.default_rng(seed).standard_normal(NUMBERS).astype(np.float32)}, path)
    if change is not None:
        with path.open("r+b") as file:
            file.seek(change)
            old = file.read(1)[0]
            file.seek(change)
            file.write(bytes([old ^ 1]))
    return path


UNSAMPLED = 1_200_000 // (SAMPLES - 1) // 2  # half way between the first sample and the second


def sums(folder: Path) -> dict[str, list[object]]:
    """What was read in full so far."""
    file = folder / "digests.json"
    return json.loads(file.read_text()) if file.exists() else {}


def test_a_copy_is_the_same(tmp_path: Path) -> None:
    digests = Digests(tmp_path / "cache")
    first, copy = weights(tmp_path / "a.safetensors"), weights(tmp_path / "b.safetensors")
    assert digests.of([first]) == digests.of([copy])
    sha256 = hashlib.sha256(first.read_bytes()).hexdigest()
    assert [entry[2] for entry in sums(tmp_path / "cache").values()] == [sha256, sha256]


def test_a_fine_tuned_model_differs_without_being_read_in_full(tmp_path: Path) -> None:
    """Its header and size are those of the original; that is the usual case, and it costs some kilobytes."""
    digests = Digests(tmp_path / "cache")
    names = {digests.of([weights(tmp_path / f"{seed}.safetensors", seed)]) for seed in range(3)}
    assert len(names) == 3
    assert sums(tmp_path / "cache") == {}


def test_one_byte_in_the_middle_of_nowhere_makes_it_another(tmp_path: Path) -> None:
    digests = Digests(tmp_path / "cache")
    original = weights(tmp_path / "a.safetensors")
    changed = weights(tmp_path / "b.safetensors", change=UNSAMPLED)
    again = weights(tmp_path / "c.safetensors", change=UNSAMPLED)
    assert digests.of([original]) != digests.of([changed])
    assert digests.of([changed]) == digests.of([again])
    assert len(sums(tmp_path / "cache")) == 3  # here it took reading them


def test_links_cost_nothing(tmp_path: Path) -> None:
    digests = Digests(tmp_path / "cache")
    original = weights(tmp_path / "a.safetensors")
    (tmp_path / "soft.safetensors").symlink_to(original)
    os.link(original, tmp_path / "hard.safetensors")
    files = [original, tmp_path / "soft.safetensors", tmp_path / "hard.safetensors"]
    assert len({digests.of([file]) for file in files}) == 1
    assert sums(tmp_path / "cache") == {}


def test_the_hubs_cache_says_the_sum_in_the_name(tmp_path: Path) -> None:
    """Two repositories with the same file: its blobs are named by SHA-256, so neither is read."""
    digests = Digests(tmp_path / "cache")
    sha256 = hashlib.sha256(weights(tmp_path / "plain.safetensors").read_bytes()).hexdigest()
    seen = []
    for repo in ("one", "two"):
        blob = weights(tmp_path / repo / "blobs" / sha256)
        snapshot = tmp_path / repo / "snapshots" / "main" / "model.safetensors"
        snapshot.parent.mkdir(parents=True)
        snapshot.symlink_to(blob)
        seen.append(digests.of([snapshot]))
    assert seen[0] == seen[1]
    assert sums(tmp_path / "cache") == {}
    assert digests.of([tmp_path / "plain.safetensors"]) == seen[0]
    assert list(sums(tmp_path / "cache")) == [str(tmp_path / "plain.safetensors")]


@pytest.mark.parametrize("change", [UNSAMPLED, 1_000_000])
def test_a_file_that_changed_on_disk_has_a_new_name(tmp_path: Path, change: int) -> None:
    digests = Digests()
    file = weights(tmp_path / "a.safetensors")
    before = digests.of([file])
    weights(file, change=change)
    os.utime(file, ns=(1, 1))
    assert digests.of([file]) != before


def test_the_first_of_two_that_vanished_is_not_mistaken(tmp_path: Path) -> None:
    digests = Digests()
    first = weights(tmp_path / "a.safetensors")
    before = digests.of([first])
    second = weights(tmp_path / "b.safetensors", change=UNSAMPLED)
    first.unlink()
    assert digests.of([second]) != before  # nothing is left to compare it with, so it is another


def test_sums_are_remembered_from_one_start_to_the_next(tmp_path: Path) -> None:
    files = [weights(tmp_path / "a.safetensors"), weights(tmp_path / "b.safetensors")]
    first = Digests(tmp_path / "cache")
    assert first.of(files[:1]) == first.of(files[1:])
    kept = sums(tmp_path / "cache")
    kept[str(files[0])][2] = "of something else"  # believed: nothing is read again while size and time agree
    (tmp_path / "cache" / "digests.json").write_text(json.dumps(kept))
    second = Digests(tmp_path / "cache")
    assert second.of(files[:1]) != second.of(files[1:])
    os.utime(files[0], ns=(1, 1))
    third = Digests(tmp_path / "cache")
    assert third.of(files[:1]) == third.of(files[1:])


@pytest.mark.parametrize("content", [None, "{", "[1]", '{"a": 3}', '{"a": [1, 2, 3, 4]}'])
def test_a_cache_that_cannot_be_read_or_written_does_no_harm(tmp_path: Path, content: str | None) -> None:
    folder = tmp_path / "cache"
    if content is None:
        folder.write_text("a file where the folder should be")
    else:
        folder.mkdir()
        (folder / "digests.json").write_text(content)
    digests = Digests(folder)
    copies = [weights(tmp_path / "a.safetensors"), weights(tmp_path / "b.safetensors")]
    other = weights(tmp_path / "c.safetensors", change=UNSAMPLED)
    names = [digests.of([file]) for file in (*copies, other)]
    assert names[0] == names[1] != names[2]


def test_shards_count_together_and_in_order(tmp_path: Path) -> None:
    digests = Digests()
    a, b = (weights(tmp_path / f"{seed}.safetensors", seed) for seed in range(2))
    copies = [weights(tmp_path / "copy" / f"{seed}.safetensors", seed) for seed in range(2)]
    assert digests.of([a, b]) == digests.of(copies)
    assert len({digests.of(files) for files in ([a, b], [b, a], [a], [b])}) == 4


def test_a_key_is_of_class_configuration_dtype_and_weights(tmp_path: Path) -> None:
    def part(name: str, **config: object) -> tuple[list[Path], Path]:
        file = weights(tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        return [file], tmp_path / name

    one = part("one", width=8, _name_or_path="/home/me/one", torch_dtype="float16")
    two = part("two", torch_dtype="float32", width=8)
    scaled = part("three", width=8, scaling_factor=0.5)
    key = component_key("text_encoder_2", "T5EncoderModel", "float32", *one)
    assert key.startswith("T5EncoderModel:text_encoder:float32@")
    assert component_key("text_encoder_3", "T5EncoderModel", "float32", *two) == key
    others = [
        component_key("text_encoder", "T5EncoderModel", "float32", *scaled),
        component_key("text_encoder", "T5EncoderModel", "float16", *one),
        component_key("text_encoder", "UMT5EncoderModel", "float32", *one),
        component_key("text_encoder", "T5EncoderModel", "float32", *one, inside="text_encoder"),
    ]
    assert len({key, *others}) == 5
