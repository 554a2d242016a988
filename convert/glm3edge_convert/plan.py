"""Plan: everything about a conversion that is known before the first byte of data is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from gguf import GGMLQuantizationType, GGUFWriter

    from glm3edge_convert.checkpoint.output_tensors import OutputTensor
    from glm3edge_convert.quantize.imatrix import Imatrix
    from glm3edge_convert.quantize.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """What one architecture makes of a checkpoint folder.

    `types` are those of `tensors`, one for each; `add_metadata` writes what no other architecture
    has: sizes and vocabulary. `imatrix` weighs what is lost, if there is one.
    """

    architecture: str
    recipe: Recipe
    tensors: Sequence[OutputTensor]
    types: Sequence[GGMLQuantizationType]
    add_metadata: Callable[[GGUFWriter], None]
    imatrix: Imatrix | None = None


def model_name(source: Path) -> str:
    """The folder's name, or the model's where the folder is a snapshot of the Hugging Face cache.

    Such a folder is `models--<owner>--<name>/snapshots/<commit>`.
    """
    folder = source.resolve()
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.rpartition("--")[2]
    return folder.name
