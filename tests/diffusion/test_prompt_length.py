"""What of a prompt a model does not read is said, in the words that were left out, and nothing is said where all was read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.diffusion.painter import Painter
from pipelines.diffusion.prompt_length import length_notes
from pipelines.loading.diffusion import diffusers_bundle
from pipelines.memory import MemoryManager
from pipelines.messages import ImageRequest
from tests import checkpoints, checkpoints_video
from tests.diffusion.test_image import ladder, make, manager, pixels, spec_of

__all__ = ["manager"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def built(path: Path, manager: MemoryManager) -> Any:
    bundle = diffusers_bundle(spec_of(path), torch.float32)
    with ladder(manager, path, bundle) as held:
        return Painter(bundle, held).pipeline()


@pytest.mark.parametrize(
    ("build", "reads"),
    [
        (checkpoints.sd15, 16),
        (checkpoints.sdxl, 16),
        (checkpoints.sd3, 16),
        (checkpoints.flux, 512),
        (checkpoints_video.animatediff, 16),
        (checkpoints_video.ltx, 128),
        (checkpoints_video.wan, 512),
    ],
)
def test_every_family_counts_up_to_its_own_length(
    build: Callable[[], Path], reads: int, manager: MemoryManager
) -> None:
    """The tiny tokenizers spell every letter: a text of n letters has n tokens, and those of beginning and end."""
    pipeline = built(build(), manager)
    fits = (LETTERS * 30)[: reads - 2]  # CLIP marks beginning and end; T5 the end, and begins with a space
    assert not [note for note in length_notes(pipeline, fits) if note.startswith("This model")]
    (told,) = length_notes(pipeline, fits + "qz")
    assert (
        told
        == f"This model reads {reads} tokens, and the prompt has {reads + 2}, so its end was left out: qz"
    )
    both = length_notes(pipeline, fits + "qz", fits + "xyz")
    assert (
        both[1]
        == f"This model reads {reads} tokens, and the negative prompt has {reads + 3}, so its end was left out: xyz"
    )


def test_an_encoder_that_reads_less_than_the_other_is_told_as_such(manager: MemoryManager) -> None:
    """Flux: CLIP stops early, T5 reads on; nothing is lost, and it is not said to be."""
    (told,) = length_notes(built(checkpoints.flux(), manager), "a red cat and a blue dog")
    assert told.startswith("One of this model's text encoders reads 16 tokens")
    assert told.endswith("only the other read its end: blue dog")


def test_the_words_that_are_told_have_no_effect_and_the_last_ones_kept_have(manager: MemoryManager) -> None:
    request = ImageRequest(
        prompt="abcdefghijklmnXYZ", width=64, height=64, num_inference_steps=2, seed=3, model="local/tiny"
    )
    (made,) = make(manager, checkpoints.sd15(), request)
    assert made.facts["notes"] == [
        "This model reads 16 tokens, and the prompt has 19, so its end was left out: XYZ"
    ]
    (other,) = make(manager, checkpoints.sd15(), request.model_copy(update={"prompt": "abcdefghijklmnqqq"}))
    (changed,) = make(manager, checkpoints.sd15(), request.model_copy(update={"prompt": "abcdefghijklmoXYZ"}))
    assert (pixels(made) == pixels(other)).all()
    assert (pixels(made) != pixels(changed)).any()


def test_a_negative_prompt_is_counted_where_it_is_used_and_only_there(manager: MemoryManager) -> None:
    request = ImageRequest(
        prompt="a cat",
        negative_prompt="a dog and umbrellas",
        width=64,
        height=64,
        num_inference_steps=2,
        model="local/tiny",
    )
    (made,) = make(manager, checkpoints.sd15(), request)
    assert made.facts["notes"] == [
        "This model reads 16 tokens, and the negative prompt has 18, so its end was left out: umbrellas"
    ]
    (unguided,) = make(manager, checkpoints.sd15(), request.model_copy(update={"guidance_scale": 1.0}))
    (told,) = unguided.facts["notes"]
    assert "negative prompt was not used" in told


def test_marks_of_other_programs_are_said_to_be_words() -> None:
    class Wordless:
        def __call__(self, prompt: str) -> None: ...

    assert length_notes(Wordless(), "a fox, <lora:fog:0.8>, (red:1.2)") == [
        "<lora:fog:0.8> was read as plain words: the studio knows no LoRA tags and no weights in a prompt."
    ]
    assert length_notes(Wordless(), "a fox (vulpes)") == []
