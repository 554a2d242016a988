"""RemoteContext: a context in a process of its own, which may be lost and made again.

llama.cpp ends its process when a worker goes away or a GPU fails. The server's process only keeps
the vocabulary then, so its requests get an ending and its clients an answer.
"""

import itertools
import re
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glm3edge.core import Mask, SamplingParams, Span, TokenLogprobs
from glm3edge.errors import DeviceError, EngineLostError, ModelError, ResourceClosedError
from glm3edge.llama import library
from glm3edge.llama.adapter import Adapter
from glm3edge.llama.allocations import Allocation, layer_devices, moved_tensors
from glm3edge.llama.child_process import ChildProcess
from glm3edge.llama.context import Context
from glm3edge.llama.devices import add_workers, devices
from glm3edge.llama.model import Model
from glm3edge.llama.placement import Placement
from glm3edge.llama.prefix import Prefix
from glm3edge.llama.workers import worker_problem

CONNECT_SECONDS = 30.0
"""How long workers and drivers may take to say which devices they have."""

BUSY = "no answer; a worker serves one server at a time, is it another's now?"
"""Why a worker may be there and not answer."""

_LOAD_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class AdapterSpec:
    """An adapter to load: a LoRA adapter's scale, or None for a prefix."""

    path: Path
    scale: float | None


