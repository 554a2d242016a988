import pytest

from glm3edge.errors import GrammarError
from glm3edge.llama import guidance
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


def test_many_small_grammars_are_not_all_kept(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes 45 kB, however short it is."""
    monkeypatch.setattr(guidance, "_MAX_KEPT_CHARS", 1000)
    guide = Guide(tiny_model, end_ids=[tiny_model.eos_id])
    for number in range(9):
        guide.matcher(f'start: "{number}"\n')
    assert len(guide._compiled) == 3


def test_the_last_grammar_is_kept_whatever_its_size(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine compiled it again, on the event loop, for each choice of the request."""
    monkeypatch.setattr(guidance, "_MAX_KEPT_CHARS", 1000)
    guide = Guide(tiny_model, end_ids=[tiny_model.eos_id])
    large = f'start: "{"a" * 2000}"\n'
    guide.matcher(large)
    monkeypatch.setattr(Guide, "_compile", None)
    assert guide.matcher(large).allowed().any()


def test_what_cannot_be_compiled_is_compiled_once(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request compiles a grammar that fails a second time, to look for what fails."""
    guide = Guide(tiny_model, end_ids=[tiny_model.eos_id])
    with pytest.raises(GrammarError) as caught:
        guide.matcher("start: /(?=a)/\n")
    monkeypatch.setattr(Guide, "_compile", None)
    with pytest.raises(GrammarError) as again:
        guide.matcher("start: /(?=a)/\n")
    assert str(again.value) == str(caught.value)


def test_long_patterns_are_not_quoted_whole(tiny_model: Model) -> None:
    guide = Guide(tiny_model, end_ids=[tiny_model.eos_id])
    with pytest.raises(GrammarError, match=r"regex parse error.*look-around") as caught:
        guide.matcher('start: %json {"pattern": "' + "a" * 100_000 + '(?=a)"}\n')
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("grammar", ['start: "<unk>"\n', "start: /(?s:.*)/\n"])
def test_the_unknown_token_is_no_text(tiny_model: Model, grammar: str) -> None:
    """llguidance took it for the text "<unk>", and the reply had nothing in that place."""
    unknown = 0
    assert tiny_model.piece(unknown) == b""
    mask = Guide(tiny_model, end_ids=[tiny_model.eos_id]).matcher(grammar).allowed()
    assert not mask[unknown // 8] >> unknown % 8 & 1
    first = tiny_model.tokenize("<")[-1]
    assert mask[first // 8] >> first % 8 & 1


def test_a_text_that_has_begun(tiny_model: Model) -> None:
    """The state after its first tokens is kept: a chat's continuation asks for it twice."""
    guide = Guide(tiny_model, end_ids=[tiny_model.eos_id])
    first, *others = tiny_model.tokenize("ab")
    grammar = f"start: <[{first}]> {' '.join(f'<[{one}]>' for one in others)} <[{first}]>\n"
    begun = guide.matcher(grammar, (first, *others))
    begun.accept(first)
    assert (grammar, (first, *others)) in guide._compiled
    with pytest.raises(GrammarError, match="cannot be followed"):
        guide.matcher(grammar, (*others, first, first))
