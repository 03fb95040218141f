"""What safetensors files say about themselves: tensor names, shapes and sizes, without reading a single weight.

Imports no torch. The format: 8 bytes little-endian header length, that many bytes of JSON, then the data.
Source: https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import json
import shlex
import struct
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, TypedDict

PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".msgpack", ".h5")
STEMS = ("diffusion_pytorch_model", "model")  # diffusers, transformers
DTYPE_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
MAX_HEADER = 100_000_000  # the format's own limit
AGAIN = "Download it again."
MAX_JSON = 64 << 20  # the largest index of a published model is a tenth of this
TORCH_MAGIC = b"\x8a\n"  # a long number: what torch wrote first before its files were archives
PICKLE_PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


class BadFile(ValueError):
    """A file or folder that cannot be used; the text is one sentence for a person. remedy: another, what to do about it."""

    def __init__(self, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.remedy = remedy


def pickled(text: str, path: Path) -> BadFile:
    """The refusal of a pickle, with the way out."""
    way = f"python3 launch.py models convert {shlex.quote(str(path))}"
    return BadFile(
        f"{text}, and opening a pickle can run anything.", f"If you trust its maker, convert it once: {way}"
    )


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
    """Tensor name → what it is; raises BadFile for whatever is not one whole safetensors file, saying what it is instead."""
    if not path.is_file():
        raise BadFile(f"{path.name} is missing.", AGAIN)
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        header = _header(file, length) if 2 <= length <= min(MAX_HEADER, size - 8) else None
    if header is None:
        raise _no_safetensors(path, size)
    try:
        tensors = {
            name: TensorInfo(entry["dtype"], tuple(entry["shape"]), *_span(entry, 8 + length))
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadFile(f"{path.name} has a damaged header.", AGAIN) from None
    _check_spans(path, tensors, 8 + length, size)
    return tensors


class _Entry(TypedDict):
    """What a header says of one tensor, if it keeps to the format; whatever else it holds is found out by using it."""

    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def _header(file: IO[bytes], length: int) -> dict[str, _Entry] | None:
    """The JSON object a safetensors file begins with; None without one. Its length may spell anything, a pickle's mark too."""
    if file.read(1) != b"{":
        return None
    try:
        found = json.loads(b"{" + file.read(length - 1))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _span(entry: _Entry, start: int) -> tuple[int, int]:
    """Bytes, and where in the file they begin."""
    first, last = entry["data_offsets"]
    told = (first, last, *entry["shape"])
    nbytes = prod(entry["shape"]) * DTYPE_BYTES.get(entry["dtype"], 0)
    if (
        any(type(number) is not int or number < 0 for number in told)
        or (nbytes or last - first) != last - first
    ):
        raise ValueError
    return last - first, start + first


def _check_spans(path: Path, tensors: Mapping[str, TensorInfo], start: int, size: int) -> None:
    """Every tensor begins where the one before it ends, the last at the end of the file: what the format promises."""
    at = start
    for info in sorted(tensors.values(), key=lambda info: (info.offset, info.nbytes)):
        if info.offset != at:
            raise BadFile(f"{path.name} has a damaged header.", AGAIN)
        at += info.nbytes
    if at > size:
        raise BadFile(f"{path.name} is cut off: {size:,} of {at:,} bytes are here.", AGAIN)
    if at < size:
        raise BadFile(
            f"{path.name} is damaged: it has {size - at:,} bytes more than its header tells of.", AGAIN
        )


def _no_safetensors(path: Path, size: int) -> BadFile:
    """What a file is that is called .safetensors and is none, told by its structure."""
    with path.open("rb") as file:
        start = file.read(64)
        file.seek(max(0, size - 1))
        end = file.read(1)
    if start.startswith(b"version https://git-lfs"):
        return BadFile(
            f"{path.name} is a git-lfs pointer of {size} bytes, not the weights it points to.",
            "Fetch the weights themselves: git lfs pull, or download the model again.",
        )
    if _is_torch_archive(path) or (
        start.startswith(PICKLE_PROTOCOLS) and (end == b"." or start[2:4] == TORCH_MAGIC)
    ):
        return pickled(f"{path.name} is a pickle under another name", path)
    if start.startswith(b"GGUF"):
        return BadFile(
            f"{path.name} is a GGUF file for llama.cpp; the studio opens safetensors.", GGUF_REMEDY
        )
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return BadFile(f"{path.name} is a web page of {size:,} bytes, not weights.", AGAIN)
    return BadFile(f"{path.name} is cut off or not a safetensors file ({size:,} bytes).", AGAIN)


GGUF_REMEDY = "Get the same model in safetensors format; most are published in both."


def _is_torch_archive(path: Path) -> bool:
    """What torch.save writes: a zip with a pickle in it that says where the tensors lie."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("data.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


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
        raise pickled(f"{folder.name} holds its weights only as a pickle ({pickles[0]})", folder)
    if gguf := [name for name in names if name.endswith(".gguf")]:
        raise BadFile(
            f"{folder.name} holds its weights as a GGUF file for llama.cpp ({gguf[0]}); the studio opens safetensors.",
            GGUF_REMEDY,
        )
    raise BadFile(f"{folder.name} holds no weights (no .safetensors file).", AGAIN)


def _shards(folder: Path, index: str) -> tuple[Path, ...]:
    told = read_json(folder / index).get("weight_map")
    names = set(told.values()) if isinstance(told, dict) else set()
    if not names or not all(isinstance(name, str) for name in names):
        raise BadFile(f"{folder.name}/{index} is damaged.")
    files = tuple(folder / name for name in sorted(names))
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise BadFile(
            f"{len(missing)} of {len(files)} weight files of {folder.name} are missing, first {missing[0]}.",
            "Download it again: what is there is kept.",
        )
    return files


def read_json(path: Path) -> dict[str, object]:
    """A JSON object from a file; raises BadFile when it is missing or damaged."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise BadFile(f"{path.parent.name}/{path.name} is larger than {MAX_JSON >> 20} MB.")
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadFile(f"{path.parent.name}/{path.name} is missing.", AGAIN) from None
    except BadFile:
        raise
    except (ValueError, OSError, RecursionError):
        raise BadFile(f"{path.parent.name}/{path.name} is damaged.", AGAIN) from None
    if not isinstance(data, dict):
        raise BadFile(f"{path.parent.name}/{path.name} is damaged.", AGAIN)
    return data
