"""Tensors a module has got since it was loaded (an adapter, most of the time): they travel along with its weights.

They have no place in the arena. The first time they leave the device a copy is kept in host memory, and as long as nobody writes
to them that copy is what they come back to and from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from pipelines.memory.weights.seats import PLAIN, held_tensors


@dataclass(eq=False)
class Added:
    """host: its master copy. there: its copy on the device, when it is there. version: the tensor's, when it was uploaded."""

    tensor: torch.Tensor
    owners: list[tuple[dict[str, object], str]]
    host: torch.Tensor | None = None
    there: torch.Tensor | None = None
    version: int = 0


class Additions:
    """Call its methods without autograd. nbytes: of all that was seen last."""

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self._module, self._device = module, device
        self._added: dict[int, Added] = {}

    @property
    def nbytes(self) -> int:
        return sum(added.tensor.nbytes for added in self._added.values())

    @property
    def device_bytes(self) -> int:
        return sum(added.there.nbytes for added in self._added.values() if added.there is not None)

    @property
    def host_bytes(self) -> int:
        return sum(added.host.nbytes for added in self._added.values() if added.host is not None)

    def see(self, own: set[int]) -> None:
        """Find what the module holds besides the tensors with these ids, and forget what is gone."""
        present: dict[int, Added] = {}
        for _, owner, name, tensor in held_tensors(self._module):
            if id(tensor) not in own and not tensor.is_meta:
                if id(tensor) not in present:
                    present[id(tensor)] = self._added.get(id(tensor)) or Added(tensor, [])
                    present[id(tensor)].owners = []
                present[id(tensor)].owners.append((owner, name))
        self._added = present

    def carry(self) -> None:
        """To the device."""
        for added in self._added.values():
            if type(added.tensor) not in PLAIN:
                _replace(added, self._device)
                continue
            added.host = added.tensor.data.cpu()
            added.there = added.host.to(self._device, copy=True)
            added.tensor.data = added.there
            added.version = _version(added.tensor)

    def bring_back(self) -> None:
        """Each to its copy in host memory; what is new or was written to on the device is copied first."""
        for added in self._added.values():
            if type(added.tensor) not in PLAIN:
                _replace(added, torch.device("cpu"))
                continue
            data = added.tensor.data
            is_as_uploaded = (
                added.host is not None
                and added.there is not None
                and data.data_ptr() == added.there.data_ptr()
                and _version(added.tensor) == added.version
            )
            if added.there is not None or data.device.type != "cpu":
                added.host = added.host if is_as_uploaded else data.to("cpu", copy=True)
                added.tensor.data = added.host
            added.there = None


def _replace(added: Added, device: torch.device) -> None:
    """A subclass cannot be pointed elsewhere: another is put in its place."""
    moved: torch.Tensor = added.tensor.to(device)
    if isinstance(added.tensor, nn.Parameter):
        moved = nn.Parameter(moved, requires_grad=added.tensor.requires_grad)
    for owner, name in added.owners:
        if owner.get(name) is added.tensor:
            owner[name] = moved
    added.tensor = moved


def _version(tensor: torch.Tensor) -> int:
    """Counts in-place changes; tensors made in inference mode do not."""
    return -1 if tensor.is_inference() else tensor._version
