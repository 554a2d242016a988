"""Muon: momentum whose every update is made orthogonal, for the matrices inside the layers.

After Keller Jordan, https://kellerjordan.github.io/posts/muon/: five Newton-Schulz steps with the
coefficients given there bring all singular values of the update near one.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


class Muon(torch.optim.Optimizer):
    """Muon over matrices that may be cut in blocks of rows, each of which is made orthogonal."""

    def __init__(
        self,
        params: Iterable[tuple[Tensor, Sequence[int]]],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Start with no momentum.

        ``params`` are matrices with the numbers of rows of their blocks; updates are made
        orthogonal in ``dtype``.
        """
        groups = [{"params": [param], "rows": list(rows)} for param, rows in params]
        self._dtype = dtype
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update of every matrix that has a gradient."""
        blocks: dict[tuple[int, ...], list[tuple[Tensor, Tensor, float]]] = {}
        for group in self.param_groups:
            for param in group["params"]:
                buffer = self.state[param].setdefault("momentum", torch.zeros_like(param))
                buffer.lerp_(param.grad, 1 - group["momentum"])
                update = param.grad.lerp(buffer, group["momentum"])
                param.mul_(1 - group["lr"] * group["weight_decay"])
                for target, part in zip(
                    param.split(group["rows"]), update.split(group["rows"]), strict=True
                ):
                    blocks.setdefault(tuple(part.shape), []).append((target, part, group["lr"]))
        for shape, same in blocks.items():
            scale = 0.2 * max(shape) ** 0.5  # an update's RMS is that of Adam's
            orthogonal = _orthogonal(torch.stack([part for _, part, _ in same]).to(self._dtype))
            for (target, _, lr), update in zip(same, orthogonal, strict=True):
                target.sub_(update, alpha=lr * scale)


def _orthogonal(x: Tensor) -> Tensor:
    """``(count, rows, columns)``, each with its singular values near one."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    return x.mT if tall else x
