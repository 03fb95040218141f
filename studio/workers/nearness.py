"""How near a model is to a worker: the seconds until it could work there, from what the worker tells of its memory."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.catalog import ModelSpec
from studio.workers import residents


class Nearness:
    """What it costs to bring a model in, from what the worker tells. Safe to ask from any thread.

    Remembers what a model is made of, because what is gone from memory is gone from the snapshot too.
    """

    def __init__(self) -> None:
        self._whole: dict[str, dict[str, int]] = {}  # model → component → bytes
        self._missing: dict[str, float] = {}  # component → seconds, for those that are here

    def tell(self, snapshot: Mapping[str, object]) -> bool:
        """Take in a snapshot; whether any cost changed."""
        held = residents.parts(snapshot)
        for model, its_parts in residents.by_model(held).items():
            known = self._whole.get(model, {})
            self._whole[model] = known | {part.key: part.whole_bytes for part in its_parts}
        before, self._missing = self._missing, {part.key: part.missing_seconds for part in held}
        return before != self._missing

    def seconds(self, spec: ModelSpec) -> float:
        """Until that model could work if nothing else was in the way; a guess by its size for what was never measured."""
        missing, whole = self._missing, self._whole.get(spec.id)
        if whole is None:
            return (spec.weight_bytes or spec.memory_bytes) / residents.DISK_BYTES_PER_SECOND
        return sum(
            missing[key] if key in missing else nbytes / residents.DISK_BYTES_PER_SECOND
            for key, nbytes in whole.items()
        )
