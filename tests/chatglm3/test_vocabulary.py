import pytest

from glm3edge.chatglm3.vocabulary import MissingTokenError, SpecialTokens
from tests.fakes import CONTROL_TOKENS, EOS, GMASK, OBSERVATION, SOP, USER, FakeVocabulary


def test_tokens_are_looked_up() -> None:
    special = SpecialTokens.of(FakeVocabulary())
    assert special.prefix == (GMASK, SOP)
    assert special.stop_ids == {EOS, USER, OBSERVATION}


def test_both_spellings_of_sop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(CONTROL_TOKENS, "<|sop|>")
    monkeypatch.setitem(CONTROL_TOKENS, "sop", 7)
    assert SpecialTokens.of(FakeVocabulary()).sop == 7


def test_a_missing_token_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(CONTROL_TOKENS, "<|observation|>")
    with pytest.raises(MissingTokenError, match=r"<\|observation\|>"):
        SpecialTokens.of(FakeVocabulary())
