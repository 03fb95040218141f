"""Fetch a model from the hub when a person asks: measured first, resumed, checked, never behind anyone's back.

Goes through huggingface_hub, so HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE mean what they mean elsewhere. Only files that
hold no code are asked for. Imports huggingface_hub inside the functions: it reads its environment at import.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from pipelines.errors import GB, Cancelled, ModelUnavailable, OutOfDisk, readable_bytes
from pipelines.messages.spec import ModelSpec, Source

UNSAFE = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.py", "*.msgpack", "*.h5", "*.onnx")
CLIENT_MODULES = ("httpx", "httpcore", "huggingface_hub", "hf_xet")
SPARE_BYTES = GB
if TYPE_CHECKING:
    from tqdm.auto import tqdm

T = TypeVar("T")


@dataclass(frozen=True)
class RemoteFile:
    name: str
    nbytes: int
    is_cached: bool


@dataclass(frozen=True)
class Measure:
    """What a download will take. revision: the commit it is pinned to."""

    revision: str
    files: tuple[RemoteFile, ...]

    @property
    def nbytes(self) -> int:
        return sum(file.nbytes for file in self.files)

    @property
    def missing_bytes(self) -> int:
        return sum(file.nbytes for file in self.files if not file.is_cached)


def measure(spec: ModelSpec) -> Measure:
    """Ask the hub what the download would be. Raises ModelUnavailable: offline, unknown, gated, or holding no safe weights."""
    from huggingface_hub import snapshot_download

    found = _explained(
        spec,
        lambda: snapshot_download(
            spec.source.repo,
            revision=spec.source.revision,
            allow_patterns=list(spec.source.files) or None,
            ignore_patterns=list(UNSAFE),
            dry_run=True,
            tqdm_class=_silent(),
        ),
    )
    files = tuple(RemoteFile(info.filename, info.file_size, info.is_cached) for info in found)
    only_configs = spec.loader == "diffusers-single-file"  # its weights are here already
    if not only_configs and not any(file.name.endswith(".safetensors") for file in files):
        raise ModelUnavailable(
            f"{spec.id} offers no safetensors weights.",
            detail=f"It lists {len(files)} files without them; pickles can run code when opened, so they are not downloaded.",
            hint="If you trust its maker, download it yourself and run: python3 launch.py models convert FOLDER",
        )
    return Measure(found[0].commit_hash, files)


def download(
    spec: ModelSpec,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """Download the model into the hub's cache and return its folder; what is there already is not fetched again.

    on_progress: called with (bytes done, bytes in all). Raises Cancelled (the partial file is kept and resumed), OutOfDisk,
    ModelUnavailable.
    """
    from huggingface_hub import constants, snapshot_download

    plan = measure(spec)
    free = shutil.disk_usage(_existing(Path(constants.HF_HUB_CACHE))).free
    if plan.missing_bytes + SPARE_BYTES > free:
        raise OutOfDisk(
            f"There is no room for {spec.id}.",
            detail=f"It needs {readable_bytes(plan.missing_bytes)} and the disk has {readable_bytes(free)} free.",
            hint=f"Free some space, or set HF_HOME to another disk (now {constants.HF_HOME}).",
        )
    folder = _explained(
        spec,
        lambda: snapshot_download(
            spec.source.repo,
            revision=plan.revision,
            allow_patterns=list(spec.source.files) or None,
            ignore_patterns=list(UNSAFE),
            max_workers=4,
            tqdm_class=_progress_class(plan, on_progress, is_cancelled),
        ),
    )
    on_progress(plan.nbytes, plan.nbytes)
    _check(Path(folder), plan)
    return Path(folder)


def remove(spec: ModelSpec) -> int:
    """Delete a downloaded model from the hub's cache; returns the bytes freed, 0 when it was not there."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        cache = scan_cache_dir()
    except CacheNotFound:
        return 0
    hashes = [
        revision.commit_hash
        for repo in cache.repos
        if repo.repo_id == spec.source.repo and repo.repo_type == "model"
        for revision in repo.revisions
    ]
    if not hashes:
        return 0
    strategy = cache.delete_revisions(*hashes)
    strategy.execute()
    return int(strategy.expected_freed_size)


def local_folder(spec: ModelSpec) -> Path | None:
    """Where the model lies in the hub's cache, or None. Asks no network.

    A half-finished download does not count, nor does one that cannot be read.
    """
    from huggingface_hub import constants

    repo = Path(constants.HF_HUB_CACHE) / f"models--{spec.source.repo.replace('/', '--')}"
    try:
        return _snapshot(repo, spec.source.revision)
    except (OSError, ValueError):
        return None


def _snapshot(repo: Path, revision: str) -> Path | None:
    reference = repo / "refs" / revision
    revision = reference.read_text().strip() if reference.is_file() else revision
    snapshot = repo / "snapshots" / revision
    if not snapshot.is_dir():
        snapshots = sorted(repo.glob("snapshots/*"), key=lambda folder: folder.stat().st_mtime)
        if not snapshots:
            return None
        snapshot = snapshots[-1]
    unfinished = any((repo / "blobs").glob("*.incomplete"))
    has_weights = any(snapshot.rglob("*.safetensors"))
    return snapshot if has_weights and not unfinished else None


