"""Fitting a model into memory, and where it does not fit, saying what would."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glm3edge.errors import DoesNotFitError
from glm3edge.llama.child_process import run_in_child
from glm3edge.llama.devices import add_workers
from glm3edge.placement.budgets import DeviceBudget
from glm3edge.placement.memory_usage import ContextParams
from glm3edge.placement.search import CONTEXT_STEP, Fit, Search, best_placement
from glm3edge.placement.variants import DEFAULT_TYPES, outlines, read_planned_model

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
    """As ``best_placement()``, but the error says what would fit.

    Raises:
        DeviceError: a device is not here.
        DoesNotFitError: it does not fit.
        EngineLostError: a worker cannot be reached.
        ModelError: the file is no model, or llama.cpp does not tell.
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
    """What would fit instead, in words: a smaller context, keys and values, or type.

    Args:
        search: what was searched for, in vain.
        context_params: what the context was to be made for.
        workers: as for ``best_placement()``.
    """
    subject = read_planned_model(None, search.path)
    with outlines(subject.hparams, DEFAULT_TYPES) as variants:
        sizes = [(v.type, v.path, v.num_bytes) for v in variants if v.type != subject.file_type]
        question = _Question(search, context_params, tuple(sizes), tuple(workers))
        found = run_in_child(_alternatives, question) if workers else _alternatives(question)
    if not found:
        return "nothing smaller does either: it takes more memory, or a worker (--rpc)"
    return f"what does fit: {', '.join(found)}"


@dataclass(frozen=True, slots=True)
class _Question:
    """What is tried instead; ``types`` has name, outline and size of each."""

    search: Search
    context_params: ContextParams
    types: tuple[tuple[str, Path, int], ...]
    workers: tuple[str, ...]


def _alternatives(question: _Question) -> list[str]:
    add_workers(question.workers)
    search, context_params = question.search, question.context_params
    found = []
    if context_params.kv_type == "f16" and _fits(search, replace(context_params, kv_type="q8_0")):
        found.append("--kv-type q8_0")
    smaller = search.largest(context_params, CONTEXT_STEP)
    if smaller is not None:
        found.append(f"--ctx-size {smaller.context_params.context_size}")
    for name, path, num_bytes in sorted(question.types, key=lambda entry: -entry[2]):
        if _fits(replace(search, path=path), context_params):
            found.append(f"a file of type {name} ({num_bytes / _GIB:.1f} GiB)")
            break
    return found


def _fits(search: Search, context_params: ContextParams) -> bool:
    try:
        search.best(context_params)
    except DoesNotFitError:
        return False
    return True
