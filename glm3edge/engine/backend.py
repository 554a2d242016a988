"""Backend: interface of the context that the engine computes with; tests script one."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from glm3edge.core import Mask, SamplingParams, Span, TokenLogprobs


class SamplerHandle(Protocol):
    """Sampler of one sequence; the engine only keeps and closes it."""

    def close(self) -> None: ...


S = TypeVar("S", bound=SamplerHandle)


class Backend(Protocol[S]):
    """Model and context. ``glm3edge.llama.context.Context`` is the implementation; see there."""

    context_size: int
    batch_size: int

    def piece(self, token_id: int) -> bytes: ...

    def new_sampler(self, params: SamplingParams, prompt_ids: Sequence[int]) -> S: ...

    def decode(
        self, spans: Sequence[Span], *, hidden_states: bool = False, adapter: int = 0
    ) -> list[int]: ...

    def abort(self) -> None: ...

    def sample(self, sampler: S, index: int, allowed: Mask | None = None) -> int: ...

    def logprobs(self, index: int, token_id: int, num_top: int) -> TokenLogprobs: ...

    def hidden_states(self, start: int, num_tokens: int) -> NDArray[np.float32]: ...

    def copy(self, source_id: int, target_id: int, length: int) -> None: ...

    def truncate(self, sequence_id: int, length: int) -> None: ...

    def state(self, sequence_id: int) -> bytes | bytearray: ...

    def restore(self, sequence_id: int, state: bytes | bytearray, *, adapter: int = 0) -> bool: ...


class Restartable(Protocol):
    """Backend that can be lost and restarted, such as ``RemoteContext``."""

    def check(self) -> None:
        """Raise EngineLostError if the backend is lost."""

    def restart(self) -> None:
        """Restart the backend in its initial state, with an empty KV cache.

        Raises:
            EngineLostError: it cannot be reached.
            ModelError: the model or the context cannot be made.
        """

    def unload(self) -> None:
        """Free all memory, until ``restart()``."""
