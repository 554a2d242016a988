"""Sampler: a native sampler chain for one sequence."""

import threading
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as native

from glm3edge.types import SamplingParams

_RANDOM_SEED = 0xFFFFFFFF  # LLAMA_DEFAULT_SEED: draw one


class Sampler:
    """Turns logits into the next token, and remembers the tokens it chose.

    The order is Hugging Face's: biases, penalties, then top-k, temperature and top-p, so that
    parameters mean what they mean to ChatGLM3's official server. (Top-k before the temperature
    keeps the same candidates as after it, and is cheaper.)
    """

    def __init__(
        self,
        params: SamplingParams,
        *,
        vocab_size: int,
        context_size: int,
        prompt_ids: Sequence[int] = (),
    ) -> None:
        """Build the chain.

        Args:
            params: how to choose.
            vocab_size: number of tokens in the vocabulary.
            context_size: how many tokens back the penalties look.
            prompt_ids: tokens the repetition penalty counts besides the reply's own.
        """
        self._lock = threading.Lock()
        chain_params = native.llama_sampler_chain_default_params()
        chain_params.no_perf = True
        self._chain: Any = native.llama_sampler_chain_init(chain_params)
        self._add_biases(params, vocab_size)
        self._add_penalties(params, vocab_size, context_size, prompt_ids)
        self._add_choice(params)

    def sample(self, context_handle: Any, index: int) -> int:
        """The token chosen from the logits at batch position ``index``."""
        return int(native.llama_sampler_sample(self._chain, context_handle, index))

    def close(self) -> None:
        """Free the chain; later calls do nothing."""
        with self._lock:
            chain, self._chain = self._chain, None
        if chain is not None:
            native.llama_sampler_free(chain)

    def _add_biases(self, params: SamplingParams, vocab_size: int) -> None:
        count = len(params.logit_bias)
        if count:
            biases = (native.llama_logit_bias * count)(*params.logit_bias)
            native.llama_sampler_chain_add(
                self._chain, native.llama_sampler_init_logit_bias(vocab_size, count, biases)
            )

    def _add_penalties(
        self, params: SamplingParams, vocab_size: int, window: int, prompt_ids: Sequence[int]
    ) -> None:
        if params.repetition_penalty != 1.0:
            repetition = native.llama_sampler_init_penalties(
                vocab_size, window, params.repetition_penalty, 0.0, 0.0
            )
            for token_id in prompt_ids:
                native.llama_sampler_accept(repetition, token_id)
            native.llama_sampler_chain_add(self._chain, repetition)
        if params.presence_penalty or params.frequency_penalty:
            counts = native.llama_sampler_init_penalties(
                vocab_size, window, 1.0, params.frequency_penalty, params.presence_penalty
            )
            native.llama_sampler_chain_add(self._chain, counts)

    def _add_choice(self, params: SamplingParams) -> None:
        add, chain = native.llama_sampler_chain_add, self._chain
        if params.temperature == 0:
            add(chain, native.llama_sampler_init_greedy())
            return
        if params.top_k:
            add(chain, native.llama_sampler_init_top_k(params.top_k))
        add(chain, native.llama_sampler_init_temp(params.temperature))
        add(chain, native.llama_sampler_init_top_p(params.top_p, 1))
        if params.min_p:
            add(chain, native.llama_sampler_init_min_p(params.min_p, 1))
        seed = _RANDOM_SEED if params.seed is None else params.seed % _RANDOM_SEED
        add(chain, native.llama_sampler_init_dist(seed))
