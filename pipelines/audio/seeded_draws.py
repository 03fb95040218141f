"""Random numbers of a job's own, for libraries that know only torch's global generators.

All threads share those, so any job beside would change the result; here a draw comes from a generator that nobody else has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from pipelines.messages import MAX_SEED

FACTORIES = {torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal}
"""They make a tensor where `device` says."""
OF_TENSORS = {
    torch.multinomial, torch.bernoulli, torch.poisson, torch.Tensor.multinomial, torch.Tensor.bernoulli,
    torch.Tensor.bernoulli_, torch.Tensor.cauchy_, torch.Tensor.exponential_, torch.Tensor.geometric_,
    torch.Tensor.log_normal_, torch.Tensor.normal_, torch.Tensor.random_, torch.Tensor.uniform_,
}  # fmt: skip
"""They draw for the tensor that comes first, where it lies."""
LIKE: dict[Any, Callable[..., Any]] = {
    torch.rand_like: torch.Tensor.uniform_,
    torch.randn_like: torch.Tensor.normal_,
    torch.randint_like: torch.Tensor.random_,
}
"""They take no generator: an empty tensor like the first, in the order of its memory, is filled with the same draws instead."""


class SeededDraws(TorchFunctionMode):
    """Within, what this thread draws comes from a generator of its own; the numbers are those after `torch.manual_seed(seed)`.

    device: where most is drawn; elsewhere another generator of the same seed is begun when it is needed. A draw that names its
    generator keeps it. Dropout alone is not heard: it takes no generator, and models that are borrowed have none switched on.
    Such a mode looks at every operation of its thread, which costs a third in tiny models, so `loading_audio.borrowed` leaves it
    out of the forward passes of models that draw only between them.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        super().__init__()
        self._seed = seed % (MAX_SEED + 1)
        self._generators = {device.type: self._begun(device)}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in LIKE:
            return self._like(func, *args, **kwargs)
        if func in OF_TENSORS | FACTORIES and kwargs.get("generator") is None:
            tensors = [one for one in (*args, *kwargs.values()) if isinstance(one, torch.Tensor)]
            place = tensors[0].device if tensors else kwargs.get("device") or torch.get_default_device()
            kwargs = {**kwargs, "generator": self._on(torch.device(place))}
        return func(*args, **kwargs)

    def _like(self, func: Any, tensor: torch.Tensor, *bounds: int, **kwargs: Any) -> torch.Tensor:
        if func is torch.randint_like:
            has_low = len(bounds) + ("high" in kwargs) > 1
            low = bounds[0] if has_low else kwargs.pop("low", 0)
            bounds = (low, kwargs.pop("high", bounds[-1] if bounds else None))
        empty = torch.empty_like(tensor, **kwargs)
        filled: torch.Tensor = LIKE[func](empty, *bounds, generator=self._on(empty.device))
        return filled

    def _on(self, device: torch.device) -> torch.Generator:
        if device.type not in self._generators:
            self._generators[device.type] = self._begun(device)
        return self._generators[device.type]

    def _begun(self, device: torch.device) -> torch.Generator:
        return torch.Generator(device).manual_seed(self._seed)
