"""Settings from options and ``GLM3EDGE_*`` environment variables, frozen and checked once."""

import math
import re
from pathlib import Path
from typing import Annotated

from platformdirs import user_cache_path
from pydantic import ByteSize, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from glm3edge.config import defaults
from glm3edge.config.addresses import host_of, is_local, parse_address
from glm3edge.config.durations import parse_duration
from glm3edge.config.kv_types import DEFAULT_KV_TYPE, KVType
from glm3edge.config.ranges import parse_ranges, parse_shares
from glm3edge.errors import ConfigError
from glm3edge.limits import MAX_BODY_BYTES

LOCAL_ORIGINS = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
"""Regular expression of the origins that are always allowed: pages of this machine."""

_THERE = "set it where the engine runs, or leave it out"
_LOCAL = {
    "deterministic": "the engine's replies depend on what else it computes; leave it out",
    "prefix": "prefixes need the engine of this machine; leave one of the two out",
    "lora": "the engine lists its own adapters; leave it out",
    "disk_cache": "conversations are kept where the engine runs; leave it out",
    **dict.fromkeys(
        (
            *("ctx_size", "drafts", "gpu_layers", "shrink_ctx", "cpu_layers", "tensor_placement"),
            *("kv_on_gpu", "tensor_split", "main_gpu", "kv_type", "rpc", "stall_timeout"),
            *("isolate", "idle_unload", "type"),
        ),
        _THERE,
    ),
}
"""Settings of the engine of this machine, and what to do instead."""
_OFF = {"drafts": "--no-drafts", "kv_on_gpu": "--kv-on-cpu"}


