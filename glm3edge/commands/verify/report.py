"""Report of a comparison: as a table, as JSON and as a plot."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from glm3edge.commands.plots import new_plot
from glm3edge.commands.tables import markdown_table, show_table
from glm3edge.commands.verify.run import Report, Result
from glm3edge.commands.verify.statistics import Estimate
from glm3edge_convert.counts import counted
from glm3edge_convert.files import check_is_writable

COLUMNS = (
    "type",
    "keys, values",
    "MiB",
    "mean KL",
    "99 % KL",
    "same top token",
    "perplexity",
    "ratio to the original's",
    "largest logit difference",
)
_MIB = 2**20
_SMALLEST_KL = 1e-10  # what a plot in logarithms shows
_MOST_DIGITS = 6


def heading(report: Report) -> str:
    """Two lines on what was compared, above the table."""
    return (
        f"{counted(report.num_vocabulary, 'token')} of the vocabulary and the ids of "
        f"{counted(report.num_texts, 'text')} agree with {report.original.name}.\n"
        f"Predictions of {counted(len(report.results[0].tokens.kl), 'token')} in "
        f"{counted(report.num_windows, 'window')} of {report.window} "
        f"({report.original_type}: perplexity {_estimate(report.perplexity)}):"
    )


def rows(report: Report) -> list[tuple[str, ...]]:
    """Row of ``COLUMNS`` for each result."""
    titles = _titles(report.results)
    return [(title, *_numbers(r)) for title, r in zip(titles, report.results, strict=True)]


def markdown(report: Report) -> str:
    """Heading and table in Markdown."""
    lines = [heading(report), "", *markdown_table(COLUMNS, rows(report))]
    return "\n".join(lines) + "\n"


def show(report: Report, console: Console) -> None:
    """Print heading and table."""
    if console.is_terminal:
        console.print(heading(report), highlight=False, markup=False)
    else:
        console.file.write(f"{heading(report)}\n\n")
    show_table(COLUMNS, rows(report), console)


def as_json(report: Report) -> dict[str, Any]:
    """Data for JSON; KL divergences are in nats a token, errors are standard errors."""
    return {
        "original": {
            "path": str(report.original),
            "type": report.original_type,
            "vocab_size": report.num_vocabulary,
            "perplexity": asdict(report.perplexity),
            "seconds": report.seconds,
        },
        "num_texts": report.num_texts,
        "num_windows": report.num_windows,
        "window": report.window,
        "files": [_file_json(result) for result in report.results],
    }


def plot(report: Report, path: Path) -> None:
    """Write an SVG: for each file, the share of tokens beyond a KL divergence.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure, axes = new_plot(max(3.5, 1 + 0.2 * len(report.results)))  # space for the legend
    for title, result in zip(_labels(report.results), report.results, strict=True):
        kl = np.sort(np.maximum(result.tokens.kl, _SMALLEST_KL))
        axes.step(kl, 1 - np.arange(len(kl)) / len(kl), where="post", label=title)
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel("KL divergence, nats")
    axes.set_ylabel("share of the tokens beyond it")
    axes.legend(frameon=False, fontsize="small")
    check_is_writable(path)
    figure.savefig(path)


def _titles(results: Sequence[Result]) -> list[str]:
    """Types of the files, or their names where two have the same type."""
    types = list({result.path: result.type for result in results}.values())
    return [
        result.type if types.count(result.type) == 1 else result.path.stem for result in results
    ]


def _labels(results: Sequence[Result]) -> list[str]:
    """Titles, with the types of the KV cache where there are several."""
    titles = _titles(results)
    if len({result.kv_type for result in results}) == 1:
        return titles
    return [f"{title}, {r.kv_type}" for title, r in zip(titles, results, strict=True)]


def _numbers(result: Result) -> tuple[str, ...]:
    summary = result.summary
    return (
        result.kv_type,
        f"{result.num_bytes / _MIB:,.1f}",
        _estimate(summary.mean_kl),
        f"{summary.p99_kl:.3g}",
        f"{100 * summary.same_top.value:.2f} %",
        _estimate(summary.perplexity),
        _estimate(summary.perplexity_ratio),
        f"{summary.max_logit_difference:.3g}",
    )


def _estimate(estimate: Estimate) -> str:
    """Value and error, with the significant digits by the error."""
    if not estimate.error:
        return f"{estimate.value:.3g}"
    digits = max(0, -int(np.floor(np.log10(estimate.error)))) + 1
    if digits > _MOST_DIGITS:
        return f"{estimate.value:.2g} ± {estimate.error:.1g}"
    return f"{estimate.value:,.{digits}f} ± {estimate.error:.{digits}f}"


def _file_json(result: Result) -> dict[str, Any]:
    return {
        "path": str(result.path),
        "type": result.type,
        "kv_type": result.kv_type,
        "num_bytes": result.num_bytes,
        **asdict(result.summary),
        "limit": result.limit,
        "is_within_limit": result.is_within_limit,
        "seconds": result.seconds,
    }
