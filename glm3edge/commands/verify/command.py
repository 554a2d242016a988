"""``glm3edge verify``: files in, a table and an exit code out."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glm3edge.chatglm3.calibration import DEFAULT_TEXT, MIN_WINDOW, read_text
from glm3edge.commands.logs import start_logging
from glm3edge.commands.options import LogLevel
from glm3edge.commands.verify.errors import DivergenceError
from glm3edge.config.settings import load_settings
from glm3edge.errors import ConfigError
from glm3edge.placement.machine.cores import num_threads

if TYPE_CHECKING:
    from glm3edge.commands.verify.run import Progress, Report


class KvType(str, Enum):
    """What keys and values can be kept in: f32, or one of ``context.KV_TYPES``."""

    F32 = "f32"
    F16 = "f16"
    Q8_0 = "q8_0"
    Q4_0 = "q4_0"


def verify_command(
    files: Annotated[
        list[Path], typer.Argument(metavar="GGUF...", help="Files to look at.", show_default=False)
    ],
    against: Annotated[
        str,
        typer.Option(
            metavar="ORIGINAL", help="What they were made from: a checkpoint folder or a GGUF file."
        ),
    ],
    text: Annotated[
        Path | None, typer.Option(help="UTF-8 text to compare over. [glm3edge's own, bilingual]")
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(min=MIN_WINDOW, help="Tokens that are computed together. [512]"),
    ] = None,
    windows: Annotated[int, typer.Option(min=0, help="Windows of the text; 0 takes all.")] = 0,
    max_kl: Annotated[
        float | None,
        typer.Option(min=0, help="What the mean KL divergence may be. [by type: docs/models.md]"),
    ] = None,
    kv_type: Annotated[
        list[KvType] | None,
        typer.Option(
            help="What the files' keys and values are kept in; may be given several times. [f32]"
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Compute threads. [physical cores]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for results.json, table.md and plot.svg.")
    ] = None,
    log_level: LogLevel = "warning",
) -> None:
    """Does a converted file still think as its original?

    Compares vocabulary, token ids and predictions. With a checkpoint as the original, its
    predictions come from NumPy and SentencePiece, without llama.cpp: about a minute a window for
    the 6B on one core, in 0.4 GB of memory. --windows 4 takes a sample of the text.

    Keys and values are kept in f32, so that what is found is due to the weights. With --kv-type
    they are kept as the server can keep them. What they alone cost is found by comparing a file
    with itself: verify FILE --against FILE --kv-type q8_0.

    Exit codes: 0 all is as it should be, 2 wrong usage or text, 3 to 5 the checkpoint cannot be
    used, 8 a file cannot be loaded or computed, 9 sizes, vocabulary or token ids differ, 10 a mean
    KL divergence is beyond its limit, 130 interrupted.
    """
    start_logging(log_level)
    # What takes long to import is imported once there is something to wait for.
    from glm3edge.commands.verify.run import verify  # noqa: PLC0415
    from glm3edge.commands.verify.sources import GgufSource, open_original  # noqa: PLC0415

    num_compute_threads = num_threads(load_settings(threads=threads).threads)
    content = read_text(text or DEFAULT_TEXT)
    with ExitStack() as stack:
        original = stack.enter_context(
            closing(open_original(against, num_threads=num_compute_threads))
        )
        sources = [
            stack.enter_context(
                closing(GgufSource(path, num_threads=num_compute_threads, kv_type=kept_in.value))
            )
            for path in dict.fromkeys(files)
            for kept_in in dict.fromkeys(kv_type or [KvType.F32])
        ]
        progress = stack.enter_context(_progress())
        report = verify(
            sources,
            original,
            content,
            window=window,
            most=windows,
            max_kl=max_kl,
            progress=progress,
        )
    _show(report, as_json=as_json)
    if out is not None:
        _write(report, out)
    _judge(report)


def _show(report: "Report", *, as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415

    from glm3edge.commands.verify import report as form  # noqa: PLC0415

    if as_json:
        print(json.dumps(form.as_json(report), ensure_ascii=False, indent=2))
    else:
        form.show(report, Console())


def _write(report: "Report", out: Path) -> None:
    from glm3edge.commands.verify import report as form  # noqa: PLC0415

    try:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(form.as_json(report), ensure_ascii=False, indent=2)
        (out / "results.json").write_text(text + "\n", encoding="utf-8")
        (out / "table.md").write_text(form.markdown(report), encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"--out {out}: {exc.strerror or exc}") from exc
    try:
        form.plot(report, out / "plot.svg")
    except ConfigError as exc:
        _say(f"no plot.svg: {exc}")


def _judge(report: "Report") -> None:
    """End with an error where files are too far from their original; each gets its line."""
    errors = []
    for result in report.results:
        if result.limit is None:
            _say(f"{result.path}: no limit is known for {result.type}; --max-kl sets one")
        elif not result.is_within_limit:
            mean_kl = result.summary.mean_kl.value
            errors.append(
                DivergenceError(
                    result.path, mean_kl=mean_kl, limit=result.limit, kv_type=result.kv_type
                )
            )
    for error in errors[:-1]:
        _say(f"error: {error}")
    if errors:
        raise errors[-1]


@contextmanager
def _progress() -> Iterator["Progress"]:
    """A bar on a terminal, a line a model elsewhere; on stderr."""
    import rich.progress  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _say_begin
        return
    columns = (
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("")
        yield lambda path, done, total: bar.update(
            task, description=path.name, completed=done, total=total
        )


def _say_begin(path: Path, num_done: int, total: int) -> None:
    if num_done == 0:
        _say(f"{path.name}: {total} windows")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
