"""What it costs to have layers on workers: speed, bytes on the network, and waits, a token.

    python benchmarks/offload.py MODEL.gguf... --out benchmarks/results/offload

Workers are processes of this machine that compute on its CPU, reached through its loopback: the
layers get no faster there, so what is slower than without is the cost of the protocol. All have
one thread, the placements take turns every few tokens, and the fastest tenth of the tokens counts.
(In turns of one token they would hinder each other: a worker keeps the last graph it was sent.)

A second pass goes through a proxy that counts bytes, a third through one that holds everything back
for some milliseconds each way: what a token takes longer, divided by both ways, is how often it
waits for the network.
"""

import argparse
import ctypes
import json
import multiprocessing
import queue
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from glm3edge.core import Span
from glm3edge.llama import ggml
from glm3edge.llama.child_process import run_in_child
from glm3edge.llama.context import Context
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import CPU, add_worker, handle_of
from glm3edge.llama.model import Model

PROMPT = 256
NUM_PROMPTS = 8
TURN = 16  # tokens
DELAY = 0.004  # seconds each way
ALL = -1
HERE = "all here"


@dataclass(frozen=True)
class Cost:
    """Of a placement, to the same with all here.

    Attributes:
        model: the file.
        placement: what is where.
        tokens_per_second: generated, over loopback.
        ratio: of it to all here.
        prompt_ratio: of the tokens of prompts.
        bytes_out: to the workers, a generated token; the median.
        bytes_in: from them.
        most_bytes_out: to the workers, where a token needs another graph than the one before.
        prompt_bytes_out: to the workers, a token of a prompt.
        prompt_bytes_in: from them.
        num_waits: round trips that a token waits for.
    """

    model: str
    placement: str
    tokens_per_second: float
    ratio: float
    prompt_ratio: float
    bytes_out: float
    bytes_in: float
    most_bytes_out: float
    prompt_bytes_out: float
    prompt_bytes_in: float
    num_waits: float


@dataclass
class Pass:
    """Batches of each placement: of prompts, and of one token each."""

    prompts: "dict[str, list[Batch]]"
    tokens: "dict[str, list[Batch]]"


@dataclass(frozen=True)
class Batch:
    """What one took, and what went over the network meanwhile."""

    seconds: float
    bytes_out: int
    bytes_in: int


class Proxy:
    """Passes connections on to a port, counts their bytes, and holds them back for a while."""

    def __init__(self, port: int, delay: float) -> None:
        self._target = ("127.0.0.1", port)
        self._delay = delay
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.bytes_out = 0
        self.bytes_in = 0
        _start(self._accept)

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(self._target)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _start(self._pump, client, server, "bytes_out")
            _start(self._pump, server, client, "bytes_in")

    def _pump(self, source: socket.socket, target: socket.socket, counter: str) -> None:
        pending: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        _start(self._deliver, pending, target)
        while data := source.recv(2**16):
            setattr(self, counter, getattr(self, counter) + len(data))
            pending.put((time.perf_counter() + self._delay, data))
        pending.put((0, b""))

    def _deliver(
        self, pending: "queue.SimpleQueue[tuple[float, bytes]]", target: socket.socket
    ) -> None:
        while True:
            due, data = pending.get()
            if not data:
                with suppress(OSError):  # it may be gone
                    target.shutdown(socket.SHUT_WR)
                return
            time.sleep(max(0.0, due - time.perf_counter()))
            target.sendall(data)


def _start(function: object, *args: object) -> None:
    threading.Thread(target=function, args=args, daemon=True).start()  # type: ignore[arg-type]


