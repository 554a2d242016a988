"""One run: all systems up at once, their scenarios in turn, so that noise hits all alike."""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from glm3edge.bench.bare import BareLoop
from glm3edge.bench.client import BenchError, post
from glm3edge.bench.scenarios import SCENARIOS, Load, Scenario, body, prompt
from glm3edge.bench.systems import System, running

BARE = "bare loop"


@dataclass
class Results:
    """Numbers by scenario and system: one for each round.

    ``failures`` say why a number is missing.
    """

    numbers: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, scenario: str, system: str, number: float) -> None:
        """One more round."""
        self.numbers.setdefault(scenario, {}).setdefault(system, []).append(number)

    def ratios(self, scenario: str, system: str) -> list[float]:
        """Numbers of ``system`` to the bare loop's of the same round; empty without those."""
        by_system = self.numbers[scenario]
        pairs = zip(by_system[system], by_system.get(BARE, []), strict=False)
        return [number / bare for number, bare in pairs]

    def write(self, path: Path) -> None:
        """As JSON."""
        data = {"numbers": self.numbers, "failures": self.failures}
        path.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def run(
    systems: Sequence[System],
    make_bare: Callable[[], BareLoop],
    names: Iterable[str],
    *,
    load: Load,
    num_rounds: int,
    say: Callable[[str], object],
) -> Results:
    """Measure ``systems`` and the bare loop.

    Args:
        systems: servers; one that does not start is left out, and ``failures`` says why.
        make_bare: loads the model for the bare loop.
        names: of scenarios.
        load: how much is asked.
        num_rounds: numbers of each scenario.
        say: is told what is going on.
    """
    results = Results()
    with ExitStack() as stack:
        bare = make_bare()
        stack.callback(bare.close)
        ports: dict[str, int] = {}
        for system in systems:
            say(f"starting {system.name}")
            try:
                ports[system.name] = stack.enter_context(running(system)).port
                asyncio.run(_warm_up(ports[system.name], load))
            except (BenchError, OSError) as exc:
                results.failures[system.name] = str(exc)
                ports.pop(system.name, None)
        for name in names:
            for number in range(num_rounds):
                say(f"{name}, round {number + 1} of {num_rounds}")
                _round(name, bare, ports, load=load, results=results)
    return results


def _round(
    name: str, bare: BareLoop, ports: dict[str, int], *, load: Load, results: Results
) -> None:
    """One number of each; the bare loop's is the mean of before and after."""
    scenario = SCENARIOS[name]
    before = scenario.bare(bare, load) if scenario.bare else 0.0
    for system, port in ports.items():
        failure = f"{system}, {name}"
        if failure in results.failures:
            continue
        try:
            number = asyncio.run(_measured(scenario, port, load))
        except (BenchError, OSError, ValueError, KeyError) as exc:
            results.failures[failure] = str(exc) or repr(exc)
        else:
            results.add(name, system, number)
    if scenario.bare:
        results.add(name, BARE, (before + scenario.bare(bare, load)) / 2)


async def _measured(scenario: Scenario, port: int, load: Load) -> float:
    return await scenario.measure(port, load)


async def _warm_up(port: int, load: Load) -> None:
    for _ in range(2):
        await post(port, "/v1/chat/completions", body(prompt(), min(load.num_tokens, 16)))
