"""``glm3edge config``, and the rule that names settings."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from glm3edge.commands.app import app
from glm3edge.commands.group import load_command
from glm3edge.config.settings import Settings

FILE = """
ctx-size = 1024
disk-cache = "1GiB"
rpc = ["box:1", "attic:2"]
api-key = "the-secret"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    monkeypatch.setenv("GLM3EDGE_CONFIG", str(path))
    monkeypatch.setenv("GLM3EDGE_PORT", "8010")
    monkeypatch.setenv("GLM3EDGE_ISOLATE", "1")
    return path


def test_values_and_where_they_come_from(file: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["config"])
    assert result.exit_code == 0, result.output
    first, _, _, *rows = result.stdout.splitlines()
    assert first == f"file  {file}"
    assert [row.split()[0] for row in rows] == [n.replace("_", "-") for n in Settings.model_fields]
    shown = {row.split()[0]: tuple(row.split(maxsplit=1)[1].rsplit(maxsplit=1)) for row in rows}
    assert shown["ctx-size"] == ("1024", str(file))
    assert shown["disk-cache"] == ("1GiB", str(file))
    assert shown["rpc"] == ("box:1,attic:2", str(file))
    assert shown["api-key"] == ("(not shown)", str(file))
    assert shown["port"] == ("8010", "GLM3EDGE_PORT")
    assert shown["isolate"] == ("on", "GLM3EDGE_ISOLATE")
    assert shown["gpu-layers"] == ("auto: what fits", "default")
    assert shown["max-body"] == ("16MiB", "default")
    assert shown["lora"] == ("none", "default")
    assert shown["model"] == ("a built-in demo", "default")


def test_as_json(file: Path) -> None:
    result = CliRunner().invoke(app, ["config", "--json"])
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["file"] == str(file)
    assert found["settings"]["rpc"] == {"value": ["box:1", "attic:2"], "from": str(file)}
    assert found["settings"]["disk-cache"] == {"value": 2**30, "from": str(file)}
    assert found["settings"]["parallel"] == {"value": 4, "from": "default"}
    assert "the-secret" not in result.stdout


def test_another_file_and_none(file: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--config", str(tmp_path / "none.toml"), "config"])
    assert result.exit_code == 2
    assert "cannot read the configuration file" in result.stderr
    (tmp_path / "none.toml").write_text("prot = 1")
    result = CliRunner().invoke(app, ["--config", str(tmp_path / "none.toml"), "config"])
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: {tmp_path / 'none.toml'}: prot is not a setting; did you mean port?\n"
    )


def test_one_rule_names_settings_in_all_places() -> None:
    """So that an option's name tells its variable, and its key in the file."""
    parameters = {parameter.name: parameter for parameter in load_command("serve").params}
    assert parameters.keys() == Settings.model_fields.keys()
    for name, parameter in parameters.items():
        option = name if name == "model" else f"--{name.replace('_', '-')}"
        assert parameter.opts[0] == option


@pytest.mark.parametrize("place", ["variable", "file"])
def test_the_level_of_the_log(
    place: str, file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if place == "file":
        file.write_text('log-level = "loud"')
        expected = f'{file}: log-level = "loud"'
    else:
        monkeypatch.setenv("GLM3EDGE_LOG_LEVEL", "loud")
        expected = "GLM3EDGE_LOG_LEVEL=loud"
    with pytest.raises(SystemExit) as ended:
        app(["chat", "hi"])
    assert ended.value.code == 2
    assert capfd.readouterr().err.startswith(f"error: {expected}: choose one of debug, ")
