"""Every case of advice, from facts alone."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from glm3edge.commands.doctor.advice import gpu_advice, processor_advice, rpc_advice, wsl_advice
from glm3edge.commands.doctor.gpus import Gpu, GpuSetup, Vendor

NVIDIA = Gpu(Vendor.NVIDIA, "0000:01:00.0", "2684", "nvidia")
AMD = Gpu(Vendor.AMD, "0000:03:00.0", "744c", "amdgpu")
ARC = Gpu(Vendor.INTEL, "0000:03:00.0", "56a0", "xe")
INTEGRATED = Gpu(Vendor.INTEL, "0000:00:02.0", "9a49", "i915", is_integrated=True)
APPLE = Gpu(Vendor.APPLE, is_integrated=True)

BARE = GpuSetup("linux")
DRIVEN = replace(BARE, gpus=(NVIDIA,), has_nvidia_kernel=True, has_cuda_driver=True)
READY = replace(DRIVEN, has_nvcc=True)
NO_DRIVER = replace(BARE, gpus=(replace(NVIDIA, driver="nouveau"),))
MESA = replace(BARE, gpus=(AMD,), has_vulkan_driver=True)
MAC = GpuSetup("darwin", "", (APPLE,), has_xcode=True)

APT, DNF, PACMAN = "sudo apt install ", "sudo dnf install ", "sudo pacman -S "
TOOLS = "glslc libvulkan-dev spirv-headers"
CUDA_GPU = ("cuda", "NVIDIA GeForce RTX 4090")
VULKAN_GPU = ("vulkan", "AMD Radeon RX 7900 XTX (RADV NAVI31)")
CUDA, VULKAN, METAL = (f"make serve {name}=1" for name in ("CUDA", "VULKAN", "METAL"))


@pytest.mark.parametrize(
    ("setup", "backends", "devices", "words", "commands"),
    [
        (BARE, [], [], "GPU was found, so the CPU", []),
        (BARE, ["cuda"], [], "built for CUDA all the same", []),
        # NVIDIA: driver, compiler, build, device
        (
            NO_DRIVER,
            [],
            [],
            "driver is not installed",
            [APT + "nvidia-driver", APT + "nvidia-cuda-toolkit", CUDA],
        ),
        (
            replace(NO_DRIVER, packager="dnf", has_nvcc=True),
            [],
            [],
            "driver is not installed",
            [DNF + "akmod-nvidia", CUDA],
        ),
        (NO_DRIVER, ["cuda"], [], "driver is not installed", [APT + "nvidia-driver"]),
        (replace(NO_DRIVER, is_container=True, has_nvcc=True), [], [], "--gpus all", [CUDA]),
        (replace(READY, has_cuda_driver=False), ["cuda"], [], "--gpus all", []),
        (DRIVEN, [], [], "compiler is missing", [APT + "nvidia-cuda-toolkit", CUDA]),
        (replace(DRIVEN, packager="pacman"), [], [], "not built", [PACMAN + "cuda", CUDA]),
        (READY, ["cpu", "rpc"], [], "not built for it.", [CUDA]),
        (READY, ["cuda"], [], "finds no GPU", ["nvidia-smi"]),
        (READY, ["cuda"], [CUDA_GPU], "uses CUDA", []),
        (DRIVEN, ["vulkan"], [("vulkan", "NVIDIA GeForce RTX 4090")], "uses Vulkan", []),
        (
            GpuSetup("linux", gpus=(Gpu(Vendor.NVIDIA, driver="dxg"),), has_cuda_driver=True),
            [],
            [],
            "NVIDIA GPU: the driver is installed",
            [APT + "nvidia-cuda-toolkit", CUDA],
        ),
        # AMD and Intel: driver, Vulkan's driver, compiler, build, device
        (
            replace(BARE, gpus=(replace(AMD, driver=""),)),
            [],
            [],
            "the kernel has no driver for it",
            [APT + "mesa-vulkan-drivers", APT + TOOLS, VULKAN],
        ),
        (MESA, [], [], "not built for Vulkan", [APT + TOOLS, VULKAN]),
        (replace(MESA, has_glslc=True), [], [], "not built for Vulkan", [VULKAN]),
        (
            replace(MESA, gpus=(ARC,), packager="pacman", has_vulkan_driver=False),
            ["vulkan"],
            [],
            "Vulkan's driver is missing",
            [PACMAN + "vulkan-radeon vulkan-intel"],
        ),
        (MESA, ["vulkan"], [], "finds no GPU", ["ls -l /dev/dri && id"]),
        (MESA, ["vulkan"], [VULKAN_GPU], "uses Vulkan", []),
        (MESA, ["cuda"], [CUDA_GPU], "not built for Vulkan", [APT + TOOLS, VULKAN]),
        # Apple
        (MAC, ["metal"], [("metal", "Apple M4")], "uses Metal", []),
        (MAC, [], [], "not built for Metal", [METAL]),
        (replace(MAC, has_xcode=False), [], [], "Metal", ["xcode-select --install", METAL]),
        (MAC, ["metal"], [], "virtual machines", []),
    ],
)
def test_one_vendor(
    setup: GpuSetup,
    backends: Sequence[str],
    devices: Sequence[tuple[str, str]],
    words: str,
    commands: list[str],
) -> None:
    (advice,) = gpu_advice(setup, backends, devices)
    assert words in advice.text
    assert list(advice.commands) == commands
    assert advice.is_fault is bool(
        (setup.gpus and not devices) or words.startswith("not built for V")
    )


def test_an_integrated_gpu_is_no_fault() -> None:
    (advice,) = gpu_advice(replace(MESA, gpus=(INTEGRATED,)), [], [])
    assert "hardly write replies faster" in advice.text
    assert VULKAN in advice.commands
    assert not advice.is_fault


def test_an_integrated_gpu_beside_another() -> None:
    setup = replace(MESA, gpus=(INTEGRATED, AMD))
    intel, amd = gpu_advice(setup, ["vulkan"], [VULKAN_GPU])
    assert "leaves it alone" in intel.text
    assert "uses Vulkan" in amd.text
    (intel,) = gpu_advice(replace(MESA, gpus=(INTEGRATED,)), ["vulkan"], [("vulkan", "Intel Iris")])
    assert "uses Vulkan" in intel.text


def test_each_vendor_is_told_once() -> None:
    setup = replace(READY, gpus=(INTEGRATED, NVIDIA, replace(NVIDIA, place="0000:02:00.0")))
    intel, nvidia = gpu_advice(setup, ["cuda"], [CUDA_GPU])
    assert intel.text.startswith("Intel GPU at 0000:00:02.0 (9a49, i915): ")
    assert nvidia.text.startswith(
        "NVIDIA 2 GPUs at 0000:01:00.0 (2684, nvidia), 0000:02:00.0 (2684, nvidia): "
    )


def test_a_build_for_another_processor() -> None:
    assert processor_advice([], ["cpu"]) == []
    (advice,) = processor_advice(["AVX512", "AVX512_VNNI"], ["cpu", "rpc"])
    assert "AVX512, AVX512_VNNI" in advice.text
    assert "--no-binary llama-cpp-python" in advice.commands[-1]
    (advice,) = processor_advice(["AVX512"], ["cpu", "cuda", "vulkan"])
    assert advice.commands == ("rm -r .venv", "make serve CUDA=1 VULKAN=1")


def test_a_build_without_rpc() -> None:
    assert rpc_advice(["cpu", "rpc"]) == []
    (advice,) = rpc_advice(["cpu"])
    assert advice.is_fault
    assert advice.commands == ("scripts/install.sh",)


@pytest.mark.parametrize(
    "kernel",
    ["5.15.167.4-microsoft-standard-WSL2", "4.4.0-19041-Microsoft"],
    ids=["WSL 2", "WSL 1"],
)
def test_half_of_a_small_laptop_is_too_little_in_wsl(kernel: str) -> None:
    (advice,) = wsl_advice(kernel, int(3.8 * 2**30))
    assert advice.is_fault
    for words in ("WSL", "3.8 GiB", "memory=6GB", r"%UserProfile%\.wslconfig", "wsl --shutdown"):
        assert words in advice.text


def test_wsl_with_enough_memory_is_named() -> None:
    (advice,) = wsl_advice("6.6.87.2-microsoft-standard-WSL2", 6 * 2**30)
    assert not advice.is_fault
    assert "http://localhost:8000" in advice.text
    assert ".wslconfig" not in advice.text


def test_other_kernels_are_not_wsl() -> None:
    assert wsl_advice("6.1.0-37-amd64", 2**30) == []
