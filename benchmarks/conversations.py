"""Many long conversations over a small disk cache, and what memory they leave.

    python -m benchmarks.conversations MODEL.gguf --conversations 500 --disk-cache 200MiB

starts ``glm3edge serve`` with a context that holds few of them, so that most go to disk and out
again. Each is continued once, after others have taken its place in memory.
"""

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.serving import served
from benchmarks.soak import resident_bytes

CONTEXT_SIZE = 2048
_NUM_BETWEEN = 4
"""Conversations until one is continued: more than the context holds."""


@dataclass
class Report:
    """What happened.

    Attributes:
        memory_bytes: the server's resident memory, at each tenth of the way.
        num_continued: conversations that were continued.
        num_found: those of them that were computed no second time.
    """

    memory_bytes: list[int] = field(default_factory=list)
    num_continued: int = 0
    num_found: int = 0

    @property
    def growth(self) -> float:
        """Memory at the end to memory after a tenth, when every buffer has been needed."""
        return self.memory_bytes[-1] / self.memory_bytes[0]


def converse(model: Path, *, num_conversations: int, disk_cache: str) -> Report:
    """Hold conversations with a server of its own, one after the other."""
    report = Report()
    with served(model, context_size=CONTEXT_SIZE, options=f"--disk-cache {disk_cache}") as server:
        for number in range(num_conversations):
            _ask(server.port, number)
            if number >= _NUM_BETWEEN:
                usage = _ask(server.port, number - _NUM_BETWEEN)
                report.num_continued += 1
                report.num_found += 2 * usage["cached"] > usage["prompt"]
            if (number + 1) % max(num_conversations // 10, 1) == 0:
                report.memory_bytes.append(_settled_bytes(server.pid))
    return report


def _settled_bytes(pid: int) -> int:
    """Resident memory without a state that is being written."""
    found = []
    for _ in range(5):
        time.sleep(0.2)
        found.append(resident_bytes(pid))
    return min(found)


def _ask(port: int, number: int) -> dict[str, int]:
    """Send a prompt of about 750 tokens; returns how many it had, and how many were cached."""
    text = f"{number}：" + "请说说这里的历史、风景和美食。" * 26
    reply = httpx.post(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json={"messages": [{"role": "user", "content": text}], "max_tokens": 4},
        timeout=600,
    )
    usage = reply.raise_for_status().json()["usage"]
    return {
        "prompt": usage["prompt_tokens"],
        "cached": usage["prompt_tokens_details"]["cached_tokens"],
    }


def main() -> int:
    """Run and print; the exit code says whether memory came back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--conversations", type=int, default=500)
    parser.add_argument("--disk-cache", default="200MiB")
    arguments = parser.parse_args()
    report = converse(
        arguments.model,
        num_conversations=arguments.conversations,
        disk_cache=arguments.disk_cache,
    )
    print("memory, MiB:", [round(number / 2**20) for number in report.memory_bytes])
    print(f"growth {report.growth:.3f}; found {report.num_found} of {report.num_continued}")
    return int(report.growth > 1.1)


if __name__ == "__main__":
    sys.exit(main())
