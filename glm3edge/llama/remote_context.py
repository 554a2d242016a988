"""RemoteContext: a context in a child process, which can be restarted if it is lost.

llama.cpp ends its process when a worker is lost or a GPU fails. The server's process has only the
vocabulary then and goes on: its requests end with an error and its clients get a reply.
"""

import itertools
import re
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glm3edge.config import defaults
from glm3edge.core import Mask, SamplingParams, Span, TokenLogprobs
from glm3edge.errors import (
    DeviceError,
    EngineLostError,
    EngineStalledError,
    ModelError,
    ResourceClosedError,
)
from glm3edge.llama import library
from glm3edge.llama.adapter import Adapter
from glm3edge.llama.allocations import Allocation, layer_devices, moved_tensors
from glm3edge.llama.child_process import ChildProcess
from glm3edge.llama.context import Context
from glm3edge.llama.decode_timeout import DecodeTimeout
from glm3edge.llama.device_placement import Placement
from glm3edge.llama.devices import add_workers, devices
from glm3edge.llama.model import Model
from glm3edge.llama.prefix import Prefix
from glm3edge.llama.workers import worker_problem

CONNECT_SECONDS = 30.0
"""Timeout for workers and drivers to list their devices."""

BUSY = "no answer; a worker serves one server at a time: is another using it?"
"""Reason why a worker takes connections and does not answer."""

_LOAD_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class AdapterSpec:
    """Path of an adapter to load; ``scale`` is a LoRA adapter's, None for a prefix."""

    path: Path
    scale: float | None


@dataclass(frozen=True, slots=True)
class ContextSpec:
    """Arguments of a context in a child process; see Context, Placement and DecodeTimeout."""

    path: Path
    placement: Placement
    workers: tuple[str, ...]
    context_size: int
    batch_size: int
    num_sequences: int
    num_threads: int
    kv_type: str = "f16"
    adapters: tuple[AdapterSpec, ...] = ()
    stall_seconds: float = defaults.STALL_TIMEOUT


@dataclass(frozen=True, slots=True)
class Report:
    """llama.cpp's report of a loaded model and context.

    Attributes:
        layer_devices: device of each layer; the last is the output.
        moved_tensors: tensors that are not with their layer, and the buffers they are in.
        allocations: the memory taken, empty if llama.cpp does not report it.
    """

    layer_devices: dict[int, str]
    moved_tensors: dict[str, str]
    allocations: list[Allocation]


class RemoteSampler:
    """A sampler in the child process, known there by number."""

    def __init__(self, context: "RemoteContext", number: int) -> None:
        self._context = context
        self.number = number

    def close(self) -> None:
        """Free it; later calls do nothing."""
        self._context.post("close_sampler", self.number)


