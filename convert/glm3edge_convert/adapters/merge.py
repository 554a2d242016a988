"""Merging of LoRA adapters into a model's weights while they are read: W + scale x B A.

Tensors that an adapter holds as a whole replace the model's.

A and B are read again for every slab of rows, so no more is in memory than a slab and one pair. The
sum is taken in float64 and rounded to float32 once: then a row's bytes do not depend on the slab
it is in, and are those of a checkpoint that was merged beforehand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glm3edge_convert.adapters.peft import LoraPair, open_adapter
from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.checkpoint.weights import SourceTensor
from glm3edge_convert.errors import AdapterTensorError, ScaleError
from glm3edge_convert.models.chatglm.tensors import EMBEDDING


def merge_adapters(
    sources: Mapping[str, SourceTensor], adapters: Sequence[ScaledPath]
) -> dict[str, SourceTensor]:
    """Merge ``adapters`` into the tensors of a model.

    Returns:
        All of ``sources``, those that an adapter changes with the change in them.

    Raises:
        AdapterTensorError: an adapter is another model's.
        ScaleError: an adapter has a scale and cannot be scaled.
        ConvertError: whatever else ``open_adapter`` raises.
    """
    merged = dict(sources)
    for scaled in adapters:
        adapter = open_adapter(scaled.path, to_merge=True)
        if scaled.scale != 1 and not adapter.can_be_scaled:
            problem = "has no meaning: the adapter is DoRA or replaces whole tensors; leave it out"
            raise ScaleError(str(scaled.path), str(scaled.scale), problem)
        for name, tensor in adapter.replaced.items():
            _check_fits(merged, name, tensor, _shape_to_replace(merged, name, tensor))
            merged[name] = tensor
        for pair in adapter.pairs:
            name = f"{pair.module}.weight"
            _check_fits(merged, name, pair.a, pair.weight_shape)
            merged[name] = MergedTensor(merged[name], pair, scaled.scale)
    return merged


def _shape_to_replace(
    sources: Mapping[str, SourceTensor], name: str, tensor: SourceTensor
) -> tuple[int, ...]:
    """Shape of what a tensor replaces: its own, but for an embedding with other rows.

    PEFT saves the embedding beside an adapter whose tokens were added to it.
    """
    base = sources.get(name)
    if name == EMBEDDING and base is not None and base.shape[1:] == tensor.shape[1:]:
        return base.shape
    return tensor.shape


def _check_fits(
    sources: Mapping[str, SourceTensor], name: str, tensor: SourceTensor, shape: tuple[int, ...]
) -> None:
    """Raise AdapterTensorError unless the model has a ``name`` of the ``shape`` that is changed."""
    base = sources.get(name)
    if base is None:
        problem = f"is for a module that the model does not have: {name}"
        raise AdapterTensorError(tensor.path, tensor.name, problem)
    if base.shape != shape:
        raise AdapterTensorError(
            tensor.path,
            tensor.name,
            f"changes {_by(shape)} weights, and {name} has {_by(base.shape)}; "
            "the adapter is another model's",
        )


@dataclass(frozen=True)
class MergedTensor:
    """A weight with one pair merged into it; with DoRA, its rows have the magnitudes' lengths."""

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
        """Rows [start, stop), as float32."""
        pair = self.pair
        if pair.is_embedding:  # a row to a token, and a column of A
            left = pair.a.rows(0, pair.rank)[:, start:stop].T
            right = pair.b.rows(0, pair.num_outputs).T
        else:
            left, right = pair.b.rows(start, stop), pair.a.rows(0, pair.rank)
        change: NDArray[np.float64] = left.astype(np.float64) @ right.astype(np.float64)
        change *= self.scale * pair.scale
        change += self.base.rows(start, stop)
        if pair.magnitudes is not None:
            lengths = np.linalg.norm(change, axis=1)
            stretch = pair.magnitudes.rows(start, stop) / np.where(lengths > 0, lengths, 1)
            change *= stretch[:, np.newaxis]
        return change.astype(np.float32)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