def _cached() -> Iterator[tuple[str, Path]]:
    """Name and folder of every model in the hub's cache."""
    from huggingface_hub import constants

    for repo in sorted(Path(constants.HF_HUB_CACHE).glob("models--*--*")):
        name = repo.name.removeprefix("models--").replace("--", "/", 1)
        folder = local_folder(ModelSpec(name, name, (), "diffusers", Source(repo=name)))
        if folder is not None:
            yield name, folder


def cached_folders() -> list[Path]:
    """Diffusers folders in the hub's cache, which may lend their configs to a single file."""
    return [folder for _, folder in _cached() if (folder / "model_index.json").is_file()]


def cached_models() -> list[ModelSpec]:
    """Every model in the hub's cache, whoever downloaded it, as its folder says what it is."""
    from pipelines.catalog.scan import identify

    specs = []
    for name, folder in _cached():
        found = identify(folder)
        if found.state == "ready":
            source = Source(path=str(folder), repo=name, revision=folder.name)
            specs.append(dataclasses.replace(found, id=name, title=name.split("/")[1], source=source))
    return specs


def _check(folder: Path, plan: Measure) -> None:
    """Every file is there, has its announced size, and large ones hash to their name in the cache (their SHA-256).

    Damaged ones are deleted, so that the next download brings them anew.
    """
    damaged = [file for file in plan.files if not _is_whole(folder / file.name, file.nbytes)]
    for file in damaged:
        (folder / file.name).resolve().unlink(missing_ok=True)
        (folder / file.name).unlink(missing_ok=True)
    if damaged:
        raise ModelUnavailable(
            f"{damaged[0].name} arrived damaged.",
            detail=f"{len(damaged)} of {len(plan.files)} files do not have the announced size and checksum.",
            hint="Download again: only these are fetched.",
        )


def _is_whole(path: Path, nbytes: int) -> bool:
    if not path.exists() or path.stat().st_size != nbytes:
        return False
    blob = path.resolve().name
    return len(blob) != 64 or _sha256(path) == blob


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _silent() -> type[tqdm[NoReturn]]:
    """A tqdm that prints nothing: our own progress is on the page and the command line."""
    from tqdm.auto import tqdm

    class Silent(tqdm):
        def __init__(self, *args: object, **kwargs: object) -> None:
            kwargs.update(disable=False, file=_Nowhere())
            kwargs.pop("name", None)
            super().__init__(*args, **kwargs)

    return Silent


def _progress_class(
    plan: Measure, on_progress: Callable[[int, int], None], is_cancelled: Callable[[], bool]
) -> type[tqdm[NoReturn]]:
    """A tqdm that reports the bytes to us."""
    lock = threading.Lock()
    done = plan.nbytes - plan.missing_bytes

    class Report(_silent()):  # type: ignore[misc]
        def update(self, n: float | None = 1) -> bool | None:
            nonlocal done
            if is_cancelled():
                raise Cancelled
            if self.unit == "B" and n:
                with lock:
                    done = min(plan.nbytes, done + int(n))
                    on_progress(done, plan.nbytes)
            return super().update(n)

    return Report


class _Nowhere:
    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None: ...


def _explained(spec: ModelSpec, ask: Callable[[], T]) -> T:
    """Run a hub call; what goes wrong comes back as a sentence a person can act on."""
    try:
        return ask()
    except Exception as error:
        raise _explanation(spec, error) from None


def _explanation(spec: ModelSpec, error: Exception) -> Exception:
    from huggingface_hub import errors

    repo = spec.source.repo
    if isinstance(error, errors.DryRunError | errors.LocalEntryNotFoundError) and isinstance(
        error.__cause__, Exception
    ):
        error = error.__cause__  # the client wraps the reason
    first_line = (str(error).splitlines() or [""])[0]
    if isinstance(error, Cancelled):
        return error
    if isinstance(error, errors.GatedRepoError):
        return ModelUnavailable(
            f"{repo} asks you to accept its licence first.",
            detail=first_line,
            hint=f"Accept it at https://huggingface.co/{repo}, then set HF_TOKEN to your access token.",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelUnavailable(
            f"The hub has no model {repo}, or it is private.",
            detail=first_line,
            hint="Check the name; for a private one set HF_TOKEN.",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelUnavailable(
            f"{repo} has no revision {spec.source.revision!r}.", hint="Leave the revision out for the newest."
        )
    if isinstance(error, errors.OfflineModeIsEnabled | errors.LocalEntryNotFoundError | errors.DryRunError):
        return ModelUnavailable(
            f"{repo} cannot be downloaded now.",
            detail="The studio is offline (HF_HUB_OFFLINE or --offline), or the hub does not answer.",
            hint="Go online and try again; what has been fetched so far is kept.",
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return OutOfDisk(
            "The disk filled up during the download.", hint="Free some space and download again."
        )
    if isinstance(error, OSError) or type(error).__module__.split(".")[0] in CLIENT_MODULES:
        return ModelUnavailable(
            f"The download of {repo} stopped.",
            detail=f"{type(error).__name__}: {first_line}"[:300],
            hint="Check the network and download again: it goes on where it stopped.",
        )
    return error
