"""Header of a GGUF file: metadata, and what tensors will follow."""

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter

from glm3edge_convert.quantize.recipe import row_num_bytes

ALIGNMENT = 32  # GGUF's default, in bytes


@dataclass(frozen=True)
class TensorInfo:
    """A tensor's header entry; ``shape`` is (rows, row length) or (length,)."""

    name: str
    shape: tuple[int, ...]
    type: GGMLQuantizationType

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape[:-1]) * row_num_bytes(self.type, self.shape[-1])

    @property
    def num_bytes_padded(self) -> int:
        return self.num_bytes + padding(self.num_bytes)


def gguf_header(
    architecture: str, add_metadata: Callable[[GGUFWriter], None], infos: Sequence[TensorInfo]
) -> bytes:
    """All bytes of a file before the first tensor's data."""
    writer = GGUFWriter(None, architecture)
    add_metadata(writer)
    for info in infos:
        writer.add_tensor_info(
            info.name, info.shape, np.dtype(np.float32), info.num_bytes, raw_dtype=info.type
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "header"
        try:
            writer.write_header_to_file(path)
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
        finally:
            writer.close()
        header = path.read_bytes()
    return header + bytes(padding(len(header)))


def padding(num_bytes: int) -> int:
    """Bytes to add to ``num_bytes`` up to the next multiple of the alignment."""
    return -num_bytes % ALIGNMENT
