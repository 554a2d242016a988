"""LoRA adapters merged into a model's weights while they are read: W + scale x B A.

A and B are read again for every slab of rows, so no more is in memory than a slab and one pair. The
sum is taken in float64 and rounded to float32 once: then a row's bytes do not depend on the slab
it is in, and are those of a checkpoint that was merged beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glm3edge_convert.errors import AdapterTensorError
from glm3edge_convert.peft import LoraPair, open_adapter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from glm3edge_convert.scaled import ScaledPath
    from glm3edge_convert.source import SourceTensor


def merge_adapters(
    sources: Mapping[str, SourceTensor], adapters: Sequence[ScaledPath]
) -> dict[str, SourceTensor]:
    """`sources`, those that `adapters` change with the change in them.

    Raises what peft.open_adapter() does, and AdapterTensorError for an adapter of another model.
    """
    merged = dict(sources)
    for adapter in adapters:
        for pair in open_adapter(adapter.path):
            name = f"{pair.module}.weight"
            base = merged.get(name)
            if base is None:
                raise AdapterTensorError(
                    pair.a.path, pair.a.name, f"is of a module that the model has not: no {name}"
                )
            if base.shape != pair.weight_shape:
                found, expected = _by(pair.weight_shape), _by(base.shape)
                raise AdapterTensorError(
                    pair.a.path,
                    pair.a.name,
                    f"and its lora_B change {found} weights, and {name} has {expected}; "
                    "is the adapter another model's?",
                )
            merged[name] = MergedTensor(base, pair, adapter.scale)
    return merged


@dataclass(frozen=True)
class MergedTensor:
    """A weight with one pair in it."""

    base: SourceTensor
    pair: LoraPair
    scale: float

    @property
    def name(self) -> str:
        return self.base.name

    @property
    def path(self) -> Path:
        return self.base.path

    @property
    def shape(self) -> tuple[int, ...]:
        return self.base.shape

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """See source.SourceTensor."""
        pair = self.pair
        if pair.is_embedding:  # a row to a token, and a column of A
            left = pair.a.rows(0, pair.rank)[:, start:stop].T
            right = pair.b.rows(0, pair.num_outputs).T
        else:
            left, right = pair.b.rows(start, stop), pair.a.rows(0, pair.rank)
        change: NDArray[np.float64] = left.astype(np.float64) @ right.astype(np.float64)
        change *= self.scale * pair.scale
        change += self.base.rows(start, stop)
        return change.astype(np.float32)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
