"""The starter language models: their data vary, their tokens lose nothing, and their folders open like any other model's."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from pipelines.training.starter import corpus_code, corpus_text, language
from pipelines.training.starter.evaluate_language import loops, parses, solved, well_formed
from pipelines.training.starter.language import END, FIM, Shape
from pipelines.training.starter.language_words import Pen
from pipelines.training.starter.ngram import NGram

STRANGE = "Füße 北京 🙂\tdef f(x):\n    return x[1:]\n\n12345 naïve"
SHAPE = Shape(vocabulary=600, hidden=64, layers=2, heads=4, intermediate=96, row=128)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    texts = (m["content"] for n in range(200) for m in corpus_text.conversation(n))
    return language.train_tokenizer(texts, SHAPE.vocabulary)


def test_an_example_is_the_same_every_time_and_others_differ() -> None:
    assert corpus_text.example(5) == corpus_text.example(5)
    assert len({corpus_text.example(n).instruction for n in range(400)}) > 385


@pytest.mark.parametrize("kind", corpus_text.MAKERS)
@pytest.mark.parametrize("held_out", [False, True])
def test_a_good_answer_carries_every_fact_in_the_right_form(kind: str, held_out: bool) -> None:
    for number in range(40):
        example = corpus_text.example(number, held_out=held_out, kind=kind)
        assert all(fact.lower() in example.answer.lower() for fact in example.facts), example
        assert well_formed(example, example.answer), example
        assert not loops(example.answer)


def test_names_kept_for_evaluation_are_not_in_training() -> None:
    from pipelines.training.starter.language_words import FIRST_NAMES

    kept = {name for place, name in enumerate(FIRST_NAMES) if place % 8 == 5}
    trained = (
        " ".join(corpus_text.example(n, kind="message").instruction for n in range(500))
        .replace(".", "")
        .replace(",", "")
        .split()
    )
    assert not kept & set(trained)


def test_a_wording_kept_for_evaluation_never_comes_up_in_training() -> None:
    kept, others = "[Please tell/Kindly sing] about {x}.", ("Say {x}", "Tell {x}", "Show {x}")
    trained = {
        Pen(random.Random(n)).ask(*others, kept, more=("[tell/sing] about {x}",), x="rain").strip(".").lower()
        for n in range(400)
    }
    assert {"tell about rain", "please say rain"} <= trained  # courtesies are put around other wordings …
    assert not {"please tell about rain", "kindly sing about rain"} & trained  # … but never make a kept one
    evaluated = {Pen(random.Random(n), held_out=True).ask(*others, kept, x="rain") for n in range(40)}
    assert evaluated == {"Please tell about rain.", "Kindly sing about rain."}


def test_the_instructions_that_the_cards_are_scored_on_stay_the_same() -> None:
    """Scores of different generations can only be compared on one set; whoever changes it scores the old weights again."""
    numbers = range(1_000_000, 1_000_016)
    asked = [
        corpus_text.example(n, held_out=True, kind=kind).instruction
        for kind in corpus_text.MAKERS
        for n in numbers
    ]
    assert hashlib.sha256("\n".join(asked).encode()).hexdigest()[:16] == "9f780baed3b9868f"


def test_the_benchmark_accepts_every_answer_of_the_code_corpus() -> None:
    for kind in ("write", "fix", "find_bugs", "explain", "tests", "translate"):
        for number in range(25):
            task = corpus_code.task(number, kind=kind)
            assert solved(task, task.answer), task
    assert not parses("```python\ndef f(:\n```")


def test_the_benchmark_sees_a_bug_that_was_left_in() -> None:
    task = corpus_code.task(3, kind="fix")
    assert not solved(task, task.instruction.removeprefix("Fix this code:\n"))


def test_any_text_survives_the_tokenizer(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.decode(tokenizer.encode(STRANGE)) == STRANGE
    assert tokenizer.encode("2026") == [tokenizer.convert_tokens_to_ids(digit) for digit in "2026"]


def test_training_rows_hold_the_words_of_the_chat_template(tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
    ]
    ids, learn = language.chat_piece(tokenizer, messages)
    assert tokenizer.decode(ids) == tokenizer.apply_chat_template(messages, tokenize=False)
    assert tokenizer.decode([i for i, wanted in zip(ids, learn, strict=True) if wanted]) == "Hello!<|im_end|>"


def test_fill_in_the_middle_asks_with_both_sides_and_answers_with_the_gap(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    ids, learn = language.fim_piece(tokenizer, "a = ", "1", "\nb = 2")
    text = tokenizer.decode(ids)
    assert text == f"{FIM['suffix']}\nb = 2{FIM['prefix']}a = 1{END}"
    assert len(learn) == len(ids)


def test_a_row_is_full_and_learns_nothing_from_filling(tokenizer: PreTrainedTokenizerFast) -> None:
    filler = tokenizer.convert_tokens_to_ids(END)
    ids, learn = language.packed(
        iter([([7] * 50, [1] * 50), ([8] * 60, [1] * 60), ([9] * 60, [1] * 60)]), 128, filler
    )
    assert len(ids) == len(learn) == 128
    assert sum(learn) == 110
    assert ids[50] == ids[111] == ids[127] == filler


def test_an_untrained_model_continues_a_word_that_it_has_seen(tokenizer: PreTrainedTokenizerFast) -> None:
    """The start that `_teach_copying` gives: on repeated nonsense, the second time is easier than the first."""
    model = language.build_model(Shape(vocabulary=600, hidden=256, layers=2), tokenizer)
    nonsense = torch.randint(20, 600, (4, 30), generator=torch.Generator().manual_seed(0))
    ids = torch.cat([nonsense, nonsense], dim=1)
    with torch.no_grad():
        ranks = model(ids).logits[:, 30:-1].argsort(-1, descending=True).argsort(-1)
    seen = ranks.gather(-1, ids[:, 31:, None]).float().median()
    assert seen < 60  # chance is 300


def test_a_model_can_begin_with_the_layers_of_another(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    learned = language.build_model(SHAPE, tokenizer, seed=1)
    language.save_folder(learned, tokenizer, tmp_path, {}, {})
    other = language.train_tokenizer(["def f(x): return x"] * 3 + list(language.SPECIAL), 300)
    model = language.build_model(SHAPE, other)
    language.take_over(model, other, tmp_path)
    mine, its = model.model.layers[1].mlp, learned.model.layers[1].mlp
    assert torch.allclose(mine.up_proj.weight, its.up_proj.weight, atol=1e-3)
    here, there = other.convert_tokens_to_ids("x"), tokenizer.convert_tokens_to_ids("x")
    assert torch.allclose(model.lm_head.weight[here], learned.lm_head.weight[there], atol=1e-3)


def test_the_folder_opens_with_the_auto_classes_and_writes(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    made = language.build_model(SHAPE, tokenizer)
    language.save_folder(
        made, tokenizer, tmp_path, {"temperature": 0.5, "top_p": 0.9}, {"licence": "CC0-1.0"}
    )
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    assert opened.encode(STRANGE) == tokenizer.encode(STRANGE)
    assert torch.allclose(model.lm_head.weight, made.lm_head.weight, atol=1e-3)
    assert model.generation_config.temperature == 0.5
    assert len(language.write(model, opened, [language.as_prompt(opened, "Hello"), "x"], 4)) == 2


def test_the_n_gram_baseline_says_what_came_most_often() -> None:
    baseline = NGram([[1, 2, 3, 4, 5, 1, 2, 3, 4, 6, 1, 2, 3, 4, 6, 9, 9, 9, 9]], order=5)
    assert baseline.next([1, 2, 3, 4]) == 6
    assert baseline.next([7, 7, 3]) == 4
    assert baseline.next([8]) == 9


def test_the_loss_counts_only_what_is_to_be_learned(tokenizer: PreTrainedTokenizerFast) -> None:
    model = language.build_model(SHAPE, tokenizer)
    ids = torch.randint(20, 600, (2, 40), generator=torch.Generator().manual_seed(1))
    learn = torch.zeros(2, 40, dtype=torch.bool)
    learn[1, 5:9] = True
    loss, told = language.next_token_loss(model, (ids, learn))
    expected = torch.nn.functional.cross_entropy(model(ids).logits[1, 4:8], ids[1, 5:9])
    assert told == {"tokens": 4.0}
    assert torch.isclose(loss, expected, rtol=0.02)
