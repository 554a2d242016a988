"""The ``imatrix`` command: a model and a text in, an importance matrix out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import rich.progress
import typer
from rich.console import Console

from glm3edge.chatglm3.calibration import DEFAULT_TEXT, encode
from glm3edge.commands.logs import start_logging
from glm3edge.commands.options import LogLevel
from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError
from glm3edge.placement.machine.cores import num_threads
from glm3edge.store.store import Store
from glm3edge_convert.gguf.writer import check_output
from glm3edge_convert.progress import progress_bar
from glm3edge_convert.quantize.imatrix import write_imatrix

if TYPE_CHECKING:
    from glm3edge.llama.importance import Importances
    from glm3edge.llama.model import Model


def imatrix_command(
    model: Annotated[
        str, typer.Argument(help="A GGUF file, or a checkpoint folder to convert once.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="GGUF file to write.")],
    text: Annotated[
        Path | None,
        typer.Option(
            help="What the model will be used for, as text in UTF-8. [glm3edge's own, bilingual]"
        ),
    ] = None,
    type: Annotated[  # noqa: A002 - the option's name
        str, typer.Option(help="Quantization of a checkpoint.")
    ] = "q8_0",
    chunk_size: Annotated[
        int, typer.Option(min=32, help="Tokens that are read at once, as a text of their own.")
    ] = 512,
    chunks: Annotated[
        int | None, typer.Option(min=1, help="Read no more than so many. [all]")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Compute threads.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output file.")
    ] = False,
    log_level: LogLevel = "warning",
) -> None:
    """Find out which columns of a model's matrices matter, for `convert --imatrix`."""
    start_logging(log_level)
    # Other commands do without llama.cpp.
    from glm3edge.llama.model import Model  # noqa: PLC0415

    check_output(output, overwrite=overwrite)
    settings = load_settings(threads=threads, type=type)
    text = text or DEFAULT_TEXT
    with progress_bar() as progress:
        path = Store(settings.cache_dir, quant_type=type, progress=progress).find(model)
    with Model(path) as opened:
        chunk_size = min(chunk_size, opened.context_length)
        pieces = _chunks(opened, _read(text), chunk_size)[:chunks]
        found = _collected(opened, pieces, num_threads=num_threads(settings.threads))
    write_imatrix(
        output,
        found.sums,
        found.counts,
        datasets=[text.name],
        num_chunks=len(pieces),
        chunk_size=chunk_size,
        overwrite=overwrite,
    )
    print(f"{output}: {len(found.sums)} matrices, from {len(pieces)} x {chunk_size} tokens")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as exc:
        raise ConfigError(f"--text {path}: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise ConfigError(f"--text {path} is not UTF-8") from exc


def _chunks(model: "Model", text: str, size: int) -> list[list[int]]:
    """The text in pieces of ``size`` tokens, each behind the prefix that the model expects."""
    from glm3edge.chatglm3.vocabulary import SpecialTokens  # noqa: PLC0415

    prefix = list(SpecialTokens.of(model).prefix)
    ids, step = encode(text, model), size - len(prefix)
    chunks = [prefix + ids[at : at + step] for at in range(0, len(ids) - step + 1, step)]
    if not chunks:
        raise ConfigError(f"--text has {len(ids)} tokens, and a chunk takes {step}: give more text")
    return chunks


def _collected(model: "Model", chunks: list[list[int]], *, num_threads: int) -> "Importances":
    from glm3edge.llama.importance import collect_importances  # noqa: PLC0415

    console = Console(stderr=True)
    with rich.progress.Progress(console=console, transient=True) as bar:
        task = bar.add_task("reading", total=len(chunks))
        return collect_importances(
            model,
            chunks,
            num_threads=num_threads,
            on_chunk=lambda number: bar.update(task, completed=number),
        )
