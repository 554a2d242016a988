import pytest

from glm3edge.chatglm3.vocabulary import (
    MissingTokenError,
    SpecialTokens,
    check_token_ids,
    text_of,
)
from glm3edge.errors import InvalidRequestError
from glm3edge.llama.model import Model
from tests.support.fakes import (
    CONTROL_TOKENS,
    EOS,
    GMASK,
    OBSERVATION,
    SOP,
    USER,
    FakeVocabulary,
    spell,
)


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


def test_ids_are_checked() -> None:
    check_token_ids([0, 1999], FakeVocabulary(), param="prompt")
    check_token_ids([], FakeVocabulary(), param="prompt")
    with pytest.raises(InvalidRequestError, match=r"token id 2000; .* below 2000") as caught:
        check_token_ids([3, 2000, 4], FakeVocabulary(), param="prompt")
    assert caught.value.param == "prompt"


@pytest.mark.parametrize(
    ("token_ids", "text", "with_control_tokens"),
    [
        ([], "", ""),
        (spell("你好"), "你好", "你好"),
        (spell(" 你好"), " 你好", " 你好"),
        (spell("你好")[1:], "\ufffd\ufffd好", "\ufffd\ufffd好"),
        ([GMASK, SOP, *spell("你"), USER], "你", "[gMASK]<|sop|>你<|user|>"),
    ],
)
def test_ids_to_text(token_ids: list[int], text: str, with_control_tokens: str) -> None:
    vocabulary = FakeVocabulary()
    assert text_of(token_ids, vocabulary) == text
    assert text_of(token_ids, vocabulary, with_control_tokens=True) == with_control_tokens


@pytest.mark.parametrize(
    "text", ["", "你好", " 你好", "  two spaces", "\n", "a b", "🙂", "<|user|>", "e\u0301"]
)
def test_tokenizing_is_undone(tiny_model: Model, text: str) -> None:
    """The tokenizer's dummy prefix is no part of the text."""
    special = SpecialTokens.of(tiny_model)
    token_ids = tiny_model.tokenize(text)
    assert text_of(token_ids, tiny_model) == text
    assert text_of(token_ids, tiny_model, with_control_tokens=True) == text
    assert text_of([*special.prefix, *token_ids], tiny_model) == text
