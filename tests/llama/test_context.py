import logging
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from glm3edge.core import SamplingParams, Span
from glm3edge.errors import DecodeAbortedError, DecodeError, ModelError, ResourceClosedError
from glm3edge.llama.context import Context
from glm3edge.llama.model import Model

pytestmark = pytest.mark.slow

GREEDY = SamplingParams(temperature=0, repetition_penalty=1)
PROMPT = [10, 20, 30, 40, 50, 60]


@pytest.fixture
def context(tiny_model: Model) -> Iterator[Context]:
    with Context(
        tiny_model, context_size=256, batch_size=32, num_sequences=2, num_threads=2
    ) as context:
        yield context


def greedy(context: Context, sequence_id: int, num_tokens: int) -> list[int]:
    """A greedy reply to PROMPT, one token a batch."""
    sampler = context.new_sampler(GREEDY, PROMPT)
    ids: list[int] = []
    span = Span(sequence_id, 0, PROMPT, wants_output=True)
    for _ in range(num_tokens):
        (index,) = context.decode([span])
        ids.append(context.sample(sampler, index))
        span = Span(sequence_id, span.position + len(span.token_ids), ids[-1:], wants_output=True)
    sampler.close()
    sampler.close()
    return ids


def test_sequences_do_not_see_each_other(context: Context) -> None:
    alone = greedy(context, 0, 8)
    assert greedy(context, 1, 8) == alone
    context.truncate(0, 0)
    assert greedy(context, 0, 8) == alone


def test_a_prompt_in_chunks_is_the_same_prompt(context: Context) -> None:
    context.decode([Span(0, 0, PROMPT[:4], wants_output=False)])
    first, second = context.decode(
        [Span(0, 4, PROMPT[4:], wants_output=True), Span(1, 0, PROMPT, wants_output=True)]
    )
    assert (first, second) == (1, 7)
    sampler = context.new_sampler(GREEDY, PROMPT)
    assert context.sample(sampler, first) == context.sample(sampler, second)
    sampler.close()


@pytest.mark.parametrize("num_right", [0, 1, 3])
def test_guesses_are_checked_in_one_batch(context: Context, num_right: int) -> None:
    alone = greedy(context, 0, 6)
    wrong = [(token_id + 1) % 100 for token_id in alone]
    drafts = alone[:num_right] + wrong[num_right:4]
    sampler = context.new_sampler(GREEDY, PROMPT)
    span = Span(1, 0, PROMPT + drafts, wants_output=True, num_drafts=len(drafts))
    (last,) = context.decode([span])
    said = [context.sample(sampler, last - 4 + number) for number in range(num_right + 1)]
    assert said == alone[: num_right + 1]
    context.truncate(1, len(PROMPT) + num_right)
    (index,) = context.decode([Span(1, len(PROMPT) + num_right, said[-1:], wants_output=True)])
    assert context.sample(sampler, index) == alone[num_right + 1]
    sampler.close()


def test_logprobs_are_logarithms_of_the_softmax(context: Context, tiny_model: Model) -> None:
    (index,) = context.decode([Span(0, 0, PROMPT, wants_output=True)])
    every = [context.logprobs(index, token_id, 0) for token_id in range(tiny_model.vocab_size)]
    probabilities = np.exp([one.logprob for one in every])
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    best = np.argsort(-probabilities, kind="stable")[:5]
    told = context.logprobs(index, int(best[0]), 5)
    assert [token_id for token_id, _ in told.top] == best.tolist()
    assert [logprob for _, logprob in told.top] == [every[token_id].logprob for token_id in best]
    sampler = context.new_sampler(GREEDY, PROMPT)
    assert context.sample(sampler, index) == best[0]
    sampler.close()


