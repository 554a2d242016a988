"""Advice on what is missing, with commands: pure functions over facts.

For each vendor's GPUs there is a sequence of steps. The advice is the first that is missing, and
those after it that can be foreseen.

    NVIDIA   driver -> nvcc -> make serve CUDA=1 -> a device
    others   driver -> Vulkan's driver -> glslc -> make serve VULKAN=1 -> a device
    Apple    command line tools -> make serve METAL=1 -> a device
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from glm3edge.commands.doctor.gpus import Gpu, GpuSetup, Vendor

CUDA, VULKAN, METAL = "cuda", "vulkan", "metal"

_PACKAGES = {
    "driver": {"apt": "nvidia-driver", "dnf": "akmod-nvidia", "pacman": "nvidia"},
    "nvcc": {"apt": "nvidia-cuda-toolkit", "dnf": "cuda-toolkit", "pacman": "cuda"},
    "vulkan": {
        "apt": "glslc libvulkan-dev spirv-headers",
        "dnf": "glslc vulkan-headers vulkan-loader-devel spirv-headers-devel",
        "pacman": "shaderc vulkan-headers vulkan-icd-loader spirv-headers",
    },
    "mesa": {
        "apt": "mesa-vulkan-drivers",
        "dnf": "mesa-vulkan-drivers",
        "pacman": "vulkan-radeon vulkan-intel",
    },
}
_INSTALL = {"apt": "sudo apt install", "dnf": "sudo dnf install", "pacman": "sudo pacman -S"}
_REBUILD = (
    ".venv/bin/python -m ensurepip",
    (
        'CMAKE_ARGS="-DGGML_RPC=ON -DLLAVA_BUILD=OFF" CFLAGS=-U__AMX_INT8__ '
        "CXXFLAGS=-U__AMX_INT8__ .venv/bin/python -m pip install "
        "--force-reinstall --no-deps --no-cache-dir --no-binary llama-cpp-python llama-cpp-python"
    ),
)
_WORDS = {
    Vendor.NVIDIA: ("nvidia",),
    Vendor.AMD: ("amd", "radeon"),
    Vendor.INTEL: ("intel",),
    Vendor.APPLE: ("apple",),
}
"""Words in the names of a vendor's products."""

_TITLES = {CUDA: "CUDA", VULKAN: "Vulkan", METAL: "Metal"}

_WSL_MEMORY = 5 * 2**30
"""Memory that Linux should have for ChatGLM3-6B in q4_k_m, which takes 4.4 GiB of it."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Advice on this machine.

    Attributes:
        text: a sentence or two.
        commands: to run, in this order; none if there is nothing to do.
        is_fault: whether hardware is unused because something is missing.
    """

    text: str
    commands: tuple[str, ...] = ()
    is_fault: bool = False


def gpu_advice(
    setup: GpuSetup, backends: Collection[str], devices: Sequence[tuple[str, str]]
) -> list[Advice]:
    """Advice on the GPUs of this machine.

    Args:
        setup: GPUs, drivers and compilers.
        backends: backends that llama.cpp was built with: ``cuda``, ``vulkan``, ``metal``.
        devices: GPUs that llama.cpp has found: the backend, by the same names, and the product.
    """
    if not setup.gpus:
        return [_no_gpu(backends)]
    advice = []
    for vendor in dict.fromkeys(gpu.vendor for gpu in setup.gpus):
        gpus = [gpu for gpu in setup.gpus if gpu.vendor is vendor]
        advice.append(_vendor_advice(vendor, gpus, setup, backends, devices))
    return advice


def processor_advice(unused: Sequence[str], backends: Collection[str]) -> list[Advice]:
    """Advice on instruction sets that the processor has and llama.cpp was built without.

    Args:
        unused: such instruction sets.
        backends: backends that llama.cpp was built with.
    """
    if not unused:
        return []
    gpu_options = [f"{name.upper()}=1" for name in (CUDA, VULKAN, METAL) if name in backends]
    again = ["rm -r .venv", " ".join(["make serve", *gpu_options])]  # is never from a cache
    return [
        Advice(
            f"llama.cpp does not use this processor's {', '.join(unused)}: it was built for "
            "another. Build it here, to read prompts faster.",
            tuple(again) if gpu_options else _REBUILD,
            is_fault=True,
        )
    ]


def rpc_advice(backends: Collection[str]) -> list[Advice]:
    """Advice if llama.cpp was built without support for workers."""
    if "rpc" in backends:
        return []
    text = "llama.cpp was built without RPC: it can neither use workers nor be one."
    return [Advice(text, ("scripts/install.sh",), is_fault=True)]


def wsl_advice(kernel: str, memory_total: int) -> list[Advice]:
    """Advice if this is Linux in Windows, which gives it a part of the computer's memory.

    Args:
        kernel: release of the kernel, as ``uname -r`` prints it.
        memory_total: bytes of memory that Linux has.
    """
    if "microsoft" not in kernel.lower():
        return []
    is_short = memory_total < _WSL_MEMORY
    text = (
        f"This is WSL, to which Windows gives {memory_total / 2**30:.1f} GiB of the computer's "
        "memory, by default half. In the browser of Windows open http://localhost:8000."
    )
    if is_short:
        text += (
            " ChatGLM3-6B in q4_k_m needs 4.4 GiB free. To give WSL more, write the lines [wsl2] "
            "and memory=6GB to %UserProfile%\\.wslconfig in Windows, then run wsl --shutdown there."
        )
    return [Advice(text, is_fault=is_short)]


