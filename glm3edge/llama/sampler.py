"""Sampler: penalties, then llama.cpp's sampler chain, for one sequence."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import llama_cpp.llama_cpp as native
import numpy as np
from numpy.typing import NDArray

from glm3edge.core import SamplingParams
from glm3edge.llama.penalties import Penalties

_Logits = NDArray[np.float32]

_RANDOM_SEED = 0xFFFFFFFF  # LLAMA_DEFAULT_SEED: draw one


class Sampler:
    """Sampler of one sequence: chooses each next token from logits, and counts it for penalties.

    The order is Hugging Face's: biases, penalties, then top-k, temperature and top-p, so that
    parameters mean what they mean to ChatGLM3's official server. (Top-k before the temperature
    keeps the same candidates as after it, and is cheaper.)
    """

    def __init__(self, params: SamplingParams, *, prompt_ids: Sequence[int] = ()) -> None:
        """Build the chain.

        Args:
            params: sampling parameters.
            prompt_ids: tokens that the repetition penalty counts besides the reply's own.
        """
        self._lock = threading.Lock()
        chain_params = native.llama_sampler_chain_default_params()
        chain_params.no_perf = True
        self._chain: Any = native.llama_sampler_chain_init(chain_params)
        self.penalties = Penalties(params, prompt_ids)
        self._is_greedy = params.temperature == 0
        if not self._is_greedy:
            self._add_choice(params)

    def sample(self, context_handle: Any, index: int, logits: Callable[[], _Logits]) -> int:
        """Choose a token from the logits at batch position ``index``.

        ``logits`` returns them; penalties change them for the time of this call.
        """
        if not self.penalties.is_active:
            return self._choose(context_handle, index, logits)
        with self.penalties.applied(logits()):
            token_id = self._choose(context_handle, index, logits)
        self.penalties.accept(token_id)
        return token_id

    def _choose(self, context_handle: Any, index: int, logits: Callable[[], _Logits]) -> int:
        if self._is_greedy:  # llama.cpp would make a list of all candidates first
            return int(logits().argmax())
        return int(native.llama_sampler_sample(self._chain, context_handle, index))

    def close(self) -> None:
        """Free the chain; later calls do nothing."""
        with self._lock:
            chain, self._chain = self._chain, None
        if chain is not None:
            native.llama_sampler_free(chain)

    def _add_choice(self, params: SamplingParams) -> None:
        add, chain = native.llama_sampler_chain_add, self._chain
        if params.top_k:
            add(chain, native.llama_sampler_init_top_k(params.top_k))
        add(chain, native.llama_sampler_init_temp(params.temperature))
        add(chain, native.llama_sampler_init_top_p(params.top_p, 1))
        if params.min_p:
            add(chain, native.llama_sampler_init_min_p(params.min_p, 1))
        seed = _RANDOM_SEED if params.seed is None else params.seed % _RANDOM_SEED
        add(chain, native.llama_sampler_init_dist(seed))
