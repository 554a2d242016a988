"""One pass against llama.cpp's two: its converter to f16, then its quantizer.

    python benchmarks/conversion.py CHECKPOINT --llama-cpp vendor/llama.cpp --python PYTHON \\
        --work FOLDER --out benchmarks/results/conversion

The converter wants torch and transformers, which ``--python`` has, and reads ChatGLM3's vocabulary
with the model's own Python files; so that no file of the checkpoint has to be run, its tensors are
converted here and its vocabulary is not, which takes it a few seconds more. Each step is a process
of its own: seconds, those of all its threads, and memory at its fullest as the system counts it.

llama.cpp's converter does not pad ``ffn_down``, so that its quantizer gives a quarter of the
weights types that are quick to make. Its quantizer therefore runs a second time with the f16 file
of ours, of which it makes the very tensors that one pass makes; that is checked.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
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
COMPARISON = """
import sys
import numpy as np
from gguf import GGUFReader
one, other = ({t.name: t for t in GGUFReader(path).tensors} for path in sys.argv[1:])
for name in one | other:  # metadata and order differ
    is_same = one[name].tensor_type == other[name].tensor_type
    if not is_same or not np.array_equal(one[name].data, other[name].data):
        sys.exit(f"{name} differs")
"""
GLM3EDGE = "glm3edge"
CONVERTER = "llama.cpp: converter"
QUANTIZER = "llama.cpp: quantizer"
EQUAL_TYPES = "llama.cpp: quantizer, equal types"


@dataclass(frozen=True)
class Step:
    """What a process took; ``num_bytes`` is the size of its output."""

    name: str
    type: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    num_bytes: int


class Runner:
    """Runs the steps in a folder, and keeps what they took, by rounds."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.rounds: list[list[Step]] = []
        self._checkpoint = str(options.checkpoint)
        self._their_python = [options.python, "-c", THEIR_CONVERTER]
        self._llama_cpp = str(options.llama_cpp.resolve())
        self._work: Path = options.work

    def run_round(self, types: Iterable[str]) -> None:
        """Make each type in all ways, and delete what was made."""
        self.rounds.append([])
        ours, theirs, equal = (self._path(name) for name in ("ours", "theirs", "equal"))
        f16, padded = self._path("f16"), self._path("padded")
        python = [sys.executable, "-c"]
        self._run(CONVERTER, "f16", [*self._their_python, self._llama_cpp, self._checkpoint], f16)
        self._run(GLM3EDGE, "f16", [*python, OURS, self._checkpoint], padded)
        for name in types:
            self._run(GLM3EDGE, name, [*python, OURS, self._checkpoint], ours)
            self._run(QUANTIZER, name, [*python, THEIR_QUANTIZER, str(f16)], theirs)
            self._run(EQUAL_TYPES, name, [*python, THEIR_QUANTIZER, str(padded)], equal)
            self._check_equal(ours, equal)
        for path in (ours, theirs, equal, f16, padded):
            path.unlink()

    def _path(self, name: str) -> Path:
        return self._work / f"{name}.gguf"

    def _run(self, name: str, its_type: str, command: list[str], output: Path) -> None:
        log = self._work / "log.txt"
        arguments = [str(output)] if name == CONVERTER else [str(output), its_type]
        start = time.monotonic()
        with log.open("a") as file:
            process = subprocess.Popen([*command, *arguments], stdout=file, stderr=file)
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{name} failed: {log.read_text(errors='replace')[-2000:]}")
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        cpu_seconds = usage.ru_utime + usage.ru_stime
        step = Step(name, its_type, seconds, cpu_seconds, peak, output.stat().st_size)
        self.rounds[-1].append(step)

    def _check_equal(self, ours: Path, equal: Path) -> None:
        # In a process of its own: what this one has mapped would count as memory of the next step.
        subprocess.run([sys.executable, "-c", COMPARISON, str(ours), str(equal)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--python", default=sys.executable, help="has torch and transformers")
    parser.add_argument("--type", action="append", help="may be repeated; q4_k_m and q8_0")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, required=True, help="room for two f16 files and more")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    types = options.type or ["q4_k_m", "q8_0"]
    runner = Runner(options)
    for _ in range(options.rounds):
        runner.run_round(types)
    table = render(runner.rounds, types)
    print(table)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "table.md").write_text(table)
        rounds = [[asdict(step) for step in steps] for steps in runner.rounds]
        (options.out / "results.json").write_text(json.dumps(rounds, indent=2) + "\n")


def render(rounds: list[list[Step]], types: Iterable[str]) -> str:
    """A table in Markdown, medians and ranges of all rounds, and the ratios within a round."""
    lines = [
        "| step | type | seconds | CPU seconds | peak memory | output |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for step, *others in zip(*rounds, strict=True):
        same = [step, *others]
        seconds = spread([one.seconds for one in same], ".0f")
        cpu_seconds = spread([one.cpu_seconds for one in same], ".0f")
        peak = max(one.peak_bytes for one in same)
        lines.append(
            f"| {step.name} | {step.type} | {seconds} | {cpu_seconds} "
            f"| {peak / MIB:,.0f} MiB | {step.num_bytes / MIB:,.0f} MiB |"
        )
    lines.append("")
    lines += [ratios(rounds, name) for name in types]
    return "\n".join(lines) + "\n"


def ratios(rounds: list[list[Step]], its_type: str) -> str:
    """How long one pass takes, as a share of what llama.cpp's two take in the same round."""
    shares = {}
    for quantizer in (QUANTIZER, EQUAL_TYPES):
        for what in ("seconds", "cpu_seconds"):
            shares[quantizer, what] = spread(
                [share(steps, its_type, quantizer, what) for steps in rounds], ".2f"
            )
    return (
        f"{its_type}: one pass takes {shares[QUANTIZER, 'seconds']} of the time of the two steps, "
        f"{shares[EQUAL_TYPES, 'seconds']} at equal types; in CPU time "
        f"{shares[QUANTIZER, 'cpu_seconds']} and {shares[EQUAL_TYPES, 'cpu_seconds']}."
    )


def share(steps: list[Step], its_type: str, quantizer: str, what: str) -> float:
    """One pass in a round, divided by the converter and a quantizer."""
    taken = {(step.name, step.type): float(getattr(step, what)) for step in steps}
    return taken[GLM3EDGE, its_type] / (taken[CONVERTER, "f16"] + taken[quantizer, its_type])


def spread(values: list[float], form: str) -> str:
    """The median and, if there are several values, the least and the largest."""
    median = format(statistics.median(values), form)
    if len(values) == 1:
        return median
    return f"{median} ({format(min(values), form)} to {format(max(values), form)})"


if __name__ == "__main__":
    main()
