"""Weights that are converted while they are downloaded: each file is read once it is there.

An index names all tensors beforehand, and their shapes follow from config.json: that is enough to
plan the output. What each file really holds is checked when it is opened.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glm3edge_convert.checkpoint.weights import (
    INDEX_SUFFIX,
    SourceTensor,
    open_shard,
    open_weights,
    read_index,
    unwrapped,
)
from glm3edge_convert.errors import TensorShapeError


class WeightFeed(Protocol):
    """Source of the files of a checkpoint's weights, which are neither all there nor kept."""

    @property
    def entry(self) -> str:
        """The ``weights_entry`` of the checkpoint; an index is in its folder."""
        ...

    @property
    def key(self) -> str:
        """Text that changes when the content of a file does."""
        ...

    @property
    def num_bytes(self) -> int:
        """Size of all files together."""
        ...

    def expect(self, names: Sequence[str], num_bytes: int) -> None:
        """Take note of the files that will be fetched, in that order.

        Args:
            names: the files.
            num_bytes: size of what is still to be written, 0 if it is not known yet.
        """
        ...

    def fetch(self, name: str) -> Path:
        """Wait until a file is there; its path, which ends in ``name``."""
        ...

    def release(self, name: str) -> None:
        """Take note that what a file held has been written to the disk: it is not needed again."""
        ...


@dataclass(frozen=True)
class PendingTensor:
    """A tensor of a file that may not be there yet; see ``SourceTensor``.

    Attributes:
        name: its name.
        path: where its file would be in the checkpoint's folder.
        opened: the tensors of the file that is open now.
        shape: the shape that it must have.
    """

    name: str
    path: Path
    opened: dict[str, SourceTensor]
    shape: tuple[int, ...] = ()

    def of_shape(self, shape: tuple[int, ...]) -> "PendingTensor":
        """The same tensor, which must have that shape."""
        return replace(self, shape=shape)

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows [start, stop), as float32. Its file must be open."""
        tensor = self.opened[self.name]
        if tensor.shape != self.shape:
            raise TensorShapeError(self.path, self.name, self.shape, tensor.shape)
        return tensor.rows(start, stop)


class PendingWeights:
    """A checkpoint's weights, whose files come one after the other."""

    def __init__(self, folder: Path, feed: WeightFeed) -> None:
        """Take the index, if there is one, from ``folder``, and the files from a feed."""
        self._feed = feed
        self._entry = folder / feed.entry
        self._index: dict[str, str] = {}
        self._opened: dict[str, SourceTensor] = {}

    def tensors(self) -> dict[str, SourceTensor]:
        """All tensors by name. A file that has no index is waited for, and stays.

        Raises:
            CheckpointError: the index or that file is damaged.
            MissingLibraryError: a ``.bin`` file needs torch.
        """
        if not self._entry.name.endswith(INDEX_SUFFIX):
            self._feed.expect([self._entry.name], 0)
            path = self._feed.fetch(self._entry.name)
            return unwrapped({tensor.name: tensor for tensor in open_weights(path)})
        self._index = read_index(self._entry)
        return unwrapped(
            {
                name: PendingTensor(name, self._entry.with_name(file_name), self._opened)
                for name, file_name in self._index.items()
            }
        )

    def expect(self, paths: Iterable[Path], num_bytes: int) -> None:
        """Say which files will be read, in that order, to write so many bytes."""
        if self._index:
            self._feed.expect([path.name for path in dict.fromkeys(paths)], num_bytes)

    @contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """Have the file of pending tensors open inside a ``with`` block, and then release it.

        Args:
            path: their ``path``.

        Raises:
            CheckpointError: the file is damaged, or is not what the index says.
            MissingLibraryError: a ``.bin`` file needs torch.
        """
        if not self._index:
            yield
            return
        shard = self._feed.fetch(path.name)
        self._opened.update(open_shard(shard, self._entry, self._index))
        try:
            yield
        finally:
            self._opened.clear()  # maps of .bin files too
        self._feed.release(path.name)
