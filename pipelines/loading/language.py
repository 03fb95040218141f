"""ModelSpec → a language model to borrow: its weights as one component, its tokenizer and its own words beside it.

Any decoder-only class transformers knows, by the folder's `config.json`. Safetensors only, no code from folders, dtype always
said. Tokenizers come from the shelf (`memory/shelf.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.catalog import ModelSpec
from pipelines.catalog.classes import causal_language_models, picture_reading_models
from pipelines.catalog.digest import component_key, fingerprint
from pipelines.catalog.headers import BadFile, Weights, find_weights, read_json
from pipelines.errors import ModelUnavailable
from pipelines.loading.parts import PartClass, explain_loading, open_part, opened_bytes, small_files, unusable
from pipelines.memory import Component
from pipelines.memory.shelf import SHELF

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

USUAL_TOKENS = 256
"""Each token of an answer runs through the whole model."""


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model that can be borrowed.

    component: its weights. tokenizer, config: as transformers opened them. end_ids: tokens that end an answer, from
    generation_config.json, config.json and the tokenizer. context: the most tokens, prompt and answer together, it has
    positions for; None when its kind has no such limit. vocabulary: ids from here on mean nothing to the tokenizer. marks: tokens
    that stand for a picture, which it must not meet without one.
    """

    spec: ModelSpec
    component: Component
    tokenizer: PreTrainedTokenizerBase
    config: PretrainedConfig
    end_ids: frozenset[int]
    context: int | None
    vocabulary: int
    dtype: torch.dtype
    marks: frozenset[int] = frozenset()

    def working_bytes(self, prompt_tokens: int, max_tokens: int) -> int:
        """Room for writing `max_tokens` after such a prompt: keys and values of every position, and one pass over the prompt.

        Keys and values: 2 · layers · heads · head size · positions · bytes. The pass holds a few activations of a layer, the
        attention mask, and the scores of one position, in float32.
        """
        config, item = self.config, self.dtype.itemsize
        heads = int(getattr(config, "num_attention_heads", None) or 1)
        hidden = int(getattr(config, "hidden_size", None) or 1024)
        layers = int(getattr(config, "num_hidden_layers", None) or 1)
        kv_heads = int(getattr(config, "num_key_value_heads", None) or heads)
        head_size = int(getattr(config, "head_dim", None) or hidden // heads)
        wide = getattr(config, "intermediate_size", None)  # a few families have a list, one per layer
        wide = max(wide) if isinstance(wide, list | tuple) else int(wide or 4 * hidden)
        cache = 2 * layers * kv_heads * head_size * (prompt_tokens + max_tokens) * item
        activations = prompt_tokens * (6 * hidden + 3 * wide) * item + prompt_tokens**2 * item
        scores = 6 * 4 * int(getattr(config, "vocab_size", None) or 32_000)
        return cache + activations + scores


def causal_lm(spec: ModelSpec, dtype: torch.dtype) -> LanguageModel:
    """The language model of a folder, measured but not yet read.

    Raises ModelUnavailable, in one sentence, for pickles, cut-off files, missing shards or tokenizer, classes that do not write
    text, code of its own.
    """
    if spec.loader != "causal-lm":
        raise ModelUnavailable(
            f"{spec.id} does not write text.",
            detail=f"It is opened as {spec.loader}.",
            hint="Pick a model from the Text or Code tab.",
        )
    folder = Path(spec.source.path)
    try:
        model_class = _model_class(folder)
        weights = find_weights(folder)
        nbytes = sum(info.nbytes_as(dtype.itemsize) for info in weights.tensors().values())
        key = component_key("language-model", model_class.__name__, dtype, weights.files, folder)
    except (BadFile, OSError) as bad:
        raise unusable(spec, str(bad), remedy=getattr(bad, "remedy", "")) from None
    load = partial(_open, spec, folder, model_class, weights, dtype)
    component = Component(key, load, nbytes, model=spec.id, passes=USUAL_TOKENS)
    tokenizer, config, end_ids = _cheap_parts(spec, folder)
    text_config = config.get_text_config(decoder=True)
    limit = getattr(text_config, "max_position_embeddings", None) or getattr(text_config, "seq_length", None)
    return LanguageModel(
        spec=spec,
        component=component,
        tokenizer=tokenizer,
        config=text_config,
        end_ids=end_ids,
        context=int(limit) if limit else None,
        vocabulary=max(tokenizer.get_vocab().values(), default=0) + 1,
        dtype=dtype,
        marks=_marks(config),
    )


def _marks(config: PretrainedConfig) -> frozenset[int]:
    names = (f"{kind}_token_{word}" for kind in ("image", "video", "audio") for word in ("id", "index"))
    told = [getattr(config, name, None) for name in names]
    return frozenset(number for number in told if isinstance(number, int))


def _model_class(folder: Path) -> PartClass:
    """The class config.json names; BadFile when it is not one that writes text."""
    import transformers

    config = read_json(folder / "config.json")
    named = config.get("architectures")
    name = str(named[0]) if isinstance(named, list) and named else ""
    known = causal_language_models() | picture_reading_models()
    if name not in known:
        if "auto_map" in config:
            raise BadFile(f"It needs code of its own ({name}), which the studio never runs.")
        raise BadFile(
            f"It is a {name}, which does not write text." if name else "Its config.json names no model."
        )
    found = getattr(transformers, name, None)
    if found is None:
        raise BadFile(f"Its class {name} is unknown to the installed transformers.")
    return found


def _open(
    spec: ModelSpec, folder: Path, model_class: PartClass, weights: Weights, dtype: torch.dtype
) -> nn.Module:
    import transformers

    transformers.utils.logging.disable_progress_bar()
    return open_part(spec, folder, model_class, weights, dtype, part="language model")


def _cheap_parts(
    spec: ModelSpec, folder: Path
) -> tuple[PreTrainedTokenizerBase, PretrainedConfig, frozenset[int]]:
    """Tokenizer, config and end tokens; this job's own, opened again when a file of theirs changes."""
    small = small_files(folder)
    key = ("language parts", str(folder), fingerprint(small))
    return SHELF.take(key, lambda: _open_cheap_parts(spec, folder), opened_bytes(small))


def _open_cheap_parts(
    spec: ModelSpec, folder: Path
) -> tuple[PreTrainedTokenizerBase, PretrainedConfig, frozenset[int]]:
    from transformers import AutoConfig, AutoTokenizer

    with explain_loading(spec, "configuration"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    with explain_loading(spec, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if not tokenizer.chat_template:
        tokenizer.chat_template = _processors_template(folder)
    return tokenizer, config, _end_ids(folder, config, tokenizer)


def _processors_template(folder: Path) -> str | None:
    """The chat template of a model that reads pictures too: some keep it with their processor, where no tokenizer looks."""
    if not (folder / "chat_template.json").is_file():
        return None
    try:
        told = read_json(folder / "chat_template.json").get("chat_template")
    except BadFile:
        return None
    return told if isinstance(told, str) else None


def _end_ids(folder: Path, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """All tokens any of the folder's files calls the end of a text; a number, or a list of numbers."""
    said = [getattr(config, "eos_token_id", None), tokenizer.eos_token_id]
    if (folder / "generation_config.json").is_file():
        said.append(read_json(folder / "generation_config.json").get("eos_token_id"))
    ids = [number for value in said for number in (value if isinstance(value, list) else [value])]
    return frozenset(int(number) for number in ids if isinstance(number, int) and number >= 0)
