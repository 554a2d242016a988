"""When a reply is constrained to a grammar: token by token, with a scripted matcher."""

import numpy as np
import pytest

from glm3edge.chatglm3.constraint import ReplyConstraint
from glm3edge.core import Mask
from tests.support.fakes import ASSISTANT, EOS, OBSERVATION, FakeVocabulary, spell

ENDS = {EOS, OBSERVATION}


class FakeMatcher:
    """Wants ``()`` and nothing else."""

    def __init__(self) -> None:
        self.wanted = spell("()")

    @property
    def is_complete(self) -> bool:
        return not self.wanted

    def copy(self) -> "FakeMatcher":
        return FakeMatcher()

    def allowed(self) -> Mask:
        return np.array([1, 2, 3], np.uint8)

    def accept(self, token_id: int) -> None:
        assert token_id == self.wanted.pop(0)


def constraint(*, whole: bool = False, may_call_again: bool = True) -> ReplyConstraint:
    return ReplyConstraint(
        FakeVocabulary(),
        end_ids=ENDS,
        assistant_id=ASSISTANT,
        calls={"find": FakeMatcher()},
        whole=FakeMatcher() if whole else None,
        may_call_again=may_call_again,
    )


def ids(mask: Mask | None) -> set[int] | None:
    return None if mask is None else set(np.flatnonzero(np.unpackbits(mask, bitorder="little")))


CALL = ids(np.array([1, 2, 3], np.uint8))


@pytest.mark.parametrize(
    ("reply", "allowed"),
    [
        ([], None),
        (spell(" find"), None),
        (spell(" find\n"), CALL),
        (spell("find\n("), CALL),
        (spell("find\n()"), ENDS | {ASSISTANT}),
        ([*spell("find\n()"), ASSISTANT], None),
        ([*spell("find\n()"), ASSISTANT, *spell("find\n")], CALL),
        ([*spell("\nprose"), ASSISTANT, *spell(" find \n")], CALL),
        (spell("\nfind\n"), None),
        (spell("other\n"), None),
        (spell("finder\n"), None),
        (spell("\n你好"), None),
    ],
)
def test_the_grammar_takes_effect_once_a_call_has_begun(
    reply: list[int], allowed: set[int] | None
) -> None:
    found = constraint()
    for token_id in reply:
        found.accept(token_id)
    assert ids(found.allowed()) == allowed


def test_a_reply_that_has_to_be_a_call() -> None:
    found = constraint(whole=True)
    assert ids(found.allowed()) == CALL
    for token_id in spell("()"):
        found.accept(token_id)
    assert ids(found.allowed()) == ENDS


def test_no_second_call_where_none_is_wanted() -> None:
    found = constraint(may_call_again=False)
    for token_id in spell("find\n()"):
        found.accept(token_id)
    assert ids(found.allowed()) == ENDS
