"""What is wrong with one model or one folder is told there, and ends nothing else."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pipelines.catalog import Catalog
from pipelines.catalog.headers import BadFile, read_header
from pipelines.catalog.scan import identify, scan
from pipelines.errors import ModelUnavailable
from pipelines.loading.convert import convert
from pipelines.loading.diffusion import diffusers_bundle
from pipelines.messages import ImageRequest, TextRequest
from studio.cli import doctor
from studio.cli import models as command
from studio.page import models as page
from studio.settings import Settings
from tests import checkpoints
from tests.checkpoints import copied
from tests.checkpoints_language import tiny_chat

# ---- files, by their structure ----


@pytest.mark.parametrize("mark", [b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"])
def test_a_header_whose_length_spells_a_pickles_mark_is_a_header(mark: bytes, tmp_path: Path) -> None:
    """One length in a few thousand does."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    length = struct.unpack("<Q", mark + b"\x00" * 6)[0]
    file = tmp_path / "good.safetensors"
    file.write_bytes(struct.pack("<Q", length) + header.ljust(length) + bytes(8))
    assert read_header(file)["a"].shape == (2,)


def legacy(file: Path) -> None:
    torch.save({"a": torch.zeros(2)}, file, _use_new_zipfile_serialization=False)


def spans(*entries: tuple[int, int]) -> Any:
    def write(file: Path) -> None:
        header = json.dumps(
            {
                str(number): {"dtype": "U8", "shape": [last - first], "data_offsets": [first, last]}
                for number, (first, last) in enumerate(entries)
            }
        ).encode()
        file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))

    return write


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda file: torch.save({"a": torch.zeros(2)}, file), "is a pickle under another name"),
        (legacy, "is a pickle under another name"),
        (lambda file: file.write_bytes(pickle.dumps({"a": 1}, protocol=4)), "is a pickle under another name"),
        (lambda file: file.write_bytes(b"GGUF" + bytes(90)), "is a GGUF file"),
        (lambda file: file.write_text("<!DOCTYPE html><title>Sign in</title>"), "is a web page"),
        (lambda file: file.write_text("version https://git-lfs.github.com/spec/v1\n"), "git-lfs pointer"),
        (lambda file: file.write_bytes(struct.pack("<Q", 40) + b"[" * 40), "not a safetensors file"),
        (
            lambda file: file.write_bytes(struct.pack("<Q", 90_000) + b'{"a":' * 18_000),
            "not a safetensors file",
        ),
        (spans((0, 8), (12, 16)), "damaged header"),
        (spans((0, 8), (4, 16)), "damaged header"),
        (spans((0, 8)), "8 bytes more than its header"),
        (spans((0, 32)), "is cut off"),
    ],
)
def test_what_is_no_safetensors_file_is_told_by_what_it_is(write: Any, words: str, tmp_path: Path) -> None:
    file = tmp_path / "odd.safetensors"
    write(file)
    with pytest.raises(BadFile, match=words) as caught:
        read_header(file)
    assert ("models convert" in caught.value.remedy) == ("pickle" in words)


def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    file = tmp_path / "my old model.ckpt"
    torch.save({"a": torch.zeros(2)}, file)
    spec = identify(file)
    assert spec.problem == "my old model.ckpt is a pickle, and opening a pickle can run anything."
    assert f"python3 launch.py models convert '{file}'" in spec.remedy


