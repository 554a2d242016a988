"""Metrics of the engine in Prometheus' text format, for ``GET /metrics``."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from glm3edge.engine.interface import InferenceEngine

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _EngineCollector(Collector):
    """Collector that reads the engine's counters when scraped: no token takes extra work."""

    def __init__(self, engine: InferenceEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        engine, stats = self._engine, self._engine.stats
        yield GaugeMetricFamily(
            "glm3edge_running",
            "Sequences being computed; each choice of a request is one.",
            engine.num_running,
        )
        yield GaugeMetricFamily(
            "glm3edge_waiting", "Sequences waiting in the queue.", engine.num_waiting
        )
        endings = CounterMetricFamily(
            "glm3edge_requests", "Finished sequences, by finish reason.", labels=["reason"]
        )
        for reason, number in stats.endings.items():
            endings.add_metric([reason.value], number)
        yield endings
        for name, text, number in (
            ("prompt_tokens", "Prompt tokens, cached ones included.", stats.num_prompt_tokens),
            ("cached_tokens", "Prompt tokens served from the KV cache.", stats.num_cached_tokens),
            ("completion_tokens", "Generated tokens.", stats.num_completion_tokens),
            ("accepted_drafts", "Speculative draft tokens accepted.", stats.num_accepted_drafts),
            ("rejected_drafts", "Speculative draft tokens rejected.", stats.num_rejected_drafts),
            ("engine_restarts", "Restarts of the engine after it was lost.", stats.num_restarts),
        ):
            yield CounterMetricFamily(f"glm3edge_{name}", text, number)
        if engine.replicas:
            yield from _replicas(engine.replicas)


def _replicas(replicas: Mapping[str, InferenceEngine]) -> Iterator[Metric]:
    """The same of each replica, by its address."""
    for name, text, attribute in (
        ("up", "Whether the replica takes requests.", "is_healthy"),
        ("running", "Sequences that the replica computes.", "num_running"),
        ("waiting", "Sequences that wait for the replica.", "num_waiting"),
    ):
        gauge = GaugeMetricFamily(f"glm3edge_replica_{name}", text, labels=["replica"])
        for url, replica in replicas.items():
            gauge.add_metric([url], getattr(replica, attribute))
        yield gauge
    for name, text, attribute in (
        ("prompt_tokens", "Prompt tokens sent to the replica.", "num_prompt_tokens"),
        ("cached_tokens", "Prompt tokens served from its KV cache.", "num_cached_tokens"),
        ("completion_tokens", "Tokens that it generated.", "num_completion_tokens"),
    ):
        counter = CounterMetricFamily(f"glm3edge_replica_{name}", text, labels=["replica"])
        for url, replica in replicas.items():
            counter.add_metric([url], getattr(replica.stats, attribute))
        yield counter
    endings = CounterMetricFamily(
        "glm3edge_replica_requests",
        "Sequences that ended at the replica, those tried again elsewhere included.",
        labels=["replica", "reason"],
    )
    for url, replica in replicas.items():
        for reason, number in replica.stats.endings.items():
            endings.add_metric([url, reason.value], number)
    yield endings


def render(engine: InferenceEngine) -> bytes:
    """Current metrics in the text exposition format."""
    registry = CollectorRegistry()
    registry.register(_EngineCollector(engine))
    return generate_latest(registry)
