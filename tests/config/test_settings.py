from pathlib import Path
from typing import Any

import pytest

from glm3edge.config.settings import check_engine_options, check_exposure, load_settings
from glm3edge.errors import ConfigError
from glm3edge.placement.machine.cores import num_threads


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.ctx_size) == ("127.0.0.1", 8000, 0)
    assert num_threads(settings.threads) >= 1
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


def test_a_list_in_the_environment_that_is_no_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLM3EDGE_CORS_ORIGINS", "https://a.example")
    with pytest.raises(ConfigError, match="cors_origins"):
        load_settings()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "box.lan"])
def test_other_machines_need_a_key(host: str) -> None:
    with pytest.raises(ConfigError, match=r"GLM3EDGE_API_KEY.*--no-auth"):
        check_exposure(load_settings(host=host))
    check_exposure(load_settings(host=host, api_key="k"))
    check_exposure(load_settings(host=host, no_auth=True))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.3.2.1", "::1"])
def test_this_machine_needs_none(host: str) -> None:
    check_exposure(load_settings(host=host))


def test_a_key_and_no_auth_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match="cannot be used together"):
        check_exposure(load_settings(api_key="k", no_auth=True))


def test_the_key_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLM3EDGE_API_KEY", "the-secret")
    settings = load_settings()
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "the-secret"
    assert "the-secret" not in f"{settings!r} {settings} {settings.model_dump()}"


@pytest.mark.parametrize("name", ["api_key", "engine_key"])
@pytest.mark.parametrize("key", ["", " the-secret", "the-secret\n", "the-\x00secret", "\udc80"])
def test_keys_that_no_header_holds(name: str, key: str) -> None:
    """The message does not repeat the key."""
    with pytest.raises(ConfigError, match=f"setting {name}") as caught:
        load_settings(**{name: key})
    assert "secret" not in str(caught.value)
    assert "secret" not in str(caught.value.__cause__)


def test_names_of_the_server() -> None:
    settings = load_settings(allowed_hosts=["Box.LAN, box:8000", "[::0001]", "*"])
    assert settings.allowed_hosts == ("box.lan", "box", "::1", "*")
    with pytest.raises(ConfigError, match="allowed_hosts: 'http://box' is not a host name"):
        load_settings(allowed_hosts=["http://box"])


def test_the_size_of_bodies() -> None:
    assert load_settings().max_body == 16 * 2**20
    assert load_settings(max_body="1.5MiB").max_body == 1_572_864
    for wrong in ("0", "-1", "much"):
        with pytest.raises(ConfigError, match="setting max_body"):
            load_settings(max_body=wrong)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"deterministic": True}, "--deterministic"),
        ({"prefix": ("p",)}, "--prefix"),
        ({"lora": ("a",)}, "--lora"),
        ({"disk_cache": "1GiB"}, "--disk-cache"),
        ({"ctx_size": 512}, "--ctx-size"),
        ({"drafts": False}, "--no-drafts"),
        ({"gpu_layers": "3"}, "--gpu-layers"),
        ({"kv_on_gpu": False}, "--kv-on-cpu"),
        ({"rpc": ("a:1",)}, "--rpc"),
        ({"isolate": True}, "--isolate"),
        ({"idle_unload": "10m"}, "--idle-unload"),
        ({"type": "q8_0"}, "--type"),
    ],
)
def test_what_a_remote_engine_cannot_have_is_named(options: dict[str, Any], named: str) -> None:
    check_engine_options(load_settings(**options))
    with pytest.raises(ConfigError, match=f"^{named} .*--engine"):
        check_engine_options(load_settings(engine=("http://a",), **options))


def test_what_a_remote_engine_can_have() -> None:
    options = {"parallel": 8, "queue": 9, "timeout": 5, "disk_cache": 0, "embedding_model": "e"}
    check_engine_options(load_settings(engine=("http://a",), engine_key="k", **options))
    with pytest.raises(ConfigError, match="--engine-key only works with --engine"):
        check_engine_options(load_settings(engine_key="k"))