def test_only_what_is_allowed_is_chosen(context: Context, tiny_model: Model) -> None:
    mask = np.zeros(3, np.uint8)  # shorter than the vocabulary
    mask[1], mask[2] = 0b100, 0b1  # tokens 10 and 16
    (index,) = context.decode([Span(0, 0, PROMPT, wants_output=True)])
    likelier = max((10, 16), key=lambda token_id: context.logprobs(index, token_id, 0).logprob)
    sampler = context.new_sampler(GREEDY, PROMPT)
    assert context.sample(sampler, index, mask) == likelier
    assert context.logprobs(index, 11, 0).logprob == -9999
    sampler.close()


def test_an_aborted_batch_leaves_a_context_that_works(
    tiny_model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    with Context(
        tiny_model, context_size=1024, batch_size=1024, num_sequences=1, num_threads=1
    ) as context:
        alone = greedy(context, 0, 4)
        context.truncate(0, 0)
        outcome: list[BaseException] = []

        def work() -> None:
            try:
                while True:
                    context.decode([Span(0, 0, [1] * 1024, wants_output=True)])
                    context.truncate(0, 0)
            except DecodeAbortedError as exc:
                outcome.append(exc)

        thread = threading.Thread(target=work)
        thread.start()
        while thread.is_alive():
            context.abort()
            thread.join(0.001)
        assert len(outcome) == 1
        context.truncate(0, 0)
        context.abort()  # with nothing to abort: the next batch is not concerned
        assert greedy(context, 0, 4) == alone
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("token_id", [-1, 10**6, 2**31 - 1])
def test_a_batch_that_fails_is_logged(
    context: Context, token_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DecodeError):
        context.decode([Span(0, 0, [token_id], wants_output=True)])
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert errors[-1] == "llama_decode: failed to decode, ret = -1"
    context.truncate(0, 0)
    assert greedy(context, 0, 2) == greedy(context, 1, 2)


def test_hidden_states(context: Context, tiny_model: Model) -> None:
    context.decode([Span(0, 0, PROMPT, wants_output=True)], hidden_states=True)
    whole = context.hidden_states(0, len(PROMPT))
    assert whole.shape == (len(PROMPT), tiny_model.embedding_length)
    context.truncate(0, 0)
    context.decode([Span(0, 0, PROMPT[:4], wants_output=False)], hidden_states=True)
    parts = [context.hidden_states(0, 4)]
    context.decode([Span(0, 4, PROMPT[4:], wants_output=True)], hidden_states=True)
    parts.append(context.hidden_states(0, 2))
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=0.02)
    context.truncate(0, 0)
    assert greedy(context, 0, 4) == greedy(context, 1, 4)


def test_a_copy_goes_on_as_its_source_would(context: Context) -> None:
    alone = greedy(context, 0, 8)
    context.truncate(0, len(PROMPT) - 1)
    context.copy(0, 1, len(PROMPT) - 1)
    sampler = context.new_sampler(GREEDY, PROMPT)
    for sequence_id in (1, 0):
        span = Span(sequence_id, len(PROMPT) - 1, PROMPT[-1:], wants_output=True)
        (index,) = context.decode([span])
        assert context.sample(sampler, index) == alone[0]
    sampler.close()


def test_a_restored_state_goes_on_to_the_bit(tiny_model: Model) -> None:
    options: dict[str, Any] = {
        "context_size": 256,
        "batch_size": 32,
        "num_sequences": 2,
        "num_threads": 2,
    }
    with Context(tiny_model, **options) as first, Context(tiny_model, **options) as second:
        first.decode([Span(0, 0, PROMPT, wants_output=False)])
        state = first.state(0)
        assert second.restore(0, state)
        assert second.state(0) == state
        span = Span(0, len(PROMPT), [70], wants_output=True)
        first.decode([span], hidden_states=True)
        second.decode([span], hidden_states=True)
        np.testing.assert_array_equal(first.hidden_states(0, 1), second.hidden_states(0, 1))
        assert not second.restore(1, state[:-100])
        assert first.state_keys == second.state_keys


