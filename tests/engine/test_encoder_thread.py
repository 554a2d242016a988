"""The thread that encoders have where no engine lends them one."""

import threading

import pytest

from glm3edge.engine.encoder_queue import EncoderQueue
from glm3edge.engine.encoder_thread import EncoderThread
from glm3edge.errors import EngineClosedError
from tests.engine.test_encoder_queue import FakeEncoder
from tests.support.engine_client import WAIT_SECONDS


def test_texts_are_encoded_on_it() -> None:
    thread, encoder = EncoderThread(), FakeEncoder()
    queue = EncoderQueue(thread, encoder)
    futures = [queue.submit([number, 1]) for number in range(5)]
    assert [future.result(WAIT_SECONDS)[0] for future in futures] == [1, 2, 3, 4, 5]
    thread.close()
    (name,) = encoder.threads
    assert name.startswith("glm3edge-encoder")


def test_closing_fails_what_waits() -> None:
    thread, gate = EncoderThread(), threading.Event()
    errors: list[Exception] = []

    def wait() -> None:
        gate.wait(WAIT_SECONDS)

    thread.run_on_engine_thread(wait, on_error=errors.append)
    thread.run_on_engine_thread(lambda: None, on_error=errors.append)
    closing = threading.Thread(target=thread.close)
    closing.start()
    while not errors:
        gate.wait(0.01)
    gate.set()
    closing.join(WAIT_SECONDS)
    thread.close()
    assert [type(error) for error in errors] == [EngineClosedError]
    with pytest.raises(EngineClosedError):
        thread.run_on_engine_thread(lambda: None, on_error=errors.append)
