"""Chat and writing with tiny real language models."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LogitsProcessorList

from pipelines.errors import Cancelled, InvalidRequest, ModelUnavailable
from pipelines.language.detokenize import StopFilter, TokenDecoder
from pipelines.language.loops import NoThirdTime, third_time
from pipelines.language.prompting import chat, check_fits
from pipelines.language.text import TextPipeline
from pipelines.loading.language import causal_lm
from pipelines.memory import MemoryManager
from pipelines.messages import Artifact, ChatMessage, Progress, TextDelta, TextRequest
from pipelines.runtime.context import Context
from pipelines.runtime.device import TorchDevice
from tests import checkpoints_language as tiny
from tests.checkpoints import copied

Ctx = Callable[..., Context]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def memory() -> MemoryManager:
    return MemoryManager(TorchDevice("cpu", budget_bytes=1 << 30))


@pytest.fixture
def context(memory: MemoryManager, tmp_path: Path) -> Ctx:
    def make(folder: Path, is_cancelled: Callable[[], bool] = lambda: False) -> Context:
        events: list[Any] = []
        ctx = Context("job", tiny.spec_of(folder), memory, events.append, is_cancelled, tmp_path)
        ctx.events = events  # type: ignore[attr-defined]
        return ctx

    return make


def made(ctx: Context, **fields: Any) -> Artifact:
    fields = {"prompt": "The quick brown", "max_tokens": 24, "temperature": 0.0, "seed": 1, **fields}
    (artifact,) = TextPipeline().generate(TextRequest(**fields), ctx)
    return artifact


def streamed(ctx: Any) -> list[str]:
    return [event.text for event in ctx.events if isinstance(event, TextDelta)]


def plain_generate(
    folder: Path,
    ids: tuple[int, ...],
    ends: frozenset[int],
    guards: LogitsProcessorList | None = None,
    **settings: Any,
) -> list[int]:
    """What transformers alone writes after these tokens."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()
    prompt = torch.tensor([ids])
    neutral = {"do_sample": False, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "repetition_penalty": 1.0}
    config = GenerationConfig(
        eos_token_id=sorted(ends), pad_token_id=0, **{"max_new_tokens": 24, **neutral, **settings}
    )
    seen = torch.ones_like(prompt)
    with torch.no_grad():
        out = model.generate(prompt, attention_mask=seen, generation_config=config, logits_processor=guards)
    return [token for token in out[0, len(ids) :].tolist() if token not in ends]


# ---- the same tokens ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [tiny.tiny_base, tiny.tiny_gpt2, tiny.tiny_gemma, tiny.tiny_mamba])
def test_greedy_text_is_what_transformers_alone_would_write(context: Ctx, folder: Callable[[], Path]) -> None:
    model = causal_lm(tiny.spec_of(folder()), torch.float32)
    prompt = chat(model, [{"role": "user", "content": "The quick brown"}])
    tokens = plain_generate(folder(), prompt.ids, prompt.end_ids)
    artifact = made(context(folder()))
    decoder = TokenDecoder(model.tokenizer, prompt.ids)
    assert artifact.data == ("".join(map(decoder.push, tokens)) + decoder.finish()).encode()
    assert artifact.facts["completion_tokens"] == len(tokens) > 3


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.9, "top_p": 1.0},
        {"temperature": 1.0, "top_p": 0.6},
        {"temperature": 1.3, "top_k": 5, "top_p": 1.0},
        {"temperature": 0.8, "top_p": 1.0, "min_p": 0.2, "repetition_penalty": 1.3},
    ],
)
def test_sampled_text_is_what_transformers_alone_would_write_with_that_seed(
    context: Ctx, settings: dict[str, float]
) -> None:
    folder = tiny.tiny_base()
    model = causal_lm(tiny.spec_of(folder), torch.float32)
    prompt = chat(model, [{"role": "user", "content": "The quick brown"}])
    with torch.random.fork_rng():
        torch.manual_seed(5)
        tokens = plain_generate(folder, prompt.ids, prompt.end_ids, do_sample=True, **settings)
    artifact = made(context(folder), seed=5, **settings)
    decoder = TokenDecoder(model.tokenizer, prompt.ids)
    assert artifact.data == ("".join(map(decoder.push, tokens)) + decoder.finish()).encode()


