"""``glm3edge bench`` on the built-in model: one short round."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.live


def bench(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "glm3edge", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)


def test_one_round(tmp_path: Path) -> None:
    scenarios = ("one-stream", "many-clients", "second-turn", "restart", "embeddings")
    result = bench(
        *(word for name in scenarios for word in ("--scenario", name)),
        *("--rounds", "1", "--tokens", "4", "--requests", "2", "--clients", "2"),
        *("--sentences", "8", "--ctx-size", "1024"),
    )
    assert result.returncode == 0, result.stderr
    for row in (
        "| one stream | glm3edge |",
        "| many clients | bare loop |",
        "| after a restart",
        "| embeddings |",
    ):
        assert row in result.stdout
    assert "embeddings, round 1 of 1" in result.stderr
    assert "\n- " not in result.stdout  # nothing failed


def test_an_unknown_scenario() -> None:
    result = bench("--scenario", "no-such")
    assert result.returncode == 2
    assert "unknown scenario no-such: choose from one-stream" in result.stderr


def test_a_server_that_does_not_start_is_said_so(tmp_path: Path) -> None:
    result = bench(
        *("--scenario", "one-stream", "--rounds", "1", "--tokens", "2", "--requests", "1"),
        *("--clients", "1", "--llama-server", "/bin/false", "--out", str(tmp_path)),
    )
    assert "- llama-server: llama-server ended at once" in result.stdout
    numbers = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["numbers"]
    assert set(numbers["one-stream"]) == {"glm3edge", "bare loop"}
    assert (tmp_path / "plot.svg").is_file()
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == result.stdout
