"""Grammars of text completions, which requests give as they are."""

from typing import Any

import pytest

from glm3edge.engine.engine import Engine
from glm3edge.errors import InvalidRequestError
from glm3edge.limits import MAX_GRAMMAR_SYMBOLS, MAX_RULE_DEPTH
from glm3edge.llama.grammar_cost import num_symbols, rule_depth
from glm3edge.llama.guidance import Guide
from glm3edge.llama.model import Model
from glm3edge.schema.completions import CompletionRequest
from glm3edge.serving.completions import CompletionService


@pytest.fixture
def service(engine: Engine, tiny_model: Model) -> CompletionService:
    guide = Guide(tiny_model, end_ids=[tiny_model.eos_id])
    return CompletionService(engine, tiny_model, model_id="m", guide=guide)


def request(grammar: str) -> CompletionRequest:
    outputs: dict[str, Any] = {"grammar": grammar}
    return CompletionRequest.model_validate({"prompt": "a", "structured_outputs": outputs})


def chain(length: int) -> str:
    """A grammar of ``length`` rules that each refer to the next."""
    rules = [f"t{number}: t{number + 1}" for number in range(1, length - 1)]
    return "\n".join(["start: t1", *rules, f't{length - 1}: "a"'])


def test_a_grammar_reaches_the_engine(service: CompletionService) -> None:
    job = service.prepare(request('start: "yes" | "no"'))
    assert [one.grammar for one in job.generations] == ['start: "yes" | "no"']


@pytest.mark.parametrize("grammar", ["", "start: (", "start: other", "start: /(?=a)/"])
def test_a_grammar_that_cannot_be_followed_is_refused(
    service: CompletionService, grammar: str
) -> None:
    with pytest.raises(InvalidRequestError, match="cannot be followed") as caught:
        service.prepare(request(grammar))
    assert caught.value.param == "structured_outputs.grammar"


@pytest.mark.parametrize(
    ("grammar", "depth"),
    [
        ('start: "a"', 1),
        ("start: a b\n?a: b\n!b: c\nc: /x/", 4),
        ("start: a | b\na: start\nb: a\nT.1: /x/", 3),
        ("start: t\nt\n  : u\nu[lazy]: V\nV: /x/", 4),
        (chain(9), 9),
    ],
)
def test_how_deep_rules_are(grammar: str, depth: int) -> None:
    assert rule_depth(grammar) == depth


def test_rules_that_would_overflow_the_stack_are_refused(service: CompletionService) -> None:
    """llguidance ended the process."""
    with pytest.raises(InvalidRequestError, match="each refer to the next: use repetition"):
        service.prepare(request(chain(100_000)))
    assert service.prepare(request(chain(MAX_RULE_DEPTH)))


@pytest.mark.parametrize(
    ("grammar", "count"),
    [
        ('start: "a b" | c\nc: /d+/', 5),
        (r'start: "a\"b" "\\" "你 好"', 4),
        ('start: %json {"enum": ["a", "b", 3]}\nb: "c"', 3),
    ],
)
def test_how_many_symbols_there_are(grammar: str, count: int) -> None:
    assert num_symbols(grammar) == count


@pytest.mark.parametrize("joined", [" | ", " ", "? "])
def test_grammars_that_would_take_long_to_compile_are_refused(
    service: CompletionService, joined: str
) -> None:
    """100,000 texts in a row took 17 s, and ended in llguidance's own failure."""
    texts = [f'"w{number}"' for number in range(MAX_GRAMMAR_SYMBOLS)]
    with pytest.raises(InvalidRequestError, match="names and texts: make it smaller"):
        service.prepare(request(f"start: {joined.join(texts)}"))
    assert service.prepare(request(f"start: {joined.join(texts[:1000])}"))
