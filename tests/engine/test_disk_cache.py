import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glm3edge.engine.disk_cache import DiskCache, Entry

MIB = 2**20
STATE = bytes(range(256)) * 8


@pytest.fixture
def open_cache(tmp_path: Path) -> Iterator[Callable[..., DiskCache]]:
    opened = []

    def make(
        key: str = "model", max_bytes: int = MIB, adapter_keys: Sequence[str] = ()
    ) -> DiskCache:
        folder = tmp_path / "cache"
        opened.append(DiskCache(folder, key=key, max_bytes=max_bytes, adapter_keys=adapter_keys))
        return opened[-1]

    yield make
    for cache in opened:
        cache.close()
        cache.close()


def files(cache_folder: Path) -> list[Path]:
    return sorted(cache_folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def loaded(cache: DiskCache, token_ids: list[int]) -> tuple[bytes | None, int]:
    entry, length = cache.match_prefix(token_ids)
    return (cache.load(entry) if entry else None), length


def test_what_was_saved_is_found_by_the_next_start(open_cache: Callable[..., DiskCache]) -> None:
    cache = open_cache()
    cache.save([1, 2, 3], STATE)
    cache.close()
    again = open_cache()
    assert loaded(again, [1, 2, 3, 4]) == (STATE, 3)
    assert loaded(again, [1, 2, 9]) == (STATE, 2)
    assert again.match_prefix([7, 8]) == (None, 0)
    assert again.contains([1, 2])
    assert again.contains([1, 2, 3])
    assert not again.contains([1, 2, 3, 4])


def test_what_is_about_to_be_written_is_found(
    open_cache: Callable[..., DiskCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While files are written slowly, states come from memory."""
    gate = threading.Event()
    write = DiskCache._write

    def write_slowly(cache: DiskCache, entry: Entry) -> None:
        gate.wait()
        write(cache, entry)

    monkeypatch.setattr(DiskCache, "_write", write_slowly)
    cache = open_cache()
    cache.save([1, 2, 3], STATE)
    cache.save([4, 5], STATE[:9])
    for _ in range(2):
        assert cache.contains([1, 2, 3])
        assert loaded(cache, [1, 2, 3, 4]) == (STATE, 3)
        assert loaded(cache, [4, 5]) == (STATE[:9], 2)
        gate.set()
        cache.flush()


def test_other_models_and_settings_are_left_alone(
    open_cache: Callable[..., DiskCache], tmp_path: Path
) -> None:
    first = open_cache(key="model A")
    first.save([1, 2, 3], STATE)
    first.flush()
    second = open_cache(key="model B")
    assert second.match_prefix([1, 2, 3]) == (None, 0)
    second.save([1, 2, 3], STATE)
    second.flush()
    assert len(files(tmp_path / "cache")) == 2


def test_adapters_have_states_of_their_own(
    open_cache: Callable[..., DiskCache], tmp_path: Path
) -> None:
    cache = open_cache(adapter_keys=["poet", "clerk"])
    cache.save([1, 2, 3], STATE)
    cache.save([1, 2, 3, 4], STATE[:9], 2)
    for _ in range(2):  # before they are written, and after
        assert loaded(cache, [1, 2, 3, 4]) == (STATE, 3)
        assert cache.match_prefix([1, 2, 3, 4], 1) == (None, 0)
        assert cache.match_prefix([1, 2, 3, 4], 2)[1] == 4
        assert cache.contains([1, 2], 2)
        assert not cache.contains([1, 2], 1)
        cache.flush()
    assert len(files(tmp_path / "cache")) == 2
    cache.close()
    other = open_cache(adapter_keys=["clerk"])  # its number has changed, its name has not
    entry, length = other.match_prefix([1, 2, 3, 4], 1)
    assert entry is not None
    assert (other.load(entry), length) == (STATE[:9], 4)
    assert loaded(other, [1, 2, 3, 4]) == (STATE, 3)


def test_a_longer_text_takes_the_place_of_its_beginning(
    open_cache: Callable[..., DiskCache], tmp_path: Path
) -> None:
    cache = open_cache()
    cache.save([1, 2, 3], STATE)
    cache.save([1, 2, 9], STATE)
    cache.save([1, 2, 3, 4], STATE)
    cache.flush()
    assert len(files(tmp_path / "cache")) == 2
    assert cache.match_prefix([1, 2, 3, 4])[1] == 4
    assert cache.match_prefix([1, 2, 9])[1] == 3


def test_what_was_unused_for_longest_goes_first(
    open_cache: Callable[..., DiskCache], tmp_path: Path
) -> None:
    cache = open_cache(max_bytes=3 * len(STATE))
    for start in (10, 20):
        cache.save([start, 1], STATE)
        cache.flush()
        time.sleep(0.02)
    assert loaded(cache, [10, 1])[1] == 2
    cache.save([30, 1], STATE)
    cache.flush()
    assert [cache.match_prefix([start, 1])[1] for start in (10, 20, 30)] == [2, 0, 2]
    assert sum(path.stat().st_size for path in files(tmp_path / "cache")) <= 3 * len(STATE)


def test_what_is_larger_than_the_limit_is_not_written(
    open_cache: Callable[..., DiskCache], tmp_path: Path
) -> None:
    cache = open_cache(max_bytes=100)
    cache.save([1], STATE)
    cache.flush()
    assert files(tmp_path / "cache") == []


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_damaged_file_is_removed_and_never_used(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / str(data.draw(st.uuids()))
    cache = DiskCache(folder, key="model", max_bytes=MIB)
    cache.save([1, 2, 3], STATE)
    cache.close()
    (path,) = files(folder)
    good = path.read_bytes()
    bad = bytearray(good)
    if data.draw(st.booleans(), label="cut"):
        del bad[data.draw(st.integers(0, len(good) - 1)) :]
    else:
        bad[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bad)
    again = DiskCache(folder, key="model", max_bytes=MIB)
    state, _ = loaded(again, [1, 2, 3])
    assert state is None
    again.close()


def test_a_foreign_file_is_removed_with_a_warning(
    open_cache: Callable[..., DiskCache], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").mkdir()
    foreign, other = tmp_path / "cache" / "x.state", tmp_path / "cache" / "notes.txt"
    foreign.write_text("what is this" * 100)
    other.write_text("mine")
    with caplog.at_level(logging.WARNING):
        open_cache()
    assert not foreign.exists()
    assert other.read_text() == "mine"
    assert "another kind of file" in caplog.text


def test_what_a_killed_process_left_is_swept_up(
    open_cache: Callable[..., DiskCache], tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    old, new = tmp_path / "cache" / ".a.part", tmp_path / "cache" / ".b.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    open_cache()
    assert not old.exists()
    assert new.exists()


def test_a_file_that_has_gone_is_no_entry(
    open_cache: Callable[..., DiskCache], tmp_path: Path
) -> None:
    cache = open_cache()
    cache.save([1, 2, 3], STATE)
    cache.flush()
    files(tmp_path / "cache")[0].unlink()
    assert loaded(cache, [1, 2, 3])[0] is None
    assert cache.match_prefix([1, 2, 3]) == (None, 0)


def test_a_full_disk_is_a_warning(
    open_cache: Callable[..., DiskCache],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(_path: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    cache = open_cache()
    monkeypatch.setattr(Path, "write_bytes", full)
    cache.save([1, 2, 3], STATE)
    cache.flush()
    assert "No space left" in caplog.text
    assert files(tmp_path / "cache") == []


def test_a_state_larger_than_what_may_wait_is_written_all_the_same(
    open_cache: Callable[..., DiskCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glm3edge.engine.disk_cache._MAX_PENDING_BYTES", 10)
    cache = open_cache()
    cache.save([1, 2, 3], STATE)
    cache.flush()
    assert loaded(cache, [1, 2, 3]) == (STATE, 3)


def test_a_lack_of_memory_does_not_end_the_writing(
    open_cache: Callable[..., DiskCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    cache = open_cache()
    with monkeypatch.context() as patch:
        patch.setattr("glm3edge.engine.disk_cache._pack", fail)
        cache.save([1, 2], STATE)
        cache.flush()
    cache.save([3, 4], STATE)
    cache.flush()
    assert loaded(cache, [3, 4]) == (STATE, 2)
