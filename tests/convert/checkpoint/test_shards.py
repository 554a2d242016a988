"""Weights whose files come one after the other: the same bytes, and never two files at once."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from glm3edge_convert import convert
from glm3edge_convert.checkpoint.weights import INDEX_SUFFIX, weights_entry
from glm3edge_convert.errors import CheckpointError, DiskFullError
from tests.support.checkpoints import (
    FIRST_SHARD,
    LAST_SHARD,
    Tensors,
    edit_shard,
    merge_shards,
    reshard,
    set_value,
)

LAST_NORM = "transformer.encoder.final_layernorm.weight"
PART = [".out.gguf.part", ".out.gguf.part.json"]


class GoneError(Exception):
    """The connection broke, say."""


class FolderFeed:
    """Files of a checkpoint folder, which are copied when they are fetched.

    Attributes:
        source: the folder that they are copied to, with everything else of the checkpoint.
        fetched: names of the files, in the order in which they came.
        refused: what to raise for which file.
    """

    key = "the same files"

    def __init__(self, checkpoint: Path, folder: Path) -> None:
        self.entry = weights_entry([path.name for path in checkpoint.iterdir()]) or ""
        self.expected: list[str] = []
        self.fetched: list[str] = []
        self.refused: dict[str, type[BaseException]] = {}
        self._checkpoint = checkpoint
        is_sharded = self.entry.endswith(INDEX_SUFFIX)
        suffix = Path(self.entry.removesuffix(INDEX_SUFFIX)).suffix
        weights = [path for path in checkpoint.glob(f"*{suffix}") if is_sharded]
        weights = weights or [checkpoint / self.entry]
        self.num_bytes = sum(path.stat().st_size for path in weights)
        self._shards = folder / "shards"
        self._shards.mkdir(parents=True)
        self.source = folder / checkpoint.name
        names = {path.name for path in weights}
        shutil.copytree(checkpoint, self.source, ignore=lambda *_: names)

    def expect(self, names: Sequence[str], num_bytes: int) -> None:
        assert (num_bytes > 0) == self.entry.endswith(INDEX_SUFFIX)
        self.expected = list(names)

    def fetch(self, name: str) -> Path:
        assert self.expected.pop(0) == name
        if name in self.refused:
            raise self.refused[name]
        assert not list(self._shards.iterdir())
        self.fetched.append(name)
        return Path(shutil.copy(self._checkpoint / name, self._shards))

    def release(self, name: str) -> None:
        (self._shards / name).unlink()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    path = tmp_path / "output" / "out.gguf"
    path.parent.mkdir()
    return path


def hidden(output: Path) -> list[str]:
    return sorted(path.name for path in output.parent.iterdir() if path != output)


def as_they_are(_checkpoint: Path) -> None:
    pass


def spread(checkpoint: Path) -> None:
    reshard(checkpoint, 5)


def spread_in_bin(checkpoint: Path) -> None:
    reshard(checkpoint, 3, suffix=".bin")


@pytest.mark.parametrize("type_name", ["q4_k_m", "f16"])
@pytest.mark.parametrize("arrange", [as_they_are, spread, spread_in_bin, merge_shards])
def test_the_bytes_are_those_of_the_whole_checkpoint(
    checkpoint: Path, output: Path, arrange: Callable[[Path], None], type_name: str
) -> None:
    arrange(checkpoint)
    feed = FolderFeed(checkpoint, output.parent.parent / "feed")
    summary = convert(feed.source, output, quant_type=type_name, feed=feed)
    assert len(feed.fetched) == len(set(feed.fetched))
    assert summary.num_bytes_source == feed.num_bytes
    whole = output.with_name("whole.gguf")
    convert(checkpoint, whole, quant_type=type_name)
    assert output.read_bytes() == whole.read_bytes()
    assert hidden(output) == ["whole.gguf"]


@pytest.mark.parametrize("error", [GoneError, KeyboardInterrupt])
def test_what_came_before_a_failure_is_not_fetched_again(
    checkpoint: Path, output: Path, error: type[BaseException]
) -> None:
    reshard(checkpoint, 5)
    feed = FolderFeed(checkpoint, output.parent.parent / "feed")
    feed.refused = {path.name: error for path in checkpoint.glob("*-0000[345]-*")}
    with pytest.raises(error):
        convert(feed.source, output, feed=feed)
    assert 1 <= len(feed.fetched) <= 2
    assert hidden(output) == PART
    feed.refused.clear()
    convert(feed.source, output, feed=feed)
    assert len(feed.fetched) == len(set(feed.fetched)) == 5
    convert(checkpoint, output.with_name("whole.gguf"))
    assert output.read_bytes() == output.with_name("whole.gguf").read_bytes()


def test_another_content_begins_anew(checkpoint: Path, output: Path) -> None:
    feed = FolderFeed(checkpoint, output.parent.parent / "feed")
    feed.refused = {LAST_SHARD: GoneError}
    with pytest.raises(GoneError):
        convert(feed.source, output, feed=feed)
    feed.refused.clear()
    feed.key = "other files"
    convert(feed.source, output, feed=feed)
    assert feed.fetched == [FIRST_SHARD, FIRST_SHARD, LAST_SHARD]


def test_a_disk_that_is_full_keeps_what_is_done(
    checkpoint: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = FolderFeed(checkpoint, output.parent.parent / "feed")
    feed.refused = {LAST_SHARD: GoneError}
    with pytest.raises(GoneError):
        convert(feed.source, output, feed=feed)
    feed.refused.clear()
    usage = shutil.disk_usage(output.parent)._replace(free=5)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(DiskFullError):
            convert(feed.source, output, feed=feed)
    convert(feed.source, output, feed=feed)
    assert feed.fetched == [FIRST_SHARD, LAST_SHARD]


def drop_last_norm(checkpoint: Path) -> None:
    def edit(tensors: Tensors) -> None:
        del tensors[LAST_NORM]

    edit_shard(checkpoint, LAST_SHARD, edit)


def cut_last_norm(checkpoint: Path) -> None:
    edit_shard(checkpoint, LAST_SHARD, lambda ts: ts.update({LAST_NORM: ts[LAST_NORM][:-1]}))


def add_a_tensor(checkpoint: Path) -> None:
    edit_shard(checkpoint, LAST_SHARD, lambda ts: ts.update(more=ts[LAST_NORM]))


def damage_a_value(checkpoint: Path) -> None:
    edit_shard(checkpoint, LAST_SHARD, lambda ts: set_value(ts, LAST_NORM, float("nan")))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (drop_last_norm, f"tensor {LAST_NORM} is not in {LAST_SHARD}"),
        (cut_last_norm, f"tensor {LAST_NORM} has shape"),
        (add_a_tensor, "tensor more of .* is not listed"),
        (damage_a_value, "not finite"),
    ],
)
def test_a_checkpoint_with_a_fault_leaves_nothing(
    checkpoint: Path, output: Path, damage: Callable[[Path], None], problem: str
) -> None:
    damage(checkpoint)
    feed = FolderFeed(checkpoint, output.parent.parent / "feed")
    with pytest.raises(CheckpointError, match=problem):
        convert(feed.source, output, feed=feed)
    assert feed.fetched == [FIRST_SHARD, LAST_SHARD]
    assert hidden(output) == []
