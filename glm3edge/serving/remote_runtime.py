"""Runtime over a remote engine: of the model there is only the vocabulary here."""

import math
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from glm3edge.config.settings import Settings
from glm3edge.engine.encoder_thread import EncoderThread
from glm3edge.errors import ConfigError
from glm3edge.llama.encoder import Encoder
from glm3edge.llama.model import Model
from glm3edge.llama.reranker import Reranker
from glm3edge.remote.engine import RemoteEngine
from glm3edge.remote.http import base_url
from glm3edge.remote.probe import find_engine
from glm3edge.serving.generation import ModelNames
from glm3edge.serving.runtime import make_guide, open_encoder
from glm3edge.serving.services import build_services
from glm3edge_convert.models.chatglm.vocabulary_file import write_vocabulary


class RemoteRuntime:
    """A vocabulary, a remote engine and the services over it. Closing it closes them all.

    Attributes:
        url: of the engine.
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
        """Read the vocabulary in ``path``, and try the engine that ``settings`` name.

        Raises:
            ModelError: the vocabulary, or another model, cannot be used.
            ConvertError: the folder is no ChatGLM3 checkpoint.
            ConfigError: the engine's address is none.
            EngineUnfitError: the engine cannot be used.
        """
        self.vocabulary_path = path
        self.url = _engine_url(settings)
        key = None if settings.engine_key is None else settings.engine_key.get_secret_value()
        with ExitStack() as stack:
            model = _open_vocabulary(path, stack)
            guide = make_guide(model)
            server = find_engine(self.url, key, model)
            encoder = open_encoder(Encoder, embedding_path, settings, stack)
            reranker = open_encoder(Reranker, rerank_path, settings, stack)
            thread = EncoderThread()
            stack.callback(thread.close)
            engine = RemoteEngine(
                server,
                model,
                max_running=settings.parallel,
                max_waiting=settings.queue,
                timeout=settings.timeout or math.inf,
            )
            stack.callback(engine.close)
            self.services = build_services(
                engine,
                model,
                ModelNames(server.model, server.adapters),
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


def _engine_url(settings: Settings) -> httpx.URL:
    if len(settings.engine) > 1:
        raise ConfigError("--engine: one engine can be used so far; give one address")
    return base_url(settings.engine[0], option="--engine")


def _open_vocabulary(path: Path, stack: ExitStack) -> Model:
    """Vocabulary of a GGUF file or checkpoint folder, which ``stack`` closes."""
    if path.is_dir():
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="glm3edge-")))
        write_vocabulary(path, folder / f"{path.resolve().name}.gguf")
        path = folder / f"{path.resolve().name}.gguf"
    return stack.enter_context(Model(path, vocab_only=True))
