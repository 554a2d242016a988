"""The converter's commands that take the names of repositories too."""

from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glm3edge.errors import ConfigError
from glm3edge_convert import cli

if TYPE_CHECKING:
    from glm3edge.store.store import Store


@wraps(cli.convert_command)
def convert_command(source: Path, **options: Any) -> None:
    """Find the checkpoint, pulled if need be, and convert it."""
    cli.convert_command(source if source.exists() else _pulled(source), **options)


@wraps(cli.export_tokenizer_command)
def export_tokenizer_command(source: Path, output: Path | None, **options: Any) -> None:
    """Find the checkpoint among those that were pulled, and export its tokenizer."""
    if not source.exists():
        if output is None:
            raise ConfigError(
                f"{source} is no folder here, and a hub's cache is shared with other programs: "
                "say where to write, with -o FOLDER"
            )
        source = _store().look_up(source.as_posix())
    cli.export_tokenizer_command(source, output, **options)


def _pulled(source: Path) -> Path:
    from glm3edge_convert.progress import progress_bar  # noqa: PLC0415

    with progress_bar() as progress:
        return _store(progress=progress).find_checkpoint(source.as_posix())


def _store(**options: Any) -> "Store":
    # Import the hubs' clients, which takes long.
    from glm3edge.config.settings import load_settings  # noqa: PLC0415
    from glm3edge.store.store import Store  # noqa: PLC0415

    return Store(load_settings().cache_dir, **options)
