"""Baseline of the benchmark: decoding and sampling alone, without a server or a scheduler."""

import time
from collections.abc import Sequence
from pathlib import Path

from glm3edge.core import SamplingParams, Span
from glm3edge.llama.context import Context
from glm3edge.llama.model import Model
from glm3edge.llama.sampler import Sampler

GREEDY = SamplingParams(temperature=0, repetition_penalty=1)


class BareLoop:
    """Loop of greedy decoding over a model."""

    def __init__(
        self,
        path: Path,
        *,
        context_size: int,
        batch_size: int,
        num_sequences: int,
        num_threads: int,
    ) -> None:
        """Load ``path``.

        Raises:
            ModelError: the model or its context could not be made.
        """
        self.model = Model(path)
        self._context = Context(
            self.model,
            context_size=context_size,
            batch_size=batch_size,
            num_sequences=num_sequences,
            num_threads=num_threads,
        )

    def close(self) -> None:
        """Free the model."""
        self._context.close()
        self.model.close()

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text."""
        return self.model.tokenize(text)

    def generate(self, prompts: Sequence[Sequence[int]], num_tokens: int) -> float:
        """Seconds to generate ``num_tokens`` for each of ``prompts``, all in one batch."""
        context, sequences = self._context, range(len(prompts))
        samplers = [context.new_sampler(GREEDY, prompt) for prompt in prompts]
        start = time.perf_counter()
        pending = [self._prefill(n, prompts[n], samplers[n]) for n in sequences]
        for step in range(num_tokens - 1):
            spans = [
                Span(n, len(prompts[n]) + step, [pending[n]], wants_output=True) for n in sequences
            ]
            indices = context.decode(spans)
            pending = [context.sample(samplers[n], indices[n]) for n in sequences]
        seconds = time.perf_counter() - start
        for number, sampler in enumerate(samplers):
            context.truncate(number, 0)
            sampler.close()
        return seconds

    def _prefill(self, number: int, prompt: Sequence[int], sampler: Sampler) -> int:
        """First token after ``prompt``, which is prefilled in batches."""
        size = self._context.batch_size
        for start in range(0, len(prompt), size):
            piece = prompt[start : start + size]
            is_last = start + size >= len(prompt)
            (index,) = self._context.decode([Span(number, start, piece, wants_output=is_last)])
        return self._context.sample(sampler, index)
