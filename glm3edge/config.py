"""Settings: frozen, checked once, from options and ``GLM3EDGE_*`` environment variables."""

from pathlib import Path
from typing import Annotated

from platformdirs import user_cache_path
from pydantic import ByteSize, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from glm3edge.cores import num_compute_cores
from glm3edge.errors import ConfigError

LOCAL_ORIGINS = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
"""Origins that browsers may call from when none are configured: pages of this machine."""


class Settings(BaseSettings):
    """All that ``glm3edge serve`` can be told.

    An option wins over the environment variable of the same name (``GLM3EDGE_CTX_SIZE=4096``).
    """

    model_config = SettingsConfigDict(
        env_prefix="GLM3EDGE_", env_ignore_empty=True, frozen=True, extra="forbid"
    )

    host: str = "127.0.0.1"
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
    cors_origins: tuple[str, ...] = ()
    """Web origins allowed besides this machine's; ``*`` allows all."""
    disk_cache: ByteSize = ByteSize(4 * 2**30)
    """Bytes on disk for what conversations have computed; 0 keeps nothing."""
    cache_dir: Path = Field(default_factory=lambda: user_cache_path("glm3edge", appauthor=False))

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
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"setting {name}: {first['msg']}, not {first['input']!r}") from exc
