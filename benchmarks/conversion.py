"""One pass against llama.cpp's two: its converter to f16, then its quantizer.

    python benchmarks/conversion.py CHECKPOINT --llama-cpp vendor/llama.cpp --python PYTHON \\
        --work FOLDER --out benchmarks/results/conversion

The converter wants torch and transformers, which ``--python`` has, and reads ChatGLM3's vocabulary
with the model's own Python files; so that no file of the checkpoint has to be run, its tensors are
converted here and its vocabulary is not, which takes it a few seconds more. Each step is a process
of its own: seconds, and memory at its fullest as the system counts it.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

MIB = 2**20

OURS = """
import sys
from pathlib import Path
from glm3edge_convert import convert
convert(Path(sys.argv[1]), Path(sys.argv[2]), quant_type=sys.argv[3], overwrite=True)
"""
THEIR_CONVERTER = """
import runpy, sys
folder, checkpoint, output = sys.argv[1:]
sys.path[:0] = [folder, folder + "/gguf-py"]
from conversion.chatglm import ChatGLMModel
ChatGLMModel.set_vocab = lambda self: None
sys.argv = ["convert_hf_to_gguf.py", checkpoint, "--outfile", output, "--outtype", "f16"]
runpy.run_path(folder + "/convert_hf_to_gguf.py", run_name="__main__")
"""
THEIR_QUANTIZER = """
import ctypes, os, sys
import llama_cpp
from glm3edge_convert.quantize.recipe import get_recipe
params = llama_cpp.llama_model_quantize_default_params()
params.ftype = get_recipe(sys.argv[3]).file_type
params.nthread = os.cpu_count()
source, output = (name.encode() for name in sys.argv[1:3])
sys.exit(llama_cpp.llama_model_quantize(source, output, ctypes.byref(params)))
"""


@dataclass(frozen=True)
class Step:
    """What a process took; ``num_bytes`` is the size of its output."""

    name: str
    seconds: float
    peak_bytes: int
    num_bytes: int


def measure(name: str, command: list[str], output: Path, log: Path) -> Step:
    """Run a process to its end."""
    start = time.monotonic()
    with log.open("a") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{name} failed: {log.read_text(errors='replace')[-2000:]}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Step(name, time.monotonic() - start, peak, output.stat().st_size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable, help="has torch and transformers")
    parser.add_argument("--type", default="q4_k_m")
    parser.add_argument("--work", type=Path, required=True, help="room for an f16 file and more")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    work, log = options.work, options.work / "log.txt"
    ours, f16, theirs = (work / name for name in ("ours.gguf", "f16.gguf", "theirs.gguf"))
    python, checkpoint = [sys.executable, "-c"], str(options.checkpoint)
    convert = [options.python, "-c", THEIR_CONVERTER, str(options.llama_cpp.resolve())]
    steps = [
        measure("glm3edge", [*python, OURS, checkpoint, str(ours), options.type], ours, log),
        measure("llama.cpp: converter", [*convert, checkpoint, str(f16)], f16, log),
        measure(
            "llama.cpp: quantizer",
            [*python, THEIR_QUANTIZER, str(f16), str(theirs), options.type],
            theirs,
            log,
        ),
    ]
    for path in (ours, f16, theirs):
        path.unlink()
    table = render(steps)
    print(table)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "table.md").write_text(table)
        (options.out / "results.json").write_text(json.dumps([asdict(s) for s in steps], indent=2))


def render(steps: list[Step]) -> str:
    """A table in Markdown, and how much faster one pass is."""
    lines = ["| step | seconds | peak memory | output |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {step.name} | {step.seconds:.0f} | {step.peak_bytes / MIB:,.0f} MiB "
        f"| {step.num_bytes / MIB:,.0f} MiB |"
        for step in steps
    ]
    theirs = steps[1].seconds + steps[2].seconds
    lines.append(f"\nOne pass takes {steps[0].seconds / theirs:.2f} of the time of the two steps.")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
