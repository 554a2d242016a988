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
    monkeypatch.setenv("GLM3EDGE_CORS_ORIGINS", "https://a.example")
    monkeypatch.setenv("GLM3EDGE_THREADS", "")
    settings = load_settings(port=4321, ctx_size=None)
    assert (settings.port, settings.ctx_size, settings.threads) == (4321, 512, 0)
    assert settings.cache_dir == Path("some/where")
    assert settings.cors_origins == ("https://a.example",)


@pytest.mark.parametrize(
    ("name", "value"), [("port", 70000), ("port", "http"), ("ctx_size", -1), ("threads", 100_000)]
)
def test_wrong_options_are_named(name: str, value: object) -> None:
    option = f"--{name.replace('_', '-')}"
    with pytest.raises(ConfigError, match=f"^{option} {value}: .*; for example {option} [1-9]"):
        load_settings(**{name: value})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("https://a.example", ("https://a.example",)),
        (" https://a.example , https://b.example,", ("https://a.example", "https://b.example")),
        ('["https://a.example", "https://b.example"]', ("https://a.example", "https://b.example")),
        ("[]", ()),
    ],
)
def test_lists_in_variables(
    text: str, origins: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commas between the entries; JSON lists, which were wanted once, still do."""
    monkeypatch.setenv("GLM3EDGE_CORS_ORIGINS", text)
    assert load_settings().cors_origins == origins


def test_commas_within_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern = "blk.[0-9]{1,2}.ffn=CPU"
    assert load_settings(tensor_placement=[pattern]).tensor_placement == (pattern,)
    assert load_settings(rpc=["a:1,b", "c:2"]).rpc == ("a:1", "b:50052", "c:2")
    monkeypatch.setenv("GLM3EDGE_TENSOR_PLACEMENT", f'["{pattern}"]')
    monkeypatch.setenv("GLM3EDGE_ALLOWED_HOSTS", "[::1]:8000,box")
    settings = load_settings()
    assert settings.tensor_placement == (pattern,)
    assert settings.allowed_hosts == ("::1", "box")


@pytest.mark.parametrize(
    ("name", "value", "example"),
    [
        ("PORT", "http", "8000"),
        ("CTX_SIZE", "4k", "8192"),
        ("KV_TYPE", "q5", "f16"),
        ("RPC", "a:x", "192.168.0.7:50052,box:50052"),
        ("DISK_CACHE", "much", "4GiB"),
        ("JSON_LOGS", "maybe", "false"),
        ("CORS_ORIGINS", '["https://a', "https://app.example"),
    ],
)
def test_wrong_variables_are_named_with_an_example(
    name: str, value: str, example: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"GLM3EDGE_{name}", value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"GLM3EDGE_{name}={value}: ")
    assert str(caught.value).endswith(f"; for example GLM3EDGE_{name}={example}")


def test_unknown_variables_are_warned_about(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GLM3EDGE_CTX_SIZ", "8192")
    monkeypatch.setenv("GLM3EDGE_FAVORITE_COLOR", "green")
    assert load_settings().ctx_size == 0
    assert caplog.messages == [
        "GLM3EDGE_CTX_SIZ is ignored: no setting has that name; did you mean GLM3EDGE_CTX_SIZE?",
        "GLM3EDGE_FAVORITE_COLOR is ignored: no setting has that name",
    ]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("GLM3EDGE_CONFIG", str(path))
    return path


def test_the_file_is_between_variables_and_defaults(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(
        """
        # with hyphens, as options; or underscores
        ctx-size = 1024
        disk_cache = "1GiB"
        port = 1
        queue = 2
        gpu-layers = 20
        rpc = ["box:1", "box:2"]
        allowed-hosts = "box.lan, box"
        isolate = true
        """
    )
    monkeypatch.setenv("GLM3EDGE_PORT", "3")
    monkeypatch.setenv("GLM3EDGE_QUEUE", "4")
    settings = load_settings(port=5)
    assert (settings.port, settings.queue, settings.ctx_size) == (5, 4, 1024)
    assert (settings.disk_cache, settings.gpu_layers, settings.isolate) == (2**30, "20", True)
    assert settings.rpc == ("box:1", "box:2")
    assert settings.allowed_hosts == ("box.lan", "box")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ctx-siz = 1", "FILE: ctx-siz is not a setting; did you mean ctx-size?"),
        ("favorite-color = 1", "FILE: favorite-color is not a setting"),
        ("[serve]\nport = 1", "FILE: serve is not a setting; settings stand before all tables"),
        (
            'port = "http"',
            (
                'FILE: port = "http": Input should be a valid integer, unable to parse '
                "string as an integer; for example port = 8000"
            ),
        ),
        (
            "rpc = [1.5, {}]",
            (
                "FILE: rpc = [1.5, {}]: Input should be a valid string; for example "
                'rpc = ["192.168.0.7:50052", "box:50052"]'
            ),
        ),
        (
            "lora = 2026-01-01",
            (
                'FILE: lora = "2026-01-01": Input should be a valid list; for '
                'example lora = ["poet.gguf"]'
            ),
        ),
        (
            "kv-type = q8_0",
            (
                "FILE is not valid TOML: Invalid value (at line 1, column 11); text "
                'goes in quotes, as in host = "127.0.0.1"'
            ),
        ),
        (
            'api-key = " the-secret"',
            (
                "FILE: api-key: a key needs at least one character, all printable, without spaces "
                "around it"
            ),
        ),
    ],
)
def test_faults_of_the_file(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert str(caught.value) == message.replace("FILE", str(file))


def test_files_that_cannot_be_read(file: Path) -> None:
    with pytest.raises(ConfigError, match=f"cannot read the configuration file {file}: No such"):
        load_settings()
    file.write_bytes('host = "°"'.encode("latin-1"))
    with pytest.raises(ConfigError, match="is not valid TOML: 'utf-8' codec"):
        load_settings()
    file.write_text("\ufeffport = 1", encoding="utf-8")  # as Windows' editor writes it
    assert load_settings().port == 1


def test_the_platforms_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It need not be there."""
    monkeypatch.delenv("GLM3EDGE_CONFIG")
    monkeypatch.setattr("glm3edge.config.sources.user_config_path", lambda *_, **__: tmp_path / "c")
    assert load_settings().port == 8000
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.toml").write_text("port = 1")
    assert load_settings().port == 1


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
    with pytest.raises(ConfigError, match=f"^--{name.replace('_', '-')}: a key needs") as caught:
        load_settings(**{name: key})
    assert "secret" not in str(caught.value)
    assert "secret" not in str(caught.value.__cause__)


def test_names_of_the_server() -> None:
    settings = load_settings(allowed_hosts=["Box.LAN, box:8000", "[::0001]", "*"])
    assert settings.allowed_hosts == ("box.lan", "box", "::1", "*")
    with pytest.raises(
        ConfigError, match=r"^--allowed-hosts http://box: 'http://box' is not a host name"
    ):
        load_settings(allowed_hosts=["http://box"])


def test_the_size_of_bodies() -> None:
    assert load_settings().max_body == 16 * 2**20
    assert load_settings(max_body="1.5MiB").max_body == 1_572_864
    for wrong in ("0", "-1", "much"):
        with pytest.raises(ConfigError, match=r"^--max-body "):
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
