"""The command line of ``glm3edge bench``."""

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glm3edge.commands.bench.scenarios import SCENARIOS, Load
from glm3edge.commands.logs import start_logging
from glm3edge.commands.options import LogLevelOptions, Out, Threads
from glm3edge.commands.results import (
    ABOUT_FILE,
    JSON_FILE,
    PLOT_FILE,
    TABLE_FILE,
    make_results_folder,
)
from glm3edge.commands.signature import takes
from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError
from glm3edge.placement.machine.cores import num_threads
from glm3edge_convert.files import write_text

if TYPE_CHECKING:
    from glm3edge.commands.bench.bare import BareLoop
    from glm3edge.commands.bench.run import Results


@dataclass(frozen=True, kw_only=True)
class BenchOptions(LogLevelOptions):
    """Options of ``glm3edge bench``."""

    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A GGUF file, a checkpoint folder or a repository. Default: the built-in demo.",
            show_default=False,
        ),
    ] = None
    scenario: Annotated[
        list[str] | None,
        typer.Option(help=f"One of {', '.join(SCENARIOS)}. Repeatable. [all]"),
    ] = None
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each scenario.")] = 3
    tokens: Annotated[int, typer.Option(min=2, help="Tokens of a reply.")] = 64
    requests: Annotated[int, typer.Option(min=1, help="Replies of one stream.")] = 8
    clients: Annotated[int, typer.Option(min=1, help="Clients at once.")] = 16
    sentences: Annotated[int, typer.Option(min=1, help="Sentences of a long prompt.")] = 24
    ctx_size: Annotated[int, typer.Option(min=256, help="Tokens of context.")] = 4096
    threads: Threads = None
    llama_server: Annotated[
        str | None, typer.Option(help="llama.cpp's server, to compare with. [the one on PATH]")
    ] = None
    serve_options: Annotated[
        str, typer.Option("--options", help="More options for `glm3edge serve`.")
    ] = "--no-drafts --disk-cache 0"
    out: Out = None

    @property
    def load(self) -> Load:
        """Load of the scenarios."""
        return Load(
            num_tokens=self.tokens,
            num_requests=self.requests,
            num_clients=self.clients,
            num_prompt_sentences=self.sentences,
        )


@takes(BenchOptions)
def bench_command(options: BenchOptions) -> None:
    """Benchmark the server on this machine, and other servers that are installed.

    Each is compared with the bare engine, which decodes and samples and does nothing else.
    """
    start_logging(options.log_level)
    # Import llama.cpp, which takes long.
    from glm3edge.commands.bench.report import show  # noqa: PLC0415
    from glm3edge.store.store import Store  # noqa: PLC0415

    names = _known_names(options.scenario)
    settings = load_settings(model=options.model, threads=options.threads)
    path = Store(settings.cache_dir, quant_type=settings.type).find(settings.model)
    if options.out is not None:
        make_results_folder(options.out, [path])
    results = _measure(options, path, names, threads=num_threads(settings.threads))
    show(results)
    if options.out is not None:
        _write(results, options.out, path)


def _measure(options: BenchOptions, path: Path, names: list[str], *, threads: int) -> "Results":
    from glm3edge.commands.bench import systems  # noqa: PLC0415
    from glm3edge.commands.bench.run import run  # noqa: PLC0415

    parallel = options.clients
    common = {"context_size": options.ctx_size, "threads": threads}
    with tempfile.TemporaryDirectory() as cache:
        ours = systems.glm3edge(
            path, parallel=parallel, cache=Path(cache), options=options.serve_options, **common
        )
        peers = systems.peers(path, program=options.llama_server, parallel=parallel, **common)
        return run(
            [ours, *peers],
            partial(_bare_loop, path, num_sequences=parallel, **common),
            names,
            load=options.load,
            num_rounds=options.rounds,
            on_progress=_print_error,
        )


def _known_names(given: list[str] | None) -> list[str]:
    for name in given or ():
        if name not in SCENARIOS:
            raise ConfigError(f"unknown scenario {name}: choose from {', '.join(SCENARIOS)}")
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

    results.write(out / JSON_FILE)
    command = [Path(word).name if os.sep in word else word for word in sys.argv[1:]]
    about = {"model": model.name, "date": time.strftime("%Y-%m-%d"), "command": command}
    write_text(out / ABOUT_FILE, json.dumps(about, indent=2) + "\n")
    write_text(out / TABLE_FILE, markdown(results))
    try:
        plot(results, out / PLOT_FILE)
    except ConfigError as exc:
        _print_error(f"no plot.svg: {exc}")


def _print_error(text: str) -> None:
    print(text, file=sys.stderr)
