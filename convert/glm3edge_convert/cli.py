"""Commands ``convert``, ``convert-lora``, ``convert-prefix`` and ``export-tokenizer``.

A ConvertError has the exit code; 0 is success, 130 an interruption.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from glm3edge_convert.adapters.lora import ADAPTER_TYPES, convert_lora
from glm3edge_convert.adapters.prefix import convert_prefix
from glm3edge_convert.adapters.scaled_path import ScaledPath
from glm3edge_convert.checkpoint.snapshots import checkpoint_folder
from glm3edge_convert.conversion import Summary, convert
from glm3edge_convert.errors import ConvertError
from glm3edge_convert.export import export_tokenizer
from glm3edge_convert.printable import error_line
from glm3edge_convert.progress import progress_bar
from glm3edge_convert.quantize.recipe import RECIPES

INTERRUPTED = 130
MIB = 1024 * 1024


def convert_command(
    source: Annotated[
        Path,
        typer.Argument(
            help="Checkpoint folder: config.json, tokenizer.model, weights; or the folder of its "
            "repository in a hub's cache. glm3edge also takes a repository's name: chatglm3-6b."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="GGUF file to write.")],
    quant_type: Annotated[
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
    """Convert a ChatGLM3 checkpoint, an encoder or a reranker to a quantized GGUF file.

    Exit codes: 2 wrong usage, 3 not a checkpoint folder, 4 another model than ChatGLM3
    or a quantized one, 5 damaged or inconsistent checkpoint, 6 output cannot be written, 7 a
    library is missing, 130 interrupted.
    """
    with _exit_codes(), progress_bar() as progress:
        summary = convert(
            checkpoint_folder(source),
            output,
            quant_type=quant_type,
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
    quant_type: Annotated[
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
        summary = convert_lora(source, output, quant_type=quant_type, overwrite=overwrite)
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


def export_tokenizer_command(
    source: Annotated[
        Path, typer.Argument(help="Checkpoint folder: config.json, tokenizer.model.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Folder to write to. [the checkpoint's]"
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace the files, the checkpoint's own tokenizer_config.json too."
        ),
    ] = False,
) -> None:
    """Export a checkpoint's tokenizer for vLLM, as tokenizer.json and tokenizer_config.json.

    vLLM needs them for grammars: start it with `--tokenizer FOLDER`. No code of the checkpoint
    runs. Exit codes are those of convert.
    """
    with _exit_codes():
        summary = export_tokenizer(checkpoint_folder(source), output, overwrite=overwrite)
    names = ", ".join(map(str, summary.paths))
    print(f"{names}: {summary.num_tokens:,} tokens")


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Turn a failure into a line on stderr and its exit code, and a warning into a line."""
    logging.basicConfig(format="warning: %(message)s")
    try:
        yield
    except ConvertError as exc:
        print(f"error: {error_line(exc)}", file=sys.stderr)
        raise typer.Exit(exc.exit_code) from exc
    except KeyboardInterrupt:
        print("error: interrupted; nothing was written", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def _print_summary(summary: Summary) -> None:
    counts = ", ".join(f"{count} {name}" for name, count in summary.type_counts.items())
    print(
        f"{summary.path}: {summary.num_bytes / MIB:,.1f} MiB from "
        f"{summary.num_bytes_source / MIB:,.1f} MiB in {summary.seconds:.1f} s ({counts})"
    )


def main() -> None:
    """Run ``convert`` as a program of its own."""
    app = typer.Typer(add_completion=False)
    app.command("convert")(convert_command)
    app()
