"""Generation options as ``/set`` takes them."""

import pytest

from glm3edge.commands.chat.generation_options import GenerationOptions
from glm3edge.errors import ConfigError


def test_options() -> None:
    options = GenerationOptions()
    options.set("temperature", "0.7")
    options.set("stop", "END")
    options.set("max_tokens", "5")
    assert options.body == {"temperature": 0.7, "stop": "END", "max_tokens": 5}
    options.set("stop", "default")
    assert (options.max_tokens, "stop" in options.body) == (5, False)
    for name, value in [("temperature", "hot"), ("max_tokens", "0"), ("model", "x")]:
        with pytest.raises(ConfigError, match=name):
            options.set(name, value)