@dataclass(frozen=True, slots=True)
class ContextSpec:
    """All that it takes to make a context, for another process; see Context and Placement."""

    path: Path
    placement: Placement
    workers: tuple[str, ...]
    context_size: int
    batch_size: int
    num_sequences: int
    num_threads: int
    kv_type: str = "f16"
    adapters: tuple[AdapterSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What llama.cpp says it did.

    Attributes:
        layer_devices: of each layer its device; the last is the output.
        moved_tensors: those that are elsewhere than their layer, and the buffer they are in.
        allocations: the memory it took, empty if it does not tell.
    """

    layer_devices: dict[int, str]
    moved_tensors: dict[str, str]
    allocations: list[Allocation]


class RemoteSampler:
    """Stands for a sampler of the other process."""

    def __init__(self, context: "RemoteContext", number: int) -> None:
        self._context = context
        self.number = number

    def close(self) -> None:
        """Free it; later calls do nothing."""
        self._context.post("close_sampler", self.number)


class RemoteContext:
    """Has the methods of ``Context`` that the engine needs; see there.

    Once the process is lost, what computes raises EngineLostError and what forgets does nothing,
    until ``restart()``.
    """

    def __init__(self, model: Model, spec: ContextSpec) -> None:
        """Start the process and load everything there.

        Args:
            model: of the same file, for its vocabulary.
            spec: what to make.

        Raises:
            ModelError: it could not be made.
            EngineLostError: a worker cannot be reached, or the process ended.
        """
        self.model = model
        self._spec = spec
        self.context_size, self.batch_size = spec.context_size, spec.batch_size
        self._numbers = itertools.count()
        self._loss: EngineLostError | None = EngineLostError("it has not begun")
        self._is_closed = False
        self._apart: ChildProcess | None = None
        self.report = Report({}, {}, [])
        self.state_keys: list[str] = []
        self.restart()

    def __enter__(self) -> "RemoteContext":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def restart(self) -> None:
        """Make the context anew, empty.

        Raises:
            ModelError: it could not be made.
            EngineLostError: a worker cannot be reached, or the process ended.
            ResourceClosedError: this context is closed.
        """
        if self._is_closed:
            raise ResourceClosedError("the context is closed")
        workers = self._spec.workers
        if (reason := worker_problem(workers)) is not None:
            raise EngineLostError(reason)
        self._end()
        self._loss = self._loss or EngineLostError("it begins anew")
        apart = self._apart = ChildProcess(
            _Host, self._spec, check=partial(worker_problem, workers, are_busy=True)
        )
        try:
            _connect(apart, workers)
            report: Report = apart.call("load", patience=_LOAD_SECONDS)
            keys: list[str] = apart.call("state_keys")
        except BaseException:
            self._end()
            raise
        if self.state_keys and keys != self.state_keys:
            self._end()
            raise ModelError(f"{self._spec.path} has been replaced: start the server again")
        self.report, self.state_keys = report, keys
        self._loss = None

    def check(self) -> None:
        """Raise EngineLostError if the process has ended or cannot reach a worker any more."""
        self._call("check")

    def piece(self, token_id: int) -> bytes:
        return self.model.piece(token_id)

    def new_sampler(self, params: SamplingParams, prompt_ids: Sequence[int]) -> RemoteSampler:
        sampler = RemoteSampler(self, next(self._numbers))
        self.post("new_sampler", sampler.number, params, list(prompt_ids))
        return sampler

    def decode(
        self, spans: Sequence[Span], *, hidden_states: bool = False, adapter: int = 0
    ) -> list[int]:
        positions: list[int] = self._call(
            "decode", spans, hidden_states=hidden_states, adapter=adapter
        )
        return positions

    def abort(self) -> None:
        """Stop what runs, a start included, at once. From any thread."""
        apart = self._apart
        if apart is None:
            return
        if self._loss is not None:
            apart.kill()
        else:
            apart.signal("abort")

    def sample(self, sampler: RemoteSampler, index: int, allowed: Mask | None = None) -> int:
        token_id: int = self._call("sample", sampler.number, index, allowed)
        return token_id

    def logprobs(self, index: int, token_id: int, num_top: int) -> TokenLogprobs:
        logprobs: TokenLogprobs = self._call("logprobs", index, token_id, num_top)
        return logprobs

    def hidden_states(self, start: int, num_tokens: int) -> NDArray[np.float32]:
        states: NDArray[np.float32] = self._call("hidden_states", start, num_tokens)
        return states

    def copy(self, source_id: int, target_id: int, length: int) -> None:
        self.post("copy", source_id, target_id, length)

    def truncate(self, sequence_id: int, length: int) -> None:
        self.post("truncate", sequence_id, length)

    def state(self, sequence_id: int) -> bytes:
        state: bytes = self._call("state", sequence_id)
        return state

    def restore(self, sequence_id: int, state: bytes, *, adapter: int = 0) -> bool:
        is_restored: bool = self._call("restore", sequence_id, state, adapter=adapter)
        return is_restored

    def post(self, name: str, *args: Any) -> None:
        """Call without waiting; nothing, if there is nobody to call."""
        if self._loss is not None or self._apart is None:
            return
        try:
            self._apart.post(name, *args)
        except EngineLostError as exc:
            self._loss = exc
        except ResourceClosedError:
            pass

    def close(self) -> None:
        """End the process, after a running call; later calls do nothing."""
        self._is_closed = True
        self._end()

    def _end(self) -> None:
        apart, self._apart = self._apart, None
        if apart is not None:
            apart.close()

    def _call(self, name: str, *args: Any, **options: Any) -> Any:
        if self._loss is not None:
            raise EngineLostError(self._loss.reason)
        if self._apart is None:
            raise ResourceClosedError("the context is closed")
        try:
            return self._apart.call(name, *args, **options)
        except EngineLostError as exc:
            self._loss = exc
            raise


def _connect(apart: ChildProcess, workers: Sequence[str]) -> None:
    """Wait until the process knows all devices."""
    try:
        apart.wait_ready(CONNECT_SECONDS)
    except EngineLostError as exc:
        if not workers or "no answer" not in exc.reason:
            raise
        raise EngineLostError(f"{_names(workers)}: {BUSY}") from None


def _names(workers: Sequence[str]) -> str:
    return f"worker{'s' * (len(workers) > 1)} {', '.join(workers)}"


class _Host:
    """What the other process does: a context, and its samplers by number."""

    def __init__(self, spec: ContextSpec) -> None:
        self._spec = spec
        add_workers(spec.workers)

    def load(self) -> Report:
        spec = self._spec
        with ExitStack() as stack:
            with library.log_lines() as lines:
                model = stack.enter_context(Model(spec.path, placement=spec.placement))
            layers, moved = layer_devices(lines), moved_tensors(lines)
            _check_patterns(spec.placement, moved)
            self._context = stack.enter_context(
                Context(
                    model,
                    context_size=spec.context_size,
                    batch_size=spec.batch_size,
                    num_sequences=spec.num_sequences,
                    num_threads=spec.num_threads,
                    kv_type=spec.kv_type,
                    adapters=[_load(model, adapter) for adapter in spec.adapters],
                )
            )
            self._stack = stack.pop_all()
        self._samplers: dict[int, Any] = {}
        return Report(layers, moved, self._allocations())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def _allocations(self) -> list[Allocation]:
        try:
            return self._context.allocations()
        except ModelError:  # not every build tells, and it is only told to people
            return []

    def check(self) -> None:
        """Ask all devices something: llama.cpp ends the process if a worker's is gone."""
        devices()

    def state_keys(self) -> list[str]:
        return self._context.state_keys

    def new_sampler(self, number: int, params: SamplingParams, prompt_ids: list[int]) -> None:
        self._samplers[number] = self._context.new_sampler(params, prompt_ids)

    def close_sampler(self, number: int) -> None:
        with suppress(KeyError):  # of a process before this one
            self._samplers.pop(number).close()

    def sample(self, number: int, index: int, allowed: Mask | None) -> int:
        return self._context.sample(self._samplers[number], index, allowed)


def _load(model: Model, spec: AdapterSpec) -> Adapter | Prefix:
    if spec.scale is None:
        return Prefix(model, spec.path)
    return Adapter(model, spec.path, scale=spec.scale)


def _check_patterns(placement: Placement, moved: dict[str, str]) -> None:
    """Refuse a pattern that no tensor's name has."""
    for pattern, device in placement.overrides:
        if not any(re.search(pattern, name) for name in moved):
            raise DeviceError(
                f"no tensor is called {pattern!r}, so none is moved to {device}: names are such as "
                "blk.0.ffn_up.weight"
            )
