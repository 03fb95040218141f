"""What the worker's memory holds, read from its snapshot: the one place that knows how that is written.

A snapshot of another version, or none yet, reads as well: what it does not tell takes a value that claims nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

DISK_BYTES_PER_SECOND = 500e6
"""A guess at how fast a model is read, for what was never measured."""
THERE = ("resident", "loading")
"""States of what is on the device whole, or on its way there already."""
ON_DEVICE = (*THERE, "partial", "leaving")
"""States in which a component's bytes are the device's."""


@dataclass(frozen=True)
class Part:
    """One component of the ledger.

    models: ids of the models that use it. state: loading, resident, partial, leaving or host. nbytes: what it takes now, on the
    device or (state host) in main memory; whole_bytes: all of it. restore_seconds: to have it whole again once it left.
    """

    key: str
    models: tuple[str, ...]
    state: str
    nbytes: int
    whole_bytes: int
    leases: int
    pinned: bool
    streamed: bool
    restore_seconds: float

    @property
    def name(self) -> str:
        """What it is called among the components of its model: "unet"."""
        return self.key.split(":")[1] if ":" in self.key else self.key

    @property
    def missing_seconds(self) -> float:
        """Until it is on the device whole, from how things are."""
        return 0.0 if self.state in THERE else self.restore_seconds


def parts(snapshot: Mapping[str, Any]) -> list[Part]:
    """The components that take memory now."""
    return [_part(told) for told in snapshot.get("components") or ()]


def by_model(held: Iterable[Part]) -> dict[str, list[Part]]:
    """Model id → its components; one that several models use stands with each of them."""
    models: dict[str, list[Part]] = {}
    for part in held:
        for model in part.models:
            models.setdefault(model, []).append(part)
    return dict(sorted(models.items()))


def models_of(snapshot: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    """The models those component keys belong to, each once, in that order."""
    known = {part.key: part.models for part in parts(snapshot)}
    return list(dict.fromkeys(model for key in keys for model in known.get(key, (_model_in(key),))))


def _part(told: Mapping[str, Any]) -> Part:
    key, nbytes = str(told.get("key", "")), int(told.get("nbytes") or 0)
    whole = int(told.get("whole_bytes") or nbytes)
    restore = told.get("restore_seconds")
    return Part(
        key=key,
        models=tuple(told.get("models") or (_model_in(key),)),
        state=str(told.get("state", "resident")),
        nbytes=nbytes,
        whole_bytes=whole,
        leases=int(told.get("leases") or 0),
        pinned=bool(told.get("pinned")),
        streamed=bool(told.get("streamed")),
        restore_seconds=whole / DISK_BYTES_PER_SECOND if restore is None else float(restore),
    )


def _model_in(key: str) -> str:
    return key.split(":")[0]
