import errno
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glm3edge.engine.disk_cache import DiskCache, Entry, _longest_match
from glm3edge.engine.state_folder import StateFolder
from tests.support.waiting import SECONDS, wait_for

MIB = 2**20
STATE = bytes(range(256)) * 8


@pytest.fixture
def open_cache(tmp_path: Path) -> Iterator[Callable[..., DiskCache]]:
    opened = []

    def make(
        key: str = "model",
        max_bytes: int = MIB,
        adapter_keys: Sequence[str] = (),
        max_waiting_tokens: int = 100,
    ) -> DiskCache:
        cache = DiskCache(
            tmp_path / "cache",
            key=key,
            max_bytes=max_bytes,
            max_waiting_tokens=max_waiting_tokens,
            adapter_keys=adapter_keys,
        )
        opened.append(cache)
        return cache

    yield make
    for cache in opened:
        cache.close()
        cache.close()


def files(cache_folder: Path) -> list[Path]:
    return sorted(cache_folder.glob("*.state"))


def loaded(cache: DiskCache, token_ids: list[int]) -> tuple[bytes | bytearray | None, int]:
    entry, length = cache.match_prefix(token_ids)
    return (cache.load(entry) if entry else None), length


def lengths(cache: DiskCache, *starts: int) -> list[int]:
    """Of each text that ``save_texts()`` saved, what is found."""
    return [cache.match_prefix([start, 1])[1] for start in starts]


def save_texts(cache: DiskCache, *starts: int) -> None:
    for start in starts:
        cache.save([start, 1], STATE)
        cache.flush()


def test_what_was_saved_is_found_by_the_next_start(open_cache: Callable[..., DiskCache]) -> None:
    cache = open_cache()
    cache.save([1, 2, 3], bytearray(STATE))
    cache.close()
    again = open_cache()
    assert loaded(again, [1, 2, 3, 4]) == (STATE, 3)
    assert loaded(again, [1, 2, 9]) == (STATE, 2)
    assert again.match_prefix([7, 8]) == (None, 0)
    assert again.match_prefix([]) == (None, 0)


@given(st.lists(st.lists(st.integers(1, 3), max_size=6)), st.lists(st.integers(1, 3), max_size=6))
def test_the_longest_prefix_is_found(saved: list[list[int]], wanted: list[int]) -> None:
    entries = [Entry(np.array(ids, np.int32)) for ids in saved]
    best, length = _longest_match(np.array(wanted, np.int32), entries)
    pairs = [zip(ids, wanted, strict=False) for ids in saved]
    expected = [len([*takewhile(lambda pair: pair[0] == pair[1], each)]) for each in pairs]
    assert length == max(expected, default=0)
    assert best is None or best is entries[expected.index(length)]


def test_what_is_about_to_be_written_is_found(
    open_cache: Callable[..., DiskCache], slow_disk: threading.Semaphore
) -> None:
    """While files are written slowly, states come from memory."""
    cache = open_cache()
    cache.save([1, 2, 3], STATE)
    cache.save([4, 5], STATE[:9])
    for _ in range(2):
        assert loaded(cache, [1, 2, 3, 4]) == (STATE, 3)
        assert loaded(cache, [4, 5]) == (STATE[:9], 2)
        slow_disk.release(2)
        cache.flush()


def test_what_waits_has_no_more_tokens_than_the_context(
    open_cache: Callable[..., DiskCache], slow_disk: threading.Semaphore
) -> None:
    cache = open_cache(max_waiting_tokens=5)
    assert cache.wait_for_room(9)  # of one conversation all can wait
    cache.save([1, 2, 3], STATE)
    assert cache.wait_for_room(2)
    assert not cache.wait_for_room(3)
    cache.save([4, 5], STATE)
    assert not cache.wait_for_room(1)
    slow_disk.release(1)
    assert cache.wait_for_room(3, timeout=SECONDS)
    assert not cache.wait_for_room(4)


def test_a_state_that_was_written_leaves_memory(open_cache: Callable[..., DiskCache]) -> None:
    """It stayed until the next was written."""

    class State(bytearray):
        pass

    cache, state = open_cache(), State(STATE)
    reference = weakref.ref(state)
    cache.save([1, 2], state)
    del state
    cache.flush()
    wait_for(lambda: reference() is None)


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


