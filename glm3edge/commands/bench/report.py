"""Report of the benchmark: a table in Markdown, and a plot."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from glm3edge.commands.bench.run import BARE, Results
from glm3edge.commands.bench.scenarios import SCENARIOS
from glm3edge.commands.plots import new_plot
from glm3edge.commands.tables import markdown_table, show_table
from glm3edge.errors import ConfigError
from glm3edge_convert.files import check_is_writable

_COLUMNS = ("scenario", "system", "median (range)", "ratio to the bare loop")


def rows(results: Results) -> list[tuple[str, str, str, str]]:
    """Rows: scenario, system, its numbers and their ratio to the bare loop's, each with a range."""
    found = []
    for name, by_system in results.numbers.items():
        scenario = SCENARIOS[name]
        for system, numbers in by_system.items():
            ratios = results.ratios(name, system) if system != BARE else []
            number = f"{spread(numbers)} {scenario.unit}".rstrip()
            found.append((scenario.name, system, number, spread(ratios) if ratios else ""))
    return found


def markdown(results: Results) -> str:
    """Table of the results, and the failures."""
    lines = markdown_table(_COLUMNS, rows(results))
    lines += ["", *_failures(results)]
    return "\n".join(lines).rstrip() + "\n"


def show(results: Results) -> None:
    """Print the results and the failures, as a table and a list."""
    show_table(_COLUMNS, rows(results))
    if results.failures:
        print("\n" + "\n".join(_failures(results)))


def _failures(results: Results) -> list[str]:
    return [f"- {what}: {why}" for what, why in results.failures.items()]


def spread(numbers: Sequence[float]) -> str:
    """Median of ``numbers``, and their range."""
    median = statistics.median(numbers)
    digits = 0 if median >= 100 else 1 if median >= 10 else 3
    low, high = min(numbers), max(numbers)
    return f"{median:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def plot(results: Results, path: Path) -> None:
    """Write an SVG with the ratios to the bare loop as bars, and their ranges as lines.

    Raises:
        ConfigError: matplotlib is not installed, or there are no ratios.
    """
    figure, axes = new_plot(3.5)
    names = [name for name in results.numbers if BARE in results.numbers[name]]
    if not names:
        raise ConfigError("nothing was compared with the bare loop")
    systems = list(dict.fromkeys(s for n in names for s in results.numbers[n] if s != BARE))
    width = 0.8 / max(len(systems), 1)
    for number, system in enumerate(systems):
        here = [n for n in names if system in results.numbers[n]]
        ratios = [results.ratios(n, system) for n in here]
        medians = [statistics.median(r) for r in ratios]
        ranges = [
            [m - min(r) for m, r in zip(medians, ratios, strict=True)],
            [max(r) - m for m, r in zip(medians, ratios, strict=True)],
        ]
        places = [names.index(n) + number * width for n in here]
        axes.bar(places, medians, width, yerr=ranges, capsize=3, label=system)
    axes.axhline(1, color="black", linewidth=0.8)
    middle = width * (len(systems) - 1) / 2
    axes.set_xticks([i + middle for i in range(len(names))], [SCENARIOS[n].name for n in names])
    axes.set_ylabel("tokens/s, to the bare loop")
    axes.legend(frameon=False)
    check_is_writable(path)
    figure.savefig(path)
