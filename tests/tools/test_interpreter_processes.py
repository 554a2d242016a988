"""Processes of the code interpreter: still between two cells, and gone at its end."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from glm3edge.tools.interpreter import CodeInterpreter
from glm3edge.tools.sandbox import Limits
from tests.support.cells import sessions
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sandbox")]


LEFT_OVERS = {
    "a thread": """
        import itertools, threading
        threading.Thread(target=lambda: [None for _ in itertools.count()]).start()
    """,
    "a timer": """
        import signal
        signal.signal(signal.SIGALRM, print)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    """,
    "a signal for each read of the output": """
        import fcntl, os, signal
        signal.signal(signal.SIGIO, print)
        fcntl.fcntl(1, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_ASYNC)
        print("y" * 5000)
    """,
}


@pytest.mark.parametrize("left_over", LEFT_OVERS)
def test_nothing_runs_between_two_cells(left_over: str) -> None:
    mark = (1 << 28) + os.getpid()

    async def main() -> list[str]:
        async with CodeInterpreter(Limits(memory=mark)) as interpreter:
            await interpreter.run(textwrap.dedent(LEFT_OVERS[left_over]))
            await (await asyncio.create_subprocess_exec("true")).wait()  # as time passes
            return states_of_threads(mark)

    states = set(asyncio.run(main()))
    # Python may end where a signal's handler prints while it prints.
    assert states <= {"T"} if "signal for each" in left_over else states == {"T"}


def states_of_threads(mark: int) -> list[str]:
    """The kernel's letters for the threads that run the code: R, S, T for stopped, ..."""
    children = [process for process in sessions(mark) if not process.children()]
    tasks = [task for child in children for task in Path(f"/proc/{child.pid}/task").glob("*/stat")]
    stats = [task.read_text() for task in tasks]
    return [stat.rpartition(")")[2].split()[0] for stat in stats]


def test_no_process_is_left_when_it_ends() -> None:
    mark = (1 << 30) + os.getpid()
    during: list[int] = []

    async def main() -> None:
        async with CodeInterpreter(Limits(memory=mark)) as interpreter:
            await interpreter.run("1")
            during.append(len(sessions(mark)))

    asyncio.run(main())
    assert during[0] >= 1
    wait_for(lambda: not sessions(mark))


def test_no_process_is_left_when_its_owner_is_killed() -> None:
    mark = (1 << 29) + os.getpid()
    program = f"""
import asyncio
from glm3edge.tools.interpreter import CodeInterpreter
from glm3edge.tools.sandbox import MACHINES, Limits
async def main():
    async with CodeInterpreter(Limits(memory={mark})) as interpreter:
        print("up", flush=True)
        await interpreter.run("while True: pass")
asyncio.run(main())
"""
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        assert sessions(mark)
        owner.send_signal(signal.SIGKILL)
    wait_for(lambda: not sessions(mark))