def test_a_model_that_falls_into_a_loop_can_be_kept_out_of_it(context: Ctx) -> None:
    """`starter/text` falls into one here when it always takes the likeliest word; kept out, it comes to an end."""
    folder, asked = ROOT / "assets/starter/text", "what caption fits this photo: red strategy in Bergen"
    model = causal_lm(tiny.spec_of(folder), torch.float32)
    prompt = chat(model, [{"role": "user", "content": asked}])

    def is_loop(tokens: list[int]) -> bool:
        return any(tokens[end] in third_time(tokens[:end]) for end in range(len(tokens)))

    assert is_loop(plain_generate(folder, prompt.ids, prompt.end_ids, max_new_tokens=120))
    guard = LogitsProcessorList([NoThirdTime(len(prompt.ids))])
    tokens = plain_generate(folder, prompt.ids, prompt.end_ids, guard, max_new_tokens=120)
    assert not is_loop(tokens)
    assert 8 < len(tokens) < 120

    decoder = TokenDecoder(model.tokenizer, prompt.ids)
    said = made(context(folder), prompt=asked, max_tokens=120, avoid_loops=True).data
    assert said == ("".join(map(decoder.push, tokens)) + decoder.finish()).encode()


@pytest.mark.parametrize(
    ("said", "starts"),
    [
        ("x a b c a b c", {"a"}),
        ("a b c d a b c d", {"a"}),
        ("a b c a b", set()),
        ("a b c a b c d", set()),
        ("a a a a a a a a", set()),  # a ruler, an indentation
        ("| - | - | - | -", set()),  # the head of a table
    ],
)
def test_a_third_copy_in_a_row_is_seen_before_it_begins(said: str, starts: set[str]) -> None:
    assert third_time([ord(token) for token in said.split()]) == {ord(token) for token in starts}


def test_a_seed_gives_the_same_text_whatever_else_draws_numbers(context: Ctx) -> None:
    """Jobs run on several threads; a shared random state would mix their seeds."""
    folder, over = tiny.tiny_chat(), threading.Event()
    first = made(context(folder), temperature=1.5, seed=7).data

    def noise() -> None:
        while not over.is_set():
            torch.manual_seed(1)
            torch.rand(10)

    thread = threading.Thread(target=noise)
    thread.start()
    try:
        again = made(context(folder), temperature=1.5, seed=7).data
    finally:
        over.set()
        thread.join()
    assert again == first
    assert made(context(folder), temperature=1.5, seed=8).data != first


