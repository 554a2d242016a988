"""``pytorch_model*.bin`` files, read through torch.

A ``.bin`` file is a pickle: it is loaded with ``weights_only``, which runs no code from it, and
memory-mapped, so its data is read as rows are asked for. torch is imported only for such a file.
"""

import importlib.util
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glm3edge_convert.errors import DamagedFileError, MissingLibraryError, TensorValueError

FLOAT_DTYPES = {"torch.float16", "torch.bfloat16", "torch.float32"}


@dataclass(frozen=True)
class TorchTensor:
    """A memory-mapped torch tensor; see ``weights.SourceTensor``."""

    path: Path
    name: str
    tensor: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape)

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows [start, stop), as float32."""
        dtype = str(self.tensor.dtype)
        if dtype not in FLOAT_DTYPES:
            raise TensorValueError(
                self.path,
                self.name,
                f"is stored as {dtype}; use the float16, bfloat16 or float32 checkpoint",
            )
        rows: NDArray[np.float32] = self.tensor[start:stop].float().numpy()
        return rows


def open_bin(path: Path) -> list[TorchTensor]:
    """The tensors of one file.

    Raises:
        MissingLibraryError: torch is not installed.
        DamagedFileError: the file is not a zipped pickle of tensors.
    """
    state = _load(path)
    if not isinstance(state, dict):
        raise DamagedFileError(path, "does not hold a dictionary of tensors")
    tensors = []
    for name, tensor in state.items():
        if not (isinstance(name, str) and hasattr(tensor, "shape") and hasattr(tensor, "dtype")):
            raise DamagedFileError(path, f"holds something other than a tensor under {name!r}")
        tensors.append(TorchTensor(path, name, tensor.detach()))
    return tensors


def require_torch(file_name: str) -> None:
    """Raise MissingLibraryError unless torch is installed, which ``file_name`` is read with."""
    if importlib.util.find_spec("torch") is None:
        raise MissingLibraryError("torch", f"to read {file_name}", "pip install 'glm3edge[torch]'")


def _load(path: Path) -> Any:
    require_torch(path.name)
    import torch  # noqa: PLC0415  (an extra, and seconds to import)

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as exc:
        raise DamagedFileError(path, "is not a zipped PyTorch file of plain tensors") from exc
