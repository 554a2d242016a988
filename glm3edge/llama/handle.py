"""Handles of llama.cpp's contexts, which keep their model open."""

from typing import Any

import llama_cpp.llama_cpp as native

from glm3edge.errors import ModelError
from glm3edge.llama import library
from glm3edge.llama.model import Model


def open_context(
    model: Model, *, what: str, size: int, batch_size: int, num_threads: int, **options: Any
) -> Any:
    """Make a context of llama.cpp; ``close_context()`` frees it.

    Args:
        model: whose weights are used; it stays open until then.
        what: name of the context in errors.
        size: cells of the KV cache.
        batch_size: tokens of a batch, logical and physical.
        num_threads: compute threads.
        options: other fields of llama_context_params.

    Raises:
        ModelError: llama.cpp could not make it, most often for lack of memory.
        ResourceClosedError: the model is closed.
    """
    params = native.llama_context_default_params()
    params.n_ctx = size
    params.n_batch = params.n_ubatch = batch_size
    params.n_threads = params.n_threads_batch = num_threads
    params.no_perf = True
    for name, value in options.items():
        setattr(params, name, value)
    with library.first_error() as reason:
        handle = native.llama_init_from_model(model.acquire(), params)
    if not handle:
        model.release()
        raise ModelError(f"cannot make {what} of {size} tokens: {reason()}; try a smaller one")
    return handle


def close_context(model: Model, handle: Any) -> None:
    """Free a context of ``open_context()``."""
    native.llama_free(handle)
    model.release()
