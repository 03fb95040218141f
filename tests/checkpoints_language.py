"""Tiny real language models, built by config: a few hundred kilobytes each, the same bytes every time.

Weights are random but drawn wide, so that the likeliest token is clear and greedy text is the same on every machine. Each builder
writes once per session and returns the folder; a test that wants to break one copies it first (`checkpoints.copied`).
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

SENTENCES = (
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on.",
    "def add(a, b):\n    return a + b\n\n\nprint(add(2, 3))\n",
    "Ein schöner Tag, ein café, une œuvre naïve.",
    "日本語の文章です。 Привет, мир! 😀",
)
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
NO_SYSTEM = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{{ '<start_of_turn>' + message['role'] + '\n' + message['content'] + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
DEAF_TO_SYSTEM = (
    "{% for message in messages if message['role'] != 'system' %}{{ '[' + message['role'] + ']' + message['content'] }}"
    "{% endfor %}"
)


@cache
def _root() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tiny-language-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


# ---- tokenizers ----


def byte_level_tokenizer(specials: Sequence[str], template: str = "", **settings: Any) -> Any:
    """BPE over bytes, as GPT-2, Qwen and StarCoder have: any text, characters spread over several tokens."""
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(specials),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(SENTENCES[:2], trainer)
    return _wrapped(PreTrainedTokenizerFast(tokenizer_object=core, **settings), template)


def sentencepiece_like_tokenizer(specials: Sequence[str] = (), template: str = "") -> Any:
    """BPE over characters with ▁ for blanks and bytes for what it does not know, as Llama and Gemma have."""
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    core.pre_tokenizer = pre_tokenizers.Metaspace()  # while it learns: no word reaches over a blank
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))],
        show_progress=False,
    )
    core.train_from_iterator(SENTENCES[:2], trainer)
    learned = json.loads(core.to_str())  # the bytes are words like any other, not special ones
    learned["added_tokens"] = learned["added_tokens"][:3]
    core = Tokenizer.from_str(json.dumps(learned))
    core.pre_tokenizer = None
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    core.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in specials])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    return _wrapped(wrapped, template)


def _wrapped(tokenizer: Any, template: str) -> Any:
    if template:
        tokenizer.chat_template = template
    return tokenizer


# ---- models ----


def _saved(name: str, model_class: Any, config: Any, tokenizer: Any, **generation: Any) -> Path:
    folder = _root() / name
    with torch.random.fork_rng():
        torch.manual_seed(11)
        model = model_class(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.normal_(0.0, 0.3)
    for key, value in generation.items():
        setattr(model.generation_config, key, value)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _qwen(tokenizer: Any, rows: int = 0, context: int = 256, **config: Any) -> tuple[Any, Any]:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM, Qwen2Config(
        vocab_size=rows or len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=None,
        **config,
    )


def _llama(tokenizer: Any, context: int) -> tuple[Any, Any]:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM, LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=context,
        bos_token_id=1,
        eos_token_id=2,
    )


@cache
def tiny_chat() -> Path:
    """Qwen2 with ChatML and fill-in-the-middle tokens; 64 embedding rows more than the tokenizer has words, two end tokens, and
    a generation_config that wants sampling of its own."""
    names = [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|fim_prefix|>",
        "<|fim_middle|>",
        "<|fim_suffix|>",
    ]
    tokenizer = byte_level_tokenizer(names, CHATML, eos_token="<|im_end|>")
    ends = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    model_class, config = _qwen(tokenizer, rows=len(tokenizer) + 64, eos_token_id=ends[0])
    wishes = {"do_sample": True, "temperature": 1.9, "top_k": 3, "repetition_penalty": 1.7}
    return _saved("tiny_chat", model_class, config, tokenizer, eos_token_id=ends, **wishes)


@cache
def tiny_base() -> Path:
    """A Llama that knows no chat and has no pad token, 64 positions, tokenizer with ▁ and bytes."""
    tokenizer = sentencepiece_like_tokenizer()
    return _saved("tiny_base", *_llama(tokenizer, context=64), tokenizer)


@cache
def tiny_gpt2() -> Path:
    """GPT-2 with learned positions: past the 48th it would raise a bare IndexError."""
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = byte_level_tokenizer(["<|endoftext|>"], eos_token="<|endoftext|>", bos_token="<|endoftext|>")
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=48,
        bos_token_id=end,
        eos_token_id=end,
    )
    return _saved("tiny_gpt2", GPT2LMHeadModel, config, tokenizer)


@cache
def tiny_gemma() -> Path:
    """A template that refuses a system turn and insists on alternating roles, as Gemma's does."""
    tokenizer = sentencepiece_like_tokenizer(["<start_of_turn>", "<end_of_turn>"], NO_SYSTEM)
    return _saved("tiny_gemma", *_llama(tokenizer, context=256), tokenizer)


