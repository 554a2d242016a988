"""Instruction sets, from what systems tell of their processors."""

import pytest

from glm3edge.commands.doctor.processor import (
    Processor,
    cpuinfo_field,
    instruction_sets,
    mac_flags,
    read_processor,
    unused_sets,
)

CPUINFO = """\
processor\t: 0
model name\t: AMD EPYC
flags\t\t: fpu avx avx2 fma f16c bmi2 avx512f avx512cd avx512vl avx512dq avx512bw avx512_vnni

processor\t: 1
model name\t: another
"""


def of(machine: str, flags: str) -> Processor:
    return Processor("name", machine, frozenset(flags.split()))


def test_cpuinfo() -> None:
    assert cpuinfo_field(CPUINFO, "model name") == "AMD EPYC"
    assert cpuinfo_field(CPUINFO, "flags").endswith("avx512_vnni")
    assert cpuinfo_field(CPUINFO, "Features") == ""


@pytest.mark.parametrize(
    ("processor", "features", "unused"),
    [
        (of("x86_64", cpuinfo_field(CPUINFO, "flags")), [], "AVX AVX2 F16C FMA BMI2 AVX512"),
        (of("x86_64", "avx avx2 fma"), ["AVX", "AVX2", "FMA", "LLAMAFILE"], ""),
        (of("AMD64", "avx avx2"), ["AVX"], "AVX2"),
        (of("x86_64", "avx512f avx512cd avx512vl avx512dq"), [], ""),  # without avx512bw
        (of("aarch64", "asimd asimddp i8mm sve"), ["NEON", "DOTPROD"], "MATMUL_INT8 SVE"),
        (of("riscv64", "v"), [], ""),
    ],
)
def test_what_is_not_used(processor: Processor, features: list[str], unused: str) -> None:
    found = [name for name in unused_sets(processor, features) if name != "AVX512_VNNI"]
    assert " ".join(found) == unused


def test_mac() -> None:
    arm = "hw.optional.arm.FEAT_DotProd: 1\nhw.optional.arm.FEAT_I8MM: 0\nhw.optional.AdvSIMD: 1\n"
    assert mac_flags(arm) == {"asimddp", "asimd"}
    intel = "machdep.cpu.features: FPU AVX1.0 FMA F16C\nmachdep.cpu.leaf7_features: AVX2 BMI2\n"
    assert instruction_sets(Processor("Intel", "x86_64", mac_flags(intel))) == (
        "AVX",
        "AVX2",
        "F16C",
        "FMA",
        "BMI2",
    )


def test_this_processor() -> None:
    processor = read_processor()
    assert processor.name
    assert instruction_sets(processor), processor
