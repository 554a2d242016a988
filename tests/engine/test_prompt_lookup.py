import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm3edge.engine.prompt_lookup import Acceptance, PromptLookup


@pytest.mark.parametrize(
    ("text", "limit", "draft"),
    [
        ("", 4, ""),
        ("a", 4, ""),
        ("abc", 4, ""),
        ("abcab", 4, "cabc"),  # as if it went on repeating itself
        ("abcab", 2, "ca"),
        ("abcab", 0, ""),
        ("abxabyab", 3, "yab"),  # what followed the last time
        ("wabcd1 zabcd2 wabcd", 2, "2 "),
        ("1abcd! 2bxcd? 3abcd", 1, "!"),  # four tokens say more than two
    ],
)
def test_what_followed_the_last_time_is_the_draft(text: str, limit: int, draft: str) -> None:
    assert PromptLookup().draft([ord(c) for c in text], limit) == [ord(c) for c in draft]


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 8))
def test_a_text_that_grows_gives_what_the_whole_text_gives(text: list[int], step: int) -> None:
    growing = PromptLookup()
    for end in range(0, len(text) + 1, step):
        assert growing.draft(text[:end], 5) == PromptLookup().draft(text[:end], 5)


def test_right_drafts_raise_the_rate_and_wrong_ones_lower_it() -> None:
    acceptance = Acceptance()
    first = acceptance.rate
    acceptance.observe(num_accepted=4, num_drafts=4)
    raised = acceptance.rate
    acceptance.observe(num_accepted=0, num_drafts=8)
    lowered = acceptance.rate
    assert first < raised < 1
    assert lowered < raised
    for _ in range(200):
        acceptance.observe(num_accepted=0, num_drafts=8)
    assert acceptance.expected(8) < 0.01
    for _ in range(200):
        acceptance.decay()
    assert acceptance.rate == pytest.approx(first, abs=0.02)


def test_drafts_after_a_wrong_one_say_nothing() -> None:
    one, many = Acceptance(), Acceptance()
    one.observe(num_accepted=0, num_drafts=1)
    many.observe(num_accepted=0, num_drafts=9)
    assert one.rate == many.rate
