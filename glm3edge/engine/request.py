"""Request of a generation, and the interfaces of what constrains and reads the reply."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from glm3edge.core import GenerationFinished, Mask, Priority, SamplingParams, TokenEvent
from glm3edge.engine.text_stream import TextReader

Sink = Callable[[Any], None]
"""Receives the events of a sequence, one after another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """Prompt, limits and sampling parameters of a generation.

    Attributes:
        prompt_ids: the prompt, at least one token.
        max_new_tokens: tokens after which the reply ends with LENGTH, hidden ones not counted;
            prompt and these must fit the context.
        max_hidden_tokens: how many tokens of white space at the start of the reply do not count,
            because the client does not see them.
        sampling: sampling parameters.
        stop_token_ids: tokens that end the reply and are not part of it.
        stop_strings: text that ends the reply and is not part of it.
        make_reader: creates the reader that finds ``stop_strings``. Without any the events of the
            reply are its tokens.
        num_logprobs: most probable tokens to report with each token; None for no probabilities
            at all.
        priority: background requests wait for interactive ones.
        adapter: number of the adapter to compute with; 0 is the model alone.
        grammar: grammar of the reply, if it has to follow one, in llguidance's dialect of Lark.
        begun_ids: the reply's first tokens, if the prompt has them: the grammar counts them.
        wants_progress: emit ProgressEvents while the prefill takes several batches.
    """

    prompt_ids: Sequence[int]
    max_new_tokens: int
    max_hidden_tokens: int = 0
    sampling: SamplingParams = field(default_factory=SamplingParams)
    stop_token_ids: frozenset[int] = frozenset()
    stop_strings: tuple[str, ...] = ()
    make_reader: "Callable[[tuple[str, ...]], Reader]" = TextReader
    num_logprobs: int | None = None
    priority: Priority = Priority.INTERACTIVE
    adapter: int = 0
    grammar: str | None = None
    begun_ids: tuple[int, ...] = ()
    wants_progress: bool = False


class Constraint(Protocol):
    """Constrained decoding: the tokens that may come next. ``glm3edge.llama.guidance.Matcher``."""

    def allowed(self) -> Mask | None: ...

    def accept(self, token_id: int) -> None: ...


class GrammarCompiler(Protocol):
    """Makes constraints of grammars. ``glm3edge.llama.guidance.Guide``; see there."""

    def matcher(self, grammar: str, begun_ids: tuple[int, ...] = ()) -> Constraint: ...


class Reader(Protocol):
    """Finds stop strings in the text that the client sees of a reply, on the engine's thread.

    ``TextReader`` does so for plain text, ``glm3edge.serving.chat.parts`` for ChatGLM3's replies.

    Attributes:
        stop_string: the stop string that ended the reply, if one did.
    """

    stop_string: str | None

    def feed(self, event: TokenEvent) -> list[Any]:
        """Events of a token and the text that it completes."""

    def finish(self, end: GenerationFinished) -> list[Any]:
        """The last events; the very last is the ending."""
