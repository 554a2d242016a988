"""What the engine keeps in its KV cache, in memory and on disk, and with which adapter."""

import errno
import threading
from pathlib import Path
from typing import Any

import pytest

from glm3edge.core import (
    FinishReason,
)
from glm3edge.engine.batch_timing import BatchTiming
from glm3edge.engine.disk_cache import DiskCache
from glm3edge.engine.engine import Engine
from glm3edge.engine.kv_cache import KVCache
from glm3edge.engine.state_folder import StateFolder
from tests.support.engine_client import Client, num_tokens_of
from tests.support.fakes import EOS, FakeBackend, say, spell
from tests.support.waiting import wait_for


def test_a_second_turn_computes_what_is_new(backend: FakeBackend, client: Client) -> None:
    backend.reply_for = say("reply")
    first = client.generate("question ").end()
    second = client.generate("question reply and more").end()
    assert (first.num_cached_tokens, second.num_cached_tokens) == (0, len("question reply"))
    num_tokens = sum(len(span.token_ids) for batch in backend.batches for span in batch)
    assert num_tokens == len("question reply") + len(" and more") + len("reply")


def test_a_restart_does_not_lose_what_was_computed(tmp_path: Path) -> None:
    num_tokens = []
    for _ in range(2):
        backend = FakeBackend(reply_for=say("reply"))
        disk = DiskCache(tmp_path, key="model", max_bytes=2**20, max_waiting_tokens=4096)
        engine = Engine(backend, disk=disk, use_drafts=False)
        engine.start()
        end = Client(engine).generate("question " * 10).end()
        num_tokens.append((end.num_cached_tokens, sum(map(num_tokens_of, backend.batches))))
        engine.close()
        disk.close()
    assert num_tokens == [(0, 95), (89, 1 + 5)]


def test_a_state_that_the_backend_refuses_is_computed(tmp_path: Path) -> None:
    for takes_states in (True, False):
        backend = FakeBackend(reply_for=say("reply"), takes_states=takes_states)
        disk = DiskCache(tmp_path, key="model", max_bytes=2**20, max_waiting_tokens=4096)
        engine = Engine(backend, disk=disk, use_drafts=False)
        engine.start()
        assert Client(engine).generate("question " * 10).text() == "reply"
        engine.close()
        disk.close()
    assert sum(map(num_tokens_of, backend.batches)) == 95


@pytest.mark.parametrize("when", ["idle", "closing"])
def test_a_slow_disk_gets_every_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow_disk: threading.Semaphore, when: str
) -> None:
    """Of 40 long ones 32 were found again: the others were dropped, and taken for saved."""
    monkeypatch.setattr("glm3edge.engine.engine._SAVE_SECONDS", 0.01 if when == "idle" else 60)
    disk = DiskCache(tmp_path, key="model", max_bytes=2**20, max_waiting_tokens=200)
    engine = Engine(FakeBackend(reply_for=say("ok")), disk=disk, use_drafts=False)
    engine.start()
    client = Client(engine)
    texts = [f"{number:02}" + "question" * 8 for number in range(40)]
    for text in texts:
        assert client.generate(text).text() == "ok"
    closing = threading.Thread(target=engine.close)
    if when == "closing":
        closing.start()
    wait_for(lambda: not disk.wait_for_room(len(texts[0])))
    slow_disk.release(len(texts))
    wait_for(lambda: len(list(tmp_path.glob("*.state"))) == len(texts))
    if when == "idle":
        closing.start()
    closing.join()
    disk.close()
    assert all(disk.match_prefix(spell(text))[1] == len(text) for text in texts)


@pytest.mark.parametrize("is_broken", [False, True])
def test_what_the_disk_has_had_is_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_broken: bool
) -> None:
    """Where the limit holds only some of the idle slots, they would evict each other for ever.

    What could not be written is tried again.
    """
    num_writes = []
    write = StateFolder.write

    def count(*args: Any) -> Path | None:
        num_writes.append(1)
        if is_broken:
            raise OSError(errno.EIO, "Input/output error")
        return write(*args)

    monkeypatch.setattr(StateFolder, "write", count)
    backend = FakeBackend()
    disk = DiskCache(tmp_path, key="model", max_bytes=1500, max_waiting_tokens=4096)
    kv_cache = KVCache(backend, num_slots=8, disk=disk)
    for start in range(0, 400, 100):
        token_ids = list(range(start, start + 60))
        slot, _ = kv_cache.allocate(token_ids)
        kv_cache.append(slot, token_ids)
        backend.compute(slot, token_ids)
        kv_cache.release(slot)
    for _ in range(3):
        assert kv_cache.save_idle(timeout=None)
        disk.flush()
    assert len(num_writes) == (12 if is_broken else 4)
    assert len(list(tmp_path.glob("*.state"))) < 4
    disk.close()