def test_what_was_unused_for_longest_goes_first(open_cache: Callable[..., DiskCache]) -> None:
    cache = open_cache(max_bytes=3 * len(STATE))
    save_texts(cache, 10, 20)
    assert loaded(cache, [10, 1])[1] == 2
    save_texts(cache, 30)
    assert lengths(cache, 10, 20, 30) == [2, 0, 2]


@pytest.mark.parametrize("seconds", [-400 * 86400, 3600, 400 * 86400])
def test_use_is_counted_whatever_the_clock_says(
    open_cache: Callable[..., DiskCache], tmp_path: Path, seconds: int
) -> None:
    """States were evicted as soon as they were written after the clock had been set back."""
    cache = open_cache(max_bytes=3 * len(STATE))
    save_texts(cache, 10, 20)
    for path in files(tmp_path / "cache"):
        then = path.stat().st_mtime + seconds
        os.utime(path, (then, then))
    assert loaded(cache, [10, 1])[1] == 2
    save_texts(cache, 30)
    assert lengths(cache, 10, 20, 30) == [2, 0, 2]
    save_texts(cache, 40)
    assert lengths(cache, 10, 20, 30, 40) == [0, 0, 2, 2]


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
    cache = DiskCache(folder, key="model", max_bytes=MIB, max_waiting_tokens=100)
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
    again = DiskCache(folder, key="model", max_bytes=MIB, max_waiting_tokens=100)
    state, _ = loaded(again, [1, 2, 3])
    assert state is None
    assert again.match_prefix([1, 2, 3]) == (None, 0)
    assert files(folder) == []
    again.close()


def test_a_file_that_has_gone_is_no_entry(
    open_cache: Callable[..., DiskCache], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another server may evict it, which is nothing to warn of."""
    cache = open_cache()
    cache.save([1, 2, 3], STATE)
    cache.save([1, 2, 9, 9], STATE)
    cache.flush()
    entry, _ = cache.match_prefix([1, 2, 3])
    assert entry is not None
    assert entry.path is not None
    entry.path.unlink()
    assert cache.match_prefix([1, 2, 3])[1] == 2
    assert cache.load(entry) is None
    assert caplog.text == ""


def test_a_folder_that_cannot_be_searched_any_more_has_nothing(
    open_cache: Callable[..., DiskCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    cache = open_cache()
    save_texts(cache, 10)
    monkeypatch.setattr(Path, "lstat", refuse)
    assert lengths(cache, 10) == [0]


def test_servers_may_share_a_folder(open_cache: Callable[..., DiskCache], tmp_path: Path) -> None:
    """Each evicts in the order of both; what one has evicted, the other does not take for saved."""
    one, other = (open_cache(max_bytes=4 * len(STATE)) for _ in range(2))
    save_texts(one, 10)
    save_texts(other, 20)
    save_texts(one, 30)
    assert loaded(one, [10, 1])[1] == 2
    save_texts(other, 40, 50)
    assert lengths(one, 10, 30) == [2, 0]
    assert lengths(other, 20, 40, 50) == [0, 2, 2]
    assert len(files(tmp_path / "cache")) == 3
    save_texts(one, 30)
    assert loaded(one, [30, 1]) == (STATE, 2)


def test_what_could_not_be_written_is_not_saved(
    open_cache: Callable[..., DiskCache],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of many failures in a row the log has one."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    cache = open_cache()
    with monkeypatch.context() as patch:
        patch.setattr(StateFolder, "write", fail)
        save_texts(cache, 10, 20)
    assert lengths(cache, 10, 20) == [0, 0]
    assert caplog.text.count("Input/output error") == 1
    save_texts(cache, 10)
    assert lengths(cache, 10) == [2]


def test_a_lack_of_memory_does_not_end_the_writing(
    open_cache: Callable[..., DiskCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    cache = open_cache()
    with monkeypatch.context() as patch:
        patch.setattr(StateFolder, "write", fail)
        cache.save([1, 2], STATE)
        cache.flush()
    cache.save([3, 4], STATE)
    cache.flush()
    assert loaded(cache, [3, 4]) == (STATE, 2)
