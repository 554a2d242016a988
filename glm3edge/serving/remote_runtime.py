"""Runtime over remote engines: of the model there is only the vocabulary here."""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from glm3edge.chatglm3.vocabulary import SpecialTokens
from glm3edge.config.settings import Settings
from glm3edge.engine.encoder_thread import EncoderThread
from glm3edge.engine.interface import InferenceEngine
from glm3edge.errors import ConfigError
from glm3edge.llama.encoder import Encoder
from glm3edge.llama.model import Model
from glm3edge.llama.reranker import Reranker
from glm3edge.remote.engine import RemoteEngine
from glm3edge.remote.http import base_url
from glm3edge.remote.probe import find_engines
from glm3edge.remote.router import Router
from glm3edge.remote.server import EngineServer
from glm3edge.serving.generation import ModelNames
from glm3edge.serving.runtime import make_guide, open_encoder
from glm3edge.serving.services import build_services
from glm3edge_convert.models.chatglm.vocabulary_file import write_vocabulary


class RemoteRuntime:
    """A vocabulary, remote engines and the services over them. Closing it closes them all.

    Attributes:
        vocabulary_path: GGUF file or folder that the vocabulary is from.
        services: over the engine.
    """

    def __init__(
        self,
        path: Path,
        settings: Settings,
        *,
        embedding_path: Path | None = None,
        rerank_path: Path | None = None,
    ) -> None:
        """Read the vocabulary in ``path``, and try the engines that ``settings`` name.

        Raises:
            ModelError: the vocabulary, or another model, cannot be used.
            ConvertError: the folder is no ChatGLM3 checkpoint.
            ConfigError: an engine's address is none, or is there twice.
            EngineUnfitError: an engine cannot be used, or not beside the others.
        """
        self.vocabulary_path = path
        urls = _engine_urls(settings)
        key = None if settings.engine_key is None else settings.engine_key.get_secret_value()
        with ExitStack() as stack:
            model = _open_vocabulary(path, stack)
            guide = make_guide(model)
            servers = find_engines(urls, key, model)
            encoder = open_encoder(Encoder, embedding_path, settings, stack)
            reranker = open_encoder(Reranker, rerank_path, settings, stack)
            thread = EncoderThread()
            stack.callback(thread.close)
            engine = _engine_on(servers, model, settings)
            stack.callback(engine.close)
            self.services = build_services(
                engine,
                model,
                ModelNames(servers[0].model, servers[0].adapters),
                settings,
                guide=guide,
                encoder_thread=thread,
                encoder=encoder,
                reranker=reranker,
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> "RemoteRuntime":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End what runs, then free everything. Idempotent."""
        self._stack.close()


def _engine_urls(settings: Settings) -> list[httpx.URL]:
    urls = [base_url(text, option="--engine") for text in settings.engine]
    for url in urls:
        if urls.count(url) > 1:
            raise ConfigError(f"--engine {url} is given twice: each is a machine of its own")
    return urls


def _engine_on(
    servers: Sequence[EngineServer], vocabulary: Model, settings: Settings
) -> InferenceEngine:
    engines = {
        str(server.url): RemoteEngine(
            server,
            vocabulary,
            max_running=settings.parallel,
            max_waiting=settings.queue,
            timeout=settings.timeout or math.inf,
        )
        for server in servers
    }
    if len(engines) == 1:
        return next(iter(engines.values()))
    return Router(engines, SpecialTokens.of(vocabulary))


def _open_vocabulary(path: Path, stack: ExitStack) -> Model:
    """Vocabulary of a GGUF file or checkpoint folder, which ``stack`` closes."""
    if path.is_dir():
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="glm3edge-")))
        write_vocabulary(path, folder / f"{path.resolve().name}.gguf")
        path = folder / f"{path.resolve().name}.gguf"
    return stack.enter_context(Model(path, vocab_only=True))