class RemoteContext:
    """A context in a child process, with those methods of ``Context`` that the engine needs.

    Once the process is lost, methods with a result raise EngineLostError and the others do nothing,
    until ``restart()``.
    """

    def __init__(self, model: Model, spec: ContextSpec) -> None:
        """Start the process and load everything there.

        Args:
            model: of the same file, for its vocabulary.
            spec: arguments of the context.

        Raises:
            ModelError: it could not be made.
            EngineLostError: a worker cannot be reached, or the process ended.
        """
        self.model = model
        self._spec = spec
        self.context_size, self.batch_size = spec.context_size, spec.batch_size
        self._numbers = itertools.count()
        self._timeout = DecodeTimeout(spec.stall_seconds)
        self._loss: EngineLostError | None = EngineLostError("it has not started")
        self._is_closed = False
        self._child: ChildProcess | None = None
        self.report = Report({}, {}, [])
        self.state_keys: list[str] = []
        self.restart()

    def __enter__(self) -> "RemoteContext":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def restart(self) -> None:
        """Start a new process with a new, empty context.

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
        self._loss = self._loss or EngineLostError("it is restarting")
        child = self._child = ChildProcess(
            _ChildContext,
            self._spec,
            check=partial(worker_problem, workers, are_busy=True),
            timeout=self._spec.stall_seconds,
        )
        self._timeout.reset()
        try:
            _connect(child, workers)
            report: Report = child.call("load", timeout=_LOAD_SECONDS)
            keys: list[str] = child.call("state_keys")
        except BaseException:
            self._end()
            raise
        if self.state_keys and keys != self.state_keys:
            self._end()
            raise ModelError(f"{self._spec.path} has been replaced: start the server again")
        self.report, self.state_keys = report, keys
        self._loss = None

    def unload(self) -> None:
        """End the process, until ``restart()``."""
        self._loss = EngineLostError("it is unloaded")
        self._end()

    def check(self) -> None:
        """Raise EngineLostError if the process has ended or has lost a worker."""
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
        num_tokens = sum(len(span.token_ids) for span in spans)
        start = time.monotonic()
        positions: list[int] = self._call(
            "decode",
            spans,
            hidden_states=hidden_states,
            adapter=adapter,
            timeout=self._timeout.seconds(num_tokens),
        )
        self._timeout.observe(num_tokens, time.monotonic() - start)
        return positions

    def abort(self) -> None:
        """Stop a running call or start at once. From any thread."""
        child = self._child
        if child is None:
            return
        if self._loss is not None:
            child.kill()
        else:
            child.signal("abort")

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

    def state(self, sequence_id: int) -> bytes | bytearray:
        state: bytes | bytearray = self._call("state", sequence_id, timeout=self._timeout.longest)
        return state

    def restore(self, sequence_id: int, state: bytes | bytearray, *, adapter: int = 0) -> bool:
        is_restored: bool = self._call(
            "restore", sequence_id, state, adapter=adapter, timeout=self._timeout.longest
        )
        return is_restored

    def post(self, name: str, *args: Any) -> None:
        """Call a method of the context without waiting; does nothing once the process is lost."""
        if self._loss is not None or self._child is None:
            return
        try:
            self._child.post(name, *args)
        except EngineLostError as exc:
            self._loss = exc
        except ResourceClosedError:
            pass

    def close(self) -> None:
        """End the process, after a running call; later calls do nothing."""
        self._is_closed = True
        self._end()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def _call(self, name: str, *args: Any, **options: Any) -> Any:
        if self._loss is not None:
            raise EngineLostError(self._loss.reason)
        if self._child is None:
            raise ResourceClosedError("the context is closed")
        try:
            return self._child.call(name, *args, **options)
        except EngineLostError as exc:
            self._loss = self._named(exc)
            raise self._loss from None

    def _named(self, exc: EngineLostError) -> EngineLostError:
        """The error; if it is no answer where there are workers, one that names them."""
        workers = self._spec.workers
        if not workers or not isinstance(exc, EngineStalledError):
            return exc
        return EngineLostError(f"{_names(workers)}: {exc.reason}, which --stall-timeout allows")


def _connect(child: ChildProcess, workers: Sequence[str]) -> None:
    """Wait until the child process has listed all devices."""
    try:
        child.wait_ready(CONNECT_SECONDS)
    except EngineStalledError:
        if not workers:
            raise
        raise EngineLostError(f"{_names(workers)}: {BUSY}") from None


def _names(workers: Sequence[str]) -> str:
    return f"worker{'s' * (len(workers) > 1)} {', '.join(workers)}"


class _ChildContext:
    """The object in the child process: a context, and its samplers by number."""

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
        except ModelError:  # not every build reports it, and it is only for display
            return []

    def check(self) -> None:
        """Query all devices: llama.cpp ends the process if a worker is lost."""
        devices()

    def state_keys(self) -> list[str]:
        return self._context.state_keys

    def new_sampler(self, number: int, params: SamplingParams, prompt_ids: list[int]) -> None:
        self._samplers[number] = self._context.new_sampler(params, prompt_ids)

    def close_sampler(self, number: int) -> None:
        with suppress(KeyError):  # of a process before this one
            self._samplers.pop(number).close()

    def state(self, sequence_id: int) -> bytes:
        return bytes(self._context.state(sequence_id))  # pickled with fewer copies

    def sample(self, number: int, index: int, allowed: Mask | None) -> int:
        return self._context.sample(self._samplers[number], index, allowed)


def _load(model: Model, spec: AdapterSpec) -> Adapter | Prefix:
    if spec.scale is None:
        return Prefix(model, spec.path)
    return Adapter(model, spec.path, scale=spec.scale)


def _check_patterns(placement: Placement, moved: dict[str, str]) -> None:
    """Raise DeviceError for an override that matches no tensor."""
    for pattern, device in placement.overrides:
        if not any(re.search(pattern, name) for name in moved):
            raise DeviceError(
                f"no tensor is called {pattern!r}, so none is moved to {device}: names are such as "
                "blk.0.ffn_up.weight"
            )