# ---- folders ----


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A models folder with one good model in it, last in the alphabet."""
    copied(checkpoints.sd15(), tmp_path / "models" / "zz-good")
    return tmp_path / "models"


def loops(folder: Path) -> None:
    for name in ("model_index.json", "config.json", "itself"):
        (folder / name).symlink_to(folder / name)
    (folder / "up").symlink_to(folder.parent)


def deep(folder: Path) -> None:
    for _ in range(200):
        folder = folder / "d"
    os.makedirs(folder)


def index(text: str | bytes) -> Any:
    def write(folder: Path) -> None:
        (folder / "model_index.json").write_bytes(text if isinstance(text, bytes) else text.encode())

    return write


def config(**values: object) -> Any:
    def write(folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps(values))
        save_file({"a": torch.zeros(1)}, folder / "model.safetensors")

    return write


@pytest.mark.parametrize(
    "harm",
    [
        loops,
        deep,
        index("{"),
        index("[" * 100_000),
        index("[]"),
        index(b"\xff\xfe\x00"),
        index('{"_class_name": 7}'),
        index('{"_class_name": "StableDiffusionPipeline", "unet": {"a": 1}}'),
        index('{"_class_name": "\\ud800Pipeline"}'),
        index('{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "../../.."]}'),
        config(architectures=[["x"]]),
        config(architectures=["LlamaForCausalLM"], quantization_config="packed"),
        config(architectures=["VitsModel"], num_speakers=10**12),
        config(architectures=["\ud800\n<b>"]),
        lambda folder: (folder / "model_index.json").mkdir(),
        lambda folder: (folder / os.fsdecode(b"\xff\xfe.safetensors")).write_bytes(b"x"),
        lambda folder: (folder / ("n" * 240 + ".safetensors")).write_bytes(b"x"),
    ],
)
def test_one_bad_folder_hides_no_other_and_is_fit_to_be_shown(harm: Any, shelf: Path, tmp_path: Path) -> None:
    (shelf / "aa-bad").mkdir()
    harm(shelf / "aa-bad")
    catalog = Catalog((shelf,), registry=tmp_path / "models.json", hub=False)
    assert catalog.get("local/zz-good").state == "ready"
    shown = page.model_list(SimpleNamespace(catalog=catalog, downloads=SimpleNamespace(all=dict)))
    assert "zz-good" in shown
    shown.encode()
    command.show(catalog.all(), as_json=True)
    command.show(catalog.all())


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another account can walk into; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_folder_nobody_may_read_is_listed_as_that(mode: int, open_folder: Path) -> None:
    for file in copied(checkpoints.sd15(), open_folder / "good").rglob("*"):
        file.chmod(0o755)
    for name in ("closed", "lost+found"):
        copied(checkpoints.sd15(), open_folder / name)
        (open_folder / name).chmod(mode)
    code = (
        "import json, os, sys; from pathlib import Path; from pipelines.catalog.scan import scan\n"
        "scan(Path(sys.argv[1]) / 'good')\n"  # everything is imported before the account is left
        "os.geteuid() or os.setuid(65534)\n"
        "print(json.dumps([(spec.id, spec.state, spec.problem) for spec in scan(Path(sys.argv[1]))]))"
    )
    command_line = [sys.executable, "-c", code, str(open_folder)]
    try:
        done = subprocess.run(command_line, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    finally:
        for name in ("closed", "lost+found"):
            (open_folder / name).chmod(0o755)
    assert json.loads(done.stdout) == [
        ["local/good", "ready", ""],
        ["local/closed", "broken", "It cannot be read (Permission denied)."],
    ]


def test_a_folder_of_weights_without_a_config_is_one_model_with_one_reason(tmp_path: Path) -> None:
    for number in (1, 2):
        file = tmp_path / "shards" / f"model-0000{number}-of-00002.safetensors"
        file.parent.mkdir(exist_ok=True)
        save_file({"a": torch.zeros(1)}, file)
    copied(checkpoints.sd15(), tmp_path / "indexless")
    (tmp_path / "indexless" / "model_index.json").unlink()
    found = {spec.id: spec.problem for spec in scan(tmp_path)}
    assert set(found) == {"local/shards", "local/indexless"}
    assert "no config.json" in found["local/shards"]
    assert "model_index.json is missing" in found["local/indexless"]


def test_a_folder_with_only_a_lora_or_a_gguf_file_is_refused_as_that(tmp_path: Path) -> None:
    catalog = Catalog(registry=tmp_path / "models.json", hub=False)
    (tmp_path / "style").mkdir()
    save_file(
        {"unet.a.lora_A.weight": torch.zeros(2, 2)}, tmp_path / "style" / "pytorch_lora_weights.safetensors"
    )
    (tmp_path / "llama").mkdir()
    (tmp_path / "llama" / "llama-q4.gguf").write_bytes(b"GGUF" + bytes(60))
    for name, words in (("style", "is a LoRA"), ("llama", "GGUF")):
        with pytest.raises(ModelUnavailable) as caught:
            catalog.add(tmp_path / name)
        assert words in caught.value.detail


# ---- using one ----


@pytest.fixture
def broken(tmp_path: Path) -> Catalog:
    folder = copied(checkpoints.sd15(), tmp_path / "models" / "half")
    (folder / "unet" / "config.json").unlink()
    return Catalog((tmp_path / "models",), hub=False)


@pytest.mark.parametrize("request_type", [ImageRequest, TextRequest])
def test_a_broken_model_says_why_when_it_is_used(request_type: Any, broken: Catalog) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        broken.complete(request_type(prompt="a hill", model="local/half"))
    assert caught.value.message == "local/half cannot be used."
    assert caught.value.detail == "unet/config.json is missing."
    assert caught.value.hint


def test_the_models_page_lists_broken_models_with_reason_and_remedy(broken: Catalog) -> None:
    shown = page.model_list(SimpleNamespace(catalog=broken, downloads=SimpleNamespace(all=dict)))
    assert "<h2>Cannot be used</h2>" in shown
    assert "unet/config.json is missing." in shown
    assert broken.get("local/half").remedy in shown


# ---- names ----


def test_models_of_one_name_in_different_folders_are_both_listed_and_keep_their_ids(tmp_path: Path) -> None:
    registry = tmp_path / "data" / "models.json"
    places = [tmp_path / name / "writer" for name in ("one", "two", "three")]
    for place in places:
        copied(tiny_chat(), place)
    for place in places:
        Catalog(registry=registry, hub=False).add(place)

    def ids(*folders: Path) -> dict[str, str]:
        specs = Catalog(folders, registry=registry, hub=False).all()
        return {spec.source.path: spec.id for spec in specs if spec.owner == "local"}

    names = ids()
    assert list(names.values()) == ["local/writer", "local/two-writer", "local/three-writer"]
    assert ids(places[2].parent) == names  # the order they are found in does not matter
    catalog = Catalog(registry=registry, hub=False)
    assert catalog.forget(places[0])
    assert [spec.id for spec in catalog.all() if spec.owner == "local"] == [
        "local/two-writer",
        "local/three-writer",
    ]


def test_a_name_is_free_again_when_its_folder_was_forgotten(tmp_path: Path) -> None:
    one, two = tmp_path / "one" / "writer", tmp_path / "two" / "writer"
    copied(tiny_chat(), one), copied(tiny_chat(), two)
    catalog = Catalog(registry=tmp_path / "models.json", hub=False)
    catalog.add(one), catalog.add(two)
    catalog.forget(two), catalog.forget(one)
    assert [spec.id for spec in catalog.add(two)] == ["local/writer"]


# ---- the registry ----


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"folders": 7}', '{"folders": [1]}', '{"names": []}', "[" * 100_000]
)
def test_a_damaged_registry_is_told_and_never_written_over(text: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "models.json").write_text(text)
    folder = copied(tiny_chat(), tmp_path / "writer")
    settings = Settings(data_dir=tmp_path, offline=True)
    catalog = settings.catalog()
    assert catalog.default("audio").id == "espeak"
    assert "models.json is damaged" in catalog.notes()[0]
    assert (tmp_path / "models.json").read_text() == text
    assert any("models.json is damaged" in found.text for found in doctor.models(settings, {"most": 0}))
    assert command.main(["list", "--data-dir", str(tmp_path)]) == 0
    assert "models.json is damaged" in capsys.readouterr().err

    catalog.add(folder)
    assert (tmp_path / "models.json.broken").read_text() == text
    assert Settings(data_dir=tmp_path).catalog().notes() == ()
    assert catalog.get("local/writer").state == "ready"


def test_a_folder_that_went_away_is_told(tmp_path: Path) -> None:
    folder = copied(tiny_chat(), tmp_path / "writer")
    catalog = Catalog(registry=tmp_path / "models.json", hub=False)
    catalog.add(folder)
    folder.rename(tmp_path / "elsewhere")
    catalog.refresh()
    assert catalog.notes() == (f"{folder} was added and is not there now; its models are not listed.",)


def test_what_another_process_adds_is_seen_at_once(tmp_path: Path) -> None:
    folder = copied(tiny_chat(), tmp_path / "writer")
    here = Catalog(registry=tmp_path / "models.json", hub=False)
    assert "local/writer" not in [spec.id for spec in here.all()]
    Catalog(registry=tmp_path / "models.json", hub=False).add(folder)
    assert here.get("local/writer").state == "ready"


# ---- weights that are of another model ----


def edited(folder: Path, file: str, **values: object) -> Path:
    told = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**told, **values}))
    return folder


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"vocab_size": 7777}, "do not belong to its config.json: model.embed_tokens.weight is"),
        ({"hidden_size": 48}, "do not belong to its config.json: model.embed_tokens.weight is"),
        ({"num_hidden_layers": 10**9}, "tells of 1,000,000,000 layers"),
        (
            {"quantization_config": {"quant_method": "compressed-tensors"}},
            "needs the package compressed-tensors",
        ),
        ({"quantization_config": {"quant_method": "hqq"}}, "needs the package hqq"),
    ],
)
def test_weights_that_cannot_be_opened_are_not_called_ready(values: Any, words: str, tmp_path: Path) -> None:
    spec = identify(edited(copied(tiny_chat(), tmp_path / "odd"), "config.json", **values))
    assert spec.state == "broken"
    assert words in spec.problem
    assert spec.remedy.startswith("Install it" if "package" in words else "Download it again")


def test_a_part_of_another_shape_is_found_by_its_header(tmp_path: Path) -> None:
    folder = copied(checkpoints.sd15(), tmp_path / "odd")
    spec = identify(edited(folder, "unet/config.json", block_out_channels=[24, 32, 32, 32]))
    assert "The weights of its unet do not belong to its config: conv_in is 16×4, not 24×4." in spec.problem


def test_a_shape_only_seen_while_opening_is_told_in_plain_words(tmp_path: Path) -> None:
    folder = edited(copied(checkpoints.sd15(), tmp_path / "odd"), "vae/config.json", latent_channels=8)
    spec = identify(folder)
    assert spec.state == "ready"
    with pytest.raises(ModelUnavailable, match="belong to another model"):
        diffusers_bundle(spec, torch.float32).modules["vae"].load()


def test_what_is_known_is_told_while_folders_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page asks on threads that must not wait for a slow disk."""
    catalog = Catalog((tmp_path,), hub=False)
    before = [spec.id for spec in catalog.all()]
    looking, go_on = threading.Event(), threading.Event()
    listed = catalog._listed

    def slowly() -> Any:
        looking.set()
        assert go_on.wait(60)
        return listed()

    monkeypatch.setattr(catalog, "_listed", slowly)
    copied(tiny_chat(), tmp_path / "writer")
    thread = threading.Thread(target=catalog.refresh)
    thread.start()
    assert looking.wait(60)
    assert [spec.id for spec in catalog.all()] == before
    go_on.set()
    thread.join(60)
    assert "local/writer" in [spec.id for spec in catalog.all()]


def test_a_pickle_of_no_weights_is_not_converted(tmp_path: Path) -> None:
    for number, what in enumerate(([1, 2], {"a": 1}, torch.zeros(2))):
        file = tmp_path / f"{number}.pt"
        torch.save(what, file)
        with pytest.raises(ModelUnavailable, match="holds no weights by name"):
            convert(file)
    assert not list(tmp_path.glob("*.safetensors"))
