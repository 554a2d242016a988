"""The `convert` command: options in, `convert()`, progress and exit codes out.

Exit codes are in EXIT_CODES; 0 is success, 130 an interruption.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path  # noqa: TC003  (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer

from glm3edge_convert.adapters.lora import ADAPTER_TYPES, convert_lora
from glm3edge_convert.adapters.prefix import convert_prefix
from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.convert import Step, Summary, convert
from glm3edge_convert.errors import (
    CheckpointError,
    ConvertError,
    ImatrixError,
    MissingLibraryError,
    NotACheckpointError,
    NotAnAdapterError,
    NotAPrefixError,
    OutputError,
    ScaleError,
    UnknownTypeError,
    UnsupportedAdapterError,
    UnsupportedArchitectureError,
    UnsupportedPrefixError,
)
from glm3edge_convert.quantize.recipe import RECIPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXIT_CODES: dict[type[ConvertError], int] = {
    UnknownTypeError: 2,  # also typer's code for a wrong command line
    ImatrixError: 2,
    ScaleError: 2,
    NotACheckpointError: 3,
    NotAnAdapterError: 3,
    NotAPrefixError: 3,
    UnsupportedArchitectureError: 4,
    UnsupportedAdapterError: 4,
    UnsupportedPrefixError: 4,
    CheckpointError: 5,
    OutputError: 6,
    MissingLibraryError: 7,
}
INTERRUPTED = 130
MIB = 1024 * 1024
PLAIN_STEP = 10  # percent between lines where stderr is not a terminal


def convert_command(
    source: Annotated[
        Path, typer.Argument(help="Checkpoint folder: config.json, tokenizer.model, weights.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="GGUF file to write.")],
    type: Annotated[  # noqa: A002  (the option's name)
        str | None,
        typer.Option(
            "--type",
            "-t",
            metavar="TYPE",
            help=f"One of {', '.join(RECIPES)}. [q4_k_m; encoders: f16]",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads; all of them by default.")
    ] = None,
    imatrix: Annotated[
        Path | None,
        typer.Option(help="Importance matrix, as `glm3edge imatrix` or llama.cpp writes it."),
    ] = None,
    merge_lora: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER[:SCALE]", help="LoRA adapter to merge into the weights. Repeatable."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output file.")
    ] = False,
) -> None:
    """Convert a ChatGLM3 checkpoint, or an encoder for embeddings, to a quantized GGUF file.

    Exit codes: 2 wrong usage, 3 not a checkpoint folder, 4 another model than ChatGLM3, 5 damaged
    or inconsistent checkpoint, 6 output cannot be written, 7 a library is missing, 130 interrupted.
    """
    with _exit_codes(), progress_bar() as progress:
        summary = convert(
            source,
            output,
            type=type,
            threads=threads,
            adapters=[ScaledPath.parse(text) for text in merge_lora or ()],
            progress=progress,
            imatrix=imatrix,
            overwrite=overwrite,
        )
    _print_summary(summary)


def convert_lora_command(
    source: Annotated[
        Path, typer.Argument(help="Adapter folder: adapter_config.json, adapter_model.safetensors.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="GGUF adapter to write.")],
    type: Annotated[  # noqa: A002  (the option's name)
        str | None,
        typer.Option(
            "--type", "-t", metavar="TYPE", help=f"One of {', '.join(ADAPTER_TYPES)}. [f32]"
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output file.")
    ] = False,
) -> None:
    """Convert a PEFT LoRA adapter of ChatGLM3 to a GGUF adapter, which serve takes with --lora.

    Exit codes are those of convert; 3 is not an adapter folder, 4 an adapter that does more than
    LoRA.
    """
    with _exit_codes():
        summary = convert_lora(source, output, type=type, overwrite=overwrite)
    ranks = ", ".join(map(str, summary.ranks))
    print(
        f"{summary.path}: {summary.num_bytes / MIB:,.1f} MiB, "
        f"{summary.num_modules} modules, rank {ranks}"
    )


def convert_prefix_command(
    source: Annotated[
        Path, typer.Argument(help="P-Tuning v2 checkpoint folder: config.json, pytorch_model.bin.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="GGUF file to write.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output file.")
    ] = False,
) -> None:
    """Convert a P-Tuning v2 prefix of ChatGLM3 to a GGUF file, which serve takes with --prefix.

    Exit codes are those of convert; 3 is a folder without a prefix.
    """
    with _exit_codes():
        summary = convert_prefix(source, output, overwrite=overwrite)
    print(
        f"{summary.path}: {summary.num_bytes / MIB:,.1f} MiB, "
        f"{summary.num_places} places in {summary.num_layers} layers"
    )


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Turn a failure into a line on stderr and its exit code."""
    try:
        yield
    except ConvertError as exc:
        print(f"error: {exc}".replace("\n", " "), file=sys.stderr)
        raise typer.Exit(exit_code(exc)) from exc
    except KeyboardInterrupt:
        print("error: interrupted; nothing was written", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def exit_code(error: ConvertError) -> int:
    """The code of the nearest class of `error` in EXIT_CODES, 1 if there is none."""
    codes = (EXIT_CODES[cls] for cls in error.__class__.__mro__ if cls in EXIT_CODES)
    return next(codes, 1)


@contextmanager
def progress_bar(say: Callable[[str], None] | None = None) -> Iterator[Callable[[Step], None]]:
    """A bar with the time left on a terminal, a line now and then elsewhere; on stderr.

    With `say` the lines go there, and there is no bar.
    """
    if say or not sys.stderr.isatty():
        yield _PlainProgress(say or _print_to_stderr)
        return
    import rich.progress  # noqa: PLC0415  (it takes a while to import)
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.DownloadColumn(binary_units=True),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def show(progress: Step) -> None:
            bar.update(
                task,
                description=progress.label or "done",
                total=progress.num_bytes,
                completed=progress.num_bytes_done,
            )

        yield show


class _PlainProgress:
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._next_percent = PLAIN_STEP

    def __call__(self, progress: Step) -> None:
        percent = 100 * progress.num_bytes_done // max(1, progress.num_bytes)
        if percent < self._next_percent - PLAIN_STEP:  # something else has begun
            self._next_percent = PLAIN_STEP
        if percent >= self._next_percent:
            self._say(f"{percent}% {progress.count}")
            self._next_percent = percent - percent % PLAIN_STEP + PLAIN_STEP


def _print_to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def _print_summary(summary: Summary) -> None:
    counts = ", ".join(f"{count} {name}" for name, count in summary.type_counts.items())
    print(
        f"{summary.path}: {summary.num_bytes / MIB:,.1f} MiB from "
        f"{summary.num_bytes_source / MIB:,.1f} MiB in {summary.seconds:.1f} s ({counts})"
    )


def main() -> None:
    """Run the command standing alone."""
    app = typer.Typer(add_completion=False)
    app.command("convert")(convert_command)
    app()
