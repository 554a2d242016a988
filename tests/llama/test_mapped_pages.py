"""Memory of a loaded model: its weights are there once, repacked or mapped."""

import sys
from pathlib import Path

import psutil
import pytest

from glm3edge.core import Span
from glm3edge.llama.context import Context
from glm3edge.llama.model import Model
from glm3edge_convert import convert


def mapped_bytes(path: Path) -> int:
    """Bytes of a file that count as this process's memory."""
    return sum(found.rss for found in psutil.Process().memory_maps() if found.path == str(path))


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone lets pages of a file go")
def test_repacked_weights_are_not_mapped_too(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """Of a 6B model that was 6.7 GB, for a file of 3.9 (issue 25)."""
    path = tmp_path / "模型 q4_k_m.gguf"
    convert(tiny_checkpoint, path, quant_type="q4_k_m")
    link = tmp_path / "link.gguf"
    link.symlink_to(path)  # as in a hub's cache
    with (
        Model(link) as model,
        Context(model, context_size=256, batch_size=64, num_sequences=1, num_threads=1) as context,
    ):
        num_bytes = path.stat().st_size
        assert mapped_bytes(path) < 0.1 * num_bytes
        context.decode([Span(0, 0, [1, 2, 3], wants_output=True)])
        assert 0 < mapped_bytes(path) <= num_bytes  # what is not repacked came back
