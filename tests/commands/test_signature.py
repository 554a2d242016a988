"""Commands from dataclasses of options: order, sections, defaults, and settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from glm3edge.commands.group import PlainCommand
from glm3edge.commands.signature import Options, takes
from glm3edge.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LogOptions(Options, heading="Log"):
    level: Annotated[str, typer.Option(help="Level.")] = "info"


@dataclass(frozen=True, kw_only=True)
class LimitOptions(Options, heading="Limits"):
    queue: Annotated[int | None, typer.Option(help="Queue.")] = None
    rpc: Annotated[list[str] | None, typer.Option(help="Workers.")] = None


@dataclass(frozen=True, kw_only=True)
class CountOptions(LimitOptions, LogOptions):
    file: Annotated[Path, typer.Argument(help="File.")]
    port: Annotated[int | None, typer.Option(help="Port.")] = None


seen: list[CountOptions] = []


@takes(CountOptions)
def count_command(options: CountOptions) -> None:
    """Count what is in a file."""
    seen.append(options)


app = typer.Typer(rich_markup_mode=None, add_completion=False)
app.command(cls=PlainCommand)(count_command)


def test_help_has_the_class_first_and_a_section_for_each_base() -> None:
    lines = CliRunner().invoke(app, ["--help"]).stdout.splitlines()
    assert "  Count what is in a file." in lines
    shown = [line.split()[0] for line in lines if line.endswith(":") or line.startswith("  -")]
    assert shown == [
        *("Arguments:", "Options:", "--port", "--help"),
        *("Limits:", "--queue", "--rpc", "Log:", "--level"),
    ]


def test_the_command_gets_an_object() -> None:
    result = CliRunner().invoke(app, ["a.txt", "--port", "1", "--rpc", "x", "--rpc", "y"])
    assert result.exit_code == 0, result.output
    assert seen.pop() == CountOptions(file=Path("a.txt"), port=1, rpc=["x", "y"])
    assert CliRunner().invoke(app, []).exit_code == 2


def test_settings_are_the_fields_that_are_named_so() -> None:
    settings = CountOptions(file=Path(), port=1).settings(host="::1")
    assert (settings.port, settings.host, settings.queue, settings.rpc) == (1, "::1", 64, ())
    with pytest.raises(ConfigError, match=r"^--port 70000: "):
        CountOptions(file=Path(), port=70_000).settings()


def test_no_value_and_an_empty_list_leave_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLM3EDGE_QUEUE", "3")
    monkeypatch.setenv("GLM3EDGE_RPC", "box:1")
    settings = CountOptions(file=Path(), rpc=[]).settings()
    assert (settings.queue, settings.rpc) == (3, ("box:1",))
