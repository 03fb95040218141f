"""Whether weights are the same: a short name for what files hold, by which models share what they have in common.

Files of one inode are equal, and the hub's cache names its files by their SHA-256: both cost nothing. Of any other file the
header, the size and 64 kB spread over it are looked at, some microseconds. Only when two files agree in all that are both read in
full, and what came out is remembered beside the library. Imports no torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import struct
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.catalog.headers import MAX_HEADER
from pipelines.disk import write_whole

LENGTH = 12
SAMPLES, SAMPLE_BYTES = 16, 4096
MAX_REMEMBERED = 2000
UNTOLD = (
    "_name_or_path",
    "_commit_hash",
    "_diffusers_version",
    "transformers_version",
    "dtype",
    "torch_dtype",
)
"""What a config says of where it comes from, and the dtype, which is always said by whoever opens it."""


@dataclass(frozen=True)
class Stamp:
    """A file at one time; equal stamps mean equal bytes."""

    device: int
    inode: int
    nbytes: int
    mtime_ns: int


@dataclass
class _Known:
    """A file seen before, for each content one. sha256: empty until it was needed."""

    name: str
    path: Path
    stamp: Stamp
    sha256: str = ""


@dataclass
class _Alike:
    """Files that could not be told apart by looks."""

    known: list[_Known] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Digests:
    """Names of contents; safe from any thread. Names hold for the life of the process, and mean nothing beyond it.

    folder: where SHA-256 sums are kept, which took seconds to make; None, or one that cannot be written, keeps them here.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._names: dict[Stamp, str] = {}
        self._alike: dict[str, _Alike] = {}
        self._sums: dict[str, tuple[int, int, str]] | None = None
        self._folder = folder

    def keep_in(self, folder: Path | None) -> None:
        with self._lock:
            self._folder, self._sums = folder, None

    def of(self, files: Iterable[Path]) -> str:
        """What these files hold together: the same for files of the same bytes in the same order, and for no others.

        Raises OSError when one cannot be read.
        """
        names = [self._of(file) for file in files]
        return names[0] if len(names) == 1 else short(*names)

    def _of(self, file: Path) -> str:
        path = Path(os.path.realpath(file))
        stamp = _stamp(path)
        if name := self._names.get(stamp):
            return name
        likeness = _likeness(path, stamp.nbytes)
        with self._lock:
            alike = self._alike.setdefault(likeness, _Alike())
        with alike.lock:  # held while files are read in full; only who asks for the same ones waits
            if name := self._names.get(stamp):
                return name
            new = _Known("", path, stamp, _named_by_its_sum(path))
            rivals = [known for known in alike.known if known.sha256 or _is_still(known)]
            if rivals:
                self._sum_up([known for known in (*rivals, new) if not known.sha256])
            same = next((known for known in rivals if known.sha256 and known.sha256 == new.sha256), None)
            if same is None:
                new.name = short(likeness, repr(stamp))
                alike.known.append(new)
            self._names[stamp] = name = same.name if same is not None else new.name
            return name

    # ---- sums -----------------------------------------------------------------------------------------------------

    def _sum_up(self, files: list[_Known]) -> None:
        """Fill in SHA-256, from memory or by reading; a file that vanished meanwhile stays without and equals nothing."""
        with self._lock:
            if self._sums is None:
                self._sums = self._load()
            sums = self._sums
        unread = []
        for file in files:
            nbytes, mtime_ns, sha256 = sums.get(str(file.path), (0, 0, ""))
            if sha256 and (nbytes, mtime_ns) == (file.stamp.nbytes, file.stamp.mtime_ns):
                file.sha256 = sha256
            else:
                unread.append(file)
        if not unread:
            return
        with ThreadPoolExecutor(min(4, len(unread)), "digest") as pool:
            for file, sha256 in zip(unread, pool.map(lambda one: _sha256(one.path), unread), strict=True):
                if sha256 and _is_still(file):
                    file.sha256 = sha256
                    with self._lock:
                        sums[str(file.path)] = (file.stamp.nbytes, file.stamp.mtime_ns, sha256)
        with self._lock:
            self._save()

    @property
    def _file(self) -> Path | None:
        return self._folder / "digests.json" if self._folder else None

    def _load(self) -> dict[str, tuple[int, int, str]]:
        if self._file is None:
            return {}
        try:
            told = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(path): (int(size), int(time), str(sha)) for path, (size, time, sha) in told.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _save(self) -> None:
        if self._file is None or self._sums is None:
            return
        kept = {path: entry for path, entry in self._sums.items() if os.path.exists(path)}
        kept = dict(list(kept.items())[-MAX_REMEMBERED:])
        with contextlib.suppress(OSError):
            write_whole(self._file, json.dumps(kept), private=True)


digests = Digests()
"""Those of this process; the worker says where to keep sums."""


def component_key(
    part: str, class_name: str, dtype: object, files: Iterable[Path], configs: Path, inside: str = ""
) -> str:
    """The key of a part of a model: the same for the same class, configuration, dtype and weights, in whatever model.

    `UNet2DConditionModel:unet:float32@0123456789ab`. part: its name there; text_encoder_2 of one is text_encoder_3 of another, so
    numbers do not count. dtype: torch's, or its name. configs: the folder of its config.json. inside: which part of the files it
    is, when they hold more. Raises OSError when a file cannot be read.
    """
    content = short(digests.of(files), _config(configs), inside)
    name = str(dtype).removeprefix("torch.")
    return f"{class_name}:{re.sub(r'_[0-9]+$', '', part)}:{name}@{content}"


def short(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:LENGTH]


def fingerprint(files: Iterable[Path]) -> str:
    """Of small files: changes when one is replaced."""
    return short(*(repr((file.name, _stamp(file))) for file in files))


def _config(folder: Path) -> str:
    found = []
    for name in ("config.json", "generation_config.json"):
        try:
            told = json.loads((folder / name).read_bytes())
        except (OSError, ValueError):
            continue  # missing or damaged: whoever opens it says so
        told = (
            {key: value for key, value in told.items() if key not in UNTOLD}
            if isinstance(told, dict)
            else told
        )
        found.append(json.dumps(told, sort_keys=True))
    return short(*found)


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _is_still(known: _Known) -> bool:
    try:
        return _stamp(known.path) == known.stamp
    except OSError:
        return False


def _likeness(path: Path, nbytes: int) -> str:
    """Different for almost all files that differ: fine-tuned models agree in header and size, and in hardly any number."""
    seen = hashlib.sha256(str(nbytes).encode())
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if length <= MAX_HEADER:
            seen.update(file.read(length))
        first = file.tell()
        for number in range(SAMPLES):
            file.seek(first + (max(0, nbytes - first - SAMPLE_BYTES) * number) // (SAMPLES - 1))
            seen.update(file.read(SAMPLE_BYTES))
    return seen.hexdigest()


def _named_by_its_sum(path: Path) -> str:
    """The SHA-256 by which the hub's cache names a large file; "" for any other file."""
    return path.name if path.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", path.name) else ""


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
