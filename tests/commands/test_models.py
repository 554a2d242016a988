"""``pull``, ``models`` and ``inspect`` as a user meets them, with a hub on loopback."""

import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import HANG_SECONDS
from tests.support.hub_server import TOKEN, HubServer, hub_server

pytestmark = pytest.mark.slow

MIB = 2**20


@dataclass(frozen=True)
class User:
    """Someone with a home of their own."""

    folder: Path
    hub: HubServer

    @property
    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return own | {
            "HF_ENDPOINT": self.hub.url,
            "HF_HOME": str(self.folder / "hf"),
            "GLM3EDGE_CACHE_DIR": str(self.folder / "cache"),
        }

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "glm3edge", *arguments],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )

    def num_bytes_on_the_way(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*.incomplete"))

    def ok(self, *arguments: str, **environment: str) -> str:
        result = self.run(*arguments, **environment)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def refused(self, code: int, *arguments: str, **environment: str) -> str:
        """The one line that says why, before those that may help (``test_remedies``)."""
        result = self.run(*arguments, LANG="C", **environment)
        assert result.returncode == code, (result.stdout, result.stderr)
        text, _, _ = result.stderr.partition("One of these may work:\n")
        (line,) = [x for x in text.splitlines() if "% " not in x]
        assert line.startswith("error: ")
        return line

    def models(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.ok("models", "--json"))
        return found


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    with hub_server() as hub:
        yield User(tmp_path, hub)


def test_pull_convert_list_remove(user: User, tiny_checkpoint: Path) -> None:
    user.hub.push_folder("zai-org/tiny", tiny_checkpoint)
    result = user.run("pull", "zai-org/tiny:q8_0")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^\d+% 1 of 2 files, \d+ of 31 tensors$", result.stderr, re.MULTILINE)
    assert "100% 2 of 2 files, 31 of 31 tensors" in result.stderr
    assert "4.1 MiB from 6.9 MiB in 6 files, commit " in result.stdout
    (model,) = user.models()
    assert result.stdout.startswith(f"{model['path']}: ")
    assert model["name"].startswith("tiny-q8_0-")
    assert (model["type"], model["context_length"], model["converted"]) == ("q8_0", 1024, True)
    assert model["origin"]["place"] == "zai-org/tiny"
    assert model["bytes"] == Path(model["path"]).stat().st_size
    heading, row = user.ok("models").splitlines()
    assert heading.split() == ["NAME", "SIZE", "TYPE", "CONTEXT", "ORIGIN", "LAST", "USED"]
    assert row.split()[:6] == [model["name"], "4.1", "MiB", "q8_0", "1024", "zai-org/tiny"]
    assert "model other was not found" in user.refused(2, "models", "rm", model["name"], "other")
    assert len(user.models()) == 1
    assert user.ok("models", "rm", model["name"]).startswith(f"removed {model['name']}: ")
    assert user.models() == []
    assert list((user.folder / "cache" / "converted").iterdir()) == []
    kept, converted = user.ok("pull", "zai-org/tiny:q8_0", "--keep").splitlines()
    assert "snapshots" in kept
    assert "6.9 MiB in 6 files, commit " in kept
    assert converted.startswith(f"{model['path']}: ")
    said = user.ok("models", "rm", "zai-org/tiny:q8_0", "--with-checkpoint")
    assert "removed zai-org/tiny from the hub's cache: 6.9 MiB" in said
    assert not list((user.folder / "hf" / "hub").glob("models--*"))
    assert list((user.folder / "cache" / "pulled").iterdir()) == []
    assert user.ok("models").startswith("The cache is empty: ")


def test_a_gguf_file(user: User, tiny_gguf: Path) -> None:
    user.hub.push("o/n", {"n-f16.gguf": tiny_gguf.read_bytes(), "n-q2_k.gguf": b"not wanted"})
    path = Path(user.ok("pull", "o/n", "--type", "f16").partition(": ")[0])
    assert path.read_bytes() == tiny_gguf.read_bytes()
    (model,) = user.models()
    assert (model["name"], model["type"], model["converted"]) == ("n-f16", "f16", False)
    assert "--with-checkpoint" in user.refused(2, "models", "rm", "n-f16")
    user.ok("models", "rm", "n-f16", "--with-checkpoint")
    assert user.models() == []


def test_plans_are_made_for_what_was_pulled(user: User, tiny_checkpoint: Path) -> None:
    """By its name, of the folder or the file that is there already; nothing is pulled for it."""
    words = ("--vram", "0", "--ram", "8GiB", "--bandwidth", "10GB/s", "--json")
    assert "no model of that name was pulled" in user.refused(2, "plan", "zai-org/tiny", *words)
    user.hub.push_folder("zai-org/tiny", tiny_checkpoint)
    user.ok("pull", "zai-org/tiny")
    user.hub.requests.clear()
    plan = json.loads(user.ok("plan", "zai-org/tiny", "--type", "q8_0", *words))
    assert plan["recommended"]["command"] == "glm3edge serve zai-org/tiny --type q8_0"
    assert user.hub.requests == []
    user.ok("pull", "zai-org/tiny:q8_0")
    (model,) = user.models()
    converted = json.loads(user.ok("plan", model["path"], *words))
    assert converted["types"][0]["memory"] == plan["types"][0]["memory"]


def test_a_cut_connection_goes_on_with_a_range(user: User) -> None:
    data = random.Random(3).randbytes(23 * MIB)
    user.hub.push("o/n", {"n.gguf": data})
    user.hub.cuts["n.gguf"] = [21 * MIB]
    path = Path(user.ok("pull", "o/n:n.gguf").partition(": ")[0])
    assert path.read_bytes() == data
    first, second = user.hub.bodies("n.gguf")
    assert first == (None, 21 * MIB)
    assert second == (f"bytes={21 * MIB}-", 2 * MIB)


def test_a_killed_pull_goes_on_in_the_next(user: User) -> None:
    data = random.Random(4).randbytes(23 * MIB)
    user.hub.push("o/n", {"n.gguf": data})
    user.hub.cuts["n.gguf"] = [12 * MIB, *[0] * 100]  # the next attempts get nothing
    command = [sys.executable, "-m", "glm3edge", "pull", "o/n"]
    with subprocess.Popen(command, env=user.environment, stderr=subprocess.DEVNULL) as process:
        while user.num_bytes_on_the_way() < 10 * MIB:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    user.hub.cuts.clear()
    user.hub.requests.clear()
    path = Path(user.ok("pull", "o/n").partition(": ")[0])
    assert path.read_bytes() == data
    ((asked, num_bytes),) = user.hub.bodies("n.gguf")
    assert 10 * MIB <= len(data) - num_bytes <= 12 * MIB  # it was killed in between
    assert asked == f"bytes={len(data) - num_bytes}-"
    assert user.num_bytes_on_the_way() == 0


def test_failures_of_pull_are_one_line(user: User, tiny_checkpoint: Path) -> None:
    hub = user.hub
    hub.push_folder("o/m", tiny_checkpoint)
    assert "no file or folder o/x, and no repository" in user.refused(11, "pull", "o/x")
    assert "no revision v9" in user.refused(11, "pull", "o/m", "--revision", "v9")
    assert "unknown type 'q9'" in user.refused(2, "pull", "o/m:q9")
    assert "no file matches o/m:x.gguf" in user.refused(11, "pull", "o/m:x.gguf")
    assert "(did you mean chatglm3-6b?): give owner" in user.refused(2, "pull", "chatglm3")
    offline = user.refused(11, "pull", "o/m", HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set: run glm3edge pull o/m once without it" in offline
    nowhere = user.refused(11, "pull", "o/m", HF_ENDPOINT="http://127.0.0.1:9")
    assert "http://127.0.0.1:9 cannot be reached" in nowhere
    hub.gated.add("o/m")
    assert f"accept its license on {hub.url}/o/m" in user.refused(11, "pull", "o/m")
    assert "HF_TOKEN is a valid" in user.refused(11, "pull", "o/m", HF_TOKEN="hf_no")  # noqa: S106
    hub.sent_instead["tokenizer.model"] = b"damaged"
    damaged = user.refused(11, "pull", "o/m", HF_TOKEN=TOKEN)
    assert "tokenizer.model of o/m arrived damaged" in damaged
    hub.sizes["model-00001-of-00002.safetensors"] = 10**18
    hub.sent_instead.clear()
    assert "MiB are needed" in user.refused(11, "pull", "o/m", HF_TOKEN=TOKEN)


def test_failures_of_serve(user: User) -> None:
    missing = user.refused(2, "serve", "no/such/model.gguf", "--port", "0")
    assert "no repository has that name" in missing
    assert "no file or folder o/x, and no rep" in user.refused(11, "serve", "o/x", "--port", "0")
    assert "HF_HUB_OFFLINE" in user.refused(11, "serve", "o/x", "--port", "0", HF_HUB_OFFLINE="1")


def test_what_may_help_is_said_in_chinese(user: User) -> None:
    environment = {"LC_ALL": "zh_CN.UTF-8", "HF_ENDPOINT": "http://127.0.0.1:9"}
    result = user.run("pull", "chatglm3-6b:q8_0", **environment)
    assert result.returncode == 11
    _, heading, *lines = result.stderr.splitlines()
    assert heading == "可以试试下面的命令："
    assert [line.rpartition(" glm3edge ")[2] for line in lines[1::2]] == [
        "pull modelscope:ZhipuAI/chatglm3-6b:q8_0",
        "pull zai-org/chatglm3-6b:q8_0",
        "serve ./chatglm3-6b",
    ]


def test_convert_takes_names_and_folders_of_the_cache(user: User, tiny_checkpoint: Path) -> None:
    user.hub.push_folder("THUDM/chatglm3-6b", tiny_checkpoint)
    words = ("--type", "q8_0", "-o")
    files = [user.folder / f"{name}.gguf" for name in ("pulled", "cached", "folder", "given")]
    user.ok("convert", "THUDM/chatglm3-6b", *words, str(files[0]))
    user.hub.requests.clear()
    user.ok("convert", "chatglm3-6b", *words, str(files[1]), HF_HUB_OFFLINE="1")
    (repository,) = (user.folder / "hf" / "hub").glob("models--*")
    user.ok("convert", str(repository), *words, str(files[2]))
    assert user.hub.requests == []
    (snapshot,) = (repository / "snapshots").iterdir()
    user.ok("convert", str(snapshot), *words, str(files[3]))
    assert len({file.read_bytes() for file in files}) == 1
    assert "did you mean chatglm3-6b" in user.refused(2, "convert", "chatglm3", *words, "x.gguf")
    assert "the folder does not exist" in user.refused(3, "convert", "nothing", *words, "x.gguf")
    assert not list((user.folder / "cache").rglob("*.gguf"))


def test_inspect(user: User, tiny_gguf: Path) -> None:
    text = user.ok("inspect", str(tiny_gguf))
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line]
    values = {words[0]: words[1] for words in lines if len(words) == 2}
    assert values["general.architecture"] == "chatglm"
    assert values["tokenizer.ggml.tokens"] == (
        "[<unk>, <s>, </s>, <0x00>, <0x01>, <0x02>, <0x03>, <0x04>, ...] (1,664 elements)"
    )
    assert values["F16"].split()[0] == "18"
    assert values["F32"].split()[0] == "13"
    assert values["all"].split()[0] == "31"
    assert text.splitlines()[0].endswith(" MiB")
    assert "blk.0.attn_qkv.weight" not in text
    listed = user.ok("inspect", str(tiny_gguf), "--tensors")
    assert listed.startswith(text)
    rows = [line.split() for line in listed.splitlines()]
    assert ["blk.0.attn_qkv.weight", "F16", "512", "x", "256", "262,144"] in rows
    value = json.loads(user.ok("inspect", str(tiny_gguf), "--json"))
    assert value["metadata"]["tokenizer.ggml.tokens"]["length"] == 1664
    assert {item["type"]: item["tensors"] for item in value["types"]} == {"F16": 18, "F32": 13}
    assert "tensors" not in value
    value = json.loads(user.ok("inspect", str(tiny_gguf), "--json", "--tensors"))
    assert len(value["tensors"]) == 31


def test_inspect_what_is_damaged(user: User, tiny_gguf: Path) -> None:
    path = user.folder / "cut.gguf"
    path.write_bytes(tiny_gguf.read_bytes()[:50_000])
    expected = f"error: cannot read {path}: it is damaged or cut off; convert or download it again"
    assert user.refused(8, "inspect", str(path)) == expected
    assert "file x.gguf was not found" in user.refused(2, "inspect", "x.gguf")
