"""GGUF files appear complete or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter

from glm3edge_convert.errors import (
    DiskFullError,
    FileSizeError,
    OutputError,
    OutputExistsError,
)
from glm3edge_convert.writer import TensorInfo, open_gguf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

F32 = GGMLQuantizationType.F32
INFOS = [TensorInfo("a", (3, 5), F32), TensorInfo("b", (7,), F32)]
A, B = (np.arange(n, dtype=np.float32).view(np.uint8) for n in (15, 7))


def _open(path: Path, *, overwrite: bool = False) -> Any:
    def add_metadata(writer: GGUFWriter) -> None:
        writer.add_uint32("test.number", 3)

    return open_gguf(
        path, architecture="test", add_metadata=add_metadata, infos=INFOS, overwrite=overwrite
    )


def _write(
    path: Path, a: Iterator[NDArray[np.uint8]] | None = None, *, overwrite: bool = False
) -> None:
    with _open(path, overwrite=overwrite) as stream:
        stream.write("a", a or iter([A[:20], A[20:]]))
        stream.write("b", iter([B]))


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    _write(tmp_path / "out.gguf")
    reader = gguf.GGUFReader(tmp_path / "out.gguf")
    assert reader.fields["test.number"].contents() == 3
    a, b = reader.tensors
    np.testing.assert_array_equal(a.data, np.arange(15).reshape(3, 5))
    np.testing.assert_array_equal(b.data, np.arange(7))
    assert [path.name for path in tmp_path.iterdir()] == ["out.gguf"]


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


# Stops in the middle of a conversion, at the line that says so.
STALL = """
import sys, time
from pathlib import Path
from glm3edge_convert.convert import convert

def stall(progress):
    if progress.num_bytes_done > progress.num_bytes / 2:
        print("half", flush=True)
        time.sleep(60)

convert(Path(sys.argv[1]), Path(sys.argv[2]), type="f16", progress=stall)
"""


@pytest.fixture
def stalled(small_checkpoint: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A conversion to `tmp_path`, half done."""
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
    (part,) = tmp_path.iterdir()
    assert part.name.startswith(".out.gguf.")
    assert part.name.endswith(".part")


@pytest.mark.skipif(os.name != "posix", reason="SIGINT to a process is a POSIX notion")
def test_an_interrupted_process_leaves_nothing(
    stalled: subprocess.Popen[str], tmp_path: Path
) -> None:
    started = time.monotonic()
    stalled.send_signal(signal.SIGINT)
    stalled.wait()
    assert time.monotonic() - started < 10
    assert not list(tmp_path.iterdir())
