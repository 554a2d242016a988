"""Fitting a model into memory, and where it does not fit, saying what would."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glm3edge.errors import DoesNotFitError
from glm3edge.llama.child_process import run_apart
from glm3edge.llama.devices import add_workers
from glm3edge.placement.budgets import Room
from glm3edge.placement.memory_usage import Workload
from glm3edge.placement.search import CONTEXT_STEP, Fit, Search, best_placement
from glm3edge.placement.variants import DEFAULT_TYPES, outlines, read_subject

_GIB = 2**30


def fit_or_advise(
    path: Path,
    rooms: Sequence[Room],
    cpu: Room,
    workload: Workload,
    *,
    kv_on_gpu: bool = True,
    shrink_to: Workload | None = None,
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
            rooms,
            cpu,
            workload,
            kv_on_gpu=kv_on_gpu,
            shrink_to=shrink_to,
            workers=workers,
        )
    except DoesNotFitError as exc:
        advice = advise(Search(path, tuple(rooms), cpu, kv_on_gpu), workload, workers=workers)
        raise DoesNotFitError(needed=exc.needed, usable=exc.usable, advice=advice) from None


def advise(search: Search, workload: Workload, *, workers: Sequence[str] = ()) -> str:
    """What would fit instead, in words: a smaller context, keys and values, or type.

    Args:
        search: what was searched for, in vain.
        workload: what the context was to be made for.
        workers: as for ``best_placement()``.
    """
    subject = read_subject(None, search.path)
    with outlines(subject.hparams, DEFAULT_TYPES) as variants:
        sizes = [(v.type, v.path, v.num_bytes) for v in variants if v.type != subject.file_type]
        question = _Question(search, workload, tuple(sizes), tuple(workers))
        found = run_apart(_alternatives, question) if workers else _alternatives(question)
    if not found:
        return "nothing smaller does either: it takes more memory, or a worker (--rpc)"
    return f"what does fit: {', '.join(found)}"


@dataclass(frozen=True, slots=True)
class _Question:
    """What is tried instead; ``types`` has name, outline and size of each."""

    search: Search
    workload: Workload
    types: tuple[tuple[str, Path, int], ...]
    workers: tuple[str, ...]


def _alternatives(question: _Question) -> list[str]:
    add_workers(question.workers)
    search, workload = question.search, question.workload
    found = []
    if workload.kv_type == "f16" and _fits(search, replace(workload, kv_type="q8_0")):
        found.append("--kv-type q8_0")
    smaller = search.largest(workload, CONTEXT_STEP)
    if smaller is not None:
        found.append(f"--ctx-size {smaller.workload.context_size}")
    for name, path, num_bytes in sorted(question.types, key=lambda entry: -entry[2]):
        if _fits(replace(search, path=path), workload):
            found.append(f"a file of type {name} ({num_bytes / _GIB:.1f} GiB)")
            break
    return found


def _fits(search: Search, workload: Workload) -> bool:
    try:
        search.best(workload)
    except DoesNotFitError:
        return False
    return True
