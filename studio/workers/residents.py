"""What the worker's memory holds, read from its snapshot: the one place that knows how that is written.

A snapshot of another version, or none yet, reads as well: what it does not tell takes a value that claims nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

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


def parts(snapshot: Mapping[str, object]) -> list[Part]:
    """The components that take memory now."""
    return [_part(told) for told in _several(snapshot.get("components")) if isinstance(told, Mapping)]


def by_model(held: Iterable[Part]) -> dict[str, list[Part]]:
    """Model id → its components; one that several models use stands with each of them."""
    models: dict[str, list[Part]] = {}
    for part in held:
        for model in part.models:
            models.setdefault(model, []).append(part)
    return dict(sorted(models.items()))


def models_of(snapshot: Mapping[str, object], keys: Iterable[str]) -> list[str]:
    """The models those component keys belong to, each once, in that order."""
    known = {part.key: part.models for part in parts(snapshot)}
    return list(dict.fromkeys(model for key in keys for model in known.get(key, (_model_in(key),))))


def budget_bytes(snapshot: Mapping[str, object]) -> int:
    """What models may use together; 0 when unknown."""
    return int(_number(snapshot.get("budget_bytes")))


def _part(told: Mapping[str, object]) -> Part:
    key, nbytes = str(told.get("key", "")), int(_number(told.get("nbytes")))
    whole = int(_number(told.get("whole_bytes"))) or nbytes
    return Part(
        key=key,
        models=tuple(map(str, _several(told.get("models")))) or (_model_in(key),),
        state=str(told.get("state", "resident")),
        nbytes=nbytes,
        whole_bytes=whole,
        leases=int(_number(told.get("leases"))),
        pinned=bool(told.get("pinned")),
        streamed=bool(told.get("streamed")),
        restore_seconds=_number(told.get("restore_seconds"), whole / DISK_BYTES_PER_SECOND),
    )


def _number(told: object, unknown: float = 0.0) -> float:
    return float(told) if isinstance(told, int | float) else unknown


def _several(told: object) -> Sequence[object]:
    return told if isinstance(told, list | tuple) else ()


def _model_in(key: str) -> str:
    return key.split(":")[0]
