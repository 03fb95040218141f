"""Downloads through the real huggingface_hub client, against a hub on this machine. Each runs in a fresh interpreter, since the
client reads its environment at import."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.hub import COMMIT, Hub, running

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = random.Random(0).randbytes(2_000_000)
PREPARE = """
import json
from pipelines.catalog import ModelSpec, Source, download
from pipelines.errors import StudioError
spec = ModelSpec("acme/tiny", "Tiny", ("text",), "causal-lm", Source(repo="acme/tiny"))
def show(**values): print(json.dumps(values))
"""


@pytest.fixture
def hub() -> Iterator[tuple[Hub, str]]:
    with running() as (hub, address):
        hub.repos["acme/tiny"] = {
            "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
            "model.safetensors": WEIGHTS,
            "pytorch_model.bin": b"pickle",
            "modeling_tiny.py": b"print('code')",
        }
        yield hub, address


def ask(script: str, address: str, home: Path, **environment: str) -> dict[str, Any]:
    """Run the script where the hub is at `address`; the JSON it printed last, and what it asked when it failed."""
    settings = {
        "HF_ENDPOINT": address,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
        **environment,
    }
    answer = subprocess.run(
        [sys.executable, "-c", PREPARE + script],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    result: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return result


DOWNLOAD = """
seen = []
folder = download.download(spec, lambda done, total: seen.append((done, total)))
weights = (folder / "model.safetensors").stat().st_size
show(files=sorted(p.name for p in folder.iterdir()), revision=folder.name, last=seen[-1], weights=weights)
"""
EXPLAIN = """
try:
    download.download(spec)
except StudioError as error:
    show(kind=error.kind, message=error.message, detail=error.detail, hint=error.hint)
"""


def test_a_download_brings_the_safe_files_of_a_pinned_revision(hub: tuple[Hub, str], tmp_path: Path) -> None:
    total = len(WEIGHTS) + len(hub[0].repos["acme/tiny"]["config.json"])
    assert ask(DOWNLOAD, hub[1], tmp_path) == {
        "files": ["config.json", "model.safetensors"],
        "revision": COMMIT,
        "last": [total, total],
        "weights": len(WEIGHTS),
    }


def test_a_cut_connection_is_taken_up_again(hub: tuple[Hub, str], tmp_path: Path) -> None:
    hub[0].break_after = 700_000
    assert ask(DOWNLOAD, hub[1], tmp_path)["weights"] == len(WEIGHTS)


def test_what_is_there_already_is_not_fetched_again(hub: tuple[Hub, str], tmp_path: Path) -> None:
    ask(DOWNLOAD, hub[1], tmp_path)
    hub[0].requests.clear()
    ask(DOWNLOAD, hub[1], tmp_path)
    assert not [path for method, path, _ in hub[0].requests if method == "GET" and "/resolve/" in path]


def test_a_damaged_file_is_told_and_not_kept(hub: tuple[Hub, str], tmp_path: Path) -> None:
    hub[0].damage = True
    problem = ask(EXPLAIN, hub[1], tmp_path)
    assert problem["kind"] == "model_unavailable"
    assert "damaged" in problem["message"]
    hub[0].damage = False
    assert ask(DOWNLOAD, hub[1], tmp_path)["weights"] == len(WEIGHTS)


def test_a_gated_model_tells_where_to_accept_its_licence(hub: tuple[Hub, str], tmp_path: Path) -> None:
    hub[0].gated.add("acme/tiny")
    problem = ask(EXPLAIN, hub[1], tmp_path)
    assert "licence" in problem["message"]
    assert "HF_TOKEN" in problem["hint"]


def test_a_model_of_pickles_is_refused_before_anything_is_fetched(
    hub: tuple[Hub, str], tmp_path: Path
) -> None:
    del hub[0].repos["acme/tiny"]["model.safetensors"]
    assert "no safetensors" in ask(EXPLAIN, hub[1], tmp_path)["message"]
    assert not [path for method, path, _ in hub[0].requests if method == "GET" and "/resolve/" in path]


def test_an_unknown_name_and_being_offline_are_told_apart(hub: tuple[Hub, str], tmp_path: Path) -> None:
    hub[0].repos.clear()
    assert "no model acme/tiny" in ask(EXPLAIN, hub[1], tmp_path)["message"]
    offline = ask(EXPLAIN, hub[1], tmp_path, HF_HUB_OFFLINE="1")
    assert "offline" in offline["detail"]


def test_a_full_disk_is_told_before_the_download_starts(hub: tuple[Hub, str], tmp_path: Path) -> None:
    script = "import shutil; shutil.disk_usage = lambda path: shutil._ntuple_diskusage(10, 10, 5)\n" + EXPLAIN
    assert ask(script, hub[1], tmp_path)["kind"] == "out_of_disk"
    assert not [path for method, path, _ in hub[0].requests if method == "GET" and "/resolve/" in path]


def test_cancel_keeps_what_has_come_and_the_model_stays_remote(hub: tuple[Hub, str], tmp_path: Path) -> None:
    script = """
from pipelines.errors import Cancelled
try:
    download.download(spec, is_cancelled=lambda: True)
except Cancelled:
    show(folder=str(download.local_folder(spec)))
"""
    assert ask(script, hub[1], tmp_path) == {"folder": "None"}
    assert ask(DOWNLOAD, hub[1], tmp_path)["weights"] == len(WEIGHTS)


def test_remove_frees_the_bytes_it_says(hub: tuple[Hub, str], tmp_path: Path) -> None:
    ask(DOWNLOAD, hub[1], tmp_path)
    script = "show(freed=download.remove(spec), folder=str(download.local_folder(spec)))"
    answer = ask(script, hub[1], tmp_path)
    assert answer["freed"] >= len(WEIGHTS)
    assert answer["folder"] == "None"


def test_only_the_configs_are_fetched_for_a_checkpoint_that_is_here(
    hub: tuple[Hub, str], tmp_path: Path
) -> None:
    server, address = hub
    server.repos["acme/tiny"] |= {
        "model_index.json": b"{}",
        "unet/config.json": b"{}",
        "vae/model.safetensors": WEIGHTS,
    }
    told = ask(
        """
from pipelines.catalog.single_file import CONFIG_FILES
source = Source(path="x.safetensors", repo="acme/tiny", files=CONFIG_FILES)
folder = download.download(ModelSpec("local/x", "x", ("image",), "diffusers-single-file", source))
show(files=sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()))
""",
        address,
        tmp_path,
    )
    assert told["files"] == ["config.json", "model_index.json", "unet/config.json"]
