import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from glm3edge.errors import DecodeError, EngineLostError, ModelLoadError, ResourceClosedError
from glm3edge.llama.child_process import ChildProcess, run_in_child


class Target:
    """What the other process has."""

    def __init__(self, word: str = "") -> None:
        self.words = [word]
        self.is_told = threading.Event()

    def add(self, word: str) -> list[str]:
        self.words.append(word)
        return self.words

    def fail(self) -> None:
        raise DecodeError(3)

    def end(self, words: str) -> None:
        os.write(2, words.encode())
        os.abort()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def tell(self) -> None:
        self.is_told.set()

    def wait_until_told(self) -> bool:
        return self.is_told.wait(30)

    def process_id(self) -> int:
        return os.getpid()


def refuse() -> None:
    raise ModelLoadError(Path("x.gguf"), "it is no model")


def test_calls_and_posts_are_done_in_their_order() -> None:
    apart = ChildProcess(Target, "a").wait_ready()
    apart.post("add", "b")
    assert apart.call("add", "c") == ["a", "b", "c"]
    assert apart.call("process_id") != os.getpid()
    apart.close()
    apart.close()
    with pytest.raises(ResourceClosedError):
        apart.call("add", "d")


def test_exceptions_come_over_whole() -> None:
    with pytest.raises(ModelLoadError, match="it is no model") as caught:
        run_in_child(refuse)
    assert (caught.value.path, caught.value.reason) == (Path("x.gguf"), "it is no model")
    with pytest.raises(ModelLoadError, match="it is no model"):
        ChildProcess(refuse).wait_ready()


def test_what_a_post_raises_comes_with_the_next_call() -> None:
    apart = ChildProcess(Target).wait_ready()
    apart.post("fail")
    apart.post("add", "b")
    with pytest.raises(DecodeError) as caught:
        apart.call("add", "not done: its result would be of something else")
    assert caught.value.code == 3
    assert apart.call("add", "c") == ["", "b", "c"]
    apart.close()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("", "its process ended with -6"),  # SIGABRT
        ("one\n/a/b.cpp:35: worker crashed\n\n", "worker crashed"),
        ("no end", "no end"),
    ],
)
def test_a_lost_process_tells_its_last_words(words: str, reason: str) -> None:
    apart = ChildProcess(Target).wait_ready()
    with pytest.raises(EngineLostError) as caught:
        apart.call("end", words)
    assert caught.value.reason == reason
    with pytest.raises(EngineLostError):
        apart.call("add", "b")
    apart.close()


def test_a_process_that_was_ended_tells_by_what() -> None:
    apart = ChildProcess(Target).wait_ready()
    os.kill(apart.call("process_id"), signal.SIGKILL)
    with pytest.raises(EngineLostError, match="ended by SIGKILL; was there no memory left"):
        apart.call("add", "b")
    apart.close()


def test_signals_to_all_of_a_group_are_the_parents_matter() -> None:
    apart = ChildProcess(Target).wait_ready()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(apart.call("process_id"), number)
    assert apart.call("add", "b") == ["", "b"]
    apart.close()


def test_a_process_is_not_left_to_itself() -> None:
    """A program that forgets to close it ends, and the process with it."""
    code = (
        "from glm3edge.llama.child_process import ChildProcess; "
        "from tests.llama.test_child_process import Target; "
        "print(ChildProcess(Target).wait_ready().call('process_id'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_a_process_that_does_not_answer_is_ended() -> None:
    apart = ChildProcess(Target, patience=0.1).wait_ready()
    with pytest.raises(EngineLostError, match=r"no answer in 0 s"):
        apart.call("sleep", 60)
    apart.close()


def test_what_a_check_finds_ends_the_wait() -> None:
    apart = ChildProcess(Target, check=lambda: "the cable is out").wait_ready()
    with pytest.raises(EngineLostError, match="the cable is out"):
        apart.call("sleep", 60)
    apart.close()


def test_a_signal_reaches_a_running_call() -> None:
    apart = ChildProcess(Target).wait_ready()
    threading.Timer(0.2, apart.signal, ["tell"]).start()
    assert apart.call("wait_until_told")
    apart.close()
    apart.signal("tell")


def test_a_start_can_be_killed() -> None:
    apart = ChildProcess(time.sleep, 60)
    threading.Timer(0.5, apart.kill).start()
    with pytest.raises(EngineLostError):
        apart.wait_ready()
    apart.kill()
    apart.close()


def test_nothing_is_left_behind() -> None:
    apart = ChildProcess(Target).wait_ready()
    words = apart._words
    assert words.exists()
    process_id = apart.call("process_id")
    apart.close()
    assert not words.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)
