"""Benchmark run: all servers are up at once and measured in turn, so that noise hits all alike."""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from glm3edge.commands.bench.bare import BareLoop
from glm3edge.commands.bench.client import BenchError
from glm3edge.commands.bench.scenarios import SCENARIOS, Load, Scenario, warm_up
from glm3edge.commands.bench.systems import System, running
from glm3edge_convert.files import write_text

BARE = "bare loop"


@dataclass
class Results:
    """Results of a run.

    Attributes:
        numbers: by scenario and system, one for each round.
        failures: why numbers are missing, by what failed.
    """

    numbers: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, scenario: str, system: str, number: float) -> None:
        """Add the number of a round."""
        self.numbers.setdefault(scenario, {}).setdefault(system, []).append(number)

    def ratios(self, scenario: str, system: str) -> list[float]:
        """Ratios of ``system`` to the bare loop in the same round; empty without the latter."""
        by_system = self.numbers[scenario]
        pairs = zip(by_system[system], by_system.get(BARE, []), strict=False)
        return [number / bare for number, bare in pairs]

    def write(self, path: Path) -> None:
        """Write the results as JSON."""
        data = {"numbers": self.numbers, "failures": self.failures}
        write_text(path, json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def run(
    systems: Sequence[System],
    make_bare: Callable[[], BareLoop],
    names: Iterable[str],
    *,
    load: Load,
    num_rounds: int,
    on_progress: Callable[[str], object],
) -> Results:
    """Measure ``systems`` and the bare loop.

    Args:
        systems: servers; one that does not start is left out, and ``failures`` says why.
        make_bare: loads the model for the bare loop.
        names: of scenarios.
        load: of the scenarios.
        num_rounds: rounds of each scenario.
        on_progress: called with a line on what is measured next.
    """
    results = Results()
    with ExitStack() as stack:
        bare = make_bare()
        stack.callback(bare.close)
        servers: dict[System, int] = {}
        for system in systems:
            on_progress(f"starting {system.name}")
            try:
                port = stack.enter_context(running(system)).port
                asyncio.run(warm_up(port))
            except (BenchError, OSError) as exc:
                results.failures[system.name] = str(exc)
            else:
                servers[system] = port
        for name in names:
            for number in range(num_rounds):
                on_progress(f"{name}, round {number + 1} of {num_rounds}")
                _round(name, bare, servers, load=load, results=results)
    return results


def _round(
    name: str, bare: BareLoop, servers: Mapping[System, int], *, load: Load, results: Results
) -> None:
    """Measure each system once; the bare loop's number is the mean of before and after."""
    scenario = SCENARIOS[name]
    before = scenario.bare(bare, load) if scenario.bare else 0.0
    for system, port in servers.items():
        failure = f"{system.name}, {name}"
        if failure in results.failures:
            continue
        try:
            number = asyncio.run(_measured(scenario, system, port, load))
        except (BenchError, OSError, ValueError, KeyError) as exc:
            results.failures[failure] = str(exc) or repr(exc)
        else:
            results.add(name, system.name, number)
    if scenario.bare:
        results.add(name, BARE, (before + scenario.bare(bare, load)) / 2)


async def _measured(scenario: Scenario, system: System, port: int, load: Load) -> float:
    if scenario.measure is not None:
        return await scenario.measure(port, load)
    if scenario.measure_restart is None or system.kept is None:
        raise BenchError("it keeps no conversations")
    return await scenario.measure_restart(system.kept, load)
