"""Checkpoints of everyday size with random weights, made by config."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pipelines.catalog import Catalog


def language_model(folder: Path, layers: int) -> Any:
    """A Qwen2 model 896 wide, unsaved; `folder` gets configs and the tokenizer of `starter/text`. 0.49 B numbers at 33 layers."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    shutil.copytree(Catalog(hub=False).get("starter/text").source.path, folder, dirs_exist_ok=True)
    (folder / "model.safetensors").unlink()
    small = Qwen2Config.from_pretrained(folder)
    config = Qwen2Config(
        vocab_size=small.vocab_size,
        eos_token_id=small.eos_token_id,
        pad_token_id=small.pad_token_id,
        hidden_size=896,
        num_hidden_layers=layers,
        intermediate_size=4864,
        num_attention_heads=14,
        num_key_value_heads=2,
    )
    return Qwen2ForCausalLM(config)
