from pathlib import Path

import pytest

from glm3edge.llama import ggml
from glm3edge.llama.devices import Device, DeviceKind, gpu_backends, idle_backends


@pytest.fixture
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of llama.cpp's libraries: those of a build for CUDA and Vulkan, by their names."""
    for name in ("libggml-base.so", "libggml-cpu.so", "libggml-cuda.so", "libggml-vulkan.so.0"):
        (tmp_path / name).touch()
    monkeypatch.setattr(ggml, "_FOLDER", tmp_path)
    return tmp_path


def device(backend: str) -> Device:
    return Device(f"{backend}0", "a card", DeviceKind.GPU, backend, 0, 0)


@pytest.mark.usefixtures("libraries")
def test_backends_without_a_device_are_idle() -> None:
    assert gpu_backends() == ["CUDA", "Vulkan"]
    assert idle_backends([]) == ["CUDA", "Vulkan"]
    assert idle_backends([device("Vulkan"), device("RPC")]) == ["CUDA"]
    assert idle_backends([device("Vulkan"), device("CUDA")]) == []


def test_what_was_not_built_is_not_idle(libraries: Path) -> None:
    (libraries / "libggml-cuda.so").unlink()
    assert idle_backends([]) == ["Vulkan"]
