"""Header-only GGUF files, from which llama.cpp tells how much memory a model would take.

Metadata and list of tensors are those of a conversion; there is no vocabulary, and in place of the
weights a hole that takes no space on the disk.
"""

from pathlib import Path

from gguf import GGUFWriter

from glm3edge_convert.gguf.header import TensorInfo, gguf_header
from glm3edge_convert.models.chatglm.hparams import ARCHITECTURE, HParams, add_hparams
from glm3edge_convert.models.chatglm.tensors import chatglm_mappings
from glm3edge_convert.quantize.recipe import get_recipe, tensor_type

NO_VOCABULARY = "no_vocab"
"""llama.cpp then takes the vocabulary's size from the hyperparameters, and loads faster."""


def write_header_only(path: Path, hparams: HParams, type_name: str) -> int:
    """Write the header-only file of a model to ``path``.

    Returns:
        The size in bytes that the whole file would have.

    Raises:
        UnknownTypeError: ``type_name`` is no output type.
        OSError: the file cannot be written.
    """
    infos = tensor_infos(hparams, type_name)

    def add_metadata(writer: GGUFWriter) -> None:
        writer.add_file_type(get_recipe(type_name).file_type)
        add_hparams(writer, hparams)
        writer.add_tokenizer_model(NO_VOCABULARY)

    header = gguf_header(ARCHITECTURE, add_metadata, infos)
    num_bytes = len(header) + sum(info.num_bytes_padded for info in infos)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(num_bytes)
    return num_bytes


def tensor_infos(hparams: HParams, type_name: str) -> list[TensorInfo]:
    """The tensors of a model of these sizes, quantized to an output type.

    Types that need an importance matrix are taken to have been made with one.

    Raises:
        UnknownTypeError: ``type_name`` is no output type.
    """
    recipe = get_recipe(type_name)
    return [
        TensorInfo(
            mapping.name,
            mapping.shape,
            tensor_type(
                recipe,
                mapping.name,
                mapping.shape,
                hparams.num_layers,
                n_gqa=hparams.n_gqa,
                has_importances=recipe.needs_importances,
            ),
        )
        for mapping in chatglm_mappings(hparams)
    ]
