"""What safetensors files say about themselves: tensor names, shapes and sizes, without reading a single weight.

Imports no torch. The format: 8 bytes little-endian header length, that many bytes of JSON, then the data.
Source: https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path

PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".msgpack", ".h5")
STEMS = ("diffusion_pytorch_model", "model")  # diffusers, transformers
DTYPE_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
MAX_HEADER = 100_000_000  # the format's own limit


class BadFile(ValueError):
    """A file or folder that cannot be used; the text is one sentence for a person."""


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file: dtype as the format spells it ("F16"), shape, its bytes on disk and where in the file they begin."""

    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    offset: int = 0

    @property
    def is_floating(self) -> bool:
        return self.dtype.startswith(("F", "BF"))

    def nbytes_as(self, itemsize: int) -> int:
        """Bytes once loaded with `itemsize` bytes per floating number; integers and packed weights stay as they are."""
        return prod(self.shape) * itemsize if self.is_floating else self.nbytes


@dataclass(frozen=True)
class Weights:
    """The safetensors files of one model, in one precision. variant: "" or what stands in their names, like "fp16"."""

    files: tuple[Path, ...]
    variant: str = ""

    def tensors(self) -> dict[str, TensorInfo]:
        """All tensors of all shards; raises BadFile naming the first file that is not whole."""
        found: dict[str, TensorInfo] = {}
        for file in self.files:
            found.update(read_header(file))
        return found

    @property
    def nbytes(self) -> int:
        return sum(file.stat().st_size for file in self.files)


def read_header(path: Path) -> dict[str, TensorInfo]:
    """Tensor name → what it is; raises BadFile for a pickle, a git-lfs pointer, a cut-off or a damaged file."""
    if not path.is_file():
        raise BadFile(f"{path.name} is missing.")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start.startswith(b"version "):
            raise BadFile(f"{path.name} is a git-lfs pointer of {size} bytes, not the weights it points to.")
        if start[:2] in (b"PK", b"\x80\x02", b"\x80\x04", b"\x80\x05"):
            raise BadFile(
                f"{path.name} is a pickle under another name, and opening a pickle can run anything."
            )
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            raise BadFile(f"{path.name} is cut off or not a safetensors file ({size:,} bytes).")
        try:
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            tensors = {
                name: TensorInfo(entry["dtype"], tuple(entry["shape"]), *_span(entry, 8 + length))
                for name, entry in header.items()
            }
            end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            raise BadFile(f"{path.name} has a damaged header.") from None
    if 8 + length + end > size:
        raise BadFile(f"{path.name} is cut off: {size:,} of {8 + length + end:,} bytes are here.")
    return tensors


def _span(entry: dict[str, list[int]], start: int) -> tuple[int, int]:
    first, last = entry["data_offsets"]
    return last - first, start + first


def find_weights(folder: Path, prefer: Iterable[str] = ("",)) -> Weights:
    """The weights in a model folder: one file, or the shards its index names.

    prefer: precisions to look for first ("" is the plain files); any other that is there comes after.
    Raises BadFile when there are none, only pickles, or a shard is missing.
    """
    if not folder.is_dir():
        raise BadFile(f"The folder {folder.name} is missing.")
    names = sorted(file.name for file in folder.iterdir())
    for variant in dict.fromkeys((*prefer, "", "fp16", "bf16")):
        dot = f".{variant}" if variant else ""
        for stem in STEMS:
            single = f"{stem}{dot}.safetensors"
            if single in names:
                return Weights((folder / single,), variant)
            index = f"{stem}.safetensors.index{dot}.json"
            if index in names:
                return Weights(_shards(folder, index), variant)
    pickles = [name for name in names if name.endswith(PICKLES)]
    if pickles:
        raise BadFile(
            f"{folder.name} holds its weights only as a pickle ({pickles[0]}), and opening a pickle can run anything."
        )
    raise BadFile(f"{folder.name} holds no weights (no .safetensors file).")


def _shards(folder: Path, index: str) -> tuple[Path, ...]:
    try:
        names = sorted(set(json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values()))
        files = tuple(folder / name for name in names)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadFile(f"{folder.name}/{index} is damaged.") from None
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise BadFile(
            f"{len(missing)} of {len(files)} weight files of {folder.name} are missing, first {missing[0]}."
        )
    return files


def read_json(path: Path) -> dict[str, object]:
    """A JSON object from a file; raises BadFile when it is missing or damaged."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadFile(f"{path.parent.name}/{path.name} is missing.") from None
    except (ValueError, OSError):
        raise BadFile(f"{path.parent.name}/{path.name} is damaged.") from None
    if not isinstance(data, dict):
        raise BadFile(f"{path.parent.name}/{path.name} is damaged.")
    return data
