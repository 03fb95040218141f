"""Muon: a weight matrix's momentum, made orthogonal, is the step (K. Jordan, 2024; scaled as in Moonlight, arXiv 2502.16982).

Every direction of a matrix is then learned at the same pace, also those with small gradients. A convolution counts as the matrix
(out, in · height · width), which `torch.optim.Muon` does not take. Embeddings, norms and biases belong to AdamW.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan's quintic: it lifts small singular values fastest
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Takes parameters of two or more dimensions; weight decay is decoupled.

    The step has the root mean square that AdamW's usually has (0.2 · lr), so that one learning rate serves both.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            alike: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is None:
                    continue
                momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
                momentum.lerp_(p.grad, 1 - group["momentum"])
                ahead = p.grad.lerp(momentum, group["momentum"]).flatten(1)  # Nesterov's
                alike[ahead.shape].append((p, ahead))
            for shape, members in alike.items():
                steps = orthogonal(torch.stack([ahead for _, ahead in members])) * (0.2 * max(shape) ** 0.5)
                for (p, _), one in zip(members, steps, strict=True):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(one.view(p.shape), alpha=-group["lr"])


def orthogonal(matrices: Tensor) -> Tensor:
    """(B, m, n) → the same in float32, its singular values near 1 (most between 0.7 and 1.2), by Newton and Schulz's iteration.

    Computed in bfloat16: two to three times as fast on a CPU that has it, and close enough: a step need not be quite orthogonal.
    """
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    wide = (wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)).bfloat16()
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return (wide if matrices.shape[1] <= matrices.shape[2] else wide.mT).float()
