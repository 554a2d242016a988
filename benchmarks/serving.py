"""A server of ours for a script: its cache goes when it does."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glm3edge.commands.bench.systems import Running, glm3edge, running


@contextmanager
def served(model: Path, *, context_size: int, options: str = "") -> Iterator[Running]:
    """``model`` for four requests at once, on one thread: enough for a small one."""
    with tempfile.TemporaryDirectory() as cache:
        system = glm3edge(
            model,
            context_size=context_size,
            parallel=4,
            threads=1,
            cache=Path(cache),
            options=options,
        )
        with running(system) as server:
            yield server