def test_two_jobs_write_with_one_model_at_once_and_neither_hears_the_other(context: Ctx) -> None:
    wanted = {
        seed: made(context(tiny.tiny_chat()), temperature=1.5, max_tokens=60, seed=seed).data
        for seed in (1, 2)
    }
    got: dict[int, bytes | None] = {}

    def job(seed: int) -> None:
        got[seed] = made(context(tiny.tiny_chat()), temperature=1.5, max_tokens=60, seed=seed).data

    threads = [threading.Thread(target=job, args=(seed,)) for seed in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == wanted


def test_nothing_is_left_in_the_shared_random_state(context: Ctx) -> None:
    before = torch.get_rng_state()
    made(context(tiny.tiny_chat()), temperature=1.0)
    assert torch.equal(torch.get_rng_state(), before)


# ---- conversations ------------------------------------------------------------------------------------------------------


def prompt_text(folder: Path, system: str, *turns: tuple[str, str]) -> str:
    model = causal_lm(tiny.spec_of(folder), torch.float32)
    prompt = chat(model, [{"role": role, "content": content} for role, content in turns], system)
    return str(model.tokenizer.decode(prompt.ids))


def test_the_chat_template_writes_the_conversation() -> None:
    text = prompt_text(tiny.tiny_chat(), "Be brief.", ("user", "a"), ("assistant", "b"), ("user", "c"))
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n"
        "<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_template_that_refuses_a_system_turn_gets_it_in_the_first_user_turn() -> None:
    text = prompt_text(tiny.tiny_gemma(), "Be brief.", ("user", "a"), ("assistant", "b"), ("user", "c"))
    assert text.replace(" ", "") == (
        "<s><start_of_turn>user\nBebrief.\n\na<end_of_turn>\n<start_of_turn>assistant\nb<end_of_turn>\n"
        "<start_of_turn>user\nc<end_of_turn>\n<start_of_turn>model\n"
    )


def test_a_template_that_leaves_the_system_turn_out_gets_it_in_the_first_user_turn(tmp_path: Path) -> None:
    folder = copied(tiny.tiny_chat(), tmp_path / "deaf")
    (folder / "chat_template.jinja").write_text(tiny.DEAF_TO_SYSTEM)
    assert prompt_text(folder, "Be brief.", ("user", "a")) == "[user]Be brief.\n\na"


def test_two_turns_of_one_role_become_one() -> None:
    text = prompt_text(tiny.tiny_gemma(), "", ("user", "a"), ("user", "b"))
    assert text.replace(" ", "") == "<s><start_of_turn>user\na\n\nb<end_of_turn>\n<start_of_turn>model\n"


def test_a_conversation_the_template_refuses_is_the_request_s_fault(context: Ctx) -> None:
    history = (ChatMessage(role="assistant", content="Hello!"),)
    with pytest.raises(InvalidRequest, match="cannot take this conversation") as refusal:
        made(context(tiny.tiny_gemma()), history=history)
    assert "must alternate" in refusal.value.detail


def test_a_model_without_a_template_continues_the_text_and_says_so(context: Ctx) -> None:
    assert prompt_text(tiny.tiny_base(), "", ("user", "The quick brown")) == "<s> The quick brown"
    notes = made(context(tiny.tiny_base())).facts["notes"]
    assert notes == ["tiny_base is no chat model: it continues your text instead of answering it."]


def test_an_answer_ends_at_any_of_the_end_tokens_and_at_the_template_s_own() -> None:
    chatty = causal_lm(tiny.spec_of(tiny.tiny_chat()), torch.float32)
    ends = chat(chatty, [{"role": "user", "content": "a"}]).end_ids
    assert set(chatty.tokenizer.convert_ids_to_tokens(sorted(ends))) == {"<|im_end|>", "<|endoftext|>"}
    gemma = causal_lm(tiny.spec_of(tiny.tiny_gemma()), torch.float32)
    ends = chat(gemma, [{"role": "user", "content": "a"}]).end_ids
    assert set(gemma.tokenizer.convert_ids_to_tokens(sorted(ends))) == {"</s>", "<end_of_turn>"}


def test_the_folder_s_own_sampling_wishes_do_not_overrule_the_person(context: Ctx) -> None:
    """tiny_chat's generation_config wants temperature 1.9 and a repetition penalty."""
    folder = tiny.tiny_chat()
    model = causal_lm(tiny.spec_of(folder), torch.float32)
    prompt = chat(model, [{"role": "user", "content": "The quick brown"}])
    tokens = plain_generate(
        folder, prompt.ids, prompt.end_ids, suppress_tokens=list(range(model.vocabulary, 464))
    )
    decoder = TokenDecoder(model.tokenizer, prompt.ids)
    assert made(context(folder)).data == ("".join(map(decoder.push, tokens)) + decoder.finish()).encode()


def test_rows_the_tokenizer_has_no_words_for_are_never_written(context: Ctx) -> None:
    """Without this, a hot temperature draws ids that decode to nothing."""
    ctx = context(tiny.tiny_chat())
    artifact = made(ctx, temperature=2.0, max_tokens=200)
    assert artifact.facts["completion_tokens"] > 20
    assert len(artifact.data or b"") >= artifact.facts["completion_tokens"]


# ---- stopping -----------------------------------------------------------------------------------------------------------


def test_a_stop_text_cuts_exactly_and_is_never_shown(context: Ctx) -> None:
    whole = (made(context(tiny.tiny_base()), max_tokens=40, seed=3, temperature=0.9).data or b"").decode()
    stop = whole[4:7]
    ctx = context(tiny.tiny_base())
    artifact = made(ctx, max_tokens=40, seed=3, temperature=0.9, stop=(stop, "never there"))
    assert artifact.data == whole[: whole.index(stop)].encode()
    assert artifact.facts["finish_reason"] == "stop"
    assert "".join(streamed(ctx)) == artifact.data.decode()


def test_stop_texts_are_found_across_pieces_and_held_back_text_is_not_lost() -> None:
    for text, stops, expected in (
        ("one two STOP three", ("STOP",), "one two "),
        ("one two STO", ("STOP",), "one two STO"),
        ("aab", ("ab",), "a"),
        ("abcab", ("abcabd", "bcab"), "a"),
        ("no stops at all", (), "no stops at all"),
        ("\n\nUser:", ("\nUser:",), "\n"),
    ):
        gate, shown = StopFilter(stops), []
        for character in text:
            shown.append(gate.push(character))
            assert not any(stop in "".join(shown) for stop in stops)
        assert "".join(shown) + gate.finish() == expected, text


def test_cancel_is_heard_within_one_token(context: Ctx) -> None:
    heard: list[int] = []
    ctx = context(tiny.tiny_base(), is_cancelled=lambda: len(streamed(ctx)) >= 3)
    with pytest.raises(Cancelled):
        heard.extend(made(ctx, max_tokens=40, temperature=1.5).facts)
    assert len(streamed(ctx)) == 3
    assert ctx.memory.snapshot()["working_bytes"] == 0


def test_length_and_stop_are_told_apart(context: Ctx) -> None:
    cut = made(context(tiny.tiny_gpt2()), max_tokens=2)
    assert (cut.facts["finish_reason"], cut.facts["completion_tokens"]) == ("length", 2)
    assert cut.facts["prompt_tokens"] == len(
        AutoTokenizer.from_pretrained(tiny.tiny_gpt2())("The quick brown").input_ids
    )


# ---- streaming ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [tiny.tiny_chat, tiny.tiny_base])
@pytest.mark.parametrize("text", tiny.SENTENCES)
def test_streamed_pieces_are_whole_characters_and_join_to_the_text(
    folder: Callable[[], Path], text: str
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder())
    decoder = TokenDecoder(tokenizer, tokenizer("Well,")["input_ids"])
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    pieces = [decoder.push(token) for token in ids]
    assert not any("�" in piece for piece in pieces)
    assert ("".join(pieces) + decoder.finish()).removeprefix(" ") == text


def test_what_was_streamed_is_what_is_kept(context: Ctx) -> None:
    ctx = context(tiny.tiny_chat())
    artifact = made(ctx, temperature=1.8, max_tokens=60)
    assert "".join(streamed(ctx)).encode() == artifact.data
    assert len(streamed(ctx)) > 10
    stages = [event.stage for event in ctx.events if isinstance(event, Progress)]
    assert stages[-1] == "save"
    assert "generate" in stages


def test_a_first_word_after_a_prompt_keeps_its_blank() -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny.tiny_base())
    ids = tokenizer("the dog sleeps on", add_special_tokens=False)["input_ids"]
    prompt = tokenizer("the dog", add_special_tokens=False)["input_ids"]
    decoder = TokenDecoder(tokenizer, prompt)
    assert "".join(map(decoder.push, ids[len(prompt) :])) + decoder.finish() == " sleeps on"


