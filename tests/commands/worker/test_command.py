"""Workers as processes, and clients that come, go and misbehave."""

import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from glm3edge.commands.worker.rpc_process import WorkerConfig
from glm3edge.commands.worker.run import free_address
from glm3edge.commands.worker.run import run as serve
from glm3edge.core import SamplingParams, Span
from glm3edge.errors import ConfigError
from glm3edge.llama.child_process import ChildProcess, run_in_child
from glm3edge.llama.context import Context
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import add_worker
from glm3edge.llama.model import Model
from glm3edge.llama.workers import worker_problem
from glm3edge_convert import convert
from glm3edge_convert.synth.random_checkpoint import SHAPES, make_checkpoint
from tests.support.cli import HANG_SECONDS, run

pytestmark = pytest.mark.slow

PROMPT = [5, 17, 900, 33, 4]
LOG_LINE = re.compile(r"\S+ \S+ (WARNING|ERROR) glm3edge\.commands\.worker\.\w+: ")
HELLO = bytes([14])  # rpc_cmd, ggml-rpc.cpp


@dataclass(frozen=True)
class Worker:
    process: "subprocess.Popen[str]"
    address: str
    banner: str

    @property
    def child(self) -> psutil.Process:
        (child,) = psutil.Process(self.process.pid).children()
        return child

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """Its exit code and what it still wrote to standard output and error."""
        self.process.send_signal(number)
        try:
            stdout, stderr = self.process.communicate(timeout=HANG_SECONDS)
        finally:
            self.process.kill()
        return self.process.returncode, stdout, stderr


