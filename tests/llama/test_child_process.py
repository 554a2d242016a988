import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from glm3edge.errors import (
    DecodeError,
    EngineLostError,
    EngineStalledError,
    ModelLoadError,
    ResourceClosedError,
)
from glm3edge.llama.child_process import ChildProcess, run_in_child
from tests.support.child_target import Target

pytestmark = pytest.mark.slow


def refuse() -> None:
    raise ModelLoadError(Path("x.gguf"), "it is no model")


def test_calls_and_posts_are_done_in_their_order() -> None:
    child = ChildProcess(Target, "a").wait_ready()
    child.post("add", "b")
    assert child.call("add", "c") == ["a", "b", "c"]
    assert child.call("process_id") != os.getpid()
    child.close()
    child.close()
    with pytest.raises(ResourceClosedError):
        child.call("add", "d")


def test_exceptions_come_over_whole() -> None:
    with pytest.raises(ModelLoadError, match="it is no model") as caught:
        run_in_child(refuse)
    assert (caught.value.path, caught.value.reason) == (Path("x.gguf"), "it is no model")
    with pytest.raises(ModelLoadError, match="it is no model"):
        ChildProcess(refuse).wait_ready()


def test_what_a_post_raises_comes_with_the_next_call() -> None:
    child = ChildProcess(Target).wait_ready()
    child.post("fail")
    child.post("add", "b")
    with pytest.raises(DecodeError) as caught:
        child.call("add", "not done: its result would be of something else")
    assert caught.value.code == 3
    assert child.call("add", "c") == ["", "b", "c"]
    child.close()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("terminate called\n  what():  std::bad_alloc\n", "its process ran out of memory"),
        ("Traceback (most recent call last):\nMemoryError\n", "its process ran out of memory"),
        ("", "its process ended with -6"),  # SIGABRT
        ("one\n/a/b.cpp:35: worker crashed\n\n", "worker crashed"),
        ("no end", "no end"),
    ],
)
def test_the_last_line_of_a_lost_process_is_the_reason(words: str, reason: str) -> None:
    child = ChildProcess(Target).wait_ready()
    with pytest.raises(EngineLostError) as caught:
        child.call("end", words)
    assert caught.value.reason == reason
    with pytest.raises(EngineLostError):
        child.call("add", "b")
    child.close()


def test_a_process_ended_by_a_signal_names_it() -> None:
    child = ChildProcess(Target).wait_ready()
    os.kill(child.call("process_id"), signal.SIGKILL)
    with pytest.raises(EngineLostError, match="ended by SIGKILL; it may have run out of memory"):
        child.call("add", "b")
    child.close()


def test_signals_to_all_of_a_group_are_the_parents_matter() -> None:
    child = ChildProcess(Target).wait_ready()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(child.call("process_id"), number)
    assert child.call("add", "b") == ["", "b"]
    child.close()


def test_a_process_is_not_left_to_itself() -> None:
    """A program that forgets to close it ends, and the process with it."""
    code = (
        "from glm3edge.llama.child_process import ChildProcess; "
        "from tests.support.child_target import Target; "
        "print(ChildProcess(Target).wait_ready().call('process_id'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_a_process_that_does_not_answer_is_ended() -> None:
    child = ChildProcess(Target, timeout=0.1).wait_ready()
    with pytest.raises(EngineStalledError, match=r"no answer in 0 s"):
        child.call("sleep", 60)
    child.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a score")
def test_it_is_ended_before_its_parent_if_memory_is_used_up() -> None:
    child = ChildProcess(Target).wait_ready()
    mine, its = (
        int(Path(f"/proc/{pid}/oom_score_adj").read_text())
        for pid in ("self", child.call("process_id"))
    )
    assert its > mine
    child.close()


def test_what_a_check_finds_ends_the_wait() -> None:
    child = ChildProcess(Target, check=lambda: "the cable is out").wait_ready()
    with pytest.raises(EngineLostError, match="the cable is out"):
        child.call("sleep", 60)
    child.close()


def test_a_signal_reaches_a_running_call() -> None:
    child = ChildProcess(Target).wait_ready()
    threading.Timer(0.2, child.signal, ["wake"]).start()
    assert child.call("wait_for_signal")
    child.close()
    child.signal("wake")


def test_a_start_can_be_killed() -> None:
    child = ChildProcess(time.sleep, 60)
    threading.Timer(0.5, child.kill).start()
    with pytest.raises(EngineLostError):
        child.wait_ready()
    child.kill()
    child.close()


def test_nothing_is_left_behind() -> None:
    child = ChildProcess(Target).wait_ready()
    output = child._output
    assert output.exists()
    process_id = child.call("process_id")
    child.close()
    assert not output.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)