def _no_gpu(backends: Collection[str]) -> Advice:
    text = "No NVIDIA, AMD, Intel or Apple GPU was found, so the CPU does the work."
    built = [title for name, title in _TITLES.items() if name in backends]
    if built:
        text += f" llama.cpp is built for {' and '.join(built)} all the same."
    return Advice(text)


def _vendor_advice(
    vendor: Vendor,
    gpus: Sequence[Gpu],
    setup: GpuSetup,
    backends: Collection[str],
    devices: Sequence[tuple[str, str]],
) -> Advice:
    """Advice on the first step that is missing."""
    name, in_use = _gpu_name(vendor, gpus), _backend_in_use(vendor, devices)
    if in_use is not None:
        return Advice(f"{name}: llama.cpp has found it, and uses {_TITLES[in_use]}.")
    if devices and VULKAN in backends and all(gpu.is_integrated for gpu in gpus):
        return Advice(f"{name}: llama.cpp leaves it alone, since there is another GPU.")
    if vendor is Vendor.NVIDIA:
        return _nvidia_advice(name, setup, backends)
    if vendor is Vendor.APPLE:
        return _apple_advice(name, setup, backends)
    return _vulkan_advice(name, gpus, setup, backends)


def _backend_in_use(vendor: Vendor, devices: Sequence[tuple[str, str]]) -> str | None:
    """Backend that has found a vendor's GPUs; Vulkan finds those of any vendor."""
    own = {Vendor.NVIDIA: CUDA, Vendor.APPLE: METAL}.get(vendor)
    for backend, product in devices:
        is_vendors = any(word in product.lower() for word in _WORDS[vendor])
        if backend == own or (backend == VULKAN and is_vendors):
            return backend
    return None


def _nvidia_advice(name: str, setup: GpuSetup, backends: Collection[str]) -> Advice:
    builds = [] if {CUDA, VULKAN} & set(backends) else _cuda_build(setup)
    if not setup.has_cuda_driver:
        return _nvidia_driver_advice(name, setup, builds)
    if builds:
        lacks = "" if setup.has_nvcc else " CUDA's compiler is missing too."
        return Advice(
            f"{name}: the driver is installed, but llama.cpp was not built for it.{lacks}",
            tuple(builds),
            is_fault=True,
        )
    return Advice(
        f"{name}: the driver is installed and llama.cpp is built for it, but finds no GPU. Driver "
        "and kernel may differ since an update (restart the machine), the driver may be older than "
        "the CUDA that llama.cpp was built with, or CUDA_VISIBLE_DEVICES may hide it.",
        ("nvidia-smi",),
        is_fault=True,
    )


def _nvidia_driver_advice(name: str, setup: GpuSetup, builds: Sequence[str]) -> Advice:
    if setup.has_nvidia_kernel or (setup.is_container and not setup.is_wsl):
        return Advice(
            f"{name}: libcuda, the driver's part for programs, is missing here. A container has it "
            "if it is started with the GPUs (NVIDIA's container toolkit): docker run --gpus all.",
            tuple(builds),
            is_fault=True,
        )
    return Advice(
        f"{name}: NVIDIA's driver is not installed. Restart the machine once it is.",
        (_install("driver", setup), *builds),
        is_fault=True,
    )


def _cuda_build(setup: GpuSetup) -> list[str]:
    return [*([] if setup.has_nvcc else [_install("nvcc", setup)]), "make serve CUDA=1"]


def _vulkan_advice(
    name: str, gpus: Sequence[Gpu], setup: GpuSetup, backends: Collection[str]
) -> Advice:
    commands, faults = [], []
    if not any(gpu.driver for gpu in gpus) and not setup.is_wsl:
        faults.append("the kernel has no driver for it (a newer kernel, or its firmware, may help)")
    if not setup.has_vulkan_driver:
        faults.append("Vulkan's driver is missing")
        commands.append(_install("mesa", setup))
    if VULKAN not in backends:
        faults.append("llama.cpp was not built for Vulkan")
        if not setup.has_glslc:
            commands.append(_install("vulkan", setup))
        commands.append("make serve VULKAN=1")
    if not faults:
        faults.append(
            "the driver is installed and llama.cpp is built for it, but finds no GPU: does this "
            "user have access to it?"
        )
        commands.append("ls -l /dev/dri && id")
    text = f"{name}: {'; '.join(faults)}."
    if all(gpu.is_integrated for gpu in gpus):
        text += (
            " It shares the processor's memory, so it can read prompts faster but hardly write "
            "replies faster."
        )
    return Advice(text, tuple(commands), is_fault=not all(gpu.is_integrated for gpu in gpus))


def _apple_advice(name: str, setup: GpuSetup, backends: Collection[str]) -> Advice:
    if METAL in backends:
        return Advice(
            f"{name}: llama.cpp is built for Metal but finds no GPU; virtual machines have none.",
            is_fault=True,
        )
    tools = [] if setup.has_xcode else ["xcode-select --install"]
    return Advice(
        f"{name}: llama.cpp was not built for Metal.", (*tools, "make serve METAL=1"), is_fault=True
    )


def _gpu_name(vendor: Vendor, gpus: Sequence[Gpu]) -> str:
    places = [
        f"{gpu.place} ({gpu.device_id}{', ' if gpu.device_id and gpu.driver else ''}{gpu.driver})"
        for gpu in gpus
        if gpu.place
    ]
    number = f"{len(gpus)} GPUs" if len(gpus) > 1 else "GPU"
    return f"{vendor.value} {number}{' at ' if places else ''}{', '.join(places)}"


def _install(what: str, setup: GpuSetup) -> str:
    packager = setup.packager if setup.packager in _INSTALL else "apt"
    return f"{_INSTALL[packager]} {_PACKAGES[what][packager]}"
