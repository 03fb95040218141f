"""Pipeline: what the worker knows of whoever carries out a task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from pipelines.messages import Artifact, BaseRequest
from pipelines.runtime.context import Context
from pipelines.runtime.ladder import Way

if TYPE_CHECKING:
    import torch

    from pipelines.catalog import ModelSpec
    from pipelines.memory import Component

R = TypeVar("R", bound=BaseRequest, contravariant=True)


class Pipeline(Protocol[R]):
    """Carries out the requests of one class. Made without arguments, kept while the worker lives, used by many threads."""

    def plan(
        self, request: R, spec: ModelSpec, dtype: torch.dtype | None = None
    ) -> tuple[Sequence[Component], int | Sequence[Way]]:
        """What to lease for this request, and the ways to do it, the preferred one first; a number of bytes is the only way.

        dtype: what the device computes in, if known. ([], 0) for what needs no device.
        """
        ...

    def generate(self, request: R, ctx: Context) -> Iterator[Artifact]:
        """Check the inputs, borrow the model, make the artifacts one by one. Raises what `pipelines/errors.py` has."""
        ...
