"""``serve --open``, with a browser that writes down what it is given."""

import sys
import threading
import webbrowser
from pathlib import Path

import pytest

from glm3edge.commands.serve.browser import open_in_browser
from tests.support.cli import HANG_SECONDS

URL = "http://127.0.0.1:8000/"


def opened(capsys: pytest.CaptureFixture[str]) -> str:
    open_in_browser(URL)
    for thread in threading.enumerate():
        if thread.daemon and thread.name.endswith("(_open)"):
            thread.join(HANG_SECONDS)
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of browsers is made once in a process."""
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    monkeypatch.setattr(webbrowser, "_browsers", {})
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


def test_the_users_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "browser"
    script.write_text(f"#!/bin/sh\necho \"$1\" >'{tmp_path}/opened'\n")
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(script))
    assert opened(capsys) == ""
    assert (tmp_path / "opened").read_text() == f"{URL}\n"


@pytest.mark.parametrize("browser", [None, "/no/such/browser", "/bin/false"])
def test_no_browser(
    browser: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if browser is not None:
        monkeypatch.setenv("BROWSER", browser)
    assert opened(capsys) == f"open     no browser was found on this machine: open {URL} in yours\n"


@pytest.mark.skipif(sys.platform != "linux", reason="browsers for terminals are searched on Linux")
def test_browsers_for_terminals_do_not_take_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("w3m", "lynx", "elinks", "www-browser"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho >'{tmp_path}/opened'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm")
    assert "no browser was found" in opened(capsys)
    for name in ("w3m", "lynx", "www-browser"):
        (tmp_path / name).unlink()
    monkeypatch.setattr(webbrowser, "_tryorder", None)
    assert "no browser was found" in opened(capsys)
    assert not (tmp_path / "opened").exists()
