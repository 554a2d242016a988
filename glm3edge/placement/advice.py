"""Advice where a model does not fit: a smaller context, KV cache or quantization type that does."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from glm3edge.errors import DoesNotFitError
from glm3edge.llama.child_process import run_in_child
from glm3edge.llama.devices import add_workers
from glm3edge.placement.budgets import DeviceBudget
from glm3edge.placement.memory_usage import ContextParams
from glm3edge.placement.search import CONTEXT_STEP, Fit, Search, best_placement
from glm3edge.placement.variants import (
    DEFAULT_TYPES,
    Variant,
    header_only_variants,
    read_planned_model,
)

_GIB = 2**30


def fit_or_advise(
    path: Path,
    budgets: Sequence[DeviceBudget],
    cpu: DeviceBudget,
    context_params: ContextParams,
    *,
    kv_on_gpu: bool = True,
    shrink_to: ContextParams | None = None,
    workers: Sequence[str] = (),
) -> Fit:
    """Find the best placement like ``best_placement()``, with advice in the error if none fits.

    Raises:
        DeviceError: a device is not here.
        DoesNotFitError: it does not fit.
        EngineLostError: a worker cannot be reached.
        ModelError: the file is no model, or llama.cpp does not report memory.
    """
    try:
        return best_placement(
            path,
            budgets,
            cpu,
            context_params,
            kv_on_gpu=kv_on_gpu,
            shrink_to=shrink_to,
            workers=workers,
        )
    except DoesNotFitError as exc:
        advice = advise(
            Search(path, tuple(budgets), cpu, kv_on_gpu), context_params, workers=workers
        )
        raise DoesNotFitError(needed=exc.needed, usable=exc.usable, advice=advice) from None


def advise(search: Search, context_params: ContextParams, *, workers: Sequence[str] = ()) -> str:
    """Describe what would fit instead: a smaller context, KV cache type or quantization type.

    Args:
        search: the search that found nothing.
        context_params: parameters of the context that does not fit.
        workers: as for ``best_placement()``.
    """
    planned = read_planned_model(None, search.path)
    with header_only_variants(planned.hparams, DEFAULT_TYPES) as variants:
        others = tuple(v for v in variants if v.type != planned.file_type)
        args = (search, context_params, others, tuple(workers))
        found = run_in_child(_alternatives, *args) if workers else _alternatives(*args)
    if not found:
        return "nothing smaller fits either: add memory, or a worker (--rpc)"
    return f"these would fit: {', '.join(found)}"


def _alternatives(
    search: Search,
    context_params: ContextParams,
    variants: Sequence[Variant],
    workers: Sequence[str],
) -> list[str]:
    add_workers(workers)
    found = []
    if context_params.kv_type == "f16" and _fits(search, replace(context_params, kv_type="q8_0")):
        found.append("--kv-type q8_0")
    smaller = search.largest(context_params, CONTEXT_STEP)
    if smaller is not None:
        found.append(f"--ctx-size {smaller.context_params.context_size}")
    for variant in sorted(variants, key=lambda variant: -variant.num_bytes):
        if _fits(replace(search, path=variant.path), context_params):
            found.append(f"a file of type {variant.type} ({variant.num_bytes / _GIB:.1f} GiB)")
            break
    return found


def _fits(search: Search, context_params: ContextParams) -> bool:
    try:
        search.best(context_params)
    except DoesNotFitError:
        return False
    return True
