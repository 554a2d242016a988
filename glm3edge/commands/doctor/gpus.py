"""GPUs, drivers and compilers of this machine, detected without llama.cpp."""

import ctypes
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_PCI = Path("/sys/bus/pci/devices")
_DISPLAY_CLASS = "0x03"
_INTEL_INTEGRATED = "0000:00:02.0"
_ICD_FOLDERS = ("/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d")
_NVCC_FOLDERS = ("/usr/local/cuda/bin", "/opt/cuda/bin")


class Vendor(Enum):
    """Vendors of GPUs that llama.cpp can use; values are their names."""

    NVIDIA = "NVIDIA"
    AMD = "AMD"
    INTEL = "Intel"
    APPLE = "Apple"


_VENDORS = {"0x10de": Vendor.NVIDIA, "0x1002": Vendor.AMD, "0x8086": Vendor.INTEL}


@dataclass(frozen=True, slots=True)
class Gpu:
    """GPU found by the operating system.

    Attributes:
        vendor: its vendor.
        place: PCI address, '' if it has none.
        device_id: PCI device id, '' if it has none.
        driver: name of the kernel's driver, '' for none.
        is_integrated: whether it is a part of the processor and has no memory of its own.
    """

    vendor: Vendor
    place: str = ""
    device_id: str = ""
    driver: str = ""
    is_integrated: bool = False


@dataclass(frozen=True, slots=True)
class GpuSetup:
    """GPUs of a machine, and the software that llama.cpp needs to use them.

    Attributes:
        system: ``sys.platform``: ``linux``, ``darwin`` or another.
        packager: command that installs packages, ``apt``, ``dnf``, ``pacman`` or '' for unknown.
        gpus: those that were found.
        has_cuda_driver: whether NVIDIA's library for programs (libcuda) can be loaded.
        has_nvidia_kernel: whether NVIDIA's driver runs in the kernel.
        has_vulkan_driver: whether there is a Vulkan driver for programs.
        has_nvcc: whether CUDA's compiler is installed.
        has_glslc: whether the compiler of Vulkan's shaders is installed.
        has_xcode: whether Apple's compilers are installed.
        is_wsl: whether this is Linux in Windows, where GPUs are not on the PCI bus.
        is_container: whether this is a container, which sees only the GPUs it was started with.
    """

    system: str
    packager: str = "apt"
    gpus: tuple[Gpu, ...] = ()
    has_cuda_driver: bool = False
    has_nvidia_kernel: bool = False
    has_vulkan_driver: bool = False
    has_nvcc: bool = False
    has_glslc: bool = False
    has_xcode: bool = False
    is_wsl: bool = False
    is_container: bool = False


def detect_gpu_setup() -> GpuSetup:
    """Detect the setup of this machine."""
    has_cuda_driver = _can_load("libcuda.so.1")
    is_wsl = Path("/dev/dxg").exists()
    return GpuSetup(
        system=sys.platform,
        packager=next(filter(shutil.which, ("apt", "dnf", "pacman")), ""),
        gpus=_gpus(has_cuda_driver=has_cuda_driver, is_wsl=is_wsl),
        has_cuda_driver=has_cuda_driver,
        has_nvidia_kernel=Path("/proc/driver/nvidia/version").exists(),
        has_vulkan_driver=any(any(Path(name).glob("*.json")) for name in _ICD_FOLDERS),
        has_nvcc=_has_program("nvcc", _NVCC_FOLDERS, "CUDA_PATH"),
        has_glslc=_has_program("glslc", (), "VULKAN_SDK"),
        has_xcode=shutil.which("xcode-select") is not None and shutil.which("cc") is not None,
        is_wsl=is_wsl,
        is_container=Path("/.dockerenv").exists() or Path("/run/.containerenv").exists(),
    )


def pci_gpus(folder: Path = _PCI) -> tuple[Gpu, ...]:
    """GPUs on the PCI bus, from Linux's sysfs; only those of a ``Vendor``."""
    gpus = []
    for device in sorted(folder.iterdir()) if folder.is_dir() else []:
        vendor = _VENDORS.get(_read(device / "vendor"))
        if vendor is None or not _read(device / "class").startswith(_DISPLAY_CLASS):
            continue
        link = device / "driver"
        gpus.append(
            Gpu(
                vendor=vendor,
                place=device.name,
                device_id=_read(device / "device").removeprefix("0x"),
                driver=link.resolve().name if link.exists() else "",
                is_integrated=vendor is Vendor.INTEL and device.name == _INTEL_INTEGRATED,
            )
        )
    return tuple(gpus)


def _gpus(*, has_cuda_driver: bool, is_wsl: bool) -> tuple[Gpu, ...]:
    if sys.platform == "darwin":
        return (Gpu(Vendor.APPLE, is_integrated=True),)
    gpus = pci_gpus()
    is_nvidia_seen = any(gpu.vendor is Vendor.NVIDIA for gpu in gpus)
    if is_wsl and has_cuda_driver and not is_nvidia_seen:
        return (*gpus, Gpu(Vendor.NVIDIA, driver="dxg"))
    return gpus


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _can_load(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _has_program(name: str, folders: Sequence[str], variable: str) -> bool:
    own = os.environ.get(variable)
    places = [*folders, *([f"{own}/bin"] if own else [])]
    return any(shutil.which(name, path=place) for place in (None, *places))
