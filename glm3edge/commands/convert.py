"""``glm3edge convert``: the converter's command, which takes the names of repositories too."""

from functools import wraps
from pathlib import Path
from typing import Any

from glm3edge_convert import cli


@wraps(cli.convert_command)
def convert_command(source: Path, **options: Any) -> None:
    """Find the checkpoint, pulled if need be, and convert it."""
    cli.convert_command(source if source.exists() else _pulled(source), **options)


def _pulled(source: Path) -> Path:
    # Import the hubs' clients, which takes long.
    from glm3edge.config.settings import load_settings  # noqa: PLC0415
    from glm3edge.store.store import Store  # noqa: PLC0415
    from glm3edge_convert.progress import progress_bar  # noqa: PLC0415

    with progress_bar() as progress:
        store = Store(load_settings().cache_dir, progress=progress)
        return store.find_checkpoint(source.as_posix())
