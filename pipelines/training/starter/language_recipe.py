"""What `starter/text` and `starter/code` share: tokenizer, rows, plan, samples to read, and the folder at the end."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from pipelines.training.loop import TrainingPlan, load_weights, train
from pipelines.training.starter import language
from pipelines.training.starter.language import Piece, Shape

PIECES_IN_A_ROW = 16
"""Examples set aside for one row; those that do not fit are skipped."""


@dataclass(frozen=True)
class Recipe:
    """How one language model is made.

    texts: what the tokenizer learns its words from. piece: example number → tokens and what to learn of them. prompts: a few
    held-out prompts, ready for the model, to read answers to as it learns. notes: what `studio.json` says. begin_with: the
    folder of a model whose layers a new run begins with, if it is there.
    """

    texts: Callable[[], Iterable[str]]
    piece: Callable[[PreTrainedTokenizerFast, int], Piece]
    prompts: Callable[[PreTrainedTokenizerFast, random.Random], list[str]]
    shape: Shape
    plan: TrainingPlan
    batch_size: int = 12
    sampling: dict[str, object] = field(default_factory=dict)
    notes: dict[str, object] = field(default_factory=dict)
    begin_with: Path | None = None

    def run(
        self,
        run_dir: Path,
        out: Path,
        *,
        resume: bool = False,
        minutes: float | None = None,
        threads: int = 0,
    ) -> None:
        """Train for `minutes` at most, then write `out` from the averaged weights of the newest checkpoint."""
        if threads:
            torch.set_num_threads(threads)
        tokenizer = self.tokenizer(run_dir)
        model = language.build_model(self.shape, tokenizer)
        if (
            self.begin_with
            and (self.begin_with / "model.safetensors").exists()
            and not (run_dir / "latest").exists()
        ):
            language.take_over(model, tokenizer, self.begin_with)
        # the fused kernel's backward takes a fifth longer here (torch 2.13, CPU)
        model.set_attn_implementation("eager")
        print(f"{language.parameters(model) / 1e6:.2f} million parameters", flush=True)
        filler = tokenizer.convert_tokens_to_ids(language.END)

        def pieces(row: int) -> Iterator[Piece]:
            for place in range(PIECES_IN_A_ROW):
                yield self.piece(tokenizer, row * PIECES_IN_A_ROW + place)

        def sample(model: Qwen2ForCausalLM, step: int, folder: Path) -> None:
            prompts = self.prompts(tokenizer, random.Random(step))
            answers = language.write(model, tokenizer, prompts, max_new_tokens=160)
            text = "\n\n=====\n".join(
                f"{prompt}\n-----\n{answer}" for prompt, answer in zip(prompts, answers, strict=True)
            )
            (folder / f"{step:06d}.txt").write_text(text)

        batches = language.rows_of(pieces, self.batch_size, self.shape.row, filler)
        train(
            model,
            batches,
            language.next_token_loss,
            self.plan,
            run_dir,
            resume=resume,
            minutes=minutes,
            sample=sample,
        )
        load_weights(model, run_dir)
        language.save_folder(model, tokenizer, out, self.sampling, self.notes)

    def tokenizer(self, run_dir: Path) -> PreTrainedTokenizerFast:
        """The run's tokenizer, made at its first start."""
        folder = run_dir / "tokenizer"
        if not folder.exists():
            made = language.train_tokenizer(self.texts(), self.shape.vocabulary)
            made.save_pretrained(folder)
        return PreTrainedTokenizerFast.from_pretrained(folder)
