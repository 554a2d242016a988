"""Folder that a command writes its results to, checked before they are computed."""

from collections.abc import Iterable
from pathlib import Path

from glm3edge.errors import ConfigError
from glm3edge_convert.files import check_is_writable
from glm3edge_convert.gguf.split import parts_of

JSON_FILE, TABLE_FILE, PLOT_FILE, ABOUT_FILE = "results.json", "table.md", "plot.svg", "about.json"


def make_results_folder(folder: Path, inputs: Iterable[Path]) -> None:
    """Make ``folder``, and check that the files above can be written there.

    Args:
        folder: the option ``--out``.
        inputs: what the command reads, which may not be overwritten.

    Raises:
        ConfigError: the folder or a file cannot be written.
    """
    files = [part for path in inputs for part in parts_of(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (JSON_FILE, TABLE_FILE, PLOT_FILE, ABOUT_FILE):
            check_is_writable(folder / name, files)
    except OSError as exc:
        raise ConfigError(f"--out {exc.filename or folder}: {exc.strerror or exc}") from exc
