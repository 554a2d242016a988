"""Memory that a conversion takes, as the operating system counts it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glm3edge_convert.synth.random_checkpoint import Shape, make_checkpoint

pytestmark = pytest.mark.slow

MIB = 2**20
# 6B's proportions: the largest matrix is a tenth of the file.
SMALL, LARGE = (
    Shape(256, 2, 4, 2, 64, 512, 256),
    Shape(1536, 10, 12, 2, 128, 5120, 8192, None, 16384),
)
MOST = 100 * MIB
"""Of memory that a large checkpoint may take more than a small one."""

CONVERT = """
import sys
from pathlib import Path
from glm3edge_convert import convert
convert(Path(sys.argv[1]), Path(sys.argv[2]), quant_type="q8_0", threads=2)
"""


def peak(checkpoint: Path, output: Path) -> int:
    """Bytes of memory that a process has at its fullest while it converts."""
    command = [sys.executable, "-c", CONVERT, str(checkpoint), str(output)]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system does not tell")
def test_memory_does_not_grow_with_the_checkpoint(tmp_path: Path, tokenizer: Path) -> None:
    peaks = []
    for name, shape in (("small", SMALL), ("large", LARGE)):
        make_checkpoint(tmp_path / name, shape=shape, tokenizer=tokenizer)
        peaks.append(peak(tmp_path / name, tmp_path / f"{name}.gguf"))
    num_bytes = sum(path.stat().st_size for path in (tmp_path / "large").glob("*.safetensors"))
    assert num_bytes > 6 * MOST
    assert peaks[1] - peaks[0] < MOST
