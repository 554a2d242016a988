"""Results as a table and a plot."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from glm3edge.commands.bench.run import BARE, Results
from glm3edge.commands.bench.scenarios import SCENARIOS
from glm3edge.errors import ConfigError


def rows(results: Results) -> list[tuple[str, str, str, str]]:
    """Scenario, system, number with its spread, ratio to the bare loop with its spread."""
    found = []
    for name, by_system in results.numbers.items():
        scenario = SCENARIOS[name]
        for system, numbers in by_system.items():
            ratios = results.ratios(name, system) if system != BARE else []
            number = f"{spread(numbers)} {scenario.unit}".rstrip()
            found.append((scenario.name, system, number, spread(ratios) if ratios else ""))
    return found


def markdown(results: Results) -> str:
    """A table, and what failed."""
    lines = [
        "| scenario | system | median (range) | to the bare loop |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {' | '.join(row)} |" for row in rows(results)]
    lines += ["", *(f"- {what}: {why}" for what, why in results.failures.items())]
    return "\n".join(lines).rstrip() + "\n"


def spread(numbers: Sequence[float]) -> str:
    """The median, and between which numbers the others are."""
    median = statistics.median(numbers)
    digits = 0 if median >= 100 else 1 if median >= 10 else 3
    low, high = min(numbers), max(numbers)
    return f"{median:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def plot(results: Results, path: Path) -> None:
    """Ratios to the bare loop as bars, their ranges as lines: an SVG.

    Raises:
        ConfigError: matplotlib is not installed, or there are no ratios.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as exc:
        raise ConfigError("a plot needs matplotlib: pip install 'glm3edge[bench]'") from exc
    names = [name for name in results.numbers if BARE in results.numbers[name]]
    if not names:
        raise ConfigError("nothing was compared with the bare loop")
    systems = list(dict.fromkeys(s for n in names for s in results.numbers[n] if s != BARE))
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
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
    figure.savefig(path)
