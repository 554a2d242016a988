"""``glm3edge plan`` as a user meets it, and that ``serve`` does what it says."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from glm3edge.commands.app import app
from glm3edge.llama.child_process import ChildProcess
from glm3edge.llama.gguf_file import tensor_sizes
from glm3edge_convert.checkpoint.config import read_config
from glm3edge_convert.models.chatglm.hparams import parse_hparams
from tests.support.paths import GLM3_TINY

pytestmark = pytest.mark.slow

GIB = 2**30
TOLD = ("--bandwidth", "30GB/s", "--parallel", "2")
ALL_TYPES = ["q2_k", "q3_k_m", "q4_k_s", "q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16"]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["plan", *TOLD, *words])


def data(*words: str) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(*words: str) -> str:
    result = run(*words)
    assert result.exit_code != 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_nothing_exceeds_what_there_is() -> None:
    """A small card in a small machine, for all types."""
    found = data("--vram", "4GiB", "--ram", "8GiB")
    assert [entry["type"] for entry in found["types"]] == ALL_TYPES
    usable = {d["device"]: d["free"] - d["kept_free"] for d in found["devices"]}
    assert list(usable) == ["GPU0", "CPU"]
    assert {d["device"]: d["free"] for d in found["devices"]} == {"GPU0": 4 * GIB, "CPU": 8 * GIB}
    for entry in found["types"]:
        if not entry["fits"]:
            assert entry["needed_on_cpu"] > usable["CPU"]
            assert entry["memory"] is None
            continue
        for device, memory in entry["memory"].items():
            parts = ("weights", "keys_values", "compute", "output", "states")
            assert memory["total"] == sum(memory[part] for part in parts)
            assert memory["total"] <= usable[device]
        assert sum(entry["layers"].values()) == 29
    assert [entry["fits"] for entry in found["types"]] == [True] * 7 + [False]
    sizes = [entry["file_size"] for entry in found["types"]]
    assert sizes == sorted(sizes)
    assert found["keys_values"] == {"f16": 8192 * 28 * 1024, "q8_0": 8192 * 28 * 1024 * 34 // 64}
    assert found["recommended"]["type"] == "q4_k_s"


def test_what_waits_for_the_disk_cache_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most it is as much as the context's keys and values, and it is in RAM."""
    found = data("--vram", "16GiB", "--ram", "8GiB", "--type", "q4_k_m")
    memory = found["types"][0]["memory"]
    assert memory["CPU"]["states"] == memory["GPU0"]["keys_values"] == 8192 * 28 * 1024
    assert memory["GPU0"]["states"] == 0
    monkeypatch.setenv("GLM3EDGE_DISK_CACHE", "0")
    less = data("--vram", "16GiB", "--ram", "8GiB", "--type", "q4_k_m")["types"][0]["memory"]
    assert less["CPU"]["total"] == memory["CPU"]["total"] - memory["CPU"]["states"]


def test_keys_and_values_and_contexts() -> None:
    found = data("--vram", "0", "--ram", "3.05GiB", "--kv-type", "q8_0", "--type", "q2_k")
    (entry,) = found["types"]
    assert entry["memory"]["CPU"]["keys_values"] == found["keys_values"]["q8_0"]
    assert entry["largest_context"] == 8192
    found = data("--vram", "0", "--ram", "2.8GiB", "--type", "q2_k")
    (entry,) = found["types"]
    assert not entry["fits"]
    assert 0 < entry["largest_context"] < 8192
    assert found["recommended"] is None
    context = str(entry["largest_context"])
    again = data("--vram", "0", "--ram", "2.8GiB", "--type", "q2_k", "--ctx-size", context)
    assert again["types"][0]["fits"]


def test_speed_is_what_has_to_be_read() -> None:
    words = ("--ram", "16GiB", "--type", "q4_k_m")
    (cpu,) = data("--vram", "0", *words)["types"]
    assert cpu["tokens_per_second"] == pytest.approx(
        30e9 * 0.73 / cpu["read_per_token"]["CPU"], rel=0.01
    )
    assert not cpu["is_at_most"]
    (both,) = data("--vram", "2GiB", "--gpu-bandwidth", "200GB/s", *words)["types"]
    read = both["read_per_token"]
    seconds = read["CPU"] / (0.73 * 30e9) + read["GPU0"] / (0.6 * 200e9)
    assert both["tokens_per_second"] == pytest.approx(1 / seconds, rel=0.01)
    assert cpu["tokens_per_second"] < both["tokens_per_second"]
    # What is not read for each token is the embedding, of which it needs a row.
    assert cpu["memory"]["CPU"]["weights"] - 65024 * 4096 * 144 // 256 < read["CPU"] + read["GPU0"]