def placements(num_layers: int) -> dict[str, Placement]:
    """What is compared, by its name."""
    one, both = ("RPC0",), ("RPC0", "RPC1")
    output_here = ((r"^output\.weight$", CPU),)
    return {
        HERE: ON_CPU,
        "half of the layers on a worker": Placement(one, (num_layers + 1) // 2),
        "all on a worker": Placement(one, ALL),
        "all on a worker, output matrix here": Placement(one, ALL, output_here),
        "all on two workers, output matrix here": Placement(
            both, ALL, output_here, tensor_split=(1.0, 1.0)
        ),
    }


def measure(path: Path, ports: Sequence[int], delay: float | None, num_tokens: int) -> Pass:
    """All placements in turns; in a process that may end with a worker.

    With a delay, 0 or longer, through proxies.
    """
    proxies = [] if delay is None else [Proxy(port, delay) for port in ports]
    addresses = [proxy.address for proxy in proxies] or [f"127.0.0.1:{port}" for port in ports]
    for address in addresses:
        add_worker(address)
    with ExitStack() as stack:
        with Model(path, vocab_only=True) as described:
            num_layers = int(described.metadata("chatglm.block_count") or 0)
        contexts = {
            name: stack.enter_context(_context(stack, path, placement, num_tokens))
            for name, placement in placements(num_layers).items()
        }
        stop = NUM_PROMPTS * PROMPT
        prompts = _take_turns(contexts, proxies, range(0, stop, PROMPT), size=PROMPT, turn=1)
        positions = range(stop, stop + num_tokens)
        tokens = _take_turns(contexts, proxies, positions, size=1, turn=TURN)
    return Pass(prompts, tokens)


def _context(stack: ExitStack, path: Path, placement: Placement, num_tokens: int) -> Context:
    return Context(
        stack.enter_context(Model(path, placement=placement)),
        context_size=NUM_PROMPTS * PROMPT + num_tokens,
        batch_size=PROMPT,
        num_sequences=1,
        num_threads=1,
    )


def _take_turns(
    contexts: dict[str, Context],
    proxies: Sequence[Proxy],
    positions: range,
    *,
    size: int,
    turn: int,
) -> dict[str, list[Batch]]:
    """Batches of ``size`` tokens at these positions, ``turn`` of them for each in its turn."""
    batches: dict[str, list[Batch]] = {name: [] for name in contexts}
    for first in range(0, len(positions), turn):
        for name, context in contexts.items():
            batches[name] += [
                _decode(context, proxies, position, size)
                for position in positions[first : first + turn]
            ]
    return batches


def _decode(context: Context, proxies: Sequence[Proxy], position: int, size: int) -> Batch:
    ids = [1000 + number % 500 for number in range(position, position + size)]
    before = _counted(proxies)
    began = time.perf_counter()
    (last,) = context.decode([Span(0, position, ids, wants_output=True)])
    context.logits(last, 1)  # waits for the end
    seconds = time.perf_counter() - began
    after = _counted(proxies)
    return Batch(seconds, after[0] - before[0], after[1] - before[1])


def _counted(proxies: Sequence[Proxy]) -> tuple[int, int]:
    return sum(p.bytes_out for p in proxies), sum(p.bytes_in for p in proxies)


def compare(path: Path, ports: Sequence[int], num_tokens: int) -> Iterator[Cost]:
    """All placements of a file, in three passes."""
    plain = run_in_child(measure, path, ports, None, num_tokens)
    counted = run_in_child(measure, path, ports, 0.0, num_tokens)
    held_back = run_in_child(measure, path, ports, DELAY, num_tokens)
    for name, batches in plain.tokens.items():
        tokens, prompts = counted.tokens[name], counted.prompts[name]
        longer = fast(held_back.tokens[name]) - fast(tokens)
        yield Cost(
            path.stem,
            name,
            1 / fast(batches),
            fast(plain.tokens[HERE]) / fast(batches),
            fast(plain.prompts[HERE]) / fast(plain.prompts[name]),
            statistics.median(batch.bytes_out for batch in tokens),
            statistics.median(batch.bytes_in for batch in tokens),
            max(batch.bytes_out for batch in tokens),
            sum(batch.bytes_out for batch in prompts) / len(prompts) / PROMPT,
            sum(batch.bytes_in for batch in prompts) / len(prompts) / PROMPT,
            longer / (2 * DELAY),
        )


def fast(batches: Sequence[Batch]) -> float:
    """The seconds that nine of ten batches are longer than."""
    return statistics.quantiles([b.seconds for b in batches], n=10, method="inclusive")[0]


@contextmanager
def worker() -> Iterator[int]:
    """The port of a worker that computes on this machine's CPU, with one thread."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port,), daemon=True)
    process.start()
    try:
        _wait(port)
        yield port
    finally:
        process.kill()
        process.join()


def serve(port: int) -> None:
    """Be a worker; returns only if it cannot."""
    devices = (ctypes.c_void_p * 1)(handle_of(CPU))
    address = f"127.0.0.1:{port}".encode()
    ggml.function("ggml_backend_rpc_start_server")(address, None, 1, 1, devices)


def _wait(port: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def render(costs: Sequence[Cost]) -> str:
    """A table in Markdown."""
    columns = (
        "model",
        "placement",
        "tokens/s",
        "to all here",
        "prompts, to all here",
        "KiB out, a token",
        "KiB in",
        "KiB out, a new graph",
        "KiB out, a prompt token",
        "KiB in",
        "waits, a token",
    )
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    lines += [
        f"| {c.model} | {c.placement} | {c.tokens_per_second:.3g} | {c.ratio:.2f} "
        f"| {c.prompt_ratio:.2f} | {c.bytes_out / 1024:.1f} | {c.bytes_in / 1024:.1f} "
        f"| {c.most_bytes_out / 1024:.1f} "
        f"| {c.prompt_bytes_out / 1024:.1f} | {c.prompt_bytes_in / 1024:.1f} | {c.num_waits:.1f} |"
        for c in costs
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with worker() as first, worker() as second:
        costs = [
            c for path in options.models for c in compare(path, (first, second), options.tokens)
        ]
    table = render(costs)
    print(table)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "table.md").write_text(table, encoding="utf-8")
        data = json.dumps([asdict(cost) for cost in costs], indent=2)
        (options.out / "results.json").write_text(data + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
