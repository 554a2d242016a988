import pytest

from glm3edge.errors import GrammarError
from glm3edge.llama.guidance import Guide
from glm3edge.llama.model import Model


def test_errors_quote_neither_the_text_nor_the_grammar(tiny_model: Model) -> None:
    """The engine logs them."""
    guide = Guide(tiny_model, end_ids=[tiny_model.eos_id])
    matcher = guide.matcher('start: "grammar-of-a-prompt"\n')
    token_id = tiny_model.tokenize("text-of-a-reply")[-1]
    with pytest.raises(GrammarError, match="cannot be followed") as caught:
        matcher.accept(token_id)
    assert "\n" not in str(caught.value)
    for text in ("grammar-of", "text-of", "reply"):
        assert text not in str(caught.value)
