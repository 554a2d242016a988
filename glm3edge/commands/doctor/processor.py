"""Instruction sets of the processor, and those that llama.cpp was built without."""

import platform
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")

# By their names in llama.cpp's CPU backend (ggml-cpu.cpp): the flags of Linux that they need.
# AMX_INT8 is not among them, since scripts/install.sh builds without it.
_X86 = {
    "AVX": {"avx"},
    "AVX2": {"avx2"},
    "F16C": {"f16c"},
    "FMA": {"fma"},
    "BMI2": {"bmi2"},
    "AVX_VNNI": {"avx_vnni"},
    "AVX512": {"avx512f", "avx512cd", "avx512vl", "avx512dq", "avx512bw"},
    "AVX512_VBMI": {"avx512vbmi"},
    "AVX512_VNNI": {"avx512_vnni"},
    "AVX512_BF16": {"avx512_bf16"},
}
_ARM = {
    "NEON": {"asimd"},
    "FP16_VA": {"asimdhp"},
    "DOTPROD": {"asimddp"},
    "MATMUL_INT8": {"i8mm"},
    "SVE": {"sve"},
    "SME": {"sme"},
}
_TABLES: Mapping[str, Mapping[str, set[str]]] = {
    "x86_64": _X86,
    "amd64": _X86,
    "aarch64": _ARM,
    "arm64": _ARM,
}

# Flags of Linux by what macOS calls them (sysctl hw.optional).
_MAC_ARM_FLAGS = {
    "AdvSIMD": "asimd",
    "FEAT_FP16": "asimdhp",
    "FEAT_DotProd": "asimddp",
    "FEAT_I8MM": "i8mm",
    "FEAT_SME": "sme",
}


@dataclass(frozen=True, slots=True)
class Processor:
    """Processor of a machine.

    Attributes:
        name: of the product.
        machine: architecture, such as ``x86_64``.
        flags: features, by Linux's names; none if unknown.
    """

    name: str
    machine: str
    flags: frozenset[str]


def read_processor() -> Processor:
    """Read the processor of this machine."""
    machine = platform.machine()
    if sys.platform == "darwin":
        texts = _sysctl("machdep.cpu") + _sysctl("hw.optional")
        return Processor(_mac_name(texts), machine, mac_flags(texts))
    cpuinfo = _CPUINFO.read_text(errors="replace") if _CPUINFO.is_file() else ""
    name = cpuinfo_field(cpuinfo, "model name") or platform.processor() or machine
    flags = cpuinfo_field(cpuinfo, "flags") or cpuinfo_field(cpuinfo, "Features")
    return Processor(name, machine, frozenset(flags.split()))


def instruction_sets(processor: Processor) -> tuple[str, ...]:
    """Instruction sets that the processor has and llama.cpp can use, by llama.cpp's names."""
    table = _TABLES.get(processor.machine.lower(), {})
    return tuple(name for name, needed in table.items() if needed <= processor.flags)


def unused_sets(processor: Processor, features: Collection[str]) -> tuple[str, ...]:
    """Instruction sets that the processor has and llama.cpp was built without.

    Args:
        processor: the processor.
        features: of the build, as the CPU backend reports them.
    """
    return tuple(name for name in instruction_sets(processor) if name not in features)


def cpuinfo_field(text: str, name: str) -> str:
    """First value of a field of /proc/cpuinfo; '' if there is none."""
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return ""


def mac_flags(text: str) -> frozenset[str]:
    """Flags by Linux's names, from the output of ``sysctl machdep.cpu hw.optional``."""
    flags: set[str] = set()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.endswith("features"):  # of Intel's processors
            flags |= {
                "avx" if word == "AVX1.0" else word.lower().replace(".", "_")
                for word in value.split()
            }
        elif value.strip() == "1":
            flags.add(_MAC_ARM_FLAGS.get(key.rpartition(".")[2], ""))
    return frozenset(flags - {""})


def _mac_name(text: str) -> str:
    return cpuinfo_field(text, "machdep.cpu.brand_string") or platform.machine()


def _sysctl(name: str) -> str:
    try:
        return subprocess.run(
            ["sysctl", name], capture_output=True, text=True, timeout=5, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
