"""The folder of saved states: whom it lets in, what it believes, and when it is full."""

import errno
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from glm3edge.engine import state_folder
from glm3edge.engine.state_file import pack_head
from glm3edge.engine.state_folder import StateFolder
from tests.support.small_disk import on_small_disk

MIB = 2**20
KEY = bytes(range(32))
IDS = np.array([1, 2, 3], np.int32)
STATE = bytes(range(256)) * 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "states"


def opened(folder: Path, max_bytes: int = MIB) -> StateFolder:
    return StateFolder(folder, max_bytes=max_bytes)


def write(states: StateFolder, *starts: int, state: bytes = STATE) -> list[Path]:
    written = [states.write(KEY, np.array([start], np.int32), state) for start in starts]
    return [path for path in written if path is not None]


def scanned(states: StateFolder) -> list[list[int]]:
    return [head.token_ids.tolist() for _, head in states.scan()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077, 0o777])
def test_nobody_else_can_read_it_whatever_the_umask(folder: Path, umask: int) -> None:
    folder.parent.mkdir()
    before = os.umask(umask)
    try:
        write(opened(folder), 1)
    finally:
        os.umask(before)
    assert mode(folder) == 0o700
    assert {path.suffix: mode(path) for path in folder.iterdir()} == {".state": 0o600, "": 0o600}
    assert scanned(opened(folder)) == [[1]]