def test_fast_card_is_not_used_up_by_one_stream() -> None:
    """An H100 of 3,350 GB/s gave 298 tokens/s."""
    words = ("--vram", "80GiB", "--ram", "16GiB", "--type", "q4_k_m")
    for card in ("NVIDIA H100 80GB HBM3", "H200"):
        (entry,) = data(*words, "--gpu-bandwidth", card)["types"]
        assert entry["tokens_per_second"] == pytest.approx(298, rel=0.05)


def test_bandwidth_of_a_described_card_is_a_guess() -> None:
    words = ("--vram", "8GiB", "--ram", "16GiB", "--type", "q4_k_m")
    gpu, _ = data(*words)["devices"]
    assert (gpu["bandwidth"], gpu["bandwidth_source"]) == (200e9, "a guess")
    gpu, _ = data(*words, "--gpu-bandwidth", "rtx 4060")["devices"]
    assert (gpu["bandwidth"], gpu["bandwidth_source"]) == (272e9, "as given")
    output = run(*words).stdout
    assert " perhaps 3" in output
    assert "--gpu-bandwidth 'RTX 4060' names" in output
    assert " about 4" in run(*words, "--gpu-bandwidth", "RTX 4060").stdout


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ((), "glm3edge serve chatglm3-6b"),
        (("--type", "q2_k"), "glm3edge serve chatglm3-6b --type q2_k"),
        (
            ("--ctx-size", "2048", "--parallel", "2", "--kv-type", "q8_0"),
            "glm3edge serve chatglm3-6b --ctx-size 2048 --parallel 2 --kv-type q8_0",
        ),
    ],
    ids=["defaults", "type", "options"],
)
def test_command_has_only_what_is_not_the_default(words: tuple[str, ...], command: str) -> None:
    found = data("--vram", "0", "--ram", "8GiB", "--parallel", "4", *words)
    assert found["recommended"]["command"] == command


def test_faster_of_two_equals_is_named() -> None:
    """With a layer on the CPU, a type that is hardly smaller is much faster."""
    words = ("--vram", "4GiB", "--ram", "8GiB", "--gpu-bandwidth", "RTX 3050 Laptop")
    text = " ".join(run(*words).stdout.split())
    assert text.startswith("Yes: q4_k_s, about 2")
    assert " 28 of its 29 layers fit on the GPU, the others run on the CPU. " in text
    assert re.search(r" q4_k_s is about as good as q4_k_m and 1\.\d times as fast here\. ", text)
    found = data(*words, "--type", "q4_k_m", "--type", "q6_k")
    assert found["recommended"]["type"] == "q4_k_m"


def test_answer_comes_first_and_the_table_is_narrow() -> None:
    lines = run("--vram", "4GiB,6GiB", "--ram", "8GiB").stdout.splitlines()
    answer, command, table, *_ = _paragraphs(lines)
    assert answer[0].startswith("Yes: q6_k, perhaps ")
    assert " 8,192 tokens of context. All of its layers fit on the GPUs." in " ".join(answer)
    assert command == ["    glm3edge serve chatglm3-6b --type q6_k --parallel 2"]
    assert table[0].split() == [
        *("TYPE", "FILE", "LAYERS", "GPU0", "GPU1", "CPU", "BUFFERS", "CONTEXT", "TOKENS/S"),
        "FITS",
    ]
    assert [line.split()[0] for line in table[1:-1]] == ALL_TYPES
    assert table[-1].split() == ["available", "3.38", "5.38", "7.60"]
    assert max(map(len, table)) <= 80


def _paragraphs(lines: list[str]) -> list[list[str]]:
    return [list(part) for is_text, part in itertools.groupby(lines, bool) if is_text]


def test_models_that_are_known_need_not_be_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path))
    words = ("--vram", "0", "--ram", "16GiB", "--type", "q4_k_m", "--ctx-size", "16384")
    found = data("chatglm3-6b-32k", *words)
    assert found["recommended"]["command"] == (
        "glm3edge serve chatglm3-6b-32k --ctx-size 16384 --parallel 2"
    )
    assert found["context_size"] == 16384
    assert "(did you mean chatglm3-6b?)" in refused("chatglm3", *words)
    assert "no model of that name was pulled" in refused("someone/chatglm3-6b", *words)


def test_nothing_fits() -> None:
    lines = run("--vram", "0", "--ram", "1GiB").stdout.splitlines()
    assert re.fullmatch(
        r"No: it does not fit\. At least 2\.8\d GiB of RAM is needed, and 0\.75 GiB can be used\.",
        lines[0],
    )
    lines = run("--vram", "0", "--ram", "2.7GiB", "--type", "q2_k").stdout.splitlines()
    assert re.fullmatch(
        r"No: not with 8,192 tokens of context\. q2_k fits with --ctx-size \d+\.", lines[0]
    )
    assert not [line for line in lines if "glm3edge serve" in line]


