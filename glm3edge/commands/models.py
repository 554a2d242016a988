"""``glm3edge pull``, ``models`` and ``inspect``: models on the disk, without running one."""

import json
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from glm3edge.commands.logs import start_logging
from glm3edge.commands.options import LogLevel
from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError
from glm3edge.store.cache import CachedModel
from glm3edge.store.hub.names import parse_name
from glm3edge.store.inspection import Inspection, LongArray, inspect
from glm3edge.store.store import Store
from glm3edge_convert.progress import progress_bar

_MIB = 2**20
_MAX_TEXT = 100  # characters of a metadata text in the table

CacheDir = Annotated[
    Path | None, typer.Option(help="Where converted models are kept. [the platform's]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def pull_command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="owner/name on the Hugging Face hub, or modelscope:owner/name; then :TYPE to "
            "convert it too, or :FILE for one GGUF file (a pattern will do).",
        ),
    ],
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit. [main; ModelScope: master]")
    ] = None,
    type: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(help="The same as NAME:TYPE.")
    ] = None,
    cache_dir: CacheDir = None,
    log_level: LogLevel = "warning",
) -> None:
    """Download a model, or what is missing of it, into its hub's own cache folder.

    HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN and HF_HOME are obeyed. What was cut off goes on.
    """
    start_logging(log_level)
    hub_name = parse_name(name)
    if hub_name is None:
        raise ConfigError(f"{name} is no repository's name: give owner/name")
    settings = load_settings(cache_dir=cache_dir)
    with progress_bar() as progress:
        store = Store(settings.cache_dir, quant_type=type, progress=progress)
        pulled = store.pull(hub_name.at(revision))
    size = f"{pulled.num_bytes / _MIB:,.1f} MiB in {len(pulled.files)} files"
    print(f"{pulled.path}: {size}, commit {pulled.listing.commit[:12]}")


def models_command(
    context: typer.Context, *, as_json: AsJson = False, cache_dir: CacheDir = None
) -> None:
    """List what is in the cache: converted models, and GGUF files that were pulled."""
    if context.invoked_subcommand is not None:
        return
    store = Store(load_settings(cache_dir=cache_dir).cache_dir)
    models = store.models()
    if as_json:
        print(json.dumps([_as_json(model) for model in models], indent=2, ensure_ascii=False))
        return
    if not models:
        print("nothing: glm3edge serve and glm3edge pull put models there")
        return
    table = _table("NAME", ">SIZE", "TYPE", ">CONTEXT", "ORIGIN", "LAST USED")
    for model in models:
        table.add_row(
            model.name,
            f"{model.num_bytes / _MIB:,.1f} MiB",
            model.type or "?",
            str(model.context_length or "?"),
            model.origin.place if model.origin else "?",
            _when(model.last_used).strftime("%Y-%m-%d %H:%M"),
        )
    _print(table)


def remove_command(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="As glm3edge models lists them.")
    ],
    with_checkpoint: Annotated[
        bool,
        typer.Option(
            "--with-checkpoint", help="Also remove the repository from the hub's cache folder."
        ),
    ] = False,
    cache_dir: CacheDir = None,
) -> None:
    """Remove converted models from the cache, all of them or none.

    A GGUF file that was pulled is in the hub's cache folder, which other programs share: it goes
    with all that is there of its repository, and only with --with-checkpoint.
    """
    store = Store(load_settings(cache_dir=cache_dir).cache_dir)
    models = store.models()
    called = [_called(name, models) for name in names]
    chosen = {model.path: model for model in called}
    repositories = {}
    for model in chosen.values():
        name = model.origin.repository if model.origin else None
        if not with_checkpoint and not model.is_converted:
            raise ConfigError(
                f"{model.name} is in the hub's cache, which other programs share: add "
                "--with-checkpoint to remove its repository from there"
            )
        if with_checkpoint and name is None:
            place = model.origin.place if model.origin else "somewhere"
            raise ConfigError(f"{model.name} was made from {place}, which no hub put there")
        if with_checkpoint and name is not None:
            repositories[name.repo] = name
    for name in repositories.values():
        num_bytes = store.remove_repository(name)
        print(f"removed {name.repo} from the hub's cache: {num_bytes / _MIB:,.1f} MiB")
    for model in chosen.values():
        if model.is_converted:
            store.remove(model)
            print(f"removed {model.name}: {model.num_bytes / _MIB:,.1f} MiB")


