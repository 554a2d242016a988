"""GPUs as Linux's sysfs shows them."""

from pathlib import Path

from glm3edge.commands.doctor.gpus import Gpu, Vendor, detect_gpu_setup, pci_gpus

DEVICES = {
    "0000:00:02.0": ("0x030000", "0x8086", "0x9a49", "i915"),
    "0000:00:1f.3": ("0x040300", "0x8086", "0xa0c8", "snd"),
    "0000:01:00.0": ("0x030200", "0x10de", "0x2684", "nvidia"),
    "0000:02:00.0": ("0x038000", "0x1002", "0x744c", ""),
    "0000:04:00.0": ("0x030000", "0x1a03", "0x2000", "ast"),
}


def test_pci(tmp_path: Path) -> None:
    for place, (kind, vendor, number, driver) in DEVICES.items():
        device = tmp_path / "devices" / place
        device.mkdir(parents=True)
        for name, value in (("class", kind), ("vendor", vendor), ("device", number)):
            (device / name).write_text(f"{value}\n")
        if driver:
            (tmp_path / driver).mkdir()
            (device / "driver").symlink_to(tmp_path / driver)
    assert pci_gpus(tmp_path / "devices") == (
        Gpu(Vendor.INTEL, "0000:00:02.0", "9a49", "i915", is_integrated=True),
        Gpu(Vendor.NVIDIA, "0000:01:00.0", "2684", "nvidia"),
        Gpu(Vendor.AMD, "0000:02:00.0", "744c", ""),
    )
    assert pci_gpus(tmp_path / "nowhere") == ()


def test_this_machine_can_be_looked_at() -> None:
    setup = detect_gpu_setup()
    assert setup.packager in {"apt", "dnf", "pacman", ""}
    assert setup.has_cuda_driver or not setup.has_nvidia_kernel or setup.is_container
