"""What happens when a part of a model is read: the library's call, and its complaints turned into one sentence.

Every part is opened from safetensors, in a dtype that is said, without running anything the folder brings.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from pipelines.catalog import ModelSpec
from pipelines.catalog.headers import Weights, read_header, read_json
from pipelines.catalog.single_file import SHIPPED
from pipelines.errors import ModelUnavailable, StudioError, first_line

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline
    from torch import nn

    from pipelines.memory.weights.file_reader import Stored

SHAPES = re.compile(r"size mismatch|mismatched|shape|sizes? of tensor", re.IGNORECASE)
"""What libraries say when weights and config are of two models."""


Untyped: TypeAlias = Any
"""What diffusers hands out, pipelines, their parts and outputs: the library tells no types, and families differ."""


class PartClass(Protocol):
    """A class of diffusers or transformers that opens itself from a folder: a model, a tokenizer, a scheduler."""

    __name__: str

    def __call__(self, **settings: object) -> object: ...

    def from_pretrained(self, folder: Path, **how: object) -> Any: ...


def open_part(
    spec: ModelSpec, folder: Path, part_class: PartClass, weights: Weights, dtype: torch.dtype, part: str = ""
) -> nn.Module:
    """One part of a folder, on the CPU; raises ModelUnavailable when it does not open or tensors are missing.

    part: what people call it, when that is not the name of the folder.
    """
    part = part or folder.name
    with explain_loading(spec, part):
        module, told = part_class.from_pretrained(
            folder,
            dtype=dtype,
            variant=weights.variant or None,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    missing = sorted(told["missing_keys"])
    if missing:
        raise unusable(spec, f"{len(missing)} tensors are missing in its {part}, first {missing[0]}.")
    return _ready(module, weights.files)


def small_files(folder: Path) -> list[Path]:
    """What lies beside the weights: configs and tokenizers."""
    return sorted(file for file in folder.iterdir() if file.suffix != ".safetensors")


def opened_bytes(files: Sequence[Path]) -> int:
    """About what a tokenizer of these files takes in memory: 2.4 to 3.4 bytes for each of its tokenizer.json, measured."""
    return 4 * max((file.stat().st_size for file in files if file.is_file()), default=0)


def open_cheap(part_class: PartClass, folder: Path) -> object:
    """A tokenizer or image processor; the configs we ship share one vocabulary."""
    if SHIPPED in folder.parents and part_class.__name__ == "CLIPTokenizer":
        return _clip_tokenizer(part_class, read_json(folder / "tokenizer_config.json"))
    return part_class.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _clip_tokenizer(part_class: PartClass, settings: dict[str, object]) -> object:
    """CLIP's tokenizer from the one list of merges we ship for all families: bytes, bytes that end a word, merges, two marks."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    lines = gzip.decompress((SHIPPED / "clip_merges.txt.gz").read_bytes()).decode().splitlines()
    letters = list(bytes_to_unicode().values())
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(line.replace(" ", "") for line in lines)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    settings = {name: value for name, value in settings.items() if name != "tokenizer_class"}
    merges = [tuple(line.split(" ")) for line in lines]
    return part_class(vocab={word: number for number, word in enumerate(words)}, merges=merges, **settings)


def open_from_file(
    spec: ModelSpec,
    file: Path,
    config: Path,
    pipeline_class: type[DiffusionPipeline],
    part: str,
    parts: tuple[str, ...],
    dtype: torch.dtype,
) -> nn.Module:
    """One part out of a single file; diffusers is told to leave the others alone."""
    others = {name: None for name in parts if name != part}
    with explain_loading(spec, part):
        pipeline = pipeline_class.from_single_file(
            str(file), config=str(config), dtype=dtype, local_files_only=True, **others
        )
    module = getattr(pipeline, part)
    if hasattr(
        module, "tie_weights"
    ):  # diffusers leaves the second name of a tied weight (T5) without numbers
        module.tie_weights()
    missing = [name for name, weight in module.named_parameters() if weight.is_meta]
    if missing:
        raise unusable(spec, f"{len(missing)} tensors are missing in its {part}, first {missing[0]}.")
    return _ready(module, (file,))


def _ready(module: nn.Module, files: Sequence[Path]) -> nn.Module:
    """For inference only, and knowing where its weights lie.

    A VAE held in float32 because it overflows in half precision takes any input. diffusers would cast such a VAE up and down
    around each use, which a lent module must not suffer, so it is told not to.
    """
    import torch

    from pipelines.memory.weights.file_reader import remember_stored

    module.eval().requires_grad_(False)
    remember_stored(module, stored_in(files))
    if getattr(getattr(module, "config", None), "force_upcast", False):
        module.register_to_config(force_upcast=False)
        inner = [
            getattr(module, name, None) for name in ("encoder", "quant_conv", "post_quant_conv", "decoder")
        ]
        for part in inner if module.dtype == torch.float32 else ():
            if part is not None:
                part.register_forward_pre_hook(lambda _, args: tuple(_float(value) for value in args))
    return module


def stored_in(files: Sequence[Path]) -> Iterator[Stored]:
    """Where the floating numbers in these files lie; whole ones and packed ones are never converted."""
    import torch

    from pipelines.memory.weights.file_reader import Stored

    dtypes = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "F16": torch.float16}
    dtypes |= {"BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
    for file in files:
        for name, info in read_header(file).items():
            if info.dtype in dtypes:
                yield Stored(name, file, info.offset, dtypes[info.dtype], prod(info.shape))


def _float(value: object) -> object:
    return value.float() if hasattr(value, "float") else value


# ---- errors ----


def unusable(spec: ModelSpec, reason: str, detail: str = "", remedy: str = "") -> ModelUnavailable:
    """The three-part error for a model that cannot be opened. reason: one sentence with the file or part in it."""
    hint = remedy or "Download it again, or pick another model."
    return ModelUnavailable(f"{spec.id} cannot be used. {reason}", detail=detail or spec.place, hint=hint)


@cache
def libraries() -> None:
    """Import what opens models, and keep its progress bars and advice out of the log."""
    import diffusers
    import transformers

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()


@contextmanager
def explain_loading(spec: ModelSpec, part: str) -> Iterator[None]:
    """Whatever a library says while opening a part becomes one sentence about the model."""
    import torch

    try:
        yield
    except (StudioError, MemoryError, torch.OutOfMemoryError):
        raise
    except ImportError as error:
        raise unusable(
            spec,
            f"Its {part} needs a package that is not installed.",
            first_line(error),
            "Install it into the studio's environment, or pick another model.",
        ) from error
    except Exception as error:
        if SHAPES.search(str(error)):
            raise unusable(
                spec,
                f"The weights of its {part} have other shapes than its config tells: they belong to another model.",
                first_line(error),
            ) from error
        raise unusable(
            spec, f"Its {part} could not be opened.", f"{type(error).__name__}: {first_line(error)}"
        ) from error
