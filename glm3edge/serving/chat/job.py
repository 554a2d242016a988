"""Chat job: a checked request that is ready to run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from glm3edge.core import GenerationFinished
from glm3edge.engine.request import GenerationRequest
from glm3edge.schema.base import Usage
from glm3edge.schema.chat import Truncation
from glm3edge.serving.chat.parts import PartReader
from glm3edge.serving.generation import usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatJob:
    """A checked request, ready to run: it can no longer fail through the caller's fault.

    Attributes:
        id: of the chat completion.
        created: Unix time, in seconds.
        model: name of the model or adapter that replies.
        generations: one for each choice.
        make_reader: makes the reader of a choice's tokens that looks for some stop strings.
        include_usage: whether a stream ends with usage.
        truncation: what was left out of the conversation so that it fits, if anything was.
    """

    id: str
    created: int
    model: str
    generations: tuple[GenerationRequest, ...]
    make_reader: Callable[[tuple[str, ...]], PartReader]
    include_usage: bool
    truncation: Truncation | None

    @property
    def num_prompt_tokens(self) -> int:
        """Tokens of the prompt, which all choices share."""
        return len(self.generations[0].prompt_ids)

    def usage(self, ends: Sequence[GenerationFinished]) -> Usage:
        """Tokens that the request took; ``ends`` are the endings of its generations."""
        return usage([(self.num_prompt_tokens, ends)])
