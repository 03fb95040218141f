"""The whole of `launch.py train starter-text`."""

from __future__ import annotations

import random
from collections.abc import Iterable

from transformers import PreTrainedTokenizerFast

from pipelines.training import corpus_text, language
from pipelines.training.language import Piece, Shape
from pipelines.training.language_recipe import Recipe
from pipelines.training.loop import Plan

TOKENIZER_EXAMPLES = range(10_000_000, 10_006_000)
EXAMPLES = (
    "Write an email to Anna about the delay of the brochure.",
    "Write a slogan for a bakery.",
    "Write a product description for a wooden lamp.",
    "Write the opening of a story about a lighthouse.",
    "Give me three title ideas for an article about bicycles.",
    "Write a report outline about the new website.",
    "Write a birthday message for Tom.",
    "Write a caption for a photo of a mountain lake.",
)


def texts() -> Iterable[str]:
    for number in TOKENIZER_EXAMPLES:
        for message in corpus_text.conversation(number):
            yield message["content"]


def piece(tokenizer: PreTrainedTokenizerFast, number: int) -> Piece:
    return language.chat_piece(tokenizer, corpus_text.conversation(number))


def ask(tokenizer: PreTrainedTokenizerFast, instruction: str) -> str:
    """The instruction as the chat template hands it to the model."""
    prompt: str = tokenizer.apply_chat_template(
        [{"role": "user", "content": instruction}], tokenize=False, add_generation_prompt=True
    )
    return prompt


def prompts(tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> list[str]:
    numbers = [rng.randrange(10**6) for _ in range(6)]
    return [ask(tokenizer, corpus_text.example(number, held_out=True).instruction) for number in numbers]


RECIPE = Recipe(
    texts=texts,
    piece=piece,
    prompts=prompts,
    shape=Shape(vocabulary=2048),
    plan=Plan(
        steps=2000,
        learning_rate=2.5e-3,
        warmup_steps=100,
        decay="trapezoid",
        cooldown=0.4,
        ema=0.995,
        log_every=25,
        checkpoint_every=200,
        sample_every=400,
    ),
    sampling={"temperature": 0.4, "top_p": 0.9, "repetition_penalty": 1.0},
    notes={
        "defaults": {"temperature": 0.4, "top_p": 0.9, "max_tokens": 256},
        "limits": {"max_tokens": 900},
        "context": 1024,
        "licence": "CC0-1.0",
        "examples": list(EXAMPLES),
    },
)
run = RECIPE.run
