"""Holds a build of llama.cpp for GPUs against all that can be seen of it, with a GPU or without.

python scripts/check_backend.py CUDA|Vulkan|MTL

Its libraries must load with every symbol bound, the backend must be registered, and `glm3edge
serve` must answer with it, and say so where it finds no GPU.
"""

import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import IO

import llama_cpp

from glm3edge.llama import ggml

QUESTION = {"messages": [{"role": "user", "content": "你好"}], "temperature": 0, "max_tokens": 32}
ADDRESS = re.compile(r"^server +(http://\S+)/v1", re.MULTILINE)


def main() -> None:
    name = sys.argv[1]
    check_symbols()
    num_devices = check_registered(name)
    check_answers(name, num_devices)


def check_symbols() -> None:
    """Load every library with all of its symbols bound; what is missing ends the program."""
    for path in sorted((Path(llama_cpp.__file__).parent / "lib").iterdir()):
        ctypes.CDLL(str(path), mode=os.RTLD_NOW)
        print(f"links     {path.name}")


def check_registered(name: str) -> int:
    """Return how many devices the backend has found."""
    handles = map(
        ggml.function("ggml_backend_reg_get"), range(ggml.function("ggml_backend_reg_count")())
    )
    counts = {
        ggml.text("ggml_backend_reg_name", handle): int(
            ggml.function("ggml_backend_reg_dev_count")(handle)
        )
        for handle in handles
    }
    print(f"backends  {counts}")
    print(f"offload   {llama_cpp.llama_supports_gpu_offload()}")
    if name not in counts:
        sys.exit(f"llama.cpp has no backend {name}")
    return counts[name]


def check_answers(name: str, num_devices: int) -> None:
    """Ask the built-in model something, greedily."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        command = [sys.executable, "-m", "glm3edge", "serve", "--port", "0", "--disk-cache", "0"]
        server = subprocess.Popen(
            [*command, "--cache-dir", folder], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            reply = ask(wait_for_address(server, log))
        finally:
            server.terminate()
            server.wait()
        said = [line for line in text_of(log).splitlines() if name.lower() in line.lower()]
    print(*(f"log       {line}" for line in said), f"reply     {reply}", sep="\n")
    if not reply:
        sys.exit("the model says nothing")
    if not num_devices and not any("finds no GPU" in line for line in said):
        sys.exit(f"the server does not say that {name} finds no GPU")


def wait_for_address(server: "subprocess.Popen[bytes]", log: IO[str]) -> str:
    """Return the server's address, when it has one."""
    while server.poll() is None:
        if match := ADDRESS.search(text_of(log)):
            return match[1]
        try:
            server.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            continue
    sys.exit(f"the server ended:\n{text_of(log)}")


def ask(address: str) -> str:
    """Return the reply to the question."""
    request = urllib.request.Request(  # noqa: S310 - the server's own address
        f"{address}/v1/chat/completions",
        data=json.dumps(QUESTION).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310
        return str(json.load(response)["choices"][0]["message"]["content"])


def text_of(log: IO[str]) -> str:
    """Return what stands in the log so far."""
    log.seek(0)
    return log.read()


if __name__ == "__main__":
    main()
