"""Backends by the names of their files."""

from pathlib import Path

from glm3edge.llama.backends import backends_in, installed_backends


def test_their_files(tmp_path: Path) -> None:
    names = ["libggml-base.so", "libggml.so", "libggml-cpu.so", "libggml-cpu.so.0", "ggml-rpc.dll"]
    for name in [*names, "libggml-metal.dylib", "libggml-cpu-haswell.so", "libllama.so"]:
        (tmp_path / name).touch()
    assert backends_in(tmp_path) == ("cpu", "metal", "rpc")
    assert backends_in(tmp_path / "nowhere") == ()


def test_what_is_installed() -> None:
    assert {"cpu", "rpc"} <= set(installed_backends())
