"""The command line of ``glm3edge verify``."""

import json
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glm3edge.chatglm3.calibration import DEFAULT_TEXT, MIN_WINDOW, read_text
from glm3edge.commands.bars import counting_bar
from glm3edge.commands.logs import start_logging
from glm3edge.commands.options import AsJson, LogLevelOptions, Out, Threads
from glm3edge.commands.results import JSON_FILE, PLOT_FILE, TABLE_FILE, make_results_folder
from glm3edge.commands.signature import takes
from glm3edge.commands.verify.errors import DivergenceError
from glm3edge.commands.verify.limits import EXACT, FILE_KV_TYPES
from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError
from glm3edge.placement.machine.cores import num_threads
from glm3edge.store.store import Store
from glm3edge_convert.files import write_text
from glm3edge_convert.printable import json_text

if TYPE_CHECKING:
    from glm3edge.commands.verify.run import Report


def _check_kv_types(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        if name not in FILE_KV_TYPES:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(FILE_KV_TYPES)}")
    return names


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(LogLevelOptions):
    """Options of ``glm3edge verify``."""

    files: Annotated[
        list[Path], typer.Argument(metavar="GGUF...", help="Files to verify.", show_default=False)
    ]
    against: Annotated[
        str,
        typer.Option(
            metavar="ORIGINAL",
            help="What they were made from: a checkpoint folder, a repository that was pulled or a "
            "GGUF file.",
        ),
    ]
    text: Annotated[
        Path | None, typer.Option(help="UTF-8 text to predict. [glm3edge's own, bilingual]")
    ] = None
    window: Annotated[
        int | None,
        typer.Option(min=MIN_WINDOW, help="Tokens of a window, which is one batch. [512]"),
    ] = None
    windows: Annotated[
        int, typer.Option(min=0, help="Windows of the text to compute; 0 takes all.")
    ] = 0
    max_kl: Annotated[
        float | None,
        typer.Option(min=0, help="Limit of the mean KL divergence. [by type: docs/models.md]"),
    ] = None
    kv_type: Annotated[
        list[str] | None,
        typer.Option(
            metavar=f"<list[{'|'.join(FILE_KV_TYPES)}]>",
            help=f"Data type of the files' KV cache. Repeatable. [{EXACT}]",
            callback=_check_kv_types,
            autocompletion=lambda: list(FILE_KV_TYPES),
        ),
    ] = None
    threads: Threads = None
    as_json: AsJson = False
    out: Out = None


@takes(VerifyOptions)
def verify_command(options: VerifyOptions) -> None:
    """Check that GGUF files predict as the original that they were converted from.

    Compares vocabulary, token ids and predictions. If the original is a checkpoint, NumPy and
    SentencePiece compute its predictions, without llama.cpp: about a minute a window for the 6B on
    one core, in 0.4 GB of memory. --windows 4 takes a sample of the text.

    The KV cache is kept in f32, so that differences are due to the weights. --kv-type keeps it as
    the server can. To see what that alone costs, compare a file with itself: verify FILE --against
    FILE --kv-type q8_0.

    Exit codes: 0 all is as it should be, 2 wrong usage or text, 3 to 5 the checkpoint cannot be
    used, 8 a file cannot be loaded or computed, 9 sizes, vocabulary or token ids differ, 10 a mean
    KL divergence is beyond its limit, 130 interrupted.
    """
    start_logging(options.log_level)
    if options.out is not None:
        inputs = [*options.files, Path(options.against), options.text or DEFAULT_TEXT]
        make_results_folder(options.out, inputs)
    report = _compare(options)
    _show(report, as_json=options.as_json)
    if options.out is not None:
        _write(report, options.out)
    _judge(report)


def _compare(options: VerifyOptions) -> "Report":
    # Import llama.cpp, which takes long.
    from glm3edge.commands.verify.run import verify  # noqa: PLC0415
    from glm3edge.commands.verify.sources import GgufSource, open_original  # noqa: PLC0415

    settings = load_settings(threads=options.threads)
    threads = num_threads(settings.threads)
    text = read_text(options.text or DEFAULT_TEXT)
    with ExitStack() as stack:
        count = stack.enter_context(counting_bar("window"))
        against = Store(settings.cache_dir).look_up(options.against)
        original = stack.enter_context(closing(open_original(against, num_threads=threads)))
        sources = [
            stack.enter_context(closing(GgufSource(path, num_threads=threads, kv_type=kv_type)))
            for path in dict.fromkeys(options.files)
            for kv_type in dict.fromkeys(options.kv_type or [EXACT])
        ]
        return verify(
            sources,
            original,
            text,
            window=options.window,
            most=options.windows,
            max_kl=options.max_kl,
            progress=lambda path, num_done, total: count(path.name, num_done, total),
        )


def _show(report: "Report", *, as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415

    from glm3edge.commands.verify import report as form  # noqa: PLC0415

    if as_json:
        print(json_text(form.as_json(report), indent=2))
    else:
        form.show(report, Console())


def _write(report: "Report", out: Path) -> None:
    from glm3edge.commands.verify import report as form  # noqa: PLC0415

    try:
        text = json.dumps(form.as_json(report), ensure_ascii=False, indent=2)
        write_text(out / JSON_FILE, text + "\n")
        write_text(out / TABLE_FILE, form.markdown(report))
    except OSError as exc:
        raise ConfigError(f"--out {out}: {exc.strerror or exc}") from exc
    try:
        form.plot(report, out / PLOT_FILE)
    except ConfigError as exc:
        _print_error(f"no plot.svg: {exc}")


def _judge(report: "Report") -> None:
    """End with an error where files are too far from their original; each gets its line."""
    errors = []
    for result in report.results:
        if result.limit is None:
            _print_error(f"{result.path}: no limit is known for {result.type}; --max-kl sets one")
        elif not result.is_within_limit:
            mean_kl = result.summary.mean_kl.value
            errors.append(
                DivergenceError(
                    result.path, mean_kl=mean_kl, limit=result.limit, kv_type=result.kv_type
                )
            )
    for error in errors[:-1]:
        _print_error(f"error: {error}")
    if errors:
        raise errors[-1]


def _print_error(text: str) -> None:
    print(text, file=sys.stderr)
