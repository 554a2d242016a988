"""Settings: frozen, checked once, from options and ``GLM3EDGE_*`` environment variables."""

import re
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_cache_path
from pydantic import ByteSize, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from glm3edge.config.addresses import host_of, is_local, parse_address
from glm3edge.config.ranges import parse_ranges, parse_shares
from glm3edge.errors import ConfigError

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
    ctx_size: Annotated[int, Field(ge=0, le=2**31 - 256)] = 0
    """Tokens of context; 0 takes the model's own length, up to DEFAULT_CONTEXT_SIZE."""
    parallel: Annotated[int, Field(ge=1, le=64)] = 4
    """Requests that run at once; they share the context."""
    queue: Annotated[int, Field(ge=0, le=10_000)] = 64
    """Requests that may wait; more are refused with 429."""
    timeout: Annotated[float, Field(ge=0)] = 0.0
    """Seconds from its arrival after which a request ends with an error; 0 sets no limit."""
    clamp_max_tokens: bool = False
    """Give what fits where ``max_tokens`` asks for more than the context has room for."""
    drafts: bool = True
    """Guess at tokens where the text repeats itself, and check the guesses in one batch."""
    deterministic: bool = False
    """One request at a time, in batches whose shape depends on nothing else: the same seed then
    always gives the same text."""
    threads: Annotated[int, Field(ge=0, le=512)] = 0
    """Compute threads; 0 takes one for each physical core this process may use."""
    gpu_layers: str = "auto"
    """Layers on the GPUs, counted back from the output: a number, ``all``, or as many as fit."""
    shrink_ctx: bool = False
    """Take a smaller context, down to 2048 tokens, where all layers fit on the GPUs then."""
    cpu_layers: str = ""
    """Layers that stay on the CPU, by number: ``0-3,7``."""
    tensor_placement: tuple[str, ...] = ()
    """Pairs ``PATTERN=DEVICE``: where tensors are whose name contains a match."""
    kv_on_gpu: bool = True
    """Keys and values are where their layer is; if not, all on the CPU."""
    tensor_split: str = ""
    """Shares of the GPUs in their layers: ``3,1``; empty goes by what fits."""
    main_gpu: Annotated[int, Field(ge=0)] | None = None
    """The one GPU that takes all of these layers, by its number."""
    kv_type: Literal["f16", "q8_0", "q4_0"] = "f16"
    """What keys and values are kept in."""
    rpc: tuple[str, ...] = ()
    """Workers on other machines that share the layers, ``host:port``."""
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

    @field_validator("gpu_layers")
    @classmethod
    def _check_gpu_layers(cls, text: str) -> str:
        if text not in {"auto", "all"} and not text.isdecimal():
            raise ValueError("give a number of layers, all or auto")
        return text

    @field_validator("cpu_layers")
    @classmethod
    def _check_cpu_layers(cls, text: str) -> str:
        parse_ranges(text)
        return text

    @field_validator("tensor_placement")
    @classmethod
    def _check_patterns(cls, pairs: tuple[str, ...]) -> tuple[str, ...]:
        for pair in pairs:
            pattern, _, device = pair.rpartition("=")
            if not pattern or not device:
                raise ValueError(r"write PATTERN=DEVICE, such as 'ffn_.*=CPU'")
            try:
                re.compile(pattern)
            except re.error as exc:
                raise ValueError(f"{pattern!r} is no regular expression: {exc}") from None
        return pairs

    @field_validator("tensor_split")
    @classmethod
    def _check_split(cls, text: str) -> str:
        parse_shares(text)
        return text

    @field_validator("rpc")
    @classmethod
    def _split_workers(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        """Addresses with their ports; an entry may have several, with commas between."""
        addresses = [parse_address(part) for entry in entries for part in entry.split(",")]
        if len(set(addresses)) < len(addresses):
            raise ValueError("a worker is named twice")
        return tuple(addresses)


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
