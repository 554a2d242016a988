from pathlib import Path

import pytest

from glm3edge.config import load_settings
from glm3edge.errors import ConfigError


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.ctx_size) == ("127.0.0.1", 8000, 0)
    assert settings.num_threads >= 1
    assert "glm3edge" in str(settings.cache_dir)


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLM3EDGE_PORT", "1234")
    monkeypatch.setenv("GLM3EDGE_CTX_SIZE", "512")
    monkeypatch.setenv("GLM3EDGE_CACHE_DIR", "some/where")
    monkeypatch.setenv("GLM3EDGE_CORS_ORIGINS", '["https://a.example"]')
    monkeypatch.setenv("GLM3EDGE_THREADS", "")
    settings = load_settings(port=4321, ctx_size=None)
    assert (settings.port, settings.ctx_size, settings.threads) == (4321, 512, 0)
    assert settings.cache_dir == Path("some/where")
    assert settings.cors_origins == ("https://a.example",)


@pytest.mark.parametrize(
    ("name", "value"), [("port", 70000), ("port", "http"), ("ctx_size", -1), ("threads", 100_000)]
)
def test_wrong_settings_are_named(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"setting {name}: .*{value}"):
        load_settings(**{name: value})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1
