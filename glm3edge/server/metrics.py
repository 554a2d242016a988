"""GET /metrics: the engine's counts in Prometheus' text format."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from glm3edge.engine.engine import Engine

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _EngineCollector(Collector):
    """Reads an engine whenever it is asked: nothing is counted twice, or on the way of a token."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        engine, stats = self._engine, self._engine.stats
        yield GaugeMetricFamily("glm3edge_running", "Requests in batches.", engine.num_running)
        yield GaugeMetricFamily("glm3edge_waiting", "Requests that wait.", engine.num_waiting)
        endings = CounterMetricFamily(
            "glm3edge_requests", "Requests that have ended, by reason.", labels=["reason"]
        )
        for reason, number in stats.endings.items():
            endings.add_metric([reason.value], number)
        yield endings
        for name, text, number in (
            ("prompt_tokens", "Tokens of prompts.", stats.num_prompt_tokens),
            ("cached_tokens", "Those that were in memory.", stats.num_cached_tokens),
            ("completion_tokens", "Tokens sampled.", stats.num_completion_tokens),
            ("accepted_drafts", "Tokens that were guessed right.", stats.num_accepted_drafts),
            ("rejected_drafts", "Guesses that were wrong.", stats.num_rejected_drafts),
            ("engine_restarts", "Times the engine was lost and came back.", stats.num_restarts),
        ):
            yield CounterMetricFamily(f"glm3edge_{name}", text, number)


def render(engine: Engine) -> bytes:
    """What Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(_EngineCollector(engine))
    return generate_latest(registry)
