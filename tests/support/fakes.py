"""Scripted fakes: a backend with scripted replies, and a vocabulary of bytes."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glm3edge.core import Mask, SamplingParams, Span, TokenLogprobs

EOS, USER, OBSERVATION, ASSISTANT, SYSTEM, GMASK, SOP = 2, 1001, 1002, 1003, 1004, 1005, 1006
GATE_SECONDS = 60
CONTROL_TOKENS = {
    "[gMASK]": GMASK,
    "<|sop|>": SOP,
    "<|system|>": SYSTEM,
    "<|user|>": USER,
    "<|assistant|>": ASSISTANT,
    "<|observation|>": OBSERVATION,
}


class FakeVocabulary:
    """Tokens are bytes: id 3 + byte, so every text is its own golden case."""

    eos_id = EOS
    vocab_size = 2000

    def tokenize(self, text: str) -> list[int]:
        return [3 + byte for byte in text.encode("utf-8", errors="replace")]

    def control_token_id(self, text: str) -> int | None:
        return CONTROL_TOKENS.get(text)

    def piece(self, token_id: int) -> bytes:
        return piece(token_id)

    def token_name(self, token_id: int) -> bytes:
        names = {number: name for name, number in CONTROL_TOKENS.items()}
        return names.get(token_id, "").encode() or piece(token_id)


def spell(text: str) -> list[int]:
    """Tokens that decode to ``text``."""
    return FakeVocabulary().tokenize(text)


def say(text: str) -> Callable[[Sequence[int]], list[int]]:
    """``reply_for`` of a backend that replies ``text`` to every prompt."""
    return lambda _prompt: [*spell(text), EOS]


def piece(token_id: int) -> bytes:
    """Bytes of a fake token; control tokens have none."""
    return bytes([token_id - 3]) if 3 <= token_id < 259 else b""


@dataclass
class FakeReranker:
    """Reranker whose logits are the numbers of a document's bytes that the query has, less 3.

    ``gate`` blocks every batch until it is released, where a test sets one.
    """

    batch_size: int = 512
    context_size: int = 64
    num_sequences: int = 4
    gate: threading.Semaphore | None = None
    pairs: list[list[int]] = field(default_factory=list)

    def tokenize(self, text: str) -> list[int]:
        return FakeVocabulary().tokenize(text)

    def pair(self, query_ids: Sequence[int], document_ids: Sequence[int]) -> list[int]:
        return [*query_ids, EOS, *document_ids[: self.document_room(len(query_ids))]]

    def document_room(self, num_query_tokens: int) -> int:
        return self.context_size - num_query_tokens - 1

    def encode(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        if self.gate is not None:
            self.gate.acquire(timeout=GATE_SECONDS)
        self.pairs += [list(pair) for pair in texts]
        return np.array([[self._logit(list(pair))] for pair in texts], np.float32)

    def _logit(self, pair: list[int]) -> int:
        end = pair.index(EOS)
        return sum(token_id in pair[:end] for token_id in pair[end + 1 :]) - 3


@dataclass
class FakeSampler:
    """Sampler of one scripted reply."""

    reply: list[int]
    position: int = 0
    is_closed: bool = False

    def close(self) -> None:
        self.is_closed = True


@dataclass
class FakeBackend:
    """Backend with scripted replies, which raises where the engine misuses the KV cache.

    Attributes:
        reply_for: the reply to a prompt.
        fail_decode: called before each batch; may raise.
        gate: blocks every decode until it is released, where a test sets one.
        batches: the batches so far.
        adapters: the adapter of each batch.
        memory: token ids in the KV cache, by sequence.
        cells: numbers of their cells.
        computed_with: adapters they were computed with.
        num_aborts: calls of ``abort()``.
        takes_states: whether ``restore()`` succeeds.
    """

    reply_for: Callable[[Sequence[int]], list[int]] = lambda _prompt: [EOS]
    context_size: int = 4096
    batch_size: int = 16
    embedding_length: int = 4
    fail_decode: Callable[[Sequence[Span]], None] | None = None
    gate: threading.Semaphore | None = None
    batches: list[list[Span]] = field(default_factory=list)
    adapters: list[int] = field(default_factory=list)
    samplers: list[FakeSampler] = field(default_factory=list)
    memory: dict[int, list[int]] = field(default_factory=dict)
    cells: dict[int, list[int]] = field(default_factory=dict)
    computed_with: dict[int, list[int]] = field(default_factory=dict)
    num_computed: int = 0
    num_aborts: int = 0
    takes_states: bool = True

    def piece(self, token_id: int) -> bytes:
        return piece(token_id)

    def new_sampler(self, params: SamplingParams, prompt_ids: Sequence[int]) -> FakeSampler:
        self.samplers.append(FakeSampler(self.reply_for(prompt_ids)))
        return self.samplers[-1]

    def decode(
        self, spans: Sequence[Span], *, hidden_states: bool = False, adapter: int = 0
    ) -> list[int]:
        if self.gate is not None:
            self.gate.acquire(timeout=GATE_SECONDS)  # a failed test must not hang the rest
        if self.fail_decode is not None:
            self.fail_decode(spans)
        self.batches.append(list(spans))
        self.adapters.append(adapter)
        last, end = [], 0
        for span in spans:
            cached = self.memory.setdefault(span.sequence_id, [])
            if span.position != len(cached):
                raise AssertionError(
                    f"span at {span.position}, but {len(cached)} tokens are cached"
                )
            if others := set(self.computed_with.get(span.sequence_id, ())) - {adapter}:
                raise AssertionError(f"adapter {adapter} goes on with what {others} computed")
            self.compute(span.sequence_id, span.token_ids, adapter)
            end += len(span.token_ids)
            last.append(end - 1)
        return last

    def sample(self, sampler: FakeSampler, index: int, allowed: Mask | None = None) -> int:
        token_id = sampler.reply[sampler.position]
        sampler.position += 1
        return token_id

    def abort(self) -> None:
        self.num_aborts += 1

    def logprobs(self, index: int, token_id: int, num_top: int) -> TokenLogprobs:
        return TokenLogprobs(-1.0, tuple((token_id + rank, -1.0 - rank) for rank in range(num_top)))

    def hidden_states(self, start: int, num_tokens: int) -> NDArray[np.float32]:
        ids = [token_id for span in self.batches[-1] for token_id in span.token_ids]
        columns = np.arange(self.embedding_length, dtype=np.float32)
        states: NDArray[np.float32] = np.array(ids, dtype=np.float32)[:, None] + columns
        return states[start : start + num_tokens]

    def copy(self, source_id: int, target_id: int, length: int) -> None:
        if self.memory.get(target_id):
            raise AssertionError(f"sequence {target_id} is not empty")
        self.memory[target_id] = self.memory[source_id][:length]
        self.cells[target_id] = self.cells[source_id][:length]
        self.computed_with[target_id] = self.computed_with[source_id][:length]

    def truncate(self, sequence_id: int, length: int) -> None:
        del self.memory.setdefault(sequence_id, [])[length:]
        del self.cells.setdefault(sequence_id, [])[length:]
        del self.computed_with.setdefault(sequence_id, [])[length:]

    def state(self, sequence_id: int) -> bytes:
        adapters = set(self.computed_with[sequence_id])
        return json.dumps([self.memory[sequence_id], *adapters]).encode()

    def restore(self, sequence_id: int, state: bytes | bytearray, *, adapter: int = 0) -> bool:
        if self.memory.get(sequence_id):
            raise AssertionError(f"sequence {sequence_id} is not empty")
        if not self.takes_states:
            return False
        token_ids, computed_with = json.loads(state)
        if computed_with != adapter:
            raise AssertionError(f"adapter {adapter} goes on with what {computed_with} computed")
        self.compute(sequence_id, token_ids, adapter)
        return True

    def compute(self, sequence_id: int, token_ids: Sequence[int], adapter: int = 0) -> None:
        """Add tokens to a sequence; raises if the cells do not suffice."""
        start = self.num_computed
        self.num_computed += len(token_ids)
        self.memory.setdefault(sequence_id, []).extend(token_ids)
        self.cells.setdefault(sequence_id, []).extend(range(start, self.num_computed))
        self.computed_with.setdefault(sequence_id, []).extend([adapter] * len(token_ids))
        if self.num_cells > self.context_size:
            raise AssertionError(f"{self.num_cells} cells are used of {self.context_size}")

    @property
    def num_cells(self) -> int:
        """Cells in use, each counted once however many sequences share it."""
        return len({cell for cells in self.cells.values() for cell in cells})
