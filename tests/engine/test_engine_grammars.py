"""Grammars of requests in the engine, over a scripted backend and a scripted compiler."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from glm3edge.core import Mask
from glm3edge.engine.engine import Engine
from glm3edge.engine.request import GenerationRequest
from glm3edge.errors import GrammarError
from tests.support.engine_client import until
from tests.support.fakes import EOS, FakeBackend, say, spell

REQUEST = partial(
    GenerationRequest, prompt_ids=spell("hi"), max_new_tokens=9, stop_token_ids=frozenset({EOS})
)


@dataclass
class FakeConstraint:
    """Allows all, and remembers what was accepted."""

    accepted: list[int]

    def allowed(self) -> Mask | None:
        return None

    def accept(self, token_id: int) -> None:
        self.accepted.append(token_id)


@dataclass
class FakeGuide:
    """Compiles every grammar but ``hard``."""

    made: list[FakeConstraint] = field(default_factory=list)

    def matcher(self, grammar: str, begun_ids: tuple[int, ...] = ()) -> FakeConstraint:
        if grammar == "hard":
            raise GrammarError("too hard")
        self.made.append(FakeConstraint(list(begun_ids)))
        return self.made[-1]


@pytest.fixture
def guide() -> FakeGuide:
    return FakeGuide()


@pytest.fixture
def engine(backend: FakeBackend, guide: FakeGuide) -> Iterator[Engine]:
    engine = Engine(backend, use_drafts=False, guide=guide)
    engine.start()
    yield engine
    engine.close()


def test_each_reply_has_a_constraint_of_its_own(
    backend: FakeBackend, engine: Engine, guide: FakeGuide
) -> None:
    backend.reply_for = say("ok")
    events: list[Any] = []
    for begun in ("", "b"):
        engine.generate(REQUEST(grammar="any", begun_ids=tuple(spell(begun))), events.append)
    until(lambda: len(events) == 6)
    assert [one.accepted for one in guide.made] == [spell("ok"), spell("bok")]


def test_a_grammar_that_cannot_be_followed_is_an_error_at_once(engine: Engine) -> None:
    with pytest.raises(GrammarError, match="too hard"):
        engine.generate(REQUEST(grammar="hard"), print)
    assert engine.num_running == engine.num_waiting == 0


def test_a_grammar_is_not_left_out_silently(backend: FakeBackend) -> None:
    engine = Engine(backend)
    with pytest.raises(ValueError, match="without a guide"):
        engine.generate(REQUEST(grammar="any"), print)
