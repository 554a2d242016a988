"""Which sequence begins with which prefix, without a model: llama.cpp's calls are recorded."""

from types import SimpleNamespace
from typing import Any

import pytest

from glm3edge.core import Span
from glm3edge.errors import ModelError
from glm3edge.llama import prefixed_sequences
from glm3edge.llama.adapter import Adapter
from glm3edge.llama.prefix import Prefix
from glm3edge.llama.prefixed_sequences import PrefixedSequences

LORA, SHORT, LONG = 1, 2, 3  # adapters by number
NUM_SEQUENCES = 4
SHORT_ID, LONG_ID = NUM_SEQUENCES, NUM_SEQUENCES + 1

Calls = list[tuple[Any, ...]]


def adapters() -> list[Adapter | Prefix]:
    lora, short, long = Adapter.__new__(Adapter), Prefix.__new__(Prefix), Prefix.__new__(Prefix)
    short.length, long.length = 3, 70
    return [lora, short, long]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls: Calls = []
    native = SimpleNamespace(
        llama_memory_seq_cp=lambda _memory, *args: calls.append(("copy", *args)),
        llama_memory_seq_rm=lambda _memory, *args: calls.append(("remove", *args)),
    )
    monkeypatch.setattr(prefixed_sequences, "native", native)
    return calls


@pytest.fixture
def sequences(calls: Calls) -> PrefixedSequences:
    return PrefixedSequences(adapters(), NUM_SEQUENCES, batch_size=16, kv_type="f16")


def spans(*pairs: tuple[int, int]) -> list[Span]:
    return [Span(sequence_id, start, [7], wants_output=True) for sequence_id, start in pairs]


def test_only_a_sequence_that_begins_gets_its_prefix(
    sequences: PrefixedSequences, calls: Calls
) -> None:
    assert sequences.begin(spans((0, 0), (1, 5)), LONG) == 70
    assert calls == [("copy", LONG_ID, 0, 0, 70)]
    assert sequences.begin(spans((0, 0)), LONG) == 70  # it has it already
    assert len(calls) == 1
    assert sequences.begin(spans((2, 0)), SHORT) == 3
    assert calls[1:] == [("copy", SHORT_ID, 2, 0, 3)]


@pytest.mark.parametrize("adapter", [0, LORA])
def test_other_adapters_put_nothing_before(
    sequences: PrefixedSequences, calls: Calls, adapter: int
) -> None:
    assert sequences.begin(spans((0, 0)), adapter) == 0
    sequences.attach(0, adapter)
    with sequences.detached(0):
        pass
    assert sequences.copy(0, 1) == 0
    assert sequences.truncate(0, 5) == 5
    assert calls == []


def test_a_copy_and_a_cut_count_the_prefix(sequences: PrefixedSequences, calls: Calls) -> None:
    sequences.begin(spans((0, 0)), SHORT)
    assert sequences.copy(0, 1) == 3
    assert sequences.truncate(1, 5) == 8
    assert sequences.truncate(1, 0) == 0
    assert sequences.truncate(1, 5) == 5  # it was empty, so it is another's
    assert sequences.truncate(0, 5) == 8
    assert len(calls) == 1


def test_a_detached_prefix_comes_back(sequences: PrefixedSequences, calls: Calls) -> None:
    sequences.attach(2, LONG)
    with sequences.detached(2):
        assert calls[1:] == [("remove", 2, 0, 70)]
        assert sequences.truncate(2, 5) == 5
    assert calls[2:] == [("copy", LONG_ID, 2, 0, 70)]
    assert sequences.truncate(2, 5) == 75
    with pytest.raises(OSError, match="disk"), sequences.detached(2):
        raise OSError("disk")
    assert sequences.truncate(2, 5) == 75


def test_settings_that_prefixes_cannot_do_with() -> None:
    with pytest.raises(ModelError, match="2 prefixes and 4 sequences are more than the 5"):
        PrefixedSequences(adapters(), NUM_SEQUENCES, batch_size=5, kv_type="f16")
    with pytest.raises(ModelError, match="keys and values in q8_0"):
        PrefixedSequences(adapters(), NUM_SEQUENCES, batch_size=6, kv_type="q8_0")
