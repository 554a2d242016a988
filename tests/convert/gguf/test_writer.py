"""GGUF files appear complete or not at all."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray

from glm3edge_convert import convert
from glm3edge_convert.errors import (
    DiskFullError,
    FileSizeError,
    OutputError,
    OutputExistsError,
)
from glm3edge_convert.gguf import part_file
from glm3edge_convert.gguf.header import TensorInfo
from glm3edge_convert.gguf.writer import open_gguf
from glm3edge_convert.progress import Progress

pytestmark = pytest.mark.slow

F32 = GGMLQuantizationType.F32
INFOS = [TensorInfo("a", (3, 5), F32), TensorInfo("b", (7,), F32)]
A, B = (np.arange(n, dtype=np.float32).view(np.uint8) for n in (15, 7))


def _open(path: Path, *, overwrite: bool = False, **options: Any) -> Any:
    def add_metadata(writer: GGUFWriter) -> None:
        writer.add_uint32("test.number", 3)

    return open_gguf(
        path,
        architecture="test",
        add_metadata=add_metadata,
        infos=INFOS,
        overwrite=overwrite,
        **options,
    )


def _write(
    path: Path, a: Iterator[NDArray[np.uint8]] | None = None, *, overwrite: bool = False
) -> None:
    with _open(path, overwrite=overwrite) as stream:
        stream.write("a", a or iter([A[:20], A[20:]]))
        stream.write("b", iter([B]))


def _write_one(path: Path, name: str, data: NDArray[np.uint8], **options: Any) -> None:
    with _open(path, is_resumable=True, **options) as stream:
        stream.write(name, iter([data]))
        raise KeyboardInterrupt


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    _write(tmp_path / "out.gguf")
    reader = gguf.GGUFReader(tmp_path / "out.gguf")
    assert reader.fields["test.number"].contents() == 3
    a, b = reader.tensors
    np.testing.assert_array_equal(a.data, np.arange(15).reshape(3, 5))
    np.testing.assert_array_equal(b.data, np.arange(7))
    assert [path.name for path in tmp_path.iterdir()] == ["out.gguf"]


def test_the_order_of_writing_is_free(tmp_path: Path) -> None:
    _write(tmp_path / "first.gguf")
    path = tmp_path / "second.gguf"
    with _open(path, order=INFOS[::-1]) as stream:
        stream.write("b", iter([B]))
        stream.write("a", iter([A]))
    assert path.read_bytes() == (tmp_path / "first.gguf").read_bytes()


def test_what_was_written_can_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.gguf"
    order = INFOS[::-1]
    with pytest.raises(KeyboardInterrupt):
        _write_one(path, "b", B, order=order)
    with _open(path, order=order, is_resumable=True) as stream:
        assert stream.num_done == 1
        stream.write("a", iter([A]))
    _write(tmp_path / "whole.gguf")
    assert path.read_bytes() == (tmp_path / "whole.gguf").read_bytes()


@pytest.mark.parametrize("count", [-1, 10**9])
def test_a_journal_that_lies(tmp_path: Path, count: int) -> None:
    """A killed run cannot have written such a number of tensors."""
    path = tmp_path / "out.gguf"
    with pytest.raises(KeyboardInterrupt):
        _write_one(path, "a", A)
    journal = tmp_path / ".out.gguf.part.json"
    journal.write_text(json.dumps(json.loads(journal.read_text()) | {"num_tensors": count}))
    with _open(path) as stream:
        assert stream.num_done == 0
        stream.write("a", iter([A]))
        stream.write("b", iter([B]))


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.gguf"
    path.write_text("kept")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        _write(path)
    assert path.read_text() == "kept"
    _write(path, overwrite=True)
    assert path.read_bytes()[:4] == b"GGUF"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.gguf"

    def slabs() -> Iterator[NDArray[np.uint8]]:
        path.write_text("kept")
        yield A

    with pytest.raises(OutputExistsError):
        _write(path, slabs())
    assert path.read_text() == "kept"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
def test_nothing_stays_after_an_error(error: type[BaseException], tmp_path: Path) -> None:
    def slabs() -> Iterator[NDArray[np.uint8]]:
        yield A[:20]
        raise error

    with pytest.raises(error):
        _write(tmp_path / "out.gguf", slabs())
    assert not list(tmp_path.iterdir())


def test_an_old_file_survives_an_error(tmp_path: Path) -> None:
    path = tmp_path / "out.gguf"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), _open(path, overwrite=True):
        raise KeyboardInterrupt
    assert path.read_text() == "old"


@pytest.mark.parametrize(("name", "data"), [("b", A), ("a", A[:-1]), ("a", np.append(A, A))])
def test_data_must_fit_the_header(name: str, data: NDArray[np.uint8], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="where TensorInfo"), _open(tmp_path / "x") as stream:
        stream.write(name, iter([data]))
    assert not list(tmp_path.iterdir())


def test_every_tensor_must_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was not written"), _open(tmp_path / "x") as stream:
        stream.write("a", iter([A]))
    assert not list(tmp_path.iterdir())


def test_a_folder_or_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        _write(tmp_path)
    with pytest.raises(OutputError, match="its folder does not exist"):
        _write(tmp_path / "absent" / "out.gguf")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        _write(tmp_path / "out.gguf")


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_free_space_is_checked_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(95, 0, 95))
    with pytest.raises(DiskFullError, match="0 MiB are free") as info:
        _write(tmp_path / "out.gguf")
    assert info.value.num_bytes_needed == 64 + 32  # each tensor padded to 32 bytes
    assert info.value.num_bytes_free == 95
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up(number: int, tmp_path: Path) -> None:
    with pytest.raises(DiskFullError), _open(tmp_path / "out.gguf"):
        raise OSError(number, os.strerror(number))
    assert not list(tmp_path.iterdir())


def test_a_disk_that_allows_no_large_files(tmp_path: Path) -> None:
    with pytest.raises(FileSizeError, match="choose another disk"), _open(tmp_path / "out.gguf"):
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    for length in (250, 300):  # with and without room for the temporary file's suffix
        with pytest.raises(OutputError, match="File name too long"):
            _write(tmp_path / ("x" * length))
    assert not list(tmp_path.iterdir())


def test_other_errors_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Input/output error"), _open(tmp_path / "out.gguf"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert not list(tmp_path.iterdir())


# Dies when a given share of what was left is written; tells the share that was there at first.
DIE = """
import os, signal, sys
from pathlib import Path
from glm3edge_convert import convert
from glm3edge_convert.gguf import writer

