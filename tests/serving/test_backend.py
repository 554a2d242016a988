"""Where the engine runs, and what the log says about it."""

import logging
from pathlib import Path

import pytest

from glm3edge.config.settings import load_settings
from glm3edge.serving.backend import open_backend


@pytest.mark.parametrize("isolate", [False, True])
def test_the_log_says_what_a_lack_of_memory_would_end(
    tiny_gguf: Path, caplog: pytest.LogCaptureFixture, isolate: bool
) -> None:
    settings = load_settings(isolate=isolate, ctx_size=256, threads=1)
    with caplog.at_level(logging.INFO), open_backend(tiny_gguf, settings, []):
        pass
    lines = [record.getMessage() for record in caplog.records if "memory" in record.getMessage()]
    assert len(lines) == (0 if isolate else 1)
    assert all("the engine runs in this process" in line for line in lines)
