"""ModelSpec → a sound model to borrow: Bark, VITS and MusicGen through transformers, weights as one component.

What they draw comes from a generator of the job's own (`seeded_draws.py`), though the libraries know only torch's global one.
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
import transformers

from pipelines.catalog import ModelSpec
from pipelines.catalog.digest import component_key, fingerprint
from pipelines.catalog.headers import BadFile, Weights, find_weights, read_json
from pipelines.loading.parts import (
    PartClass,
    explain_loading,
    libraries,
    open_part,
    opened_bytes,
    small_files,
    unusable,
)
from pipelines.memory import Component
from pipelines.memory.shelf import SHELF
from pipelines.runtime.context import Context

Model = TypeVar("Model", bound=torch.nn.Module)


@dataclass(frozen=True)
class SoundModel:
    """A sound model that can be borrowed. component: its weights; config: config.json as it stands."""

    spec: ModelSpec
    folder: Path
    component: Component
    config: dict[str, object]
    dtype: torch.dtype

    def number(self, name: str, usual: int, part: str = "") -> int:
        """A number that config.json tells, at its top or in a part of it."""
        told = self.config.get(part) if part else self.config
        found = told.get(name) if isinstance(told, dict) else None
        return int(found) if isinstance(found, int | float) and found else usual

    @property
    def tokenizer(self) -> transformers.PreTrainedTokenizerBase:
        """This job's own."""
        small = small_files(self.folder)
        # not the component's key: others with the same weights may spell otherwise
        key = ("sound tokenizer", str(self.folder), fingerprint(small))
        return SHELF.take(key, self._open_tokenizer, opened_bytes(small))

    def _open_tokenizer(self) -> transformers.PreTrainedTokenizerBase:
        with explain_loading(self.spec, "tokenizer"):
            return transformers.AutoTokenizer.from_pretrained(
                self.folder, local_files_only=True, trust_remote_code=False
            )


def sound_model(spec: ModelSpec, model_class: PartClass, dtype: torch.dtype, codec: str = "") -> SoundModel:
    """The model in a folder, measured but not yet read; raises ModelUnavailable in one sentence when it cannot be used.

    codec: the part that turns tokens into samples, always held in float32: in half precision one hears the rounding.
    """
    libraries()
    folder = Path(spec.source.path)
    try:
        config = read_json(folder / "config.json")
        weights = find_weights(folder)
        nbytes = sum(
            info.nbytes_as(4 if codec and name.startswith(f"{codec}.") else dtype.itemsize)
            for name, info in weights.tensors().items()
        )
        key = component_key("model", model_class.__name__, dtype, weights.files, folder)
    except (BadFile, OSError) as bad:
        raise unusable(spec, str(bad), remedy=getattr(bad, "remedy", "")) from None
    load = partial(_open, spec, folder, model_class, weights, dtype, codec)
    return SoundModel(spec, folder, Component(key, load, nbytes, model=spec.id), config, dtype)


def _open(
    spec: ModelSpec, folder: Path, model_class: PartClass, weights: Weights, dtype: torch.dtype, codec: str
) -> torch.nn.Module:
    model = open_part(spec, folder, model_class, weights, dtype)
    if codec:
        getattr(model, codec).float()
    return model


def borrowed(module: Model, ctx: Context) -> Model:
    """The same weights, but each forward pass first asks whether to stop, and runs at full speed under `SeededDraws`.

    A copy of the shell only, as others may borrow the original at the same time.
    """
    shell = copy.copy(module)
    forward = module.forward

    @functools.wraps(forward)  # generation reads its signature
    def asked(*args: object, **kwargs: object) -> object:
        ctx.check_cancelled()
        # a torch function mode looks at every operation: a third of the time in tiny models, and nothing is drawn in here
        with torch._C.DisableTorchFunction():
            return forward(*args, **kwargs)

    shell.forward = asked
    return shell


class Listener(transformers.StoppingCriteria):
    """Rides along in `generate` and tells how far it is. tell: called with the tokens so far, at most five times a second."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._count = 0
        self._told = time.monotonic()

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor | None, **kwargs: object
    ) -> torch.Tensor:
        self._count += 1
        if time.monotonic() - self._told >= 0.2:
            self._told = time.monotonic()
            self._tell(self._count)
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
