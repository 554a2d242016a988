"""The command on this machine, and what it says of workers."""

import json
import platform
import socket
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from glm3edge.commands.doctor import examination
from glm3edge.commands.doctor.advice import Advice
from glm3edge.commands.doctor.examination import Bandwidth, Examination, Threads, Worker
from glm3edge.commands.doctor.processor import Processor
from glm3edge.commands.doctor.report import as_json, show
from glm3edge.llama.build import Build
from glm3edge.llama.devices import Device, DeviceKind
from glm3edge.placement.machine.memory import SystemMemory
from tests.support.cli import run
from tests.support.rpc_workers import new_worker

pytestmark = pytest.mark.slow

GIB = 2**30


def test_text() -> None:
    result = run("doctor", "--no-bandwidth")
    assert result.returncode == 0, result.stderr
    headings = [line for line in result.stdout.splitlines() if line[:1] not in {" ", ""}]
    assert [heading.rstrip() for heading in headings] == [
        "Devices",
        "Machine",
        "llama.cpp",
        "Advice",
    ]
    assert "bandwidth" not in result.stdout
    assert result.stderr == ""


def test_json_with_workers() -> None:
    worker = new_worker()
    try:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            gone = f"127.0.0.1:{closed.getsockname()[1]}"
            result = run("doctor", "--json", "--rpc", f"{worker.address},{gone}")
    finally:
        worker.kill()
    assert result.returncode == 8
    assert result.stderr == (f"error: the worker {gone} cannot be reached (Connection refused)\n")
    found = json.loads(result.stdout)
    assert found["build"]["features"]["CPU"]
    assert {"cpu", "rpc"} <= set(found["build"]["backends"])
    (cpu,) = [device for device in found["devices"] if device["name"] == "CPU"]
    assert 0 < cpu["memory_free"] < cpu["memory_total"]
    first, second = found["workers"]
    assert [device["name"] for device in first["devices"]] == ["RPC0"]
    assert (first["fault"], second["devices"]) == (None, [])
    bandwidth = found["bandwidth"]
    assert 2e8 < bandwidth["one_thread"] <= bandwidth["all_threads"] < 5e12
    assert bandwidth["tokens_per_second"] == pytest.approx(
        0.73 * bandwidth["all_threads"] / 3.729e9, rel=1e-3
    )


def test_a_busy_worker_does_not_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "WORKER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        worker = examination._ask_worker(address)
    assert worker.devices == ()
    assert worker.fault is not None
    assert "one client at a time" in worker.fault


def test_it_looks_whether_this_is_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "release", lambda: "6.6.87.2-microsoft-standard-WSL2")
    found = examination.examine([], with_bandwidth=False)
    assert "This is WSL" in found.advice[-1].text
    assert f"{found.memory.total / GIB:.1f} GiB" in found.advice[-1].text


def test_a_wrong_address_is_an_error() -> None:
    result = run("doctor", "--rpc", "here:there")
    assert result.returncode == 2
    assert "'here:there'" in result.stderr


def test_a_library_that_cannot_be_loaded(tmp_path: Path) -> None:
    result = run("doctor", LLAMA_CPP_LIB_PATH=str(tmp_path))
    assert (result.returncode, result.stdout) == (8, "")
    assert result.stderr.startswith("error: llama.cpp cannot be loaded: ")
    assert "    rm -r .venv && make serve\n" in result.stderr
    assert "Traceback" not in result.stderr


def examination_of(*devices: Device) -> Examination:
    return Examination(
        devices=devices,
        workers=(Worker("10.0.0.2:50052", (device("RPC0", "10.0.0.2:50052"),)),),
        build=Build("0.3.36", "0.25.3", ("cpu",), {"CUDA": {"ARCHS": "860", "FA": "1"}}),
        processor=Processor("龙芯 3A6000", "loongarch64", frozenset({"lsx"})),
        instruction_sets=(),
        unused_sets=("AVX2",),
        threads=Threads(8, 4, 4),
        memory=SystemMemory(16 * GIB, 9 * GIB),
        bandwidth=Bandwidth(10e9, 20e9),
        gpus=(),
        advice=(Advice("[b]缺少驱动[/b]", ("sudo apt install " + "x" * 120,), is_fault=True),),
    )


def device(name: str, description: str) -> Device:
    return Device(name, description, DeviceKind.GPU, "CUDA", 3 * GIB, 8 * GIB)


def test_chinese_names_keep_columns_apart() -> None:
    found = examination_of(
        device("CUDA0", "NVIDIA GeForce RTX 4090"), device("CUDA1", "摩尔线程 MTT S80 显卡")
    )
    console = Console(width=100, markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        show(found, console)
    lines = capture.get().splitlines()
    rows = [line for line in lines if "3,072 MiB" in line]
    assert len(rows) == 3
    assert len({cell_len(row[: row.index("3,072 MiB")]) for row in rows}) == 1
    assert "  !  [b]缺少驱动[/b]" in [line.rstrip() for line in lines]
    assert "      sudo apt install " + "x" * 120 in lines
    text = "\n".join(lines)
    assert "ARCHS=860 FA" in text
    assert "about 3.9 tokens/s" in text


def test_data_has_all_of_it() -> None:
    value = as_json(examination_of(device("CUDA0", "名")))
    assert value["devices"][0]["kind"] == "gpu"
    assert value["processor"]["flags"] == ["lsx"]
    assert value["advice"][0]["is_fault"] is True
    assert value["bandwidth"]["tokens_per_second"] == pytest.approx(3.9, abs=0.05)