# ---- refusing -----------------------------------------------------------------------------------------------------------


def test_too_long_a_prompt_is_refused_with_the_numbers_before_anything_is_loaded(context: Ctx) -> None:
    ctx = context(tiny.tiny_gpt2())
    loaded = [part["key"] for part in ctx.memory.snapshot()["components"]]
    with pytest.raises(InvalidRequest, match="too long for tiny_gpt2") as refusal:
        made(ctx, prompt="fox " * 60)
    assert "the model reads at most 48 with its answer" in refusal.value.detail
    assert [part["key"] for part in ctx.memory.snapshot()["components"]] == loaded


def test_an_answer_that_meets_the_end_of_the_context_ends_there_and_says_so(context: Ctx) -> None:
    artifact = made(context(tiny.tiny_gpt2()), max_tokens=500)
    assert artifact.facts["prompt_tokens"] + artifact.facts["completion_tokens"] == 48
    assert artifact.facts["notes"][-1] == (
        "The answer ends after 45 tokens: tiny_gpt2 reads 48 in all, and the prompt took 3."
    )


def test_no_words_are_refused(context: Ctx) -> None:
    with pytest.raises(InvalidRequest):
        made(context(tiny.tiny_chat()), prompt=" \n")


def test_scores_that_are_not_numbers_are_refused(context: Ctx, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied(tiny.tiny_chat(), tmp_path / "nan")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] *= float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match="computes no numbers") as refusal:
        made(context(folder))
    assert "float32" in refusal.value.detail


