"""Whatever goes wrong in one job: that job says clearly what it was, and the next one works.

A real worker in this process, with real tiny models on the CPU.
"""

from __future__ import annotations

import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines.catalog import ModelSpec, Source
from pipelines.diffusion.memory_saving import TILED
from pipelines.messages import (
    Cancel,
    Finished,
    ImageRequest,
    Plan,
    Planned,
    Produced,
    Progress,
    Run,
    TextRequest,
    WorkerConfig,
)
from pipelines.worker.worker import Worker
from studio.settings import ROOT
from tests import checkpoints, checkpoints_language
from tests.checkpoints import copied
from tests.runtime.test_ladder import memory_runs_out

SMALL = ImageRequest(
    prompt="a red cat", model="local/tiny", width=64, height=64, num_inference_steps=2, seed=3
)


@dataclass
class House:
    """A worker, everything it said, and how its jobs ended. on_event: hears each event in the thread that emits it."""

    worker: Worker = field(init=False)
    events: list[Any] = field(default_factory=list)
    over: queue.SimpleQueue[Finished] = field(default_factory=queue.SimpleQueue)
    planned: queue.SimpleQueue[Planned] = field(default_factory=queue.SimpleQueue)
    on_event: Callable[[Any], None] = lambda event: None
    jobs: int = 0

    def hear(self, event: Any) -> None:
        self.events.append(event)
        self.on_event(event)
        if isinstance(event, Finished):
            self.over.put(event)
        elif isinstance(event, Planned):
            self.planned.put(event)

    def run(self, folder: Path, request: Any = SMALL, loader: Any = "diffusers") -> Finished:
        self.jobs += 1
        self.worker.handle(Run(f"job-{self.jobs}", request, spec_of(folder, loader)))
        return self.over.get(timeout=120)

    def plan(self, folder: Path, request: Any = SMALL) -> Planned:
        self.worker.handle(Plan("question", request, spec_of(folder)))
        return self.planned.get(timeout=120)

    def produced(self) -> list[Any]:
        return [event.artifact for event in self.events if isinstance(event, Produced)]


def spec_of(folder: Path, loader: Any = "diffusers") -> ModelSpec:
    return ModelSpec(f"local/{folder.name}", folder.name, ("image",), loader, Source(path=str(folder)))


def house(folder: Path, **config: Any) -> House:
    made = House()
    made.worker = Worker(WorkerConfig(spool=str(folder), device="cpu", warm_up=False, **config), made.hear)
    return made


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[House]:
    made = house(tmp_path / "spool")
    yield made
    made.worker.stop()


def expect_clear_failure(over: Finished, kind: str, words: str) -> None:
    assert over.status == "failed"
    assert over.problem is not None
    assert over.problem.kind == kind
    assert words in str(over.problem)
    assert over.problem.hint


def test_a_job_that_ran_out_of_memory_once_completes_and_says_so(studio: House) -> None:
    with memory_runs_out("UNet2DConditionModel"):
        assert studio.run(checkpoints.sd15()).status == "completed"
    (artifact,) = studio.produced()
    assert artifact.facts["notes"] == ["The device ran out of memory once, so this was made a second time."]


def test_a_job_that_always_runs_out_of_memory_fails_and_the_next_works(studio: House) -> None:
    with memory_runs_out("UNet2DConditionModel", times=99):
        over = studio.run(checkpoints.sd15())
    expect_clear_failure(over, "out_of_memory", "cpu ran out of memory in the middle of the work.")
    assert studio.run(checkpoints.sd15()).status == "completed"


