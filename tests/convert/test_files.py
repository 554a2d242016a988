"""What is no plain file is refused at once; nothing is ever written to a device here."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from glm3edge_convert.files import check_is_writable, open_file, read_file, read_text, write_text

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes have no place in a folder there")


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def unix_socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as sock:
        folder = os.open(path.parent, os.O_RDONLY)
        try:  # a socket's path is short
            sock.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
    return path


def link_to_fifo(path: Path) -> Path:
    path.symlink_to(fifo(path.with_name("pipe")))
    return path


SPECIAL: dict[str, tuple[Callable[[Path], Path], str]] = {
    "pipe": (fifo, "it is a pipe, not a file"),
    "link": (link_to_fifo, "it is (a pipe, not a file|a link to .*pipe)"),
    "socket": (unix_socket, "it is a socket, not a file"),
    "device": (lambda _path: Path(os.devnull), "it is a device, not a file"),
    "folder": (lambda path: path.parent, "Is a directory"),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_what_is_no_file(name: str, tmp_path: Path) -> None:
    make, reason = SPECIAL[name]
    path = make(tmp_path / "x")
    for refuse in (open_file, read_file, read_text, check_is_writable):
        with pytest.raises(OSError, match=reason):
            refuse(path)
    if name != "device":
        with pytest.raises(OSError, match=reason):
            write_text(path, "text")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_text(path, "你\r\n好")
    write_text(path, "你\r\n好\n")
    check_is_writable(tmp_path / "none")
    assert read_text(path) == "你\n好\n"
    assert read_file(path) == "你\r\n好\n".encode()
    with open_file(path) as file:
        assert file.read(3) == "你".encode()


def test_a_file_larger_than_wanted(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match="it is larger than 256 MiB"):
        read_file(path)