def test_what_is_evicted_is_kept_on_disk(tmp_path: Path) -> None:
    backend = FakeBackend(reply_for=say("ok"), context_size=200)
    disk = DiskCache(tmp_path, key="model", max_bytes=2**20, max_waiting_tokens=4096)
    engine = Engine(backend, disk=disk, use_drafts=False)
    engine.start()
    client = Client(engine)
    texts = ["a" * 120, "b" * 120]
    for text in texts * 2:
        assert client.generate(text, max_new_tokens=20).text() == "ok"
    assert client.generate(texts[0], max_new_tokens=20).end().num_cached_tokens == 119
    engine.close()
    disk.close()


def test_adapters_share_no_batch_and_no_prefix(backend: FakeBackend) -> None:
    backend.reply_for = say("a reply of some length")
    engine = Engine(backend, max_running=3, use_drafts=False)
    engine.start()
    client = Client(engine)
    prompt = "the same prompt for all, and longer than thirty-two tokens"
    for expected in (0, len(prompt) - 1):
        listeners = [client.generate(prompt, adapter=number) for number in (0, 1, 2)]
        vector = client.embed(prompt)
        for listener in listeners:
            events = listener.all()
            assert "".join(event.text for event in events) == "a reply of some length"
            assert events[-1].num_cached_tokens == expected
        assert vector.end().reason is FinishReason.STOP
    engine.close()
    assert {0, 1, 2} == set(backend.adapters)  # the backend fails where they would mix


def test_adapters_take_turns_that_are_not_measured() -> None:
    """A batch after a change of adapters takes longer than others of its size."""
    seen = []

    class Measured(BatchTiming):
        def observe(self, num_tokens: int, seconds: float) -> None:
            seen.append(num_tokens)
            super().observe(num_tokens, 1.0)

    backend = FakeBackend(reply_for=say("abcd"))
    engine = Engine(backend, use_drafts=False, batch_timing=Measured())
    engine.start()
    client = Client(engine)
    backend.gate = threading.Semaphore(0)
    listeners = [client.generate(f"{number}", adapter=number) for number in (0, 1)]
    backend.gate.release(1000)
    assert [listener.text() for listener in listeners] == ["abcd", "abcd"]
    engine.close()
    num_changes = sum(
        a != b for a, b in zip([0, *backend.adapters], backend.adapters, strict=False)
    )
    assert num_changes > 2
    assert len(seen) == len(backend.batches) - num_changes


def test_a_restart_finds_what_each_adapter_computed(tmp_path: Path) -> None:
    cached = []
    for _ in range(2):
        backend = FakeBackend(reply_for=say("reply"))
        disk = DiskCache(
            tmp_path,
            key="model",
            max_bytes=2**20,
            max_waiting_tokens=4096,
            adapter_keys=["poet", "clerk"],
        )
        engine = Engine(backend, disk=disk, use_drafts=False)
        engine.start()
        client = Client(engine)
        ends = [client.generate("question " * 10, adapter=number).end() for number in (0, 1)]
        cached.append([end.num_cached_tokens for end in ends])
        if len(cached) == 2:
            assert client.generate("question " * 10, adapter=2).end().num_cached_tokens == 0
        engine.close()
        disk.close()
    assert cached == [[0, 0], [89, 89]]


def test_the_same_prompt_at_the_same_time_is_computed_once(
    backend: FakeBackend, client: Client
) -> None:
    backend.gate = threading.Semaphore(0)
    backend.reply_for = say("ok")
    prompt = "x" * 60
    listeners = [client.generate(prompt), client.generate(prompt)]
    backend.gate.release(100)
    assert [listener.text() for listener in listeners] == ["ok", "ok"]
    num_tokens = sum(len(span.token_ids) for batch in backend.batches for span in batch)
    assert num_tokens == len(prompt) + 1 + 2 * len("ok")


def test_where_memory_is_short_the_youngest_is_preempted_and_goes_on(backend: FakeBackend) -> None:
    backend.context_size = 200
    backend.gate = threading.Semaphore(0)
    backend.reply_for = lambda prompt: [*list(prompt) * 12, EOS]
    engine = Engine(backend, max_running=4, use_drafts=False)
    engine.start()
    client = Client(engine)
    prompts = ["first 123", "second 12", "third 123", "fourth 12"]
    listeners = [client.generate(prompt, max_new_tokens=180) for prompt in prompts]
    backend.gate.release(10_000)
    assert [listener.text() for listener in listeners] == [prompt * 12 for prompt in prompts]
    engine.close()
    assert len(backend.samplers) == 4
    starts = [span.position for batch in backend.batches for span in batch if span.position == 0]
    assert len(starts) >= 4