def test_copies_share_memory(context: Context) -> None:
    for start in range(0, 224, 32):
        context.decode([Span(0, start, [1] * 32, wants_output=False)])
    context.copy(0, 1, 224)
    context.decode([Span(1, 224, [2] * 32, wants_output=False)])
    with pytest.raises(DecodeError):
        context.decode([Span(0, 224, [2], wants_output=False)])
    context.truncate(1, 224)
    context.decode([Span(0, 224, [2] * 32, wants_output=False)])


def test_hidden_states_must_have_been_asked_for(context: Context) -> None:
    context.decode([Span(0, 0, PROMPT, wants_output=True)])
    with pytest.raises(ModelError, match="no hidden states"):
        context.hidden_states(0, 1)


@pytest.mark.parametrize("num_tokens", [0, 33])
def test_a_batch_of_the_wrong_size_is_refused(context: Context, num_tokens: int) -> None:
    with pytest.raises(ValueError, match="1 to 32 tokens"):
        context.decode([Span(0, 0, [1] * num_tokens, wants_output=True)])


def test_a_full_memory_is_a_decode_error(context: Context) -> None:
    for start in range(0, 256, 32):
        context.decode([Span(0, start, [1] * 32, wants_output=False)])
    with pytest.raises(DecodeError) as caught:
        context.decode([Span(1, 0, [1], wants_output=True)])
    assert caught.value.code == 1
    context.truncate(0, 0)
    context.decode([Span(1, 0, [1], wants_output=True)])


def test_a_wrong_token_is_a_decode_error(context: Context) -> None:
    with pytest.raises(DecodeError):
        context.decode([Span(0, 0, [10_000_000], wants_output=True)])


def test_closed_is_closed(tiny_model: Model) -> None:
    context = Context(tiny_model, context_size=64, batch_size=8, num_sequences=1, num_threads=1)
    context.close()
    context.close()
    with pytest.raises(ResourceClosedError):
        context.decode([Span(0, 0, [1], wants_output=True)])
    with pytest.raises(ResourceClosedError):
        context.truncate(0, 0)


def test_closing_while_another_thread_decodes(tiny_model: Model) -> None:
    context = Context(tiny_model, context_size=1024, batch_size=32, num_sequences=1, num_threads=1)
    outcome: list[BaseException] = []
    started = threading.Event()

    def work() -> None:
        try:
            while True:
                context.decode([Span(0, 0, [1] * 32, wants_output=True)])
                context.truncate(0, 0)
                started.set()
        except ResourceClosedError as exc:
            outcome.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(60)
    context.close()
    thread.join(60)
    assert len(outcome) == 1


def test_an_impossible_context_is_an_error_and_frees_the_model(tiny_model: Model) -> None:
    with pytest.raises(ModelError, match="cannot make a context"):
        Context(tiny_model, context_size=64, batch_size=8, num_sequences=100_000, num_threads=1)
    with Context(tiny_model, context_size=64, batch_size=8, num_sequences=1, num_threads=1):
        pass


def test_logits_of_the_last_tokens(context: Context) -> None:
    (last,) = context.decode([Span(0, 0, PROMPT, wants_output=True, num_drafts=2)])
    logits = context.logits(last - 2, 3)
    assert logits.shape == (3, context.model.vocab_size)
    sampler = context.new_sampler(GREEDY, PROMPT)
    for row, index in zip(logits, range(last - 2, last + 1), strict=True):
        assert context.sample(sampler, index) == row.argmax()
    sampler.close()
    with pytest.raises(ModelError, match="kept no logits"):
        context.logits(last - 3, 3)


def test_a_precise_context_computes_the_same_but_for_rounding(
    context: Context, tiny_model: Model
) -> None:
    (last,) = context.decode([Span(0, 0, PROMPT, wants_output=True)])
    with Context(
        tiny_model, context_size=256, batch_size=32, num_sequences=2, num_threads=2, precise=True
    ) as precise:
        precise.decode([Span(0, 0, PROMPT, wants_output=True)])
        difference = np.abs(precise.logits(last, 1) - context.logits(last, 1)).max()
        assert 0 < difference < 0.05
        assert precise.state_keys != context.state_keys
