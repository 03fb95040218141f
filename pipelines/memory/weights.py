"""A module's tensors and their way between host and device.

The tensors it was loaded with stay in host memory as the master copy. Upload copies them and points every parameter and buffer
at its copy; unload points them back, so it moves no bytes. Weights are not changed in between: a fused LoRA belongs into a
component of its own. Where host and device memory are one there is no second copy, and unload has nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

PLAIN = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)


class NoWeights:
    """Something without tensors of its own (a tokenizer): it weighs what was said and never moves."""

    nbytes: int | None = None
    least_bytes = device_bytes = host_bytes = pinned_bytes = 0
    returns = False

    def upload(self, nbytes: int | None = None, check: Callable[[], None] = lambda: None) -> None: ...

    def unload(self, nbytes: int = 0) -> None: ...

    def pin_host(self) -> None: ...

    def unpin_host(self) -> None: ...


class Weights:
    """All parameters and buffers of a module, each distinct tensor once, so that tied weights stay tied.

    module: on the CPU. keep_host: hold the master copy; without it (unified memory) unload does nothing.
    nbytes: bytes of the distinct tensors.
    """

    def __init__(self, module: torch.nn.Module, device: torch.device, *, keep_host: bool) -> None:
        self._module = module
        self._device = device
        self._keep_host = keep_host
        groups: dict[tuple[Any, ...], list[torch.Tensor]] = {}
        for tensor in _tensors(module):
            groups.setdefault(_identity(tensor), []).append(tensor)
        self._groups = list(groups.values())
        self._plain = all(type(tensor) in PLAIN for group in self._groups for tensor in group)
        self._masters = [group[0].data for group in self._groups] if keep_host and self._plain else []
        self.nbytes: int | None = sum(group[0].nbytes for group in self._groups)
        self.least_bytes = self.nbytes
        self.returns = keep_host
        self.device_bytes = 0 if keep_host else self.nbytes
        self.host_bytes = self.nbytes if keep_host else 0
        self.pinned_bytes = 0

    def pin_host(self) -> None: ...

    def unpin_host(self) -> None: ...

    @torch.no_grad()
    def upload(self, nbytes: int | None = None, check: Callable[[], None] = lambda: None) -> None:
        self._upload()
        self.device_bytes = self.nbytes or 0

    def _upload(self) -> None:
        if not self._keep_host and self._device.type == "cpu":
            return
        if not self._plain:  # a quantised subclass has insides only its own `.to` knows
            self._module.to(self._device)
            return
        try:
            for i, group in enumerate(self._groups):
                source = self._masters[i] if self._keep_host else group[0].data
                self._point(group, source.to(self._device, copy=self._keep_host))
        except BaseException:
            self.unload()
            raise

    @torch.no_grad()
    def unload(self, nbytes: int = 0) -> None:
        if not self._keep_host:
            return
        self.device_bytes = 0
        if not self._plain:
            self._module.to("cpu")
            return
        for group, master in zip(self._groups, self._masters, strict=True):
            self._point(group, master)

    @staticmethod
    def _point(group: list[torch.Tensor], data: torch.Tensor) -> None:
        for tensor in group:
            tensor.data = data


def _tensors(module: torch.nn.Module) -> list[torch.Tensor]:
    found: dict[int, torch.Tensor] = {}
    for part in module.modules():
        for tensor in (*part._parameters.values(), *part._buffers.values()):
            if tensor is not None:
                found[id(tensor)] = tensor
    return list(found.values())


def _identity(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Equal for two tensors that are the same bytes seen the same way."""
    if type(tensor) not in PLAIN or tensor.is_meta or tensor.numel() == 0:
        return (id(tensor),)
    return (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
