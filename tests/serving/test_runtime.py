"""The runtime, as it opens a model's files."""

import logging
from pathlib import Path

import pytest

from glm3edge.config.settings import load_settings
from glm3edge.llama.model import Model
from glm3edge.serving.runtime import Runtime

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("is_beyond", [False, True])
def test_a_context_beyond_training_is_warned_of(
    is_beyond: bool,
    tiny_gguf: Path,
    tiny_model: Model,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    size = tiny_model.context_length + 256 * is_beyond
    settings = load_settings(ctx_size=size, cache_dir=tmp_path, parallel=1, disk_cache=0)
    with caplog.at_level(logging.WARNING), Runtime(tiny_gguf, settings):
        pass
    expected = f"--ctx-size {size}: the model was trained for {tiny_model.context_length} tokens"
    assert (expected in caplog.text) == is_beyond
