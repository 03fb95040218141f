"""Context: all a pipeline may touch. It borrows models, reports progress, and hears about cancel here; nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import Cancelled
from pipelines.messages import Artifact, BaseRequest, Event, Progress, TextDelta

if TYPE_CHECKING:
    import torch

    from pipelines.catalog import ModelSpec
    from pipelines.media import FileType
    from pipelines.memory import Component, Lease, MemoryManager


@dataclass
class Context:
    """What one job may use.

    emit: sends an event to the server. is_cancelled: tells whether someone asked to stop. inputs: asset id → encoded bytes.
    spool: a folder for files too large to send as bytes (they cross in pieces; the server keeps what arrives).
    with_metadata: write the recipe into the files made (off for people who share them without).
    """

    job_id: str
    spec: ModelSpec
    memory: MemoryManager
    emit: Callable[[Event], None]
    is_cancelled: Callable[[], bool]
    spool: Path
    inputs: Mapping[str, bytes] = field(default_factory=dict)
    with_metadata: bool = True
    _notes: list[str] = field(default_factory=list)

    @property
    def dtype(self) -> torch.dtype:
        """What the device computes in."""
        dtype: torch.dtype = self.memory.device.dtype()
        return dtype

    def lease(
        self, components: Sequence[Component], working_bytes: int = 0, work: str = "", stream: bool = False
    ) -> Lease:
        """Borrow components together, all or none; a context manager. Waits its turn, raises `Cancelled` or `OutOfMemory`.

        work: the label of what is done with them, for what is learned about it; stream: keep as little of them on the device as
        they can work with. Work that may be repeated is better done on a `Ladder`.
        """
        return self.memory.lease(
            components,
            working_bytes=working_bytes,
            job=self.job_id,
            is_cancelled=self.is_cancelled,
            on_load=lambda key, done, total: self.progress("load", done, total),
            work=work,
            stream=stream,
        )

    def progress(self, stage: str, step: int = 0, total: int = 0, preview: bytes | None = None) -> None:
        """Say where the job stands, and stop here with `Cancelled` if someone asked: one call, both duties."""
        self.check_cancelled()
        self.emit(Progress(self.job_id, stage, step, total, preview))

    def text(self, delta: str) -> None:
        """Stream a piece of text to whoever watches."""
        self.emit(TextDelta(self.job_id, delta))

    def note(self, *sentences: str) -> None:
        """Have the next artifact say this: what was done otherwise than asked, or twice."""
        self._notes = list(dict.fromkeys([*self._notes, *sentences]))

    def recipe(self, request: BaseRequest) -> dict[str, object] | None:
        """What a file says of how it was made, as plain JSON; None where people share their files without."""
        return request.model_dump(mode="json") if self.with_metadata else None

    def artifact(
        self, request: BaseRequest, file: FileType, content: bytes | Path, facts: Mapping[str, object]
    ) -> Artifact:
        """What was made, on its way out, with everything noted since the last one. content: the bytes, or a file in the spool.

        request: what makes exactly this again; one of several pictures has a seed of its own.
        """
        told = {"notes": self._notes} if self._notes else {}
        self._notes = []
        return Artifact(
            kind=request.modality,
            media_type=file.media_type,
            suffix=file.suffix,
            data=content if isinstance(content, bytes) else None,
            path=None if isinstance(content, bytes) else str(content),
            facts={**facts, **told},
            recipe=request,
        )

    def check_cancelled(self) -> None:
        if self.is_cancelled():
            raise Cancelled

    def generator(self, seed: int) -> torch.Generator:
        """A generator on the CPU: the same seed gives the same noise on any device."""
        import torch

        return torch.Generator("cpu").manual_seed(seed)