class Settings(BaseSettings):
    """Settings of ``glm3edge serve``; other commands use some of them.

    An option takes precedence over the environment variable of its name (``GLM3EDGE_CTX_SIZE``).
    """

    model_config = SettingsConfigDict(
        env_prefix="GLM3EDGE_",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # the API key is secret
    )

    host: Annotated[str, Field(min_length=1)] = defaults.HOST
    port: Annotated[int, Field(ge=0, le=65535)] = defaults.PORT
    ctx_size: Annotated[int, Field(ge=0, le=2**31 - 256)] = 0
    """Tokens of context; 0 is the model's own length, up to ``defaults.CONTEXT_SIZE``."""
    parallel: Annotated[int, Field(ge=1, le=64)] = defaults.PARALLEL
    """Requests that are processed at once; they share the context."""
    queue: Annotated[int, Field(ge=0, le=10_000)] = defaults.QUEUE
    """Requests that may wait; more are refused with 429."""
    timeout: Annotated[float, Field(ge=0)] = defaults.TIMEOUT
    """Seconds from its arrival after which a request ends with an error; 0 is no limit."""
    clamp_max_tokens: bool = False
    """Reduce a ``max_tokens`` that exceeds the context to what fits, instead of an error."""
    drafts: bool = True
    """Speculative decoding: draft tokens where text repeats, and verify them in one batch."""
    deterministic: bool = False
    """Process one request at a time, in batches of a shape that depends on it alone, so that the
    same seed always gives the same text."""
    threads: Annotated[int, Field(ge=0, le=512)] = 0
    """Compute threads; 0 is one for each physical core this process may use."""
    gpu_layers: str = "auto"
    """Layers on the GPUs, counted back from the output: a number, ``all``, or ``auto``: all that
    fit."""
    shrink_ctx: bool = False
    """Reduce the context, to 2048 tokens at least, if all layers fit on the GPUs then."""
    cpu_layers: str = ""
    """Layers that stay on the CPU, by number: ``0-3,7``."""
    tensor_placement: tuple[str, ...] = ()
    """Pairs ``PATTERN=DEVICE``: devices of tensors whose name contains a match."""
    kv_on_gpu: bool = True
    """Whether the KV cache is on the device of each layer, or all on the CPU."""
    tensor_split: str = ""
    """Proportions in which GPUs share layers: ``3,1``; empty goes by what fits."""
    main_gpu: Annotated[int, Field(ge=0)] | None = None
    """Number of the one GPU that takes all of these layers."""
    kv_type: KVType = DEFAULT_KV_TYPE
    """Type of the KV cache."""
    rpc: tuple[str, ...] = ()
    """Workers on other machines that share the layers, ``host:port``."""
    stall_timeout: Annotated[float, Field(gt=0)] = defaults.STALL_TIMEOUT
    """Seconds without an answer from a GPU or worker after which it counts as lost."""
    isolate: bool = False
    """Run the engine in a child process where all layers are on the CPU, too."""
    idle_unload: str = ""
    """How long the engine is without requests before its model is unloaded; none is never."""
    type: str | None = None
    """Type that checkpoints are quantized to; None goes by the model."""
    embedding_model: str | None = None
    """Encoder for /v1/embeddings: a GGUF file or a folder; None is the chat model."""
    rerank_model: str | None = None
    """Reranker for /v1/rerank: a GGUF file or a folder; None is none."""
    engine: tuple[str, ...] = ()
    """Addresses of engines that compute in place of this machine."""
    engine_key: SecretStr | None = None
    """API key that the engines want."""
    lora: tuple[str, ...] = ()
    """LoRA adapters as ``FILE_OR_FOLDER[:SCALE]``; each is a model of its own for requests."""
    prefix: tuple[str, ...] = ()
    """P-Tuning v2 prefixes, files or folders; each is a model of its own for requests."""
    cors_origins: tuple[str, ...] = ()
    """Web origins allowed besides this machine's; ``*`` allows all."""
    api_key: SecretStr | None = None
    """API key that requests must have; None requires no key."""
    no_auth: bool = False
    """Allow requests from other machines without a key."""
    allowed_hosts: tuple[str, ...] = ()
    """Host headers allowed besides ``host`` and this machine's names; ``*`` allows all."""
    tls_cert: Path | None = None
    """Certificate for TLS with those of its authorities, a PEM file; None serves plain HTTP."""
    tls_key: Path | None = None
    """Private key of the certificate, a PEM file; None is in the certificate's file."""
    max_body: Annotated[ByteSize, Field(ge=1)] = ByteSize(MAX_BODY_BYTES)
    """Limit of a request's body, in bytes."""
    disk_cache: ByteSize = ByteSize(defaults.DISK_CACHE_BYTES)
    """Limit of the KV cache on disk, in bytes; 0 switches it off."""
    cache_dir: Path = Field(default_factory=lambda: user_cache_path("glm3edge", appauthor=False))

    @field_validator("api_key", "engine_key")
    @classmethod
    def _check_key(cls, key: SecretStr | None) -> SecretStr | None:
        """Check that a header can hold the key."""
        text = None if key is None else key.get_secret_value()
        if text is not None and (not text or text != text.strip() or not text.isprintable()):
            raise ValueError(
                "a key needs at least one character, all printable, without spaces around it"
            )
        return key

    @field_validator("allowed_hosts")
    @classmethod
    def _split_hosts(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        """Names in canonical form; an entry may have several, separated by commas."""
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
                raise ValueError(f"{pattern!r} is not a regular expression: {exc}") from None
        return pairs

    @field_validator("idle_unload")
    @classmethod
    def _check_duration(cls, text: str) -> str:
        if text:
            parse_duration(text)
        return text

    @field_validator("tensor_split")
    @classmethod
    def _check_split(cls, text: str) -> str:
        parse_shares(text)
        return text

    @field_validator("rpc")
    @classmethod
    def _split_workers(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        """Addresses with their ports; an entry may have several, separated by commas."""
        addresses = [parse_address(part) for entry in entries for part in entry.split(",")]
        if len(set(addresses)) < len(addresses):
            raise ValueError("a worker is named twice")
        return tuple(addresses)

    @property
    def idle_unload_seconds(self) -> float:
        """Seconds of ``idle_unload``; none at all, or 0, is never."""
        return parse_duration(self.idle_unload or "0") or math.inf


def load_settings(**options: object) -> Settings:
    """Load settings from ``options``, where None is not given, and the environment.

    Raises:
        ConfigError: a setting is wrong; the message names it.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as exc:
        raise ConfigError(_first_error(exc)) from exc
    except ValueError as exc:  # an environment variable that ought to be JSON
        raise ConfigError(f"{exc}: write a JSON list") from exc
    return settings


def _first_error(exc: ValidationError) -> str:
    first = exc.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    message = f"setting {name}: {first['msg'].removeprefix('Value error, ')}"
    return message if name in ("api_key", "engine_key") else f"{message}, not {first['input']!r}"


def check_exposure(settings: Settings) -> None:
    """Refuse an address that other machines can reach without a key, unless with ``no_auth``.

    Raises:
        ConfigError: it is such an address.
    """
    if settings.no_auth and settings.api_key is not None:
        raise ConfigError("--no-auth and an API key cannot be used together: leave one of them out")
    if not (is_local(settings.host) or settings.api_key is not None or settings.no_auth):
        raise ConfigError(
            f"--host {settings.host} can be reached from other machines: set a key in "
            "GLM3EDGE_API_KEY, or let anyone use the server with --no-auth"
        )


def check_engine_options(settings: Settings) -> None:
    """Refuse what a remote engine cannot do, or decides for itself.

    Raises:
        ConfigError: such a setting was given.
    """
    for name in _LOCAL if settings.engine else ():
        default = Settings.model_fields[name].get_default(call_default_factory=True)
        value = getattr(settings, name)
        if value != default and not (name == "disk_cache" and value == 0):
            option = _OFF.get(name, f"--{name.replace('_', '-')}")
            raise ConfigError(f"{option} does not work with --engine: {_LOCAL[name]}")
    if settings.engine_key is not None and not settings.engine:
        raise ConfigError("--engine-key only works with --engine")


def _host(name: str) -> str:
    host = "*" if name == "*" else host_of(name)
    if host is None:
        raise ValueError(f"{name!r} is not a host name")
    return host
