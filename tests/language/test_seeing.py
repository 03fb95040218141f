"""Models that read pictures too write like any other when they are given words, and their templates get the turns they want."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.catalog.scan import identify
from pipelines.errors import InvalidRequest, ModelUnavailable
from pipelines.language import prompting
from pipelines.language.deadline import Overrun, within
from pipelines.language.prompting import chat
from pipelines.language.text import TextPipeline
from pipelines.loading.language import causal_lm
from pipelines.memory import MemoryManager
from pipelines.messages import Artifact, TextRequest
from pipelines.runtime.context import Context
from pipelines.runtime.device import TorchDevice
from tests import checkpoints_language as tiny
from tests.checkpoints import copied

HELLO = [{"role": "user", "content": "hello there"}]


@pytest.fixture(scope="module")
def memory() -> MemoryManager:
    return MemoryManager(TorchDevice("cpu", budget_bytes=1 << 30))


@pytest.fixture
def write(memory: MemoryManager, tmp_path: Path) -> Callable[..., Artifact]:
    def made(folder: Path, prompt: str = "The quick brown") -> Artifact:
        request = TextRequest(prompt=prompt, max_tokens=12, temperature=0.0, seed=1)
        context = Context("job", identify(folder), memory, lambda event: None, lambda: False, tmp_path)
        (artifact,) = TextPipeline().generate(request, context)
        return artifact

    return made


@pytest.mark.parametrize("family", tiny.SEEING)
def test_a_model_that_reads_pictures_writes_when_given_words(
    family: str, write: Callable[..., Artifact]
) -> None:
    spec = identify(tiny.seeing(family))
    assert (spec.state, spec.modalities, spec.loader) == ("ready", ("text",), "causal-lm")
    assert "pictures" in spec.description
    assert write(tiny.seeing(family)).facts["completion_tokens"] > 0


def test_a_template_that_wants_turns_in_parts_gets_them() -> None:
    """Given plain words it would leave them out without a word."""
    plain = causal_lm(tiny.spec_of(tiny.seeing("Mistral3")), torch.float32)
    parts = causal_lm(tiny.spec_of(tiny.seeing("Mistral3", tiny.PARTS_ONLY)), torch.float32)
    assert chat(parts, HELLO, "Be brief.").ids == chat(plain, HELLO, "Be brief.").ids
    assert chat(parts, HELLO).end_ids == chat(plain, HELLO).end_ids


def test_a_template_kept_with_the_processor_is_used(tmp_path: Path) -> None:
    folder = copied(tiny.seeing("Qwen2_5_VL"), tmp_path / "vl")
    before = chat(causal_lm(tiny.spec_of(folder), torch.float32), HELLO)
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": tiny.CHATML}))
    assert chat(causal_lm(tiny.spec_of(folder), torch.float32), HELLO) == before


def test_a_mark_for_a_picture_in_the_text_is_refused_by_name(write: Callable[..., Artifact]) -> None:
    with pytest.raises(InvalidRequest, match=r"stands for a picture: <\\|image_pad\\|>"):
        write(tiny.seeing("Qwen3VL"), "what is <|image_pad|> this")


def test_a_class_that_needs_a_picture_is_refused_as_that(tmp_path: Path) -> None:
    folder = copied(tiny.seeing("Mistral3"), tmp_path / "blip")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "architectures": ["BlipForConditionalGeneration"]})
    )
    assert "writes about pictures only" in identify(folder).problem


# ---- templates that do not end ----


def test_a_template_that_never_ends_is_stopped_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompting, "TEMPLATE_SECONDS", 0.5)
    folder = copied(tiny.tiny_chat(), tmp_path / "endless")
    loops = "{% for a in range(99999) %}" * 4 + "{% endfor %}" * 4
    (folder / "chat_template.jinja").write_text(loops)
    model = causal_lm(tiny.spec_of(folder), torch.float32)
    with pytest.raises(ModelUnavailable, match="template of local/endless does not end"):
        chat(model, HELLO)


def endless() -> None:
    while True:
        pass


def test_code_that_ends_in_time_is_left_alone_and_nothing_comes_later() -> None:
    with within(30.0):
        pass
    with pytest.raises(Overrun), within(0.05):
        endless()
    ends = time.monotonic() + 0.2
    while time.monotonic() < ends:
        pass


def test_what_goes_wrong_inside_is_told_as_it_is() -> None:
    def fails() -> Any:
        raise KeyError("a")

    with pytest.raises(KeyError), within(30.0):
        fails()


@pytest.mark.parametrize("inside", ["while True: pass", "until(time.monotonic() + 0.1)"])
def test_after_an_overrun_the_interpreter_is_as_it_was(inside: str) -> None:
    """Calling the exception back left CPython looking for it for ever: a traced loop never ended, every other was slower."""
    program = (
        "import sys, time\nfrom pipelines.language.deadline import Overrun, within\n"
        "def until(end):\n    while time.monotonic() < end: pass\n"
        f"try:\n    with within(0.1):\n        {inside}\nexcept Overrun: pass\n"
        "def count(): return sum(1 for _ in range(1000))\n"
        "sys.settrace(lambda *_: None)\nprint(count())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("1000\n", "")
