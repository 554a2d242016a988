import re
from typing import Any

import pytest

from glm3edge.config.settings import Settings, load_settings
from glm3edge.errors import ConfigError
from glm3edge.llama.device_placement import ON_CPU, Placement
from glm3edge.llama.devices import Device, DeviceKind
from glm3edge.placement.from_settings import check_no_device_options, chosen_placement

NUM_LAYERS = 6
ONE = [Device("RPC0", "box:1", DeviceKind.GPU, "RPC", 2**30, 2**30)]
TWO = [*ONE, Device("CUDA0", "a card", DeviceKind.GPU, "CUDA", 2**30, 2**31)]


def settings(**options: Any) -> Settings:
    return load_settings(**options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"gpu_layers": "0"}, ON_CPU),
        (
            {"gpu_layers": "0", "tensor_placement": ["ffn_up=CUDA0"]},
            Placement(("RPC0", "CUDA0"), 0, overrides=(("ffn_up", "CUDA0"),)),
        ),
        (
            {"main_gpu": 1, "tensor_placement": ["ffn_up=CPU", "ffn_down=CUDA0"]},
            Placement(
                ("RPC0", "CUDA0"),
                -1,
                overrides=(("ffn_up", "CPU"), ("ffn_down", "CUDA0")),
                main_gpu=1,
            ),
        ),
        ({"gpu_layers": "all"}, Placement(("RPC0", "CUDA0"), -1)),
        ({"gpu_layers": "3"}, Placement(("RPC0", "CUDA0"), 3)),
        ({"gpu_layers": "99"}, Placement(("RPC0", "CUDA0"), 7)),
        (
            {"gpu_layers": "all", "kv_on_gpu": False},
            Placement(("RPC0", "CUDA0"), -1, kv_on_gpu=False),
        ),
        ({"tensor_split": "3,1"}, Placement(("RPC0", "CUDA0"), -1, tensor_split=(3, 1))),
        ({"main_gpu": 1}, Placement(("RPC0", "CUDA0"), -1, main_gpu=1)),
        (
            {"cpu_layers": "0-1"},
            Placement(("RPC0", "CUDA0"), 5, overrides=((r"^blk\.(0|1)\.", "CPU"),)),
        ),
        (
            {"cpu_layers": "4,2"},
            Placement(("RPC0", "CUDA0"), -1, overrides=((r"^blk\.(2|4)\.", "CPU"),)),
        ),
        (
            {"cpu_layers": "0-5"},
            Placement(("RPC0", "CUDA0"), 1, overrides=((r"^blk\.(0|1|2|3|4|5)\.", "CPU"),)),
        ),
        (
            {"cpu_layers": "0", "gpu_layers": "2"},
            Placement(("RPC0", "CUDA0"), 2, overrides=((r"^blk\.(0)\.", "CPU"),)),
        ),
        (
            {"tensor_placement": ["ffn_.*=CPU", "a=b=CUDA0"], "cpu_layers": "3"},
            Placement(
                ("RPC0", "CUDA0"),
                -1,
                overrides=(("ffn_.*", "CPU"), ("a=b", "CUDA0"), (r"^blk\.(3)\.", "CPU")),
            ),
        ),
    ],
)
def test_what_is_asked_is_placed(options: dict[str, Any], expected: Placement) -> None:
    assert chosen_placement(settings(**options), TWO, num_layers=NUM_LAYERS) == expected


@pytest.mark.parametrize("options", [{}, {"gpu_layers": "auto"}, {"kv_on_gpu": False}])
def test_what_fits_is_found_elsewhere(options: dict[str, Any]) -> None:
    assert chosen_placement(settings(**options), ONE, num_layers=NUM_LAYERS) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cpu_layers": "5-6"}, "--cpu-layers 5-6: the model has layers 0 to 5"),
        ({"tensor_placement": ["ffn=GPU0"]}, "ffn=GPU0: the devices are CPU, RPC0"),
        ({"tensor_split": "1,1"}, "--tensor-split 1,1: give a share for each: RPC0"),
        ({"main_gpu": 1}, "--main-gpu 1: the GPUs are 0: RPC0"),
        ({"gpu_layers": "0", "tensor_placement": ["ffn=GPU0"]}, "ffn=GPU0: the devices are"),
    ],
)
def test_what_is_not_there_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        chosen_placement(settings(**options), ONE, num_layers=NUM_LAYERS)


def test_where_one_gpu_takes_all_the_others_take_nothing() -> None:
    options = settings(main_gpu=1, tensor_placement=["ffn=RPC0"])
    with pytest.raises(ConfigError, match="the devices are CPU, CUDA0"):
        chosen_placement(options, TWO, num_layers=NUM_LAYERS)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("gpu_layers", "all"),
        ("gpu_layers", "3"),
        ("tensor_placement", ["a=CPU"]),
        ("tensor_split", "1"),
        ("main_gpu", 0),
    ],
)
def test_without_devices_nothing_can_be_asked_of_them(option: str, value: Any) -> None:
    name = "--" + option.replace("_", "-")
    with pytest.raises(ConfigError, match=f"{name}: llama.cpp found no GPU"):
        check_no_device_options(settings(**{option: value}))


@pytest.mark.parametrize("options", [{}, {"gpu_layers": "0"}, {"cpu_layers": "0-3"}])
def test_without_devices_the_cpu_may_be_asked_for(options: dict[str, Any]) -> None:
    check_no_device_options(settings(**options))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("gpu_layers", "most"),
        ("gpu_layers", "-1"),
        ("cpu_layers", "x"),
        ("tensor_placement", ["ffn"]),
        ("tensor_placement", ["(=CPU"]),
        ("tensor_split", "a"),
        ("main_gpu", -1),
        ("kv_type", "q5_0"),
        ("rpc", ["box:http"]),
        ("rpc", ["box:1,box:1"]),
    ],
)
def test_options_that_cannot_work_are_refused(option: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^--{option.replace('_', '-')} "):
        settings(**{option: value})


def test_workers_may_be_listed_with_commas() -> None:
    assert settings(rpc=["a:1,b", "c:2"]).rpc == ("a:1", "b:50052", "c:2")