@cache
def tiny_mamba() -> Path:
    """A state-space model: no keys and values, no positions to run out of."""
    from transformers import MambaConfig, MambaForCausalLM

    tokenizer = byte_level_tokenizer(["<|endoftext|>"], eos_token="<|endoftext|>")
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    config = MambaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        state_size=4,
        num_hidden_layers=2,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    return _saved("tiny_mamba", MambaForCausalLM, config, tokenizer)


PARTS_ONLY = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SEEING = ("Qwen2_5_VL", "Qwen3VL", "Mistral3", "Llama4", "Glm4v", "Gemma3")
"""Families that read pictures and words, by the start of their class names in transformers."""


@cache
def seeing(family: str, template: str = CHATML) -> Path:
    """A model that reads pictures too: a language model of two layers beside eyes of one."""
    import transformers

    names = [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|image_pad|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|video_pad|>",
    ]
    tokenizer = byte_level_tokenizer(names, template, eos_token="<|im_end|>")
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "eos_token_id": 2,
        "num_key_value_heads": 2, "intermediate_size": 64, "max_position_embeddings": 256, "bos_token_id": None,
        "pad_token_id": 0, "head_dim": 8,
    }  # fmt: skip
    eyes = {
        "hidden_size": 32,
        "num_heads": 2,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "intermediate_size": 32,
    }
    folded = {
        "depth": 1,
        "out_hidden_size": 32,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    marks = {"image_token_id": 3, "video_token_id": 6}
    around = {"vision_start_token_id": 4, "vision_end_token_id": 5}
    told: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
        "Qwen2_5_VL": ({"rope_parameters": rope}, folded | {"fullatt_block_indexes": [0], "window_size": 56}, marks | around),
        "Qwen3VL": (
            {"rope_parameters": rope | {"mrope_interleaved": True}},
            folded | {"deepstack_visual_indexes": [0], "num_position_embeddings": 16},
            marks | around,
        ),
        "Mistral3": (
            {"model_type": "mistral"}, {"model_type": "pixtral", "patch_size": 16, "image_size": 64}, {"image_token_index": 3}
        ),
        "Llama4": (
            {"intermediate_size_mlp": 64, "num_local_experts": 2, "interleave_moe_layer_step": 2, "attention_chunk_size": 64},
            {"intermediate_size": 128, "patch_size": 14, "image_size": 56, "vision_output_dim": 32, "projector_input_dim": 32,
             "projector_output_dim": 32, "pixel_shuffle_ratio": 0.5},
            {"image_token_index": 3},
        ),
        "Glm4v": (
            {"rope_parameters": rope | {"partial_rotary_factor": 1.0}},
            folded | {"image_size": 56},
            marks | {"image_start_token_id": 4, "image_end_token_id": 5},
        ),
        "Gemma3": ({}, {"patch_size": 14, "image_size": 56}, {"mm_tokens_per_image": 4, "image_token_index": 3}),
    }  # fmt: skip
    words, looks, rest = told[family]
    config = getattr(transformers, f"{family}Config")(
        text_config=text | words, vision_config=eyes | looks, **rest
    )
    model_class = getattr(transformers, f"{family}ForConditionalGeneration")
    name = family.lower() if template == CHATML else f"{family.lower()}-parts"
    return _saved(name, model_class, config, tokenizer)


def with_fim(name: str, specials: Sequence[str]) -> Path:
    """A model whose tokenizer has these fill-in-the-middle tokens."""
    folder = _root() / name
    if not folder.exists():
        tokenizer = byte_level_tokenizer(["<|endoftext|>", *specials], eos_token="<|endoftext|>")
        model_class, config = _qwen(tokenizer, eos_token_id=0)
        _saved(name, model_class, config, tokenizer)
    return folder


def spec_of(folder: Path, *modalities: str) -> Any:
    """The catalogue entry of such a folder."""
    from pipelines.catalog import ModelSpec, Source

    return ModelSpec(
        id=f"local/{folder.name}",
        title=folder.name,
        modalities=modalities or ("text", "code"),
        loader="causal-lm",
        source=Source(path=str(folder)),
    )
