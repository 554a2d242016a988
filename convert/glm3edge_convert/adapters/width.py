"""Feed-forward width of a GGUF LoRA adapter, fitted to that of a model's file.

Models and adapters made here are padded with zeros (see ``models.chatglm.tensors``), those of
llama.cpp's own converters are not, and llama.cpp takes an adapter of the model's width only:

    blk.N.ffn_up.weight.lora_b      gate rows, then up rows
    blk.N.ffn_down.weight.lora_a    columns

Zeros are cut off or added, in the bytes as they are stored, so no change of a weight differs.
"""

import re
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGUFWriter
from numpy.typing import NDArray

from glm3edge_convert.gguf.header import TensorInfo, gguf_header, padding
from glm3edge_convert.gguf.reader import GgufHeader, StoredTensor
from glm3edge_convert.models.chatglm.hparams import padded

_ROWS = re.compile(r"blk\.\d+\.ffn_up\.weight\.lora_b")
_COLUMNS = re.compile(r"blk\.\d+\.ffn_down\.weight\.lora_a")
_NUM_PARTS = 2
_Bytes = NDArray[np.uint8]
_ARCHITECTURE = "general.architecture"
_KEYS = {"general.type", "adapter.type", "adapter.lora.alpha"}  # those that llama.cpp reads


def differs_by_padding(adapter: GgufHeader, ffn_size: int) -> bool:
    """Whether an adapter's width is another than a model's, and both may be of one checkpoint."""
    widths = _widths(adapter)
    return len(set(widths.values())) == 1 and all(
        _can_be(ffn_size, tensor, width) for tensor, width in widths.items()
    )


def write_fitted(adapter: GgufHeader, ffn_size: int, output: Path) -> bool:
    """Write a copy of an adapter, with ``ffn_size`` as its feed-forward width.

    Args:
        adapter: the header of its file; ``differs_by_padding`` is true of it.
        ffn_size: the width of the model's file.
        output: the file to write.

    Returns:
        Whether the copy is whole. It is not if something else than zeros would be cut off.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: the adapter's has changed since its header was read.
    """
    widths = _widths(adapter)
    infos = [
        TensorInfo(tensor.name, _shape(tensor, ffn_size), tensor.type)
        for tensor in adapter.tensors.values()
    ]

    def add_metadata(writer: GGUFWriter) -> None:
        for key in sorted(adapter.metadata.keys() & _KEYS):
            writer.add_key_value(key, adapter.metadata[key], adapter.types[key])

    with output.open("wb") as file:
        file.write(gguf_header(adapter.metadata.get(_ARCHITECTURE, ""), add_metadata, infos))
        for tensor in adapter.tensors.values():
            data = np.fromfile(adapter.path, np.uint8, tensor.num_bytes, offset=tensor.start)
            if tensor in widths:
                kept, cut = _cut_or_padded(tensor, data, widths[tensor], ffn_size)
                if cut.any():
                    return False
                data = kept
            file.write(data.tobytes() + bytes(padding(data.nbytes)))
    return True


def _cut_or_padded(
    tensor: StoredTensor, data: _Bytes, width: int, ffn_size: int
) -> tuple[_Bytes, _Bytes]:
    """A matrix's bytes with ``ffn_size`` as its width, and those that are left out."""
    parts, unit = _folding(tensor)
    kept, cut = np.split(data.reshape(parts, width // unit, -1), [ffn_size // unit], axis=1)
    added = ffn_size // unit - kept.shape[1]
    return np.pad(kept, ((0, 0), (0, added), (0, 0))), cut


def _widths(adapter: GgufHeader) -> dict[StoredTensor, int]:
    """The feed-forward widths of those matrices that have one."""
    return {tensor: width for tensor in adapter.tensors.values() if (width := _width(tensor))}


def _width(tensor: StoredTensor) -> int | None:
    """The feed-forward width as one of an adapter's matrices has it, None if it has none."""
    if len(tensor.shape) == 2:
        if _ROWS.fullmatch(tensor.name):
            return tensor.shape[0] // _NUM_PARTS
        if _COLUMNS.fullmatch(tensor.name):
            return tensor.shape[1]
    return None


def _shape(tensor: StoredTensor, ffn_size: int) -> tuple[int, ...]:
    if _width(tensor) is None:
        return tensor.shape
    rows, columns = tensor.shape
    is_rows = _ROWS.fullmatch(tensor.name)
    return (_NUM_PARTS * ffn_size, columns) if is_rows else (rows, ffn_size)


def _folding(tensor: StoredTensor) -> tuple[int, int]:
    """Number of parts that have the width each, and of values that are stored in one piece."""
    if _ROWS.fullmatch(tensor.name):
        return _NUM_PARTS, 1
    block_size, _ = GGML_QUANT_SIZES[tensor.type]
    return tensor.shape[0], block_size


def _can_be(ffn_size: int, tensor: StoredTensor, width: int) -> bool:
    """Whether a matrix's width differs from ``ffn_size``, and by padding alone."""
    parts, unit = _folding(tensor)
    if tensor.shape[0] % parts or ffn_size % unit:
        return False
    return width != ffn_size and max(width, ffn_size) == padded(min(width, ffn_size))
