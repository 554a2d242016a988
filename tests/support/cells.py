"""Cells of Python that run in the code interpreter, and its processes as the system shows them."""

import asyncio
import textwrap

import psutil

from glm3edge.tools.interpreter import CodeInterpreter
from glm3edge.tools.sandbox import Limits

LOST = "variables are lost, the next code starts afresh]"
"""The end of what a cell gives that ended its session."""


def run(*cells: str, limits: Limits | None = None) -> list[str]:
    """What each of ``cells`` gives, in one session."""

    async def main() -> list[str]:
        async with CodeInterpreter(limits) as interpreter:
            return [await interpreter.run(textwrap.dedent(cell)) for cell in cells]

    return asyncio.run(main())


def sessions(mark: int) -> list[psutil.Process]:
    """Processes started with ``mark`` among their limits."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(mark) in argument for argument in process.info["cmdline"] or ())
    ]