def test_a_folder_that_was_open_is_closed(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    opened(folder)
    assert mode(folder) == 0o700


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no users")
def test_another_users_folder_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(folder)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(PermissionError, match="another user"):
        opened(folder)


def test_a_file_system_without_access_rights_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    with pytest.raises(PermissionError, match="cannot keep others out"):
        opened(folder)


def forged(folder: Path, good: Path) -> dict[str, bytes]:
    """What someone may put there who does not know the key."""
    data = good.read_bytes()
    other = opened(folder.with_name("other"))
    head = pack_head(other._signing_key, KEY, IDS, STATE)
    return {
        "signed with another key": head + STATE,
        "not signed": head[:92] + bytes(32) + head[124:] + STATE,
        "another state": data[: -len(STATE)] + STATE[::-1],
        "other tokens": data[:124] + b"\7" + data[125:],
        "another model": data[:16] + bytes(32) + data[48:],
        "half": data[: len(data) // 2],
        "a head alone": data[:124],
        "nothing": b"",
        "more": data + b"x",
        "too many tokens": data[:48] + b"\xff" * 4 + data[52:],
        "another kind": b"GGUF" * 100,
    }


def test_what_it_did_not_sign_is_not_believed(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    states = opened(folder)
    (good,) = write(states, 1)
    for name, data in forged(folder, good).items():
        path = folder / "forged.state"
        path.write_bytes(data)
        assert states.read(path) is None, name
        assert not path.exists(), name
        path.write_bytes(data)
        if name != "another state":  # which is seen when it is read
            assert scanned(states) == [[1]], name
            assert not path.exists(), name
        path.unlink(missing_ok=True)
    assert caplog.text.count("is not a saved KV cache") == 2 * len(forged(folder, good)) - 1
    assert states.read(good) == STATE


def test_states_of_earlier_versions_go_without_a_word(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    states = opened(folder)
    old = folder / "old.state"
    old.write_bytes(b"GLM3EDGE-STATE1\n" + bytes(100))
    with caplog.at_level(logging.INFO):
        assert scanned(states) == []
    assert not old.exists()
    assert caplog.text == ""


def test_what_is_no_regular_file_is_not_opened(folder: Path) -> None:
    """A pipe would hang the start for ever."""
    states = opened(folder)
    (good,) = write(states, 1)
    outside = folder.parent / "outside.state"
    shutil.move(good, outside)
    os.mkfifo(folder / "pipe.state")
    (folder / "link.state").symlink_to(outside)
    (folder / "zero.state").symlink_to("/dev/zero")
    assert scanned(states) == []
    assert [path.name for path in folder.iterdir()] == ["key"]
    assert outside.exists()


def test_files_of_others_stay(folder: Path) -> None:
    states = opened(folder)
    (folder / "notes.txt").write_text("mine")
    assert scanned(states) == []
    assert (folder / "notes.txt").read_text() == "mine"


def spoil(how: str, key: Path) -> None:
    match how:
        case "known to others":
            key.chmod(0o644)
        case "cut off":
            key.write_bytes(key.read_bytes()[:7])
        case "too long":
            key.write_bytes(key.read_bytes() + b"x")
        case "a pipe":
            key.unlink()
            os.mkfifo(key)
        case "a link":
            key.rename(key.with_name("elsewhere"))
            key.symlink_to("elsewhere")


@pytest.mark.parametrize("how", ["known to others", "cut off", "too long", "a pipe", "a link"])
def test_a_key_that_is_none_is_made_anew(folder: Path, how: str) -> None:
    write(opened(folder), 1)
    key = folder / "key"
    before = key.read_bytes()
    spoil(how, key)
    states = opened(folder)
    assert key.read_bytes() != before
    assert mode(key) == 0o600
    assert scanned(states) == []


def test_servers_that_start_at_once_have_one_key(folder: Path) -> None:
    keys = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        keys.append(opened(folder)._signing_key)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert set(keys) == {(folder / "key").read_bytes()}


def test_a_file_system_without_links_has_a_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write(opened(folder), 1)
    assert scanned(opened(folder)) == [[1]]


@pytest.mark.parametrize("age", [-4000, -60, 60, 4000])
def test_what_a_killed_process_left_is_swept_up(folder: Path, age: int) -> None:
    """Even if the clock has been set back since."""
    states = opened(folder)
    part = folder / ".a.part"
    part.write_bytes(b"half")
    then = part.stat().st_mtime - age
    os.utime(part, (then, then))
    assert scanned(states) == []
    assert part.exists() == (abs(age) < 3600)


def script(text: str, folder: Path) -> list[str]:
    """A command that runs some lines with ``states``, opened in a folder."""
    begin = f"""
        import numpy as np
        from pathlib import Path
        from glm3edge.engine.state_folder import StateFolder
        states = StateFolder(Path({str(folder)!r}), max_bytes=2**23)
    """
    return [sys.executable, "-c", textwrap.dedent(begin) + textwrap.dedent(text)]


_WRITE_ALWAYS = """
    for number in range(10**9):
        states.write(bytes(32), np.array([number % 7], np.int32), bytes([number % 256]) * 2**20)
        states.evict()
        print(number, flush=True)
"""


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_nothing_half_believed(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(6):
        process = subprocess.Popen(script(_WRITE_ALWAYS, folder), stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(1 + 3 * number):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        states = opened(folder)
        found = [states.read(path) for path, _ in states.scan()]
        assert found
        assert all(state is not None and len(set(state)) == 1 for state in found)
    assert caplog.text == ""


class Disk:
    """A disk of few bytes under the folder: a write that exceeds them fails half way."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self.size = folder, size

    def write(self, path: Path, *parts: bytes) -> None:
        data = b"".join(parts)
        used = sum(file.stat().st_size for file in self._folder.iterdir())
        path.write_bytes(data[: self.size - used])
        if used + len(data) > self.size:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    opened(folder)
    disk = Disk(folder, 3 * 2300)
    monkeypatch.setattr(state_folder, "_write_private", disk.write)
    return disk


@pytest.mark.usefixtures("disk")
def test_a_full_disk_makes_room_by_evicting(folder: Path) -> None:
    states = opened(folder)
    first, second, _ = write(states, 1, 2, 3)
    assert states.read(first) == STATE
    (fourth,) = write(states, 4)
    assert not second.exists()
    assert states.read(fourth) == STATE
    assert sorted(scanned(states)) == [[1], [3], [4]]
    write(states, 5, state=STATE * 2)
    assert sorted(scanned(states)) == [[4], [5]]


def test_a_disk_that_others_fill_is_an_error(folder: Path, disk: Disk) -> None:
    states = opened(folder)
    write(states, 1)
    disk.size = 100
    with pytest.raises(OSError, match="No space left"):
        write(states, 2)
    assert [path.name for path in folder.iterdir()] == ["key"]


def test_a_full_disk_whose_files_stay_is_an_error(
    folder: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = opened(folder)
    write(states, 1)
    disk.size = 100
    monkeypatch.setattr(StateFolder, "remove", lambda *_: False)
    with pytest.raises(OSError, match="No space left"):
        write(states, 2)


_FILL = """
    for number in range(12):
        assert states.write(bytes(32), np.array([number], np.int32), bytes(2**20))
    print(sorted(head.token_ids.tolist() for _, head in states.scan()))
"""


def test_a_real_full_disk_makes_room(tmp_path: Path) -> None:
    command = [*on_small_disk(tmp_path), *script(_FILL, tmp_path / "states")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "[[9], [10], [11]]\n"


@pytest.mark.parametrize("error", [PermissionError, MemoryError])
def test_a_file_that_cannot_be_read_now_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    states = opened(folder)
    (path,) = write(states, 1)

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(state_folder, "read_state", fail)
        assert states.read(path) is None
    assert states.read(path) == STATE
