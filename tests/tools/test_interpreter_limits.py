"""Limits of the code interpreter: code that takes too much memory, time, disk or output."""

import time

import pytest

from glm3edge.tools.errors import ToolError
from glm3edge.tools.sandbox import Limits
from tests.support.cells import LOST, run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sandbox")]


def test_memory_has_a_limit_and_the_session_goes_on() -> None:
    limits = Limits(memory=256 << 20)
    first, second, third = run("x = 1", "bytearray(1 << 30)", "x", limits=limits)
    assert (first, third) == ("(no output)", "1")
    assert second.endswith("MemoryError")


def test_memory_that_is_taken_in_small_pieces_has_the_same_limit() -> None:
    code = "kept = []\nwhile True:\n    kept.append(bytearray(1 << 16))"
    start = time.monotonic()
    assert "MemoryError" in run(code, limits=Limits(memory=256 << 20))[0]
    assert time.monotonic() - start < 100


@pytest.mark.parametrize("code", ["while True: pass", "import time; time.sleep(600)"])
def test_what_takes_too_long_is_stopped(code: str) -> None:
    start = time.monotonic()
    reply, after = run(f"x = 1\nprint('begun')\n{code}", "'x' in vars()", limits=Limits(seconds=2))
    assert reply == f"begun\n[stopped after 2 s; {LOST}"
    assert after == "False"
    assert time.monotonic() - start < 100


@pytest.mark.parametrize("head", ["", "import signal; signal.signal(signal.SIGXCPU, 1)\n"])
def test_processor_time_has_a_limit_of_its_own(head: str) -> None:
    limits = Limits(seconds=100, cpu_seconds=1)
    reply, after = run(f"{head}while True: pass", "1", limits=limits)
    assert reply == f"[the process ended (killed: too much processor time, or memory); {LOST}"
    assert after == "1"


def test_all_cells_together_have_a_limit_that_no_new_process_lifts() -> None:
    limits = Limits(seconds=0.5, total_seconds=1)
    with pytest.raises(ToolError, match="its code has run for 1 s in all: start the chat again"):
        run(*3 * ("while True: pass",), limits=limits)


def test_it_is_stopped_though_it_ignores_signals() -> None:
    code = """
        import contextlib, signal
        for number in range(1, 32):
            with contextlib.suppress(OSError):
                signal.signal(number, signal.SIG_IGN)
        while True:
            pass
    """
    assert run(code, limits=Limits(seconds=0.5)) == [f"[stopped after 0.5 s; {LOST}"]


def test_a_flood_of_output_is_stopped_and_its_beginning_is_kept() -> None:
    reply, after = run("while True: print('flood ' * 100)", "1")
    assert reply.startswith("flood flood")
    assert len(reply) < 9000
    assert "characters left out" in reply
    assert reply.endswith(f"[stopped: it wrote more than 1048576 bytes; {LOST}")
    assert after == "1"


def test_a_file_and_all_files_have_a_limit() -> None:
    limits = Limits(file_size=1 << 20, disk=4 << 20)
    big, many = run(
        "open('big', 'wb').write(bytes(2 << 20))",
        """
        written = 0
        try:
            for i in range(100):
                with open(f"many{i}", "wb") as file:
                    written += file.write(bytes(1 << 20))
        except OSError as exc:
            print(exc)
        written <= 4 << 20
        """,
        limits=limits,
    )
    assert "File too large" in big
    assert many == "[Errno 28] No space left on device\nTrue"


def test_threads_have_a_limit() -> None:
    reply = run(
        """
        import threading
        stop = threading.Event()
        started = 0
        try:
            for _ in range(10_000):
                threading.Thread(target=stop.wait).start()
                started += 1
        except RuntimeError as exc:
            print(exc)
        stop.set()
        started < 500
        """
    )
    assert reply == ["can't start new thread\nTrue"]
