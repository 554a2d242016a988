"""``glm3edge bench``: options in, a table out."""

import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glm3edge.commands.bench.scenarios import SCENARIOS, Load
from glm3edge.commands.logs import start_logging
from glm3edge.commands.options import LogLevel
from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError
from glm3edge.placement.machine.cores import num_threads

if TYPE_CHECKING:
    from glm3edge.commands.bench.bare import BareLoop
    from glm3edge.commands.bench.run import Results


def bench_command(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A GGUF file, a checkpoint folder or a repository. Default: the built-in demo.",
            show_default=False,
        ),
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(help=f"One of {', '.join(SCENARIOS)}. Repeatable. [all]"),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Numbers of each scenario.")] = 3,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens of a reply.")] = 64,
    requests: Annotated[int, typer.Option(min=1, help="Replies of one stream.")] = 8,
    clients: Annotated[int, typer.Option(min=1, help="Clients at once.")] = 16,
    sentences: Annotated[int, typer.Option(min=1, help="Sentences of a long prompt.")] = 24,
    ctx_size: Annotated[int, typer.Option(min=256, help="Tokens of context.")] = 4096,
    threads: Annotated[int | None, typer.Option(help="Compute threads. [physical cores]")] = None,
    llama_server: Annotated[
        str | None, typer.Option(help="llama.cpp's server, to compare with. [the one on PATH]")
    ] = None,
    options: Annotated[
        str, typer.Option(help="More options of `glm3edge serve`.")
    ] = "--no-drafts --disk-cache 0",
    out: Annotated[
        Path | None, typer.Option(help="Folder for results.json, table.md and plot.svg.")
    ] = None,
    log_level: LogLevel = "warning",
) -> None:
    """Measure this machine: the server, and peers that are installed, against the bare engine."""
    start_logging(log_level)
    # What takes long to import is imported once there is something to wait for.
    from glm3edge.commands.bench import systems as known  # noqa: PLC0415
    from glm3edge.commands.bench.report import markdown  # noqa: PLC0415
    from glm3edge.commands.bench.run import run  # noqa: PLC0415
    from glm3edge.store.store import Store  # noqa: PLC0415

    names = _known_names(scenario)
    settings = load_settings(threads=threads)
    path = Store(settings.cache_dir, quant_type=settings.type).find(model)
    load = Load(
        num_tokens=tokens,
        num_requests=requests,
        num_clients=clients,
        num_prompt_sentences=sentences,
    )
    common = {"context_size": ctx_size, "threads": num_threads(settings.threads)}
    with tempfile.TemporaryDirectory() as cache:
        ours = known.glm3edge(path, parallel=clients, cache=Path(cache), options=options, **common)
        peers = known.peers(path, program=llama_server, parallel=clients, **common)
        results = run(
            [ours, *peers],
            partial(_bare_loop, path, num_sequences=clients, **common),
            names,
            load=load,
            num_rounds=rounds,
            say=_say,
        )
    print(markdown(results), end="")
    if out is not None:
        _write(results, out, path)


def _known_names(given: list[str] | None) -> list[str]:
    for name in given or ():
        if name not in SCENARIOS:
            raise ConfigError(f"there is no scenario {name}: choose from {', '.join(SCENARIOS)}")
    return given or list(SCENARIOS)


def _bare_loop(path: Path, *, context_size: int, num_sequences: int, threads: int) -> "BareLoop":
    from glm3edge.commands.bench.bare import BareLoop  # noqa: PLC0415
    from glm3edge.serving.backend import BATCH_SIZE  # noqa: PLC0415

    return BareLoop(
        path,
        context_size=context_size,
        batch_size=BATCH_SIZE,
        num_sequences=num_sequences,
        num_threads=threads,
    )


def _write(results: "Results", out: Path, model: Path) -> None:
    from glm3edge.commands.bench.report import markdown, plot  # noqa: PLC0415

    out.mkdir(parents=True, exist_ok=True)
    results.write(out / "results.json")
    command = [Path(word).name if os.sep in word else word for word in sys.argv[1:]]
    about = {"model": model.name, "date": time.strftime("%Y-%m-%d"), "command": command}
    (out / "about.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    (out / "table.md").write_text(markdown(results), encoding="utf-8")
    try:
        plot(results, out / "plot.svg")
    except ConfigError as exc:
        _say(f"no plot.svg: {exc}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