writer.SYNC_BYTES = 1
first = None

def watch(progress):
    global first
    done = progress.num_bytes_done / progress.num_bytes
    if first is None:
        first = done
        print(done, flush=True)
    if done >= first + (1 - first) * float(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

convert(Path(sys.argv[1]), Path(sys.argv[2]), quant_type=sys.argv[3], progress=watch)
"""

# Stops in the middle of a conversion, at the line that says so.
STALL = """
import sys, time
from pathlib import Path
from glm3edge_convert import convert
from glm3edge_convert.gguf import writer

writer.SYNC_BYTES = 1

def stall(progress):
    if progress.num_bytes_done > progress.num_bytes / 2:
        print("half", flush=True)
        time.sleep(60)

convert(Path(sys.argv[1]), Path(sys.argv[2]), quant_type="f16", progress=stall)
"""


@pytest.fixture
def stalled(small_checkpoint: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A conversion to ``tmp_path``, half done."""
    command = [sys.executable, "-c", STALL, str(small_checkpoint), str(tmp_path / "out.gguf")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        yield process
        process.kill()


def test_a_killed_process_leaves_no_output(stalled: subprocess.Popen[str], tmp_path: Path) -> None:
    stalled.kill()
    stalled.wait()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [".out.gguf.part", ".out.gguf.part.json"]


def test_what_a_killed_process_finished_is_kept(
    stalled: subprocess.Popen[str], small_checkpoint: Path, tmp_path: Path
) -> None:
    stalled.kill()
    stalled.wait()
    seen: list[Progress] = []
    convert(small_checkpoint, tmp_path / "out.gguf", quant_type="f16", progress=seen.append)
    assert seen[0].num_bytes_done > seen[0].num_bytes / 3
    assert [path.name for path in tmp_path.iterdir()] == ["out.gguf"]
    convert(small_checkpoint, tmp_path / "whole.gguf", quant_type="f16")
    assert (tmp_path / "out.gguf").read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def _changed_type(path: Path, checkpoint: Path) -> None:
    convert(checkpoint, path, quant_type="q8_0")


def _changed_weights(path: Path, checkpoint: Path) -> None:
    for file in checkpoint.glob("*.safetensors"):
        os.utime(file, (1, 1))
    convert(checkpoint, path, quant_type="f16")


def _damaged_journal(path: Path, checkpoint: Path) -> None:
    path.with_name(".out.gguf.part.json").write_text('{"key": 3')
    convert(checkpoint, path, quant_type="f16")


def _lost_data(path: Path, checkpoint: Path) -> None:
    os.truncate(path.with_name(".out.gguf.part"), 5000)
    convert(checkpoint, path, quant_type="f16")


@pytest.mark.parametrize(
    "go_on",
    [_changed_type, _changed_weights, _damaged_journal, _lost_data],
    ids=lambda made: made.__name__,
)
def test_what_cannot_be_trusted_is_not_kept(
    stalled: subprocess.Popen[str],
    small_checkpoint: Path,
    tmp_path: Path,
    go_on: Callable[[Path, Path], None],
) -> None:
    stalled.kill()
    stalled.wait()
    copy = tmp_path / "checkpoint"
    shutil.copytree(small_checkpoint, copy, copy_function=shutil.copy2)
    go_on(tmp_path / "out.gguf", copy)
    type_name = "q8_0" if go_on is _changed_type else "f16"
    convert(copy, tmp_path / "whole.gguf", quant_type=type_name)
    assert (tmp_path / "out.gguf").read_bytes() == (tmp_path / "whole.gguf").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_two_processes_do_not_share_a_file(
    stalled: subprocess.Popen[str], small_checkpoint: Path, tmp_path: Path
) -> None:
    """The one that comes second starts afresh, under a name of its own, and leaves the other's."""
    convert(small_checkpoint, tmp_path / "out.gguf", quant_type="f16")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [".out.gguf.part", ".out.gguf.part.json", "out.gguf"]


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_file, "try_lock", lambda _file: None)
    _write(tmp_path / "out.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["out.gguf"]


def test_what_killed_runs_left_under_other_names_goes(tmp_path: Path) -> None:
    left_over = tmp_path / ".out.gguf.0123abcd.part"
    others = [tmp_path / ".out.gguf.mine.part", tmp_path / ".other.gguf.0123abcd.part"]
    for path in (left_over, *others):
        path.write_bytes(b"x")
    _write(tmp_path / "out.gguf")
    assert not left_over.exists()
    assert all(path.exists() for path in others)


@pytest.mark.skipif(os.name != "posix", reason="links are a POSIX notion")
def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / ".out.gguf.part").symlink_to(tmp_path / "precious")
    with pytest.raises(OutputError):
        _write(tmp_path / "out.gguf")
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_part_that_was_replaced_is_not_removed(tmp_path: Path) -> None:
    """Another process may have begun one under the same name."""
    part = tmp_path / ".out.gguf.part"

    def slabs() -> Iterator[NDArray[np.uint8]]:
        part.unlink()
        part.write_text("another's")
        yield A[:20]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _write(tmp_path / "out.gguf", slabs())
    assert part.read_text() == "another's"


@pytest.mark.parametrize("type_name", ["f16", "q4_k_m"])
def test_killed_at_random_moments_it_ends_in_the_same_bytes(
    small_checkpoint: Path, tmp_path: Path, type_name: str
) -> None:
    """Twenty kills for both types together; what was finished is not computed again."""
    rng = random.Random(type_name)
    whole = tmp_path / "whole.gguf"
    convert(small_checkpoint, whole, quant_type=type_name)
    output, kept = tmp_path / "out.gguf", 0
    for _ in range(10):
        command = [sys.executable, "-c", DIE, str(small_checkpoint), str(output)]
        dies_at = rng.random()
        result = subprocess.run(
            [*command, type_name, str(dies_at)], capture_output=True, text=True, check=False
        )
        assert result.returncode == -signal.SIGKILL, result.stderr
        assert not output.exists()
        first = float(result.stdout.split()[0])
        kept += first > 0.01
        if dies_at > 0.9:  # afresh, so that there is something left to die at
            for path in tmp_path.glob(".out*"):
                path.unlink()
    convert(small_checkpoint, output, quant_type=type_name)
    assert output.read_bytes() == whole.read_bytes()
    assert kept >= 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.gguf", "whole.gguf"]


@pytest.mark.skipif(os.name != "posix", reason="SIGINT to a process is a POSIX notion")
def test_an_interrupted_process_leaves_nothing(
    stalled: subprocess.Popen[str], tmp_path: Path
) -> None:
    started = time.monotonic()
    stalled.send_signal(signal.SIGINT)
    stalled.wait()
    assert time.monotonic() - started < 10
    assert not list(tmp_path.iterdir())