def start_worker(*options: str) -> Worker:
    process = subprocess.Popen(
        [sys.executable, "-m", "glm3edge", "worker", "--threads", "1", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("stop"):
            break
    else:
        raise AssertionError(f"the worker did not start: {lines} {process.communicate()[1]}")
    banner = "".join(lines)
    return Worker(process, banner.partition("--rpc ")[2].split()[0], banner)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """A worker for several tests, which writes nothing but its log meanwhile."""
    worker = start_worker("--port", "0")
    yield worker
    code, stdout, stderr = worker.stop()
    assert (code, stdout) == (0, "stopped\n")
    lines = stderr.splitlines()
    assert "is restarted" in lines[-1]
    assert all(LOG_LINE.match(line) for line in lines), stderr


def greedy(path: Path, workers: Sequence[str], num_tokens: int = 6) -> list[int]:
    """What the model goes on with; all of it is computed by the workers, if there are any."""
    names = [device.name for address in workers for device in add_worker(address)]
    placement = Placement(devices=tuple(names), num_gpu_layers=-1) if names else ON_CPU
    found: list[int] = []
    with (
        Model(path, placement=placement) as model,
        Context(model, context_size=64, batch_size=32, num_sequences=1, num_threads=1) as context,
    ):
        sampler = context.new_sampler(SamplingParams(temperature=0.0), PROMPT)
        ids, position = PROMPT, 0
        while len(found) < num_tokens:
            (index,) = context.decode([Span(0, position, ids, wants_output=True)])
            position += len(ids)
            found.append(context.sample(sampler, index))
            ids = found[-1:]
        sampler.close()
    return found


class Client:
    """Has a worker's devices, and keeps the connection."""

    def __init__(self, address: str) -> None:
        self.names = [device.name for device in add_worker(address)]

    def get_names(self) -> list[str]:
        return self.names


@pytest.fixture(scope="module")
def expected(tiny_gguf: Path) -> list[int]:
    return greedy(tiny_gguf, [])


def test_it_computes_what_the_cpu_does(
    worker: Worker, tiny_gguf: Path, expected: list[int]
) -> None:
    assert "\ndevices  CPU  " in worker.banner
    assert "authentication" not in worker.banner
    assert run_in_child(greedy, tiny_gguf, [worker.address]) == expected


def test_it_listens_on_this_machine_alone(worker: Worker) -> None:
    listening = {
        connection.laddr.ip
        for process in (psutil.Process(worker.process.pid), worker.child)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_it_survives_what_is_no_client(
    worker: Worker, tiny_gguf: Path, expected: list[int]
) -> None:
    host, _, port = worker.address.partition(":")
    noise = random.Random(3)
    sent = [b"", HELLO, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"]
    sent += [noise.randbytes(length) for length in (1, 9, 100, 70_000)]
    sent += [HELLO + (24).to_bytes(8, "little") + bytes(24) + bytes([255])]
    sent += [HELLO + (2**62).to_bytes(8, "little") + bytes(24)]
    for data in sent:
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(data)
    assert run_in_child(greedy, tiny_gguf, [worker.address]) == expected


def test_a_second_client_waits_for_the_first(worker: Worker) -> None:
    first = ChildProcess(Client, worker.address).wait_ready()
    second = ChildProcess(Client, worker.address, timeout=HANG_SECONDS)
    try:
        # Those that only look whether it is there do not keep others out meanwhile.
        assert [worker_problem([worker.address]) for _ in range(40)] == [None] * 40
        time.sleep(0.2)
        first.close()
        second.wait_ready()
        assert second.call("get_names") == ["RPC0"]
    finally:
        first.close()
        second.close()


def test_it_begins_anew_when_llama_cpp_ends(
    worker: Worker, tiny_gguf: Path, expected: list[int]
) -> None:
    before = worker.child
    before.kill()
    deadline = time.monotonic() + HANG_SECONDS
    psutil.wait_procs([before], timeout=HANG_SECONDS)
    while worker_problem([worker.address]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run_in_child(greedy, tiny_gguf, [worker.address]) == expected


def test_a_term_signal_ends_it_beside_a_client() -> None:
    worker = start_worker("--port", "0", "--host", "0.0.0.0")
    assert "no authentication and no encryption" in worker.banner
    port = worker.address.partition(":")[2]
    child = worker.child
    client = ChildProcess(Client, f"127.0.0.1:{port}").wait_ready()
    try:
        assert worker.stop(signal.SIGTERM) == (0, "stopped\n", "")
        assert not child.is_running()
    finally:
        client.close()


@pytest.fixture
def wide_gguf(tmp_path: Path) -> Path:
    """One layer with two matrices of more than 10 MiB."""
    shape = replace(SHAPES["tiny"], num_layers=1, ffn_hidden_size=11_008)
    make_checkpoint(tmp_path / "checkpoint", shape=shape)
    convert(tmp_path / "checkpoint", tmp_path / "wide.gguf", quant_type="f32")
    return tmp_path / "wide.gguf"


def test_tensors_are_kept_for_the_next_start(wide_gguf: Path, tmp_path: Path) -> None:
    expected = greedy(wide_gguf, [])
    options = ["--port", "0", "--cache", "--cache-dir", str(tmp_path), "--log-level", "debug"]
    folder = tmp_path / "rpc-tensors"
    num_saved, kept = [], []
    for _ in range(2):
        worker = start_worker(*options)
        assert run_in_child(greedy, wide_gguf, [worker.address]) == expected
        code, _, stderr = worker.stop()
        assert code == 0
        num_saved.append(stderr.count("saved to"))
        kept.append({path.name: path.stat().st_size for path in folder.iterdir()})
    assert num_saved[0] == len(kept[0]) == 2
    assert num_saved[1] == 0
    assert kept[1] == kept[0]


def test_when_it_is_killed_nothing_of_it_stays() -> None:
    worker = start_worker("--port", "0")
    child = worker.child
    worker.process.kill()
    worker.process.communicate()
    psutil.wait_procs([child], timeout=HANG_SECONDS)
    assert not child.is_running()


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("worker", "--port", str(port))
    assert result.returncode == 2
    assert result.stderr == (
        f"error: cannot listen on 127.0.0.1:{port}: Address already in use; try another --port\n"
    )


def test_a_port_that_is_taken_after_it_was_found_free() -> None:
    """By another that started at the same moment, say."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = WorkerConfig("127.0.0.1", port, (), 1)
        message = f"cannot listen on 127.0.0.1:{port}: Address already in use; try another --port"
        with pytest.raises(ConfigError, match=re.escape(message)):
            serve(config, None, on_ready=lambda _devices: pytest.fail("it serves"))


def test_of_workers_that_start_together_one_serves() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    command = [sys.executable, "-m", "glm3edge", "worker", "--port", str(port)]
    workers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ended: list[int] = []
    while len(ended) < 3:
        time.sleep(0.05)
        ended = [worker.returncode for worker in workers if worker.poll() is not None]
    (left,) = [worker for worker in workers if worker.poll() is None]
    assert left.stdout is not None
    assert left.stdout.readline().startswith(f"worker   127.0.0.1:{port}")
    left.terminate()
    errors = {
        worker.communicate(timeout=HANG_SECONDS)[1] for worker in workers if worker is not left
    }
    assert left.communicate(timeout=HANG_SECONDS)[1] == ""
    assert ended == [2, 2, 2]
    assert errors == {
        f"error: cannot listen on 127.0.0.1:{port}: Address already in use; try another --port\n"
    }


def test_a_wrong_device_is_an_error() -> None:
    result = run("worker", "--port", "0", "--device", "CUDA7")
    assert (result.returncode, result.stdout) == (8, "")
    assert result.stderr.startswith("error: device CUDA7 was not found; the devices are CPU")


@pytest.mark.parametrize("host", ["::1", "no such host"])
def test_a_wrong_host_is_an_error(host: str) -> None:
    with pytest.raises(ConfigError, match=f"--host {host}: give a name or an IPv4 address"):
        free_address(host, 0)


def test_a_free_port_is_found() -> None:
    address, port = free_address("localhost", 0)
    assert address == "127.0.0.1"
    assert port > 0
    assert free_address("localhost", port) == (address, port)