def test_a_tokenizer_that_does_not_belong_to_the_weights_is_refused(tmp_path: Path) -> None:
    folder = copied(tiny.tiny_base(), tmp_path / "mixed")
    config = folder / "config.json"
    config.write_text(config.read_text().replace(f'"vocab_size": {_rows(folder)}', '"vocab_size": 40'))
    model = causal_lm(tiny.spec_of(folder), torch.float32)
    with pytest.raises(ModelUnavailable, match="does not belong to its weights"):
        check_fits(model, chat(model, [{"role": "user", "content": "The quick brown"}]))


def _rows(folder: Path) -> int:
    import json

    return int(json.loads((folder / "config.json").read_text())["vocab_size"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"version https://git-lfs"), "git-lfs"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "pickle"),
        (lambda folder: (folder / "config.json").write_text('{"architectures": ["BertModel"]}'), "BertModel"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json is damaged"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_in_a_sentence(
    context: Ctx, tmp_path: Path, change: Callable[[Path], object], sentence: str
) -> None:
    folder = copied(tiny.tiny_base(), tmp_path / "broken")
    change(folder)
    with pytest.raises(ModelUnavailable, match=sentence):
        made(context(folder))


def test_missing_tensors_are_refused_and_not_made_up(context: Ctx, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied(tiny.tiny_base(), tmp_path / "incomplete")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match="1 tensors are missing"):
        made(context(folder))


# ---- what it needs ------------------------------------------------------------------------------------------------------


def test_the_plan_knows_the_weights_and_the_room_for_keys_and_values() -> None:
    request = TextRequest(prompt="The quick brown", max_tokens=100)
    spec = tiny.spec_of(tiny.tiny_chat())
    (component,), (way,) = TextPipeline().plan(request, spec, torch.float32)
    model = AutoModelForCausalLM.from_pretrained(tiny.tiny_chat(), dtype=torch.float32)
    assert component.nbytes == sum(p.nbytes for p in model.parameters())
    (longer,) = TextPipeline().plan(request.model_copy(update={"max_tokens": 200}), spec, torch.float32)[1]
    assert (
        longer.working_bytes - way.working_bytes == 2 * 2 * 2 * 8 * 100 * 4
    )  # K and V · layers · heads · head size · tokens · bytes


def test_markdown_is_called_markdown() -> None:
    from pipelines.language.text import LOOKS_LIKE_MARKDOWN

    assert [
        bool(LOOKS_LIKE_MARKDOWN.search(text))
        for text in ("# Title\ntext", "- a\n- b", "plain words. 3 * 4", "**bold**")
    ] == [
        True,
        True,
        False,
        True,
    ]
