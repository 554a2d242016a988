"""Types that cross packages: sampling parameters, batch spans, token events and endings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]
"""Bit mask of allowed tokens: one bit for each of the vocabulary, the lowest of a byte first."""


class ModelState(Enum):
    """Whether a model is in memory."""

    LOADED = "loaded"
    UNLOADED = "unloaded"
    LOADING = "loading"


class FinishReason(Enum):
    """Reason why a sequence ended."""

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"
    ERROR = "error"


class Priority(IntEnum):
    """Scheduling priority: a client that waits for the reply goes before a background job."""

    INTERACTIVE = 0
    BACKGROUND = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """Parameters of sampling. The defaults are those of ChatGLM3's official server.

    Attributes:
        temperature: divides the logits; 0 takes the most probable token.
        top_k: number of candidates kept; 0 keeps all.
        top_p: probability mass kept.
        min_p: least probability kept, relative to the best; 0 keeps all.
        repetition_penalty: for tokens of prompt and reply (Hugging Face's formula); 1 is off.
        presence_penalty: taken once from the logit of a token the reply has.
        frequency_penalty: taken once for each time the reply has the token.
        seed: makes a reply repeatable; None draws a random one.
        logit_bias: token ids and what is added to their logits; -100 bans a token.
    """

    temperature: float = 0.8
    top_k: int = 50
    top_p: float = 0.8
    min_p: float = 0.0
    repetition_penalty: float = 1.1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive tokens of one sequence in a batch.

    Attributes:
        sequence_id: sequence of the KV cache that they extend, in 0..num_sequences-1.
        position: position of the first.
        token_ids: the tokens.
        wants_output: whether the logits after the last token will be sampled from.
        num_drafts: how many of the last tokens are drafts; logits are kept after each of them and
            after the token before them.
    """

    sequence_id: int
    position: int
    token_ids: Sequence[int]
    wants_output: bool
    num_drafts: int = 0


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """Log probabilities of a token, before temperature, penalties and biases.

    Attributes:
        logprob: natural logarithm of its probability.
        top: token ids and logarithms of the most probable tokens, best first.
    """

    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """One sampled token.

    Attributes:
        token_id: its id in the vocabulary.
        text: the text it completed. Empty for control tokens and in the middle of a character;
            the token that completes a character brings all of it.
        logprobs: its log probabilities, if requested.
    """

    token_id: int
    text: str
    logprobs: TokenLogprobs | None = None


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """Progress of the prefill of a long prompt.

    Attributes:
        num_tokens: tokens of the prompt.
        num_cached: those that were in the KV cache at the start.
        num_processed: those that are in the KV cache now.
        seconds: since the start.
    """

    num_tokens: int
    num_cached: int
    num_processed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class FinishedEvent:
    """Last event of a sequence; every sequence gets exactly one.

    Attributes:
        reason: why it ended.
        error: set if and only if reason is ERROR.
    """

    reason: FinishReason
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationFinished(FinishedEvent):
    """Last event of a generation.

    Attributes:
        num_completion_tokens: tokens sampled, the one that ended the reply included.
        text: text that was held back, such as the broken character that a cut reply ends in.
        stop_token_id: the token that ended the reply, if one did.
        stop_string: the stop string that ended the reply, if one did.
        prefill_seconds: from the start of the prefill to the first sampled token.
        decode_seconds: from there to the end.
        num_cached_tokens: prompt tokens served from the KV cache.
        num_accepted_drafts: sampled tokens that had been drafted, and took no step of their own.
        num_rejected_drafts: drafts that were rejected.
    """

    num_completion_tokens: int
    num_cached_tokens: int = 0
    num_accepted_drafts: int = 0
    num_rejected_drafts: int = 0
    text: str = ""
    stop_token_id: int | None = None
    stop_string: str | None = None
    prefill_seconds: float = field(default=0.0, compare=False)
    decode_seconds: float = field(default=0.0, compare=False)


def partial_marker(text: str, marker: str) -> int:
    """Length of the longest proper prefix of ``marker`` that ``text`` ends with."""
    for length in range(min(len(marker) - 1, len(text)), 0, -1):
        if text.endswith(marker[:length]):
            return length
    return 0
