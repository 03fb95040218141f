"""`launch.py generate`: words to a request, files to a folder, exit codes to a shell."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import InvalidRequest
from pipelines.messages import STAGES, AudioRequest, CodeRequest, ImageRequest, Modality, TextRequest
from studio.cli import generate
from studio.cli.generate import build_request, copy_into
from studio.library import Library
from studio.settings import ROOT, Settings
from studio.studio import Studio

LONG = "The quick brown fox jumps over the lazy dog, again and again. " * 300


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from studio.cli.generate import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments, "--data-dir", str(folder), "--cpu"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    studio = Studio(Settings(data_dir=tmp_path / "data"))
    yield studio.library
    studio.close()


def asked(library: Library, modality: Modality, *knobs: str, prompt: str = "x", **more: Any) -> Any:
    return build_request(modality, prompt, more.get("model", ""), more.get("seed", -1), knobs, library)


def test_only_what_was_said_is_set_so_models_keep_their_defaults(library: Library) -> None:
    request = asked(library, "image", "num-inference-steps=12", "width=256", seed=5)
    assert request == ImageRequest(prompt="x", num_inference_steps=12, width=256, seed=5)
    assert request.model_fields_set == {"prompt", "num_inference_steps", "width", "seed"}


def test_values_are_read_by_the_type_of_their_field(library: Library, tmp_path: Path) -> None:
    assert asked(library, "audio", "speed=1.5", "format=mp3") == AudioRequest(
        prompt="x", speed=1.5, format="mp3"
    )
    assert asked(library, "text", "stop=END") == TextRequest(prompt="x", stop=("END",))
    assert asked(library, "text", 'stop=["a", "b"]').stop == ("a", "b")
    (tmp_path / "loop.py").write_text("for i in range(3): pass\n")
    code = asked(library, "code", "task=explain", f"code=@{tmp_path / 'loop.py'}", prompt="")
    assert code == CodeRequest(prompt="", task="explain", code="for i in range(3): pass\n")


@pytest.mark.parametrize(
    ("modality", "knob", "words"),
    [
        ("image", "widht=3", "Did you mean width?"),
        ("image", "width=33", "multiple of 8"),
        ("image", "width=wide", "integer"),
        ("image", "width", "has no value"),
        ("image", "init_image=/no/such.png", "There is no file /no/such.png"),
        ("audio", "format=midi", "format"),
        ("text", "stop=[1", "not a JSON list"),
        ("video", "modality=image", "no knob 'modality'"),
        ("code", "code=@/no/such.py", "cannot be read"),
    ],
)
def test_a_bad_knob_is_explained(library: Library, modality: Modality, knob: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(library, modality, knob)
    assert words in str(caught.value.problem())


def test_copies_are_counted_up_and_nothing_is_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out" / "deep"
    made = [copy_into(io.BytesIO(b"sound"), "00001-7.wav", out) for _ in range(3)]
    assert [path.name for path in made] == ["00001-7.wav", "00001-7-2.wav", "00001-7-3.wav"]
    assert {path.read_bytes() for path in made} == {b"sound"}


def test_paths_go_to_standard_output_and_nothing_else(tmp_path: Path) -> None:
    answer = run(tmp_path / "data", "audio", "Hello there.", "--out", str(tmp_path / "out"))
    assert answer.returncode == 0, answer.stderr
    files = [Path(line) for line in answer.stdout.splitlines()]
    assert len(files) == 1
    assert files[0].parent == tmp_path / "out"
    assert files[0].read_bytes()[:4] == b"RIFF"


def test_one_json_object_tells_everything(tmp_path: Path) -> None:
    answer = run(tmp_path / "data", "audio", "Hello there.", "--seed", "7", "--json")
    told = json.loads(answer.stdout)
    assert (told["status"], told["model"], told["seed"], told["problem"]) == ("completed", "espeak", 7, None)
    assert Path(told["files"][0]["path"]).is_file()
    assert told["files"][0]["recipe"]["prompt"] == "Hello there."


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_a_refusal_is_explained_and_exits_with_one(tmp_path: Path, how: tuple[str, ...]) -> None:
    answer = run(tmp_path / "data", "audio", "x", "--model", "no/such", *how)
    assert answer.returncode == 1
    where = json.loads(answer.stdout)["problem"]["message"] if how else answer.stderr
    assert "no/such" in where
    assert "Traceback" not in answer.stderr


def test_ctrl_c_cancels_the_job_and_exits_with_130(tmp_path: Path) -> None:
    data = tmp_path / "data"
    code = "import sys; from studio.cli.generate import main; sys.exit(main(sys.argv[1:]))"
    command = subprocess.Popen(
        [sys.executable, "-c", code, "audio", LONG, "--data-dir", str(data)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stderr is not None
    while command.stderr.readline().strip() not in STAGES:
        pass
    os.kill(command.pid, signal.SIGINT)
    out, _ = command.communicate(timeout=60)
    assert command.returncode == 130
    assert out == ""
    studio = Studio(Settings(data_dir=data))
    assert [job.status for job in studio.jobs()] == ["cancelled"]
    studio.close()


def test_beside_a_running_studio_its_worker_makes_it(tmp_path: Path) -> None:
    """Two workers would fight for one device."""
    studio = Studio(Settings(data_dir=tmp_path / "data", device="cpu"), warm_up=False)
    studio.start()
    answer = run(tmp_path / "data", "audio", "Beside.", "--json")
    assert answer.returncode == 0, answer.stderr
    assert f"process {os.getpid()}" in answer.stderr
    job = studio.job(json.loads(answer.stdout)["job"])
    assert job.status == "completed"
    studio.close()


def test_a_plan_is_told_and_nothing_is_queued(tmp_path: Path) -> None:
    told = run(
        tmp_path,
        "image",
        "x",
        "--model",
        "starter/image",
        "--set",
        "width=64",
        "--set",
        "height=64",
        "--plan",
    )
    assert told.returncode == 0, told.stderr
    assert re.fullmatch(r"Fits · [\d.]+ MB of [\d.]+ GB\n", told.stdout)
    assert Studio(Settings(data_dir=tmp_path)).jobs() == []


def test_beside_a_running_studio_a_plan_is_that_studios_to_tell(tmp_path: Path) -> None:
    studio = Studio(Settings(data_dir=tmp_path, device="cpu"), warm_up=False)
    studio.start()
    try:
        told = run(tmp_path, "image", "x", "--model", "starter/image", "--plan")
    finally:
        studio.close()
    assert told.returncode == 1
    assert "Another studio is using this data folder." in told.stderr


def test_without_words_there_is_nothing_to_make(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["audio", "--data-dir", str(tmp_path)]) == 1
    assert "prompt is empty" in capsys.readouterr().err
