"""Plan of a conversion: all that is known of the output before any tensor's data is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gguf import GGMLQuantizationType, GGUFWriter

from glm3edge_convert.models.output_tensors import OutputTensor
from glm3edge_convert.quantize.imatrix import Imatrix
from glm3edge_convert.quantize.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """Contents of the GGUF file of one checkpoint folder.

    Attributes:
        architecture: GGUF's name for the model's architecture.
        recipe: the output type.
        tensors: the tensors, in file order.
        types: the type of each tensor.
        add_metadata: writes the metadata that only this architecture has: sizes and vocabulary.
        imatrix: the importance matrix that quantization goes by, if there is one.
    """

    architecture: str
    recipe: Recipe
    tensors: Sequence[OutputTensor]
    types: Sequence[GGMLQuantizationType]
    add_metadata: Callable[[GGUFWriter], None]
    imatrix: Imatrix | None = None


def model_name(source: Path) -> str:
    """The model's name: its folder's, or the repository's in the Hugging Face cache.

    A folder of that cache is ``models--<owner>--<name>/snapshots/<commit>``.
    """
    folder = source.resolve()
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.rpartition("--")[2]
    return folder.name
