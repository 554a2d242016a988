"""``glm3edge pull`` and ``glm3edge models``: downloading, listing and removing models."""

from dataclasses import asdict
from datetime import datetime, timezone
from typing import Annotated, Any

import typer

from glm3edge.commands.logs import start_logging
from glm3edge.commands.options import AsJson, CacheDir, LogLevel
from glm3edge.commands.tables import new_table, print_table
from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError
from glm3edge.store.cache import CachedModel
from glm3edge.store.hub.names import HubName, did_you_mean, parse_name
from glm3edge.store.store import Store
from glm3edge_convert.counts import counted
from glm3edge_convert.printable import json_text, one_line
from glm3edge_convert.progress import progress_bar

_MIB = 2**20


def pull_command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="owner/name on the Hugging Face hub, modelscope:owner/name, or chatglm3-6b; add "
            ":TYPE to convert it too, or :FILE for one GGUF file (or a pattern of its name).",
            show_default=False,
        ),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit. [main; ModelScope: master]")
    ] = None,
    quant_type: Annotated[str | None, typer.Option("--type", help="The same as NAME:TYPE.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the weights that are converted, too.")
    ] = False,
    cache_dir: CacheDir = None,
    log_level: LogLevel = None,
) -> None:
    """Download a model, or the files of it that are missing, to its hub's own cache folder.

    With a type, each file of the weights is converted as soon as it is there, and removed. What is
    complete in the hub's cache folder already stays there. Interrupted downloads are resumed.
    HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN and HF_HOME are respected, as are MODELSCOPE_ENDPOINT,
    MODELSCOPE_API_TOKEN and MODELSCOPE_CACHE.
    """
    start_logging(log_level)
    settings = load_settings(model=name, cache_dir=cache_dir)
    if settings.model is None:
        raise ConfigError("there is no model to pull: give a name, such as chatglm3-6b")
    hub_name = parse_name(settings.model)
    if hub_name is None:
        hint = did_you_mean(settings.model)
        raise ConfigError(
            f"{settings.model} is not the name of a repository{hint}: give owner/name"
        )
    with progress_bar() as progress:
        store = Store(settings.cache_dir, quant_type=quant_type, progress=progress)
        pulled = store.pull(hub_name.at(revision), keep=keep)
    size = f"{pulled.num_bytes / _MIB:,.1f} MiB in {counted(len(pulled.files), 'file')}"
    source = f"{size}, commit {pulled.listing.commit[:12]}"
    if not pulled.missing:
        print(f"{one_line(str(pulled.path))}: {source}")
    if pulled.converted is not None:
        size = f"{pulled.converted.stat().st_size / _MIB:,.1f} MiB"
        print(f"{one_line(str(pulled.converted))}: {size} from {source}")


def models_command(
    context: typer.Context, *, as_json: AsJson = False, cache_dir: CacheDir = None
) -> None:
    """List the models in the cache: converted models, and GGUF files that were pulled."""
    if context.invoked_subcommand is not None:
        return
    store = Store(load_settings(cache_dir=cache_dir).cache_dir)
    models = store.models()
    if as_json:
        print(json_text([_as_json(model) for model in models], indent=2))
        return
    if not models:
        print("The cache is empty: glm3edge serve and glm3edge pull put models there.")
        return
    table = new_table("NAME", ">SIZE", "TYPE", ">CONTEXT", "ORIGIN", "LAST USED")
    for model in models:
        table.add_row(
            model.name,
            f"{model.num_bytes / _MIB:,.1f} MiB",
            model.type or "?",
            str(model.context_length or "?"),
            model.origin.place if model.origin else "?",
            _when(model.last_used).strftime("%Y-%m-%d %H:%M"),
        )
    print_table(table)


def remove_command(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Names as in glm3edge models.")
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

    A GGUF file that was pulled is in the hub's cache folder, which other programs share. It is only
    removed with --with-checkpoint, together with the rest of its repository.
    """
    store = Store(load_settings(cache_dir=cache_dir).cache_dir)
    models = store.models()
    chosen = {model.path: model for model in (find_cached(name, models) for name in names)}
    repositories = {}
    for model in chosen.values():
        if with_checkpoint:
            name = _repository(model)
            repositories[name.repo] = name
        elif not model.is_converted:
            raise ConfigError(
                f"{model.name} is in the hub's cache, which other programs share: add "
                "--with-checkpoint to remove its repository from there"
            )
    for name in repositories.values():
        num_bytes = store.remove_repository(name)
        print(f"removed {name.repo} from the hub's cache: {num_bytes / _MIB:,.1f} MiB")
    for model in chosen.values():
        if model.is_converted:
            store.remove(model)
            print(f"removed {one_line(model.name)}: {model.num_bytes / _MIB:,.1f} MiB")


models = typer.Typer(rich_markup_mode=None, add_completion=False)
models.callback(invoke_without_command=True)(models_command)
models.command("rm")(remove_command)


def _repository(model: CachedModel) -> HubName:
    name = model.origin.repository if model.origin else None
    if name is None:
        place = model.origin.place if model.origin else "somewhere"
        raise ConfigError(f"{model.name} was made from {place}, which was not pulled from a hub")
    return name


def find_cached(name: str, models: list[CachedModel], *, missing: str = "model") -> CachedModel:
    """The model named ``name`` in the cache.

    Args:
        name: of the model.
        models: those in the cache.
        missing: what the error calls it if there is none.

    Raises:
        ConfigError: there is no such model, or there are several.
    """
    found = [model for model in models if model.is_called(name)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(model.name for model in found or models) or "nothing yet"
    if found:
        raise ConfigError(f"several models are called {name}: choose one of {known}")
    raise ConfigError(f"{missing} {name} was not found; the cache has {known}")


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
