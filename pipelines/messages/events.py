"""What server and worker tell each other: commands go in, events come out, artifacts among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipelines.errors import Problem
from pipelines.messages.modalities import Modality
from pipelines.messages.requests import BaseRequest
from pipelines.messages.spec import ModelSpec


@dataclass(frozen=True)
class Artifact:
    """Encoded media on its way to the library.

    data: the encoded bytes, or None when `path` names a file of the worker's own (a film need not fit into memory): it crosses
    in pieces, and the server never hears the path.
    suffix: file ending without the dot. facts: width, height, seconds, fps, sample_rate, tokens, words, … as plain JSON.
    recipe: the request that makes exactly this one again (its own seed, a batch of one); None means the job's request.
    """

    kind: Modality
    media_type: str
    suffix: str
    data: bytes | None = None
    path: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    recipe: BaseRequest | None = None


# ---- server → worker --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WorkerConfig:
    """What a worker is told when it starts, before any command.

    spool: a folder for files too large to send. cache: a folder for what was learned about this machine, empty to keep nothing.
    Budgets in bytes, 0 for all there is; reserve None for a tenth, at most 1 GB.
    keep_alive_seconds: how long an idle model stays, negative for ever. warm_up: load the libraries at once instead of with
    the first job that needs them.
    """

    spool: str
    device: str = "auto"
    vram_budget_bytes: int = 0
    reserve_vram_bytes: int | None = None
    ram_budget_bytes: int = 0
    keep_alive_seconds: float = 600.0
    with_metadata: bool = True
    warm_up: bool = True
    cache: str = ""


@dataclass(frozen=True)
class Run:
    """Carry out a job. spec: the `ModelSpec` of request.model; inputs: asset id → encoded bytes of media it names."""

    job_id: str
    request: BaseRequest
    spec: ModelSpec
    inputs: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Cancel:
    job_id: str


@dataclass(frozen=True)
class Plan:
    """Would this request fit, and what would leave? Answered by `Planned` with the same query_id."""

    query_id: str
    request: BaseRequest
    spec: ModelSpec


@dataclass(frozen=True)
class Hint:
    """The next jobs in the queue, soonest first: (request, spec) pairs."""

    upcoming: tuple[tuple[BaseRequest, ModelSpec], ...]


@dataclass(frozen=True)
class Unload:
    """Drop an idle model from the device; model_id "" means all idle ones."""

    model_id: str = ""


@dataclass(frozen=True)
class Pin:
    model_id: str
    pinned: bool = True


@dataclass(frozen=True)
class Stop:
    pass


Command = Run | Cancel | Plan | Hint | Unload | Pin | Stop

# ---- worker → server --------------------------------------------------------------------------------------------------

STAGES = ("queued", "load", "encode", "denoise", "generate", "interpolate", "decode", "save")


@dataclass(frozen=True)
class Ready:
    """The worker has its libraries and device. seconds: how long that took."""

    device: str
    seconds: float


@dataclass(frozen=True)
class Progress:
    """Where a job stands. preview: a small encoded JPEG or PNG, or None."""

    job_id: str
    stage: str
    step: int = 0
    total: int = 0
    preview: bytes | None = None


@dataclass(frozen=True)
class TextDelta:
    job_id: str
    text: str


@dataclass(frozen=True)
class Piece:
    """A stretch of a file a job made; they come in order. The `Produced` that names the same `file` says that it is whole."""

    job_id: str
    file: str
    data: bytes


@dataclass(frozen=True)
class Produced:
    """file: names the pieces that came before, where the artifact brings no bytes of its own."""

    job_id: str
    artifact: Artifact
    file: str = ""


@dataclass(frozen=True)
class Finished:
    """The job is over. status: completed, failed or cancelled."""

    job_id: str
    status: Literal["completed", "failed", "cancelled"]
    problem: Problem | None = None


@dataclass(frozen=True)
class Planned:
    """The answer to `Plan`.

    evicts: keys that would leave. how: "full", or "streamed" when the keys in `streamed` pass through the device piece by piece.
    way: what the pipeline does to save memory, "" for nothing. load_seconds: until everything is on the device.
    """

    query_id: str
    fits: bool
    need_bytes: int
    free_bytes: int
    evicts: tuple[str, ...] = ()
    problem: Problem | None = None
    how: str = "full"
    streamed: tuple[str, ...] = ()
    load_seconds: float = 0.0
    way: str = ""


@dataclass(frozen=True)
class Telemetry:
    """What the memory manager holds: its `snapshot()` as plain JSON."""

    snapshot: Mapping[str, object]


Event = Ready | Progress | TextDelta | Piece | Produced | Finished | Planned | Telemetry
