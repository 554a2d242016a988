"""Settings: frozen, checked once, from options and ``GLM3EDGE_*`` environment variables."""

from pathlib import Path
from typing import Annotated

from platformdirs import user_cache_path
from pydantic import ByteSize, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from glm3edge.cores import num_compute_cores
from glm3edge.errors import ConfigError
from glm3edge.hosts import host_of, is_local

LOCAL_ORIGINS = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
"""Origins that browsers may call from when none are configured: pages of this machine."""


class Settings(BaseSettings):
    """All that ``glm3edge serve`` can be told.

    An option wins over the environment variable of the same name (``GLM3EDGE_CTX_SIZE=4096``).
    """

    model_config = SettingsConfigDict(
        env_prefix="GLM3EDGE_",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # one of them is secret
    )

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    ctx_size: Annotated[int, Field(ge=0)] = 0
    """Tokens of context; 0 takes the model's own length, up to DEFAULT_CONTEXT_SIZE."""
    parallel: Annotated[int, Field(ge=1, le=64)] = 4
    """Requests that run at once; they share the context."""
    queue: Annotated[int, Field(ge=0, le=10_000)] = 64
    """Requests that may wait; more are refused with 429."""
    timeout: Annotated[float, Field(ge=0)] = 0.0
    """Seconds from its arrival after which a request ends with an error; 0 sets no limit."""
    drafts: bool = True
    """Guess at tokens where the text repeats itself, and check the guesses in one batch."""
    deterministic: bool = False
    """One request at a time, in batches whose shape depends on nothing else: the same seed then
    always gives the same text."""
    threads: Annotated[int, Field(ge=0, le=512)] = 0
    """Compute threads; 0 takes one for each physical core this process may use."""
    type: str | None = None
    """What a checkpoint folder is quantized to; None takes what suits the model."""
    embedding_model: str | None = None
    """An encoder for /v1/embeddings: a GGUF file or a folder; None takes the chat model."""
    lora: tuple[str, ...] = ()
    """LoRA adapters as ``FILE_OR_FOLDER[:SCALE]``; each is a model of its own for requests."""
    prefix: tuple[str, ...] = ()
    """P-Tuning v2 prefixes, files or folders; each is a model of its own for requests."""
    cors_origins: tuple[str, ...] = ()
    """Web origins allowed besides this machine's; ``*`` allows all."""
    api_key: SecretStr | None = None
    """What callers have to send; None asks for nothing."""
    no_auth: bool = False
    """Serve other machines without a key."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that requests may be sent to besides ``host`` and this machine's; ``*`` allows all."""
    max_body: Annotated[ByteSize, Field(ge=1)] = ByteSize(32 * 2**20)
    """Bytes that the body of a request may have."""
    disk_cache: ByteSize = ByteSize(4 * 2**30)
    """Bytes on disk for what conversations have computed; 0 keeps nothing."""
    cache_dir: Path = Field(default_factory=lambda: user_cache_path("glm3edge", appauthor=False))

    @field_validator("api_key")
    @classmethod
    def _check_key(cls, key: SecretStr | None) -> SecretStr | None:
        """A header must be able to hold it."""
        text = None if key is None else key.get_secret_value()
        if text is not None and (not text or text != text.strip() or not text.isprintable()):
            raise ValueError("a key has one character or more, all printable, no spaces around it")
        return key

    @field_validator("allowed_hosts")
    @classmethod
    def _split_hosts(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        """Names in one spelling; an entry may have several, with commas between."""
        return tuple(_host(name.strip()) for entry in entries for name in entry.split(","))

    @property
    def num_threads(self) -> int:
        """Compute threads, with 0 resolved."""
        return self.threads or num_compute_cores()


def load_settings(**options: object) -> Settings:
    """Settings from ``options`` (None means not given) over the environment.

    Raises:
        ConfigError: naming the setting and what is wrong with it.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as exc:
        raise ConfigError(_first_error(exc)) from exc
    except ValueError as exc:  # an environment variable that ought to be JSON
        raise ConfigError(f"{exc}: a JSON list is wanted") from exc
    _check_exposure(settings)
    return settings


def _first_error(exc: ValidationError) -> str:
    first = exc.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    message = f"setting {name}: {first['msg'].removeprefix('Value error, ')}"
    return message if name == "api_key" else f"{message}, not {first['input']!r}"


def _check_exposure(settings: Settings) -> None:
    """Refuse to let other machines in without a key, unless that is asked for."""
    if settings.no_auth and settings.api_key is not None:
        raise ConfigError("--no-auth and an API key exclude each other: leave out one of them")
    if not (is_local(settings.host) or settings.api_key is not None or settings.no_auth):
        raise ConfigError(
            f"--host {settings.host} can be reached from other machines: set a key in "
            "GLM3EDGE_API_KEY, or let anyone use the server with --no-auth"
        )


def _host(name: str) -> str:
    host = "*" if name == "*" else host_of(name)
    if host is None:
        raise ValueError(f"{name!r} is no host name")
    return host