models = typer.Typer(rich_markup_mode=None, add_completion=False)
models.callback(invoke_without_command=True)(models_command)
models.command("rm")(remove_command)


def inspect_command(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A GGUF file, or a name of glm3edge models.")
    ],
    tensors: Annotated[bool, typer.Option("--tensors", help="List each tensor.")] = False,
    as_json: AsJson = False,
    cache_dir: CacheDir = None,
) -> None:
    """Show the metadata of a GGUF file, its tensor types and sizes."""
    path = Path(file).expanduser()
    if not path.exists():
        models = Store(load_settings(cache_dir=cache_dir).cache_dir).models()
        path = _called(file, models, missing="file").path
    inspection = inspect(path)
    if as_json:
        value = _inspection_as_json(inspection, with_tensors=tensors)
        print(json.dumps(value, indent=2, ensure_ascii=False))
        return
    _print_metadata(inspection)
    print()
    _print_types(inspection)
    if tensors:
        print()
        _print_tensors(inspection)


def _called(name: str, models: list[CachedModel], *, missing: str = "model") -> CachedModel:
    """The one model that is called ``name``; if there is none, what is ``missing`` is told.

    Raises:
        ConfigError: there is none, or there are several.
    """
    found = [model for model in models if name in model.aliases]
    if len(found) == 1:
        return found[0]
    known = ", ".join(model.name for model in found or models) or "nothing yet"
    if found:
        raise ConfigError(f"several models are called {name}: choose one of {known}")
    raise ConfigError(f"there is no {missing} {name}; in the cache there is: {known}")


def _as_json(model: CachedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "path": str(model.path),
        "converted": model.is_converted,
        "bytes": model.num_bytes,
        "type": model.type,
        "context_length": model.context_length,
        "origin": asdict(model.origin) if model.origin else None,
        "last_used": _when(model.last_used).isoformat(timespec="seconds"),
    }


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc).astimezone()


def _inspection_as_json(inspection: Inspection, *, with_tensors: bool) -> dict[str, Any]:
    value: dict[str, Any] = {
        "path": str(inspection.path),
        "bytes": inspection.num_bytes,
        "metadata": {
            key: asdict(item) if isinstance(item, LongArray) else item
            for key, item in inspection.metadata.items()
        },
        "types": [
            {"type": total.type, "tensors": total.num_tensors, "bytes": total.num_bytes}
            for total in inspection.type_totals
        ],
    }
    if with_tensors:
        value["tensors"] = [
            {"name": t.name, "type": t.type, "shape": t.shape, "bytes": t.num_bytes}
            for t in inspection.tensors
        ]
    return value


def _print_metadata(inspection: Inspection) -> None:
    print(f"{inspection.path}: {inspection.num_bytes / _MIB:,.1f} MiB")
    print()
    table = _table("KEY", "VALUE")
    for key, value in inspection.metadata.items():
        table.add_row(key, _shortened(value))
    _print(table)


def _shortened(value: object) -> str:
    if isinstance(value, LongArray):
        first = ", ".join(_shortened(item) for item in value.first)
        return f"[{first}, ...] ({value.length:,} elements)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}... ({len(text):,} characters)"


def _print_types(inspection: Inspection) -> None:
    table = _table("TYPE", ">TENSORS", ">SIZE")
    totals = inspection.type_totals
    for total in totals:
        table.add_row(total.type, str(total.num_tensors), f"{total.num_bytes / _MIB:,.1f} MiB")
    num_bytes = sum(total.num_bytes for total in totals)
    table.add_row("all", str(len(inspection.tensors)), f"{num_bytes / _MIB:,.1f} MiB")
    _print(table)


def _print_tensors(inspection: Inspection) -> None:
    table = _table("TENSOR", "TYPE", ">SHAPE", ">BYTES")
    for tensor in inspection.tensors:
        shape = " x ".join(map(str, tensor.shape))
        table.add_row(tensor.name, tensor.type, shape, f"{tensor.num_bytes:,}")
    _print(table)


def _table(*headings: str) -> Table:
    """A table without lines; ``>`` before a heading puts its column to the right."""
    table = Table(box=None, pad_edge=False, header_style="")
    for heading in headings:
        justify: Any = "right" if heading.startswith(">") else "left"
        table.add_column(heading.removeprefix(">"), justify=justify, overflow="fold")
    return table


def _print(table: Table) -> None:
    """To a terminal as wide as it is, elsewhere as wide as the table."""
    width = None if sys.stdout.isatty() else 10_000
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip())
