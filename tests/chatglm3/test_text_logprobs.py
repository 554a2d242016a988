"""Tokens of text completions, held back and let go with their text."""

import pytest

from glm3edge.chatglm3.text_logprobs import TextLogprobs
from glm3edge.core import TokenEvent, TokenLogprobs
from tests.support.fakes import SOP, FakeVocabulary, spell


def fed(token_ids: list[int]) -> TextLogprobs:
    logprobs = TextLogprobs(FakeVocabulary())
    for number, token_id in enumerate(token_ids):
        logprobs.feed(TokenEvent(token_id, "", TokenLogprobs(-float(number))))
    return logprobs


@pytest.mark.parametrize(
    ("token_ids", "tokens", "offsets"),
    [
        (spell("ab"), ["a", "b"], [0, 1]),
        (spell("é!"), ["bytes:\\xc3", "bytes:\\xa9", "!"], [0, 0, 1]),
        ([*spell("é")[:1], SOP, *spell("b")], ["bytes:\\xc3", "<|sop|>", "b"], [0, 0, 1]),
        ([3 + 0xFF, *spell("b")], ["bytes:\\xff", "b"], [0, 1]),
    ],
)
def test_names_and_offsets(token_ids: list[int], tokens: list[str], offsets: list[int]) -> None:
    found = fed(token_ids).take(100)
    assert found is not None
    assert (found.tokens, found.text_offset) == (tokens, offsets)


def test_tokens_come_once_and_with_their_text() -> None:
    logprobs = fed(spell("a好b"))
    taken = [logprobs.take(length) for length in (0, 1, 1, 2, 3)]
    assert [part and len(part.tokens) for part in taken] == [None, 1, None, 3, 1]


def test_the_token_that_came_is_among_the_most_probable() -> None:
    logprobs = TextLogprobs(FakeVocabulary())
    (a, b, c) = spell("abc")
    logprobs.feed(TokenEvent(c, "c", TokenLogprobs(-9.0, ((a, -1.0), (b, -2.0)))))
    logprobs.feed(TokenEvent(a, "a", TokenLogprobs(-1.0, ((a, -1.0), (b, -2.0)))))
    found = logprobs.take(2)
    assert found is not None
    assert found.top_logprobs == [{"a": -1.0, "b": -2.0, "c": -9.0}, {"a": -1.0, "b": -2.0}]


def test_nothing_is_collected_unless_asked_for() -> None:
    logprobs = TextLogprobs(FakeVocabulary())
    logprobs.feed(TokenEvent(5, "x"))
    assert logprobs.take(1) is None
