"""Run of ``glm3edge serve``: finds the files, opens the model and serves, announcing each step.

Each step imports what it needs, since all imports together take most of a second.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from glm3edge.commands.logs import announce, is_json
from glm3edge.commands.serve.browser import open_in_browser
from glm3edge.config.addresses import is_wildcard, network_address
from glm3edge.config.settings import Settings, check_engine_options, check_exposure
from glm3edge.server.bind import bind
from glm3edge.server.tls import load_tls
from glm3edge_convert.counts import abbreviated
from glm3edge_convert.printable import one_line

if TYPE_CHECKING:
    from glm3edge.llama.remote_context import Report
    from glm3edge.server.startup import Startup
    from glm3edge.serving.remote_runtime import RemoteRuntime
    from glm3edge.serving.runtime import Runtime
    from glm3edge.store.adapters import AdapterFile, PrefixFile

_DEMO = "         A toy to try the API with: it greets, knows glm3edge, calls tools."
_NO_KEY = "         no key: anyone who can reach this address can use it"
_KEY_HEADER = '           -H "Authorization: Bearer $GLM3EDGE_API_KEY" \\'


@dataclass(frozen=True)
class _Files:
    """GGUF files to load."""

    model: Path
    encoder: Path | None
    reranker: Path | None
    adapters: Sequence["AdapterFile | PrefixFile"]

    def __iter__(self) -> Iterator[Path]:
        yield self.model
        yield from (file.path for file in self.adapters)
        yield from (path for path in (self.encoder, self.reranker) if path is not None)


def serve(model: str | None, settings: Settings) -> None:
    """Serve ``model``, or the built-in one, until SIGINT or SIGTERM.

    Raises:
        Glm3EdgeError: the server cannot start.
        ConvertError: a checkpoint cannot be converted.
    """
    check_exposure(settings)
    check_engine_options(settings)
    tls = load_tls(settings)
    with bind(settings) as sock:
        from glm3edge.server.app import create_app  # noqa: PLC0415
        from glm3edge.server.connection_limits import SPARE_CONNECTIONS  # noqa: PLC0415
        from glm3edge.server.run import ServerThread  # noqa: PLC0415
        from glm3edge.server.startup import Startup  # noqa: PLC0415
        from glm3edge.server.tls_protocol import protocol_for  # noqa: PLC0415

        port, startup = sock.getsockname()[1], Startup()
        with ServerThread(
            create_app(startup, settings),
            sock,
            protocol=protocol_for(tls),
            max_connections=settings.parallel + settings.queue + SPARE_CONNECTIONS,
        ) as server:
            files = _find(model, settings, startup, port)
            there = {path: path.stat().st_size for path in files if path.is_file()}
            startup.begin("load", sum(there.values()))
            for path, num_bytes in there.items():
                announce("load", f"{path}, {num_bytes / 2**20:,.1f} MiB")
            with _open_runtime(files, settings, is_demo=model is None) as runtime:
                on_ready = partial(_announce_ready, runtime, settings, port, is_demo=model is None)
                server.serve(runtime.services, on_ready=on_ready)
    announce("stopped")


def _find(model: str | None, settings: Settings, startup: "Startup", port: int) -> _Files:
    """Find the files of ``model`` and the settings; pull and convert those that are missing."""
    from glm3edge.store.store import Store  # noqa: PLC0415
    from glm3edge_convert.conversion import Kind  # noqa: PLC0415
    from glm3edge_convert.progress import Step, progress_bar  # noqa: PLC0415

    def tell(label: str, text: str) -> None:
        startup.begin(label)
        announce(label, text)
        if label == "pull":
            announce("page", f"{_url(settings, port)}/ shows the progress")

    with progress_bar(partial(announce, "done") if is_json() else None) as show:

        def progress(step: Step) -> None:
            startup.update(step)
            show(step)

        store = Store(
            settings.cache_dir, quant_type=settings.type, progress=progress, announce=tell
        )
        return _Files(
            model=store.find_vocabulary(model) if settings.engine else store.find(model),
            encoder=store.find_encoder(settings.embedding_model),
            reranker=store.find_encoder(settings.rerank_model, Kind.RERANK),
            adapters=[*store.find_adapters(settings.lora), *store.find_prefixes(settings.prefix)],
        )


def _open_runtime(files: _Files, settings: Settings, *, is_demo: bool) -> "Runtime | RemoteRuntime":
    from glm3edge.serving.remote_runtime import RemoteRuntime  # noqa: PLC0415
    from glm3edge.serving.runtime import Runtime  # noqa: PLC0415
    from glm3edge.store.built_in import DEFAULT_NAME  # noqa: PLC0415

    if settings.engine:
        announce("engine", f"{_engines(settings)}, with the vocabulary of {files.model}")
        return RemoteRuntime(
            files.model, settings, embedding_path=files.encoder, rerank_path=files.reranker
        )
    return Runtime(
        files.model,
        settings,
        model_id=DEFAULT_NAME if is_demo else None,
        embedding_path=files.encoder,
        rerank_path=files.reranker,
        adapters=files.adapters,
    )


def _announce_ready(
    runtime: "Runtime | RemoteRuntime", settings: Settings, port: int, *, is_demo: bool
) -> None:
    if is_json():
        models = ", ".join(card.id for card in runtime.services.cards)
        announce("ready", f"{models} on {_url(settings, port)}/v1")
    else:
        print(_banner(runtime, settings, port, is_demo=is_demo), flush=True)
    if settings.open:
        open_in_browser(f"{_url(settings, port)}/")


def _url(settings: Settings, port: int, host: str | None = None) -> str:
    """Address that a browser can open; on this machine if no ``host`` is given."""
    host = host or ("localhost" if is_wildcard(settings.host) else settings.host)
    host = f"[{host}]" if ":" in host else host
    scheme = "http" if settings.tls_cert is None else "https"
    return f"{scheme}://{host}:{port}"


def _network_lines(settings: Settings, port: int) -> list[str]:
    """Address for other machines; without a key, only names that are known are let in."""
    is_open = is_wildcard(settings.host) and settings.api_key is not None
    address = network_address() if is_open else None
    return [f"network  {_url(settings, port, address)}/ from other machines"] if address else []


def _banner(
    runtime: "Runtime | RemoteRuntime", settings: Settings, port: int, *, is_demo: bool
) -> str:
    url = _url(settings, port)
    body = {"model": runtime.services.card.id, "messages": [{"role": "user", "content": "你好"}]}
    lines = [
        f"Open {url}/ in a browser",
        *_model_lines(runtime, settings, is_demo=is_demo),
        *_other_model_lines(runtime),
        *_network_lines(settings, port),
        f"API      {url}/v1  (docs: {url}/docs)",
        *([_NO_KEY] if settings.no_auth else []),
        f"try      curl {url}/v1/chat/completions -H 'Content-Type: application/json' \\",
        *([_KEY_HEADER] if settings.api_key is not None else []),
        f"           -d '{json.dumps(body, ensure_ascii=False)}'",
        "stop     Ctrl-C",
    ]
    return "\n".join(map(one_line, lines))


def _engines(settings: Settings) -> str:
    return ", ".join(settings.engine)


def _model_lines(
    runtime: "Runtime | RemoteRuntime", settings: Settings, *, is_demo: bool
) -> list[str]:
    from glm3edge.serving.remote_runtime import RemoteRuntime  # noqa: PLC0415

    card = runtime.services.card
    context = f"{card.context_length:,} tokens of context"
    if isinstance(runtime, RemoteRuntime):
        return [
            f"model    {card.id}, {context}",
            f"engine   {_engines(settings)}, with the vocabulary of {runtime.vocabulary_path}",
        ]
    model = runtime.model
    facts = [
        card.id,
        f"{abbreviated(model.num_params)} parameters",
        *([model.file_type] if model.file_type else []),
        context,
    ]
    return [
        f"model    {', '.join(facts)}",
        *([_DEMO] if is_demo else []),
        *_placement_lines(runtime.report),
    ]


def _other_model_lines(runtime: "Runtime | RemoteRuntime") -> list[str]:
    lines, reranker = [], runtime.services.rerank
    for card in runtime.services.cards[1:]:
        size = f"up to {card.context_length:,} tokens per"
        if card.parent is not None:
            lines.append(f"adapter  {card.id}")
        elif reranker is not None and card.id == reranker.model_id:
            lines.append(f"reranks  {card.id}, {size} pair")
        else:
            lines.append(f"embeds   {card.id}, {size} text")
    return lines


def _placement_lines(report: "Report | None") -> list[str]:
    if report is None:
        return []
    from glm3edge.llama.allocations import describe  # noqa: PLC0415

    first, *others = describe(report.layer_devices, report.allocations)
    return [f"devices  {first}", *(f"         {line}" for line in others)]
