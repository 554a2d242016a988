"""A server that computes for this one."""

from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class EngineServer:
    """A server that has been found fit to be an engine.

    Attributes:
        url: of its OpenAI routes.
        api_key: that it wants, if any.
        model: name of its model.
        adapters: names of the model's adapters.
        context_size: tokens that prompt and reply may have.
        is_ours: whether it is glm3edge.
    """

    url: httpx.URL
    api_key: str | None
    model: str
    adapters: tuple[str, ...]
    context_size: int
    is_ours: bool

    def model_of(self, adapter: int) -> str:
        """Name of the model, or of its adapter of that number."""
        return self.adapters[adapter - 1] if adapter else self.model
