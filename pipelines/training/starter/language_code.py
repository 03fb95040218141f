"""The whole of `launch.py train starter-code`."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from pipelines.training.loop import TrainingPlan
from pipelines.training.starter import corpus_code, language
from pipelines.training.starter.language import Piece, Shape
from pipelines.training.starter.language_recipe import Recipe

TOKENIZER_EXAMPLES = range(10_000_000, 10_002_000)
TASKS = 0.35
READING = 0.2
"""The shares of tasks and of plain reading; the rest is fill-in-the-middle."""
GAP_CHARACTERS = 900
STARTER_TEXT = Path(__file__).resolve().parents[3] / "assets" / "starter" / "text"
EXAMPLES = (
    "Write a Python function that checks whether a word is a palindrome",
    "Write a Python function that returns the average of a list",
    "Write a Python function that counts the vowels in a string",
    "Write a Python function that checks whether a number is prime",
    "Write a Python function that removes duplicates from a list",
    "Write a Python function that converts Celsius to Fahrenheit",
    "Write a Python function that reverses a string",
    "Write a Python function that finds the longest word in a text",
)


def texts() -> Iterable[str]:
    for number in TOKENIZER_EXAMPLES:
        task = corpus_code.task(number)
        yield task.instruction
        yield task.answer
        yield "".join(corpus_code.cut(number, 1500))


def piece(tokenizer: PreTrainedTokenizerFast, number: int) -> Piece:
    rng = random.Random(f"piece {number}")
    kind = rng.random()
    if kind < TASKS:
        task = corpus_code.task(number)
        messages = [
            {"role": "user", "content": task.instruction},
            {"role": "assistant", "content": task.answer},
        ]
        return language.chat_piece(tokenizer, messages)
    if kind < TASKS + READING:
        ids = tokenizer.encode(corpus_code.reading(number))
        return ids, [1] * len(ids)
    return language.fim_piece(tokenizer, *corpus_code.cut(number, GAP_CHARACTERS))


def prompts(tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> list[str]:
    numbers = [rng.randrange(10**6) for _ in range(6)]
    asked = [
        language.as_prompt(tokenizer, corpus_code.task(number, held_out=True).instruction)
        for number in numbers
    ]
    prefix, _, suffix = corpus_code.cut(numbers[0], GAP_CHARACTERS, held_out=True)
    return [*asked, language.gap_prompt(prefix, suffix)]


RECIPE = Recipe(
    texts=texts,
    piece=piece,
    prompts=prompts,
    shape=Shape(vocabulary=3072),
    plan=TrainingPlan(
        steps=3000,
        optimizer="muon",
        learning_rate=1e-3,
        warmup_steps=100,
        decay="trapezoid",
        cooldown=0.45,
        ema=0.99,
        log_every=25,
        checkpoint_every=200,
        sample_every=1000,
    ),
    batch_size=6,
    begin_with=STARTER_TEXT,
    sampling={"temperature": 0.2, "top_p": 0.95, "repetition_penalty": 1.0},
    notes={
        "defaults": {"temperature": 0.2, "top_p": 0.95, "max_tokens": 256},
        "limits": {"max_tokens": 900},
        "context": 1024,
        "licence": "CC0-1.0",
        "examples": list(EXAMPLES),
    },
)
run = RECIPE.run
