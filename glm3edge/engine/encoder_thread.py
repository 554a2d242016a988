"""Thread for encoders where no engine of this machine has one to lend: see ``EncoderQueue``."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from glm3edge.errors import EngineClosedError


class EncoderThread:
    """Runs the batches of encoders, one after another."""

    num_running = 0  # sequences of a chat model, which would wait

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="glm3edge-encoder")

    def run_on_engine_thread(
        self, task: Callable[[], None], *, on_error: Callable[[Exception], None]
    ) -> None:
        """See ``Engine``."""
        try:
            future = self._executor.submit(task)
        except RuntimeError as exc:
            raise EngineClosedError("the server is shutting down") from exc
        future.add_done_callback(partial(_report, on_error))

    def close(self) -> None:
        """Wait for the running batch, and fail those that wait. Idempotent."""
        self._executor.shutdown(cancel_futures=True)


def _report(on_error: Callable[[Exception], None], future: "Future[None]") -> None:
    if future.cancelled():
        on_error(EngineClosedError("the server is shutting down"))
