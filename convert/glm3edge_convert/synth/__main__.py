"""``python -m glm3edge_convert.synth --out DIR --shape tiny|6b``."""

from pathlib import Path
from typing import Annotated

import typer

from glm3edge_convert.errors import ConvertError
from glm3edge_convert.synth.random_checkpoint import DTYPES, NUM_SHARDS, SHAPES, make_checkpoint


def synth_command(
    out: Annotated[Path, typer.Option(help="Folder to make; must not exist or be empty.")],
    shape: Annotated[str, typer.Option(help=f"One of {', '.join(SHAPES)}.")] = "tiny",
    tokenizer: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="tokenizer.model to use.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    dtype: Annotated[str, typer.Option(help=f"One of {', '.join(DTYPES)}.")] = "float16",
) -> None:
    """Make a random ChatGLM3 checkpoint."""
    for value, known, option in ((shape, SHAPES, "--shape"), (dtype, DTYPES, "--dtype")):
        if value not in known:
            raise typer.BadParameter(f"choose one of {', '.join(known)}", param_hint=option)
    try:
        make_checkpoint(
            out,
            shape=SHAPES[shape],
            tokenizer=tokenizer,
            seed=seed,
            dtype=dtype,
            num_shards=NUM_SHARDS[shape],
        )
    except ConvertError as exc:
        typer.echo(f"error: {exc}", err=True)
        raise typer.Exit(exc.exit_code) from exc


if __name__ == "__main__":
    typer.run(synth_command)
