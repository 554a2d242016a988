"""Character maps of SentencePiece tokenizers, which llama.cpp follows wherever they lead.

A map is the size of a double array in bytes, the array, and texts that end in zero. From a node,
base XOR byte is the next one; a leaf's base is a node that has the place of a text. An exception
where an index is outside ends the process, so all places that any text leads to are visited here.
The layout of a node's 32 bits is that of llm_tokenizer_ugm_session (llama-vocab.cpp).
"""

import numpy as np
from numpy.typing import NDArray

_BYTES = np.arange(1, 256, dtype=np.uint32)
_LABEL = np.uint32(1 << 31 | 0xFF)
_VALUE = np.uint32((1 << 31) - 1)


def is_sound(data: bytes) -> bool:
    """Whether no text leads out of a map."""
    num_bytes = int.from_bytes(data[:4], "little")
    texts = data[4 + num_bytes :]
    if not texts or texts[-1]:
        return False
    array = np.frombuffer(data, "<u4", num_bytes // 4, offset=4)
    if not array.size:
        return num_bytes == 0
    seen = np.zeros(array.size + 256, np.bool_)
    bases = _bases(array[:1])
    while bases.size:
        nodes = bases[:, None] ^ _BYTES
        if nodes.max() >= array.size:
            return False
        seen[bases] = True
        units = array[nodes]
        is_child = (units & _LABEL) == _BYTES
        units, targets = units[is_child], nodes[is_child] ^ _bases(units[is_child])
        leaves = targets[(units >> 8 & 1).astype(np.bool_)]
        if leaves.size and (
            leaves.max() >= array.size or (array[leaves] & _VALUE).max() >= len(texts)
        ):
            return False
        if targets.size and targets.max() >= seen.size:
            return False
        bases = np.unique(targets[~seen[targets]])
    return True


def _bases(units: NDArray[np.uint32]) -> NDArray[np.uint32]:
    bases: NDArray[np.uint32] = (units >> 10) << ((units & np.uint32(1 << 9)) >> 6)
    return bases
