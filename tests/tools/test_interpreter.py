"""The code interpreter: sessions, their cells, and what these give."""

import asyncio
import contextlib

import pytest

from glm3edge.tools.interpreter import CodeInterpreter
from tests.support.cells import LOST, run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sandbox")]


def test_it_prints_and_shows_the_last_value_and_keeps_variables() -> None:
    cells = ("x = 20\nprint('你好')", "x += 1\nx * 2", "def f():\n    return x\nf()", "None")
    assert run(*cells) == ["你好", "42", "21", "(no output)"]


def test_a_traceback_shows_the_models_own_lines_and_nothing_is_lost() -> None:
    first, second, third = run("x = 1\n\nx / 0", "x", "if:")
    assert first.splitlines()[:3] == [
        "Traceback (most recent call last):",
        '  File "<cell 1>", line 3, in <module>',
        "    x / 0",
    ]
    assert first.endswith("ZeroDivisionError: division by zero")
    assert second == "1"
    assert third.endswith("SyntaxError: invalid syntax")


def test_what_ends_a_program_does_not_end_the_session() -> None:
    first, second, third = run("x = 1; exit(3)", "raise KeyboardInterrupt", "x")
    assert first.endswith("SystemExit: 3")
    assert second.endswith("KeyboardInterrupt")
    assert third == "1"


def test_classes_pickle_and_threads_and_event_loops_run() -> None:
    assert run(
        """
        import asyncio, dataclasses, pickle, threading
        @dataclasses.dataclass
        class Point:
            x: int
        thread = threading.Thread(target=print, args=("thread",))
        thread.start(); thread.join()
        asyncio.run(asyncio.sleep(0))
        pickle.loads(pickle.dumps(Point(3)))
        """
    ) == ["thread\nPoint(x=3)"]


def test_numpy_is_there() -> None:
    assert run("import numpy\nint(numpy.arange(10) @ numpy.arange(10))") == ["285"]


def test_what_c_code_and_stderr_write_comes_in_order() -> None:
    code = (
        "import os, sys\nprint('a')\nprint('b', file=sys.stderr)\nos.write(1, b'c\\n')\nprint('d')"
    )
    assert run(code) == ["a\nb\nc\nd"]


def test_nothing_can_be_read_from_the_terminal() -> None:
    assert run("input()")[0].endswith("EOFError: EOF when reading a line")


def test_output_cannot_command_a_terminal() -> None:
    assert run(r"print('\x1b[2J\x1b]0;title\x07red\x1b[31m\x08 \u202eabc')") == ["red abc"]


def test_long_output_keeps_both_ends() -> None:
    reply = run("for i in range(10000): print(i)")[0]
    assert reply.startswith("0\n1\n")
    assert reply.endswith("9998\n9999")
    assert len(reply) < 8100


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os._exit(7)", "exit code 7"),
        ("import os; os.close(1)", "exit code 1"),
        ("import os; os.kill(os.getpid(), 9)", "killed: too much processor time, or memory"),
    ],
)
def test_a_crash_is_told_and_mended(code: str, how: str) -> None:
    reply, after = run(code, "6 * 7")
    assert reply.endswith(f"[the process ended ({how}); {LOST}")
    assert after == "42"


def test_a_call_that_is_given_up_ends_the_code_and_the_next_one_runs() -> None:
    async def main() -> str:
        async with CodeInterpreter() as interpreter:
            task = asyncio.create_task(interpreter.run("while True: pass"))
            await asyncio.sleep(0.2)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            return await interpreter.run("1 + 1")

    assert asyncio.run(main()) == "2"


def test_the_code_cannot_write_the_end_of_its_cell() -> None:
    """It used to find the marker in the frames below it."""
    search = """
        import sys
        frame, found = sys._getframe(), []
        while frame := frame.f_back:
            for value in frame.f_locals.values():
                found += [value["marker"]] if isinstance(value, dict) and "marker" in value else []
        for marker in found:
            print(f"\\n{marker}\\n", flush=True)
        'the last line'
    """
    assert run(search, "'the next cell'") == ["'the last line'", "'the next cell'"]


def test_a_cell_that_stops_itself_goes_on_with_the_next_one() -> None:
    stop = "import os\nos.kill(os.getpid(), 19)\nprint('later')"
    assert run(stop, "print('second')") == ["(no output)", "later\nsecond"]


def test_code_of_many_megabytes_runs() -> None:
    assert run(f"len('{'字' * 1_000_000}')") == ["1000000"]