def test_a_loader_that_raises_fails_its_job_only(
    studio: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Weights of another shape than the configuration says: seen only when they are opened."""
    folder = copied(checkpoints.sd15(), tmp_path / "bent")
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors["conv_out.weight"] = torch.zeros(3, 3, 3, 3)
    save_file(tensors, file)
    expect_clear_failure(studio.run(folder), "model_unavailable", "local/bent cannot be used.")
    assert studio.run(checkpoints.sd15()).status == "completed"


@pytest.mark.parametrize("how", ["gone", "cut"])
def test_weights_that_vanish_while_they_are_read_fail_their_job_only(
    studio: House, tmp_path: Path, how: str
) -> None:
    """They were whole when the job was planned; an unplugged disk, a model deleted or downloaded again."""
    folder = copied(checkpoints.sd15(), tmp_path / "fading")
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"

    def spoil(event: Any) -> None:
        if isinstance(event, Progress) and event.stage == "load" and file.exists():
            data = file.read_bytes()
            file.unlink()
            if how == "cut":
                file.write_bytes(data[: len(data) // 2])

    studio.on_event = spoil
    expect_clear_failure(studio.run(folder), "model_unavailable", "local/fading cannot be used.")
    studio.on_event = lambda event: None
    assert studio.run(checkpoints.sd15()).status == "completed"


def test_a_device_with_no_room_at_all_says_so(tmp_path: Path) -> None:
    studio = house(tmp_path, reserve_vram_bytes=1 << 60)
    planned = studio.plan(checkpoints.sd15())
    assert (planned.fits, planned.problem is not None) == (False, True)
    expect_clear_failure(studio.run(checkpoints.sd15()), "out_of_memory", "the device has 0 B")
    studio.worker.stop()


def test_a_model_larger_than_the_machine_is_refused_with_numbers_and_a_smaller_one_works(
    tmp_path: Path,
) -> None:
    studio = house(tmp_path, vram_budget_bytes=70 << 20)
    large = SMALL.model_copy(update={"width": 1024, "height": 1024})
    expect_clear_failure(studio.run(checkpoints.sd15(), large), "out_of_memory", "73 MB")
    assert studio.run(checkpoints.sd15()).status == "completed"
    studio.worker.stop()


def test_a_plan_says_when_the_picture_will_be_decoded_in_tiles(tmp_path: Path) -> None:
    studio = house(tmp_path, vram_budget_bytes=200 << 20)
    request = SMALL.model_copy(update={"width": 512, "height": 512})
    planned = studio.plan(checkpoints.sd15(), request)
    assert (planned.fits, planned.way) == (True, "tiled small")
    assert studio.plan(checkpoints.sd15()).way == ""
    studio.worker.stop()


@pytest.mark.parametrize("stage", ["load", "encode", "denoise"])
def test_a_picture_cancelled_in_any_stage_is_cancelled_and_the_next_is_whole(
    studio: House, stage: str
) -> None:
    def cancel(event: Any) -> None:
        if isinstance(event, Progress) and event.stage == stage:
            studio.worker.handle(Cancel(event.job_id))

    studio.on_event = cancel
    over = studio.run(checkpoints.sd15())
    studio.on_event = lambda event: None
    assert (over.status, over.problem) == ("cancelled", None)
    assert studio.produced() == []
    assert all(part["leases"] == 0 for part in studio.worker.memory().snapshot()["components"])
    assert studio.run(checkpoints.sd15()).status == "completed"
    assert len(studio.produced()) == 1


def test_a_picture_cancelled_while_it_is_saved_was_made_all_the_same(studio: House) -> None:
    def cancel(event: Any) -> None:
        if isinstance(event, Progress) and event.stage == "save":
            studio.worker.handle(Cancel(event.job_id))

    studio.on_event = cancel
    assert studio.run(checkpoints.sd15()).status in ("completed", "cancelled")
    assert len(studio.produced()) == 1


@pytest.mark.parametrize("stage", ["load", "generate"])
def test_a_text_cancelled_in_any_stage_is_cancelled_and_the_next_is_whole(studio: House, stage: str) -> None:
    request = TextRequest(prompt="The quick brown", model="local/tiny", max_tokens=20, seed=1, temperature=0)
    folder = checkpoints_language.tiny_chat()

    def cancel(event: Any) -> None:
        if isinstance(event, Progress) and event.stage == stage:
            studio.worker.handle(Cancel(event.job_id))

    studio.on_event = cancel
    assert studio.run(folder, request, "causal-lm").status == "cancelled"
    studio.on_event = lambda event: None
    assert studio.run(folder, request, "causal-lm").status == "completed"
    assert len(studio.produced()) == 1


def test_what_work_took_is_kept_for_the_next_start(tmp_path: Path) -> None:
    studio = house(tmp_path / "spool", cache=str(tmp_path / "cache"))
    assert studio.run(checkpoints.sd15()).status == "completed"
    studio.worker.stop()
    (file,) = (tmp_path / "cache").iterdir()
    assert "image 64x64x1 from-words guided" in file.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space of a process, which is Linux")
def test_a_host_really_out_of_memory_ends_in_the_picture_or_one_clear_error() -> None:
    """The allocators of torch and oneDNN fail for real here, and each says it in its own words."""
    script = """
import resource, sys, tempfile
from pathlib import Path
from pipelines.errors import OutOfMemory
from tests.runtime.test_ladder import REQUEST, Bench, MemoryManager, TorchDevice, notes
bench = Bench(MemoryManager(TorchDevice("cpu")), Path(tempfile.mkdtemp()))
bench.paint()
fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
resource.setrlimit(resource.RLIMIT_AS, ((int(fields["VmSize"].split()[0]) << 10) + (40 << 20), -1))
try:
    (made,) = bench.paint(REQUEST.model_copy(update=dict(width=448, height=448, num_inference_steps=1)))
    print(notes(made))
except OutOfMemory as error:
    print(error.problem())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert TILED in done.stdout or "ran out of memory in the middle of the work" in done.stdout
