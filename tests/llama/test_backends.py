import logging

import pytest

from glm3edge.llama import backends, library


def test_the_cpu_is_a_backend_with_one_device_and_no_gpu() -> None:
    library.start()
    assert backends.device_counts()["CPU"] == 1
    assert "CPU" not in backends.gpu_backends()
    assert "RPC" not in backends.gpu_backends()


def test_backends_without_a_gpu_are_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(library, "gpu_backends", lambda: {"CUDA": 0, "Vulkan": 1})
    with caplog.at_level(logging.WARNING, logger="glm3edge.llama"):
        library._warn_of_idle_backends()
    (record,) = caplog.records
    assert "built for CUDA and finds no GPU" in record.message