def test_this_machine() -> None:
    """Without a word about another: its devices, its memory, its bandwidth."""
    result = CliRunner().invoke(app, ["plan", "--type", "q2_k", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["devices"][-1]["device"] == "CPU"
    assert found["devices"][-1]["free"] > 0
    assert found["devices"][-1]["bandwidth"] > 1e8


def test_worker_shares_the_layers(child: ChildProcess) -> None:
    (address,) = child.call("addresses")
    found = data("--rpc", address, "--ram", "8GiB", "--type", "q4_k_m")
    (entry,) = found["types"]
    assert entry["layers"] == {"RPC0": 29}
    assert f"--rpc {address}" in found["recommended"]["command"]
    assert entry["tokens_per_second"] is None or entry["is_at_most"]
    text = run("--rpc", address, "--ram", "8GiB", "--type", "q4_k_m").stdout
    assert "speed (RPC0)" in text or "(the bandwidth of RPC0 is not known)" in text


def test_file_has_its_own_type(glm3_tiny: dict[str, Path]) -> None:
    path = glm3_tiny["q8_0"]
    found = data(str(path), "--ram", "8GiB")
    (entry,) = found["types"]
    assert entry["type"] == "q8_0"
    assert entry["file_size"] == path.stat().st_size
    assert entry["memory"]["CPU"]["weights"] == sum(tensor_sizes(path).values())
    assert "--type" not in found["recommended"]["command"]
    assert "is q8_0" in refused(str(path), "--type", "f16")


def test_folder_needs_only_its_config(glm3_tiny: dict[str, Path], tmp_path: Path) -> None:
    """Its outline weighs as much as what it becomes."""
    (tmp_path / "config.json").write_bytes((GLM3_TINY / "config.json").read_bytes())
    found = data(str(tmp_path), "--ram", "8GiB", "--type", "q4_k_m", "--type", "F16")
    for entry in found["types"]:
        weights = sum(tensor_sizes(glm3_tiny[entry["type"]]).values())
        assert entry["memory"]["CPU"]["weights"] == weights
    context_size = parse_hparams(GLM3_TINY, read_config(GLM3_TINY)).context_size
    assert found["context_size"] == context_size


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--vram", "much"), "--vram much: write a size"),
        (("--ram", "-1GiB"), "--ram -1GiB: write a size"),
        (("--gpu-bandwidth", "fast"), "--gpu-bandwidth fast: write bytes per second"),
        (("--gpu-bandwidth", "0"), "--gpu-bandwidth 0: write bytes per second"),
        (("--vram", "4"), "--vram 4: the unit is missing; write 4GiB, for example"),
        (("--vram", "4GiB,6"), "--vram 6: the unit is missing"),
        (("--ram", " 7.5 "), "the unit is missing"),
        (("--bandwidth", "30"), "--bandwidth 30: the unit is missing; write 30GB/s, for example"),
        (("--type", "q9"), "unknown type 'q9'"),
        (("nowhere/to-be-found",), "no model of that name was pulled"),
        (("--ctx-size", "-5"), "--ctx-size -5: "),
        (("--rpc", "127.0.0.1:9"), "cannot be reached"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_planned(words: tuple[str, ...], says: str) -> None:
    assert says in refused(*words)


def test_beyond_what_the_model_was_trained_for_nothing_is_recommended() -> None:
    words = ("--ram", "64GiB", "--vram", "0", "--type", "q4_k_m", "--ctx-size")
    assert data(*words, "8192")["recommended"]
    assert data(*words, "8448")["recommended"] is None
    text = run(*words, "8448").stdout
    assert text.startswith("No: the model was trained for 8,192 tokens")
    assert "take --ctx-size 8192" in text
    assert "glm3edge serve" not in text


def test_a_folder_is_judged_as_convert_judges_it(tmp_path: Path) -> None:
    config = json.loads((GLM3_TINY / "config.json").read_text("utf-8"))
    config |= {"seq_length": 32768}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    assert "ChatGLM3 or ChatGLM2?" in refused(str(tmp_path))
    (tmp_path / "tokenization_chatglm.py").write_text('"[Round {}]"', "utf-8")
    assert "holds ChatGLM2, not ChatGLM3" in refused(str(tmp_path))


def test_folder_without_a_config(tmp_path: Path) -> None:
    assert "config.json is missing" in refused(str(tmp_path))
