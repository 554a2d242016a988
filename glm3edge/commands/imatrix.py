"""``glm3edge imatrix``: an importance matrix from a model and a text."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glm3edge.chatglm3.calibration import DEFAULT_TEXT, encode
from glm3edge.commands.bars import counting_bar
from glm3edge.commands.logs import start_logging
from glm3edge.commands.options import LogLevelOptions
from glm3edge.commands.signature import takes
from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError
from glm3edge.placement.machine.cores import num_threads
from glm3edge.store.store import Store
from glm3edge_convert.counts import counted
from glm3edge_convert.files import read_text
from glm3edge_convert.gguf.split import parts_of
from glm3edge_convert.gguf.writer import check_output
from glm3edge_convert.progress import progress_bar
from glm3edge_convert.quantize.imatrix import write_imatrix

if TYPE_CHECKING:
    from glm3edge.llama.importance import Importances
    from glm3edge.llama.model import Model


@dataclass(frozen=True, kw_only=True)
class ImatrixOptions(LogLevelOptions):
    """Options of ``glm3edge imatrix``."""

    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A GGUF file, a checkpoint folder to convert once, or a repository. Default: the "
            "built-in demo.",
            show_default=False,
        ),
    ] = None
    output: Annotated[Path, typer.Option("--output", "-o", help="GGUF file to write.")]
    text: Annotated[
        Path | None,
        typer.Option(
            help="UTF-8 text of the kind that the model will be used for. "
            "[glm3edge's own, bilingual]"
        ),
    ] = None
    type: Annotated[str, typer.Option(help="Quantization of a checkpoint.")] = "q8_0"
    chunk_size: Annotated[
        int, typer.Option(min=32, help="Tokens of a chunk of the text, which is one context.")
    ] = 512
    chunks: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of chunks to compute. [all]")
    ] = None
    threads: Annotated[int | None, typer.Option(min=1, help="Compute threads.")] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output file.")] = False


@takes(ImatrixOptions)
def imatrix_command(options: ImatrixOptions) -> None:
    """Compute an importance matrix: which columns of a model's matrices matter most.

    `glm3edge convert --imatrix` takes it.
    """
    start_logging(options.log_level)
    # Imports llama.cpp, which takes long.
    from glm3edge.llama.model import Model  # noqa: PLC0415

    text = options.text or DEFAULT_TEXT
    settings = load_settings(model=options.model, threads=options.threads)
    _check_output(options, [text, *([Path(settings.model).expanduser()] if settings.model else [])])
    with progress_bar() as progress:
        store = Store(settings.cache_dir, quant_type=options.type, progress=progress)
        path = store.find(settings.model)
    _check_output(options, [path])
    with Model(path) as model:
        chunk_size = min(options.chunk_size, model.context_length)
        chunks = _chunks(model, _read(text), chunk_size)[: options.chunks]
        found = _collected(model, chunks, num_threads=num_threads(settings.threads))
    write_imatrix(
        options.output,
        found.sums,
        found.counts,
        datasets=[text.name],
        num_chunks=len(chunks),
        chunk_size=chunk_size,
        overwrite=options.overwrite,
    )
    matrices = counted(len(found.sums), "matrix", "matrices")
    print(f"{options.output}: {matrices}, from {len(chunks)} x {chunk_size} tokens")


def _check_output(options: ImatrixOptions, inputs: list[Path]) -> None:
    files = [file for path in inputs for file in parts_of(path)]
    check_output(options.output, overwrite=options.overwrite, inputs=files)


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as exc:
        raise ConfigError(f"--text {path}: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise ConfigError(f"--text {path} is not UTF-8") from exc


def _chunks(model: "Model", text: str, size: int) -> list[list[int]]:
    """Chunks of ``size`` tokens of a text, each after the prefix that the model expects."""
    from glm3edge.chatglm3.vocabulary import SpecialTokens  # noqa: PLC0415

    prefix = list(SpecialTokens.of(model).prefix)
    ids, step = encode(text, model), size - len(prefix)
    chunks = [prefix + ids[at : at + step] for at in range(0, len(ids) - step + 1, step)]
    if not chunks:
        raise ConfigError(f"--text has {len(ids)} tokens, and a chunk takes {step}: give more text")
    return chunks


def _collected(model: "Model", chunks: list[list[int]], *, num_threads: int) -> "Importances":
    from glm3edge.llama.importance import collect_importances  # noqa: PLC0415

    name, total = model.path.name, len(chunks)
    with counting_bar("chunk") as count:
        count(name, 0, total)
        return collect_importances(
            model,
            chunks,
            num_threads=num_threads,
            on_chunk=lambda number: count(name, number, total),
        )
