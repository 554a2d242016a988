"""Settings from options, ``GLM3EDGE_*`` variables and the configuration file; checked once."""

import json
import logging
import math
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from platformdirs import user_cache_path
from pydantic import (
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from glm3edge.config import defaults
from glm3edge.config.addresses import host_of, is_local, parse_address
from glm3edge.config.durations import parse_duration
from glm3edge.config.kv_types import DEFAULT_KV_TYPE, KVType
from glm3edge.config.log_levels import LogLevel
from glm3edge.config.ranges import parse_ranges, parse_shares
from glm3edge.config.sources import Given, find_given, key_of, option_of
from glm3edge.errors import ConfigError
from glm3edge.limits import MAX_BODY_BYTES

LOCAL_ORIGINS = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
"""Regular expression of the origins that are always allowed: pages of this machine."""

SECRETS = ("api_key", "engine_key")
"""Settings whose values are never shown."""

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

logger = logging.getLogger(__name__)


def _split(value: object) -> object:
    """Entries of a list that is written as one text: between commas, or in a JSON list."""
    if not isinstance(value, str):
        return value
    if re.match(r'\s*\[\s*["\]]', value):  # not [::1]
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def _split_all(value: object) -> object:
    """Entries of a list whose entries may have several, separated by commas."""
    entries = _split(value)
    if not isinstance(entries, list | tuple):
        return entries
    return [part for entry in entries for part in _listed(_split(entry))]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


Texts = Annotated[tuple[str, ...], BeforeValidator(_split)]
Addresses = Annotated[tuple[str, ...], BeforeValidator(_split_all)]
"""Texts that have no commas in them."""


class Settings(BaseModel):
    """Settings of ``glm3edge serve``; other commands use some of them.

    Examples are for the messages about wrong values, where the default is none.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # the API key is secret
        coerce_numbers_to_str=True,  # gpu-layers = 20
    )

    model: str | None = None
    """Model: a GGUF file, a folder or a repository; None is the built-in one."""
    host: Annotated[str, Field(min_length=1)] = defaults.HOST
    port: Annotated[int, Field(ge=0, le=65535)] = defaults.PORT
    open: bool = False
    """Open the chat page in a browser once the server is ready."""
    ctx_size: Annotated[int, Field(ge=0, le=2**31 - 256, examples=[8192])] = 0
    """Tokens of context; 0 is the model's own length, up to ``defaults.CONTEXT_SIZE``."""
    parallel: Annotated[int, Field(ge=1, le=64)] = defaults.PARALLEL
    """Requests that are processed at once; they share the context."""
    queue: Annotated[int, Field(ge=0, le=10_000)] = defaults.QUEUE
    """Requests that may wait; more are refused with 429."""
    timeout: Annotated[float, Field(ge=0, examples=[600])] = defaults.TIMEOUT
    """Seconds from its arrival after which a request ends with an error; 0 is no limit."""
    clamp_max_tokens: bool = False
    """Reduce a ``max_tokens`` that exceeds the context to what fits, instead of an error."""
    drafts: bool = True
    """Speculative decoding: draft tokens where text repeats, and verify them in one batch."""
    deterministic: bool = False
    """Process one request at a time, in batches of a shape that depends on it alone, so that the
    same seed always gives the same text."""
    threads: Annotated[int, Field(ge=0, le=512, examples=[4])] = 0
    """Compute threads; 0 is one for each physical core this process may use."""
    gpu_layers: str = "auto"
    """Layers on the GPUs, counted back from the output: a number, ``all``, or ``auto``: all that
    fit."""
    shrink_ctx: bool = False
    """Reduce the context, to 2048 tokens at least, if all layers fit on the GPUs then."""
    cpu_layers: Annotated[str, Field(examples=["0-3,7"])] = ""
    """Layers that stay on the CPU, by number: ``0-3,7``."""
    tensor_placement: Annotated[Texts, Field(examples=[["ffn_.*=CPU"]])] = ()
    """Pairs ``PATTERN=DEVICE``: devices of tensors whose name contains a match."""
    kv_on_gpu: bool = True
    """Whether the KV cache is on the device of each layer, or all on the CPU."""
    tensor_split: Annotated[str, Field(examples=["3,1"])] = ""
    """Proportions in which GPUs share layers: ``3,1``; empty goes by what fits."""
    main_gpu: Annotated[int | None, Field(ge=0, examples=[0])] = None
    """Number of the one GPU that takes all of these layers."""
    kv_type: KVType = DEFAULT_KV_TYPE
    """Type of the KV cache."""
    rpc: Annotated[Addresses, Field(examples=[["192.168.0.7:50052", "box:50052"]])] = ()
    """Workers on other machines that share the layers, ``host:port``."""
    stall_timeout: Annotated[float, Field(gt=0)] = defaults.STALL_TIMEOUT
    """Seconds without an answer from a GPU or worker after which it counts as lost."""
    isolate: bool = False
    """Run the engine in a child process where all layers are on the CPU, too."""
    idle_unload: Annotated[str, Field(examples=["10m"])] = ""
    """How long the engine is without requests before its model is unloaded; none is never."""
    type: Annotated[str | None, Field(examples=["q4_k_m"])] = None
    """Type that checkpoints are quantized to; None goes by the model."""
    embedding_model: str | None = None
    """Encoder for /v1/embeddings: a GGUF file or a folder; None is the chat model."""
    rerank_model: str | None = None
    """Reranker for /v1/rerank: a GGUF file or a folder; None is none."""
    engine: Annotated[Addresses, Field(examples=[["http://192.168.0.7:8000"]])] = ()
    """Addresses of engines that compute in place of this machine."""
    engine_key: SecretStr | None = None
    """API key that the engines want."""
    lora: Annotated[Texts, Field(examples=[["poet.gguf"]])] = ()
    """LoRA adapters as ``FILE_OR_FOLDER[:SCALE]``; each is a model of its own for requests."""
    prefix: Annotated[Texts, Field(examples=[["poet.gguf"]])] = ()
    """P-Tuning v2 prefixes, files or folders; each is a model of its own for requests."""
    cors_origins: Annotated[Addresses, Field(examples=[["https://app.example"]])] = ()
    """Web origins allowed besides this machine's; ``*`` allows all."""
    api_key: SecretStr | None = None
    """API key that requests must have; None requires no key."""
    no_auth: bool = False
    """Allow requests from other machines without a key."""
    allowed_hosts: Annotated[Addresses, Field(examples=[["box.lan"]])] = ()
    """Host headers allowed besides ``host`` and this machine's names; ``*`` allows all."""
    tls_cert: Path | None = None
    """Certificate for TLS with those of its authorities, a PEM file; None serves plain HTTP."""
    tls_key: Path | None = None
    """Private key of the certificate, a PEM file; None is in the certificate's file."""
    max_body: Annotated[ByteSize, Field(ge=1, examples=["16MiB"])] = ByteSize(MAX_BODY_BYTES)
    """Limit of a request's body, in bytes."""
    disk_cache: Annotated[ByteSize, Field(examples=["4GiB"])] = ByteSize(defaults.DISK_CACHE_BYTES)
    """Limit of the KV cache on disk, in bytes; 0 switches it off."""
    cache_dir: Path = Field(default_factory=lambda: user_cache_path("glm3edge", appauthor=False))
    log_level: LogLevel = "warning"
    json_logs: bool = False
    """Write all output as JSON objects, one a line."""

    @field_validator(*SECRETS)
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
    def _check_hosts(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        """Names in canonical form."""
        return tuple(map(_host, entries))

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
    def _check_workers(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        """Addresses with their ports."""
        addresses = [parse_address(entry) for entry in entries]
        if len(set(addresses)) < len(addresses):
            raise ValueError("a worker is named twice")
        return tuple(addresses)

    @property
    def idle_unload_seconds(self) -> float:
        """Seconds of ``idle_unload``; none at all, or 0, is never."""
        return parse_duration(self.idle_unload or "0") or math.inf


def load_settings(**options: object) -> Settings:
    """Load settings from ``options``, where None is not given, variables and the file.

    Raises:
        ConfigError: a setting is wrong, or there is none of that name; the message says where.
    """
    given = _known(find_given(options))
    try:
        return Settings.model_validate({name: item.value for name, item in given.items()})
    except ValidationError as exc:
        raise ConfigError(_first_error(exc, given)) from exc


def _known(given: dict[str, Given]) -> dict[str, Given]:
    """``given`` without what is no setting: a warning in the environment, an error in the file."""
    known = {}
    for name, item in given.items():
        if name in Settings.model_fields:
            known[name] = item
            continue
        close = get_close_matches(name, Settings.model_fields, n=1)
        nearest = [Given(match, None, item.source) for match in close]
        if item.source == "file":
            hint = "".join(f"; did you mean {key_of(near.name)}?" for near in nearest)
            hint = "; settings stand before all tables" if isinstance(item.value, dict) else hint
            raise ConfigError(f"{item.place}: {key_of(name)} is not a setting{hint}")
        hint = "".join(f"; did you mean {near.place}?" for near in nearest)
        logger.warning("%s is ignored: no setting has that name%s", item.place, hint)
    return known


def _first_error(exc: ValidationError, given: dict[str, Given]) -> str:
    first = exc.errors(include_url=False, include_input=False)[0]
    item = given[str(first["loc"][0])]
    reason = first["msg"].removeprefix("Value error, ").replace("valid tuple", "valid list")
    if item.name in SECRETS:
        key = f"{key_of(item.name)}: " if item.source == "file" else ""
        return f"{item.place}: {key}{reason}"
    field = Settings.model_fields[item.name]
    examples = field.examples or ([] if field.default in (None, "", ()) else [field.default])
    example = "".join(f"; for example {item.written(value)}" for value in examples)
    return f"{item}: {reason}{example}"


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
            raise ConfigError(
                f"{option_of(name, value)} does not work with --engine: {_LOCAL[name]}"
            )
    if settings.engine_key is not None and not settings.engine:
        raise ConfigError("--engine-key only works with --engine")


def _host(name: str) -> str:
    host = "*" if name == "*" else host_of(name)
    if host is None:
        raise ValueError(f"{name!r} is not a host name")
    return host
