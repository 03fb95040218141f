"""The whole of `launch.py train starter-text`."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import cache

from transformers import PreTrainedTokenizerFast

from pipelines.training.loop import TrainingPlan
from pipelines.training.starter import corpus_text, language
from pipelines.training.starter.language import Piece, Shape
from pipelines.training.starter.language_recipe import Recipe

TOKENIZER_EXAMPLES = range(10_000_000, 10_006_000)
EXAMPLES = (
    "Write a friendly email to Tom inviting him to our summer party on Friday at 18:00.",
    "Apologise to Mr Weber for the late delivery by email.",
    "Write a birthday message for Lena, who loves hiking, from Tom.",
    "Write a mystery story about a sailor called Nora who lost a map.",
    "Write a slogan for a coffee shop called Luna.",
    "Write a short poem about coffee.",
    "Give me five title ideas for a blog post about winter gardening.",
    "Improve this image prompt: a red house in the hills",
)


def texts() -> Iterable[str]:
    for number in TOKENIZER_EXAMPLES:
        for message in corpus_text.conversation(number):
            yield message["content"]


def piece(tokenizer: PreTrainedTokenizerFast, number: int) -> Piece:
    return language.chat_piece(tokenizer, corpus_text.conversation(number, _word_pieces(tokenizer)))


@cache
def _word_pieces(tokenizer: PreTrainedTokenizerFast) -> tuple[str, ...]:
    """The entries of its vocabulary of three letters or more, in order of their number."""
    entries = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    words = (str(entry).removeprefix("Ġ") for entry in entries)  # the blank before a word
    return tuple(word for word in words if word.isascii() and word.isalpha() and len(word) > 2)


def prompts(tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> list[str]:
    numbers = [rng.randrange(10**6) for _ in range(6)]
    return [
        language.as_prompt(tokenizer, corpus_text.example(number, held_out=True).instruction)
        for number in numbers
    ]


RECIPE = Recipe(
    texts=texts,
    piece=piece,
    prompts=prompts,
    shape=Shape(vocabulary=2048),
    plan=TrainingPlan(
        steps=5900,
        learning_rate=1.6e-3,
        warmup_steps=100,
        decay="trapezoid",
        cooldown=0.25,
        ema=0.99,
        log_every=25,
        checkpoint_every=200,
        sample_every=400,
    ),
    batch_size=6,  # more steps from the same tokens; two cores have few to give
    sampling={"temperature": 0.3, "top_p": 0.9, "repetition_penalty": 1.0},
    notes={
        "defaults": {"temperature": 0.3, "top_p": 0.9, "max_tokens": 256, "avoid_loops": True},
        "limits": {"max_tokens": 900},
        "context": 1024,
        "licence": "CC0-1.0",
        "examples": list(EXAMPLES),
    },
)
run = RECIPE.run
