"""Lower bounds of tokens, and texts that are refused by them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm3edge import limits
from glm3edge.errors import ContextLengthExceededError, InvalidRequestError
from glm3edge.llama.model import Model
from glm3edge.serving.text_limits import TextMeter, check_text_bytes

TEXTS = [
    "",
    " ",
    "   " * 50,
    "\u2581" * 100,
    "你好" * 50,
    "😀" * 50,
    "a😀 b\n",
    "\ud83d",
    "\0",
    "ß ﬁ",
]


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_has_fewer_tokens(tiny_model: Model, text: str) -> None:
    assert TextMeter(tiny_model).least_tokens(text) <= len(tiny_model.tokenize(text))


@pytest.mark.slow
@given(text=st.text())
def test_no_text_at_all(tiny_model: Model, text: str) -> None:
    assert TextMeter(tiny_model).least_tokens(text) <= len(tiny_model.tokenize(text))


@pytest.mark.parametrize("text", TEXTS)
def test_of_the_official_vocabulary(official_vocabulary: Model, text: str) -> None:
    meter = TextMeter(official_vocabulary)
    assert meter.least_tokens(text) <= len(official_vocabulary.tokenize(text))


def test_what_no_context_holds_is_refused(tiny_model: Model) -> None:
    meter = TextMeter(tiny_model)
    meter.check(["a" * 1000], param="messages", context_size=1024)
    with pytest.raises(ContextLengthExceededError, match="at least") as caught:
        meter.check(["a" * 10**6], param="messages", context_size=1024)
    assert caught.value.num_prompt_tokens > 1024
    with pytest.raises(InvalidRequestError, match=f"{limits.MAX_LEAST_TOKENS} tokens"):
        meter.check(["😀" * (limits.MAX_LEAST_TOKENS // 4 + 1)], param="content")


def test_all_texts_count_together() -> None:
    half = "长" * (limits.MAX_TEXT_BYTES // 6)
    check_text_bytes([half, half], param="input")
    with pytest.raises(InvalidRequestError, match="bytes of text") as caught:
        check_text_bytes([half, half, "长"], param="input")
    assert caught.value.param == "input"
