"""What is said where a model does not fit, which has to be true."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from glm3edge.errors import DoesNotFitError
from glm3edge.llama.child_process import ChildProcess
from glm3edge.llama.devices import CPU
from glm3edge.placement.budgets import DeviceBudget
from glm3edge.placement.fitting import fit_or_advise
from glm3edge.placement.memory_usage import ContextParams
from glm3edge.placement.search import best_placement
from glm3edge.placement.variants import outlines as opened_outlines
from glm3edge.placement.variants import read_planned_model
from glm3edge_convert.models.outline import CHATGLM3_6B

GIB = 2**30
WORKLOAD = ContextParams(8192, 128, 52)


def test_each_piece_of_advice_fits(outlines: dict[str, Path]) -> None:
    path, cpu = outlines["q4_k_m"], DeviceBudget(CPU, int(3.79 * GIB))
    with pytest.raises(DoesNotFitError) as caught:
        fit_or_advise(path, (), cpu, WORKLOAD)
    advice = caught.value.advice
    assert advice in str(caught.value)
    assert "--kv-type q8_0" in advice
    assert best_placement(path, (), cpu, replace(WORKLOAD, kv_type="q8_0"))
    size = re.search(r"--ctx-size (\d+)", advice)
    assert size is not None
    assert best_placement(path, (), cpu, replace(WORKLOAD, context_size=int(size[1])))
    named = re.search(r"a file of type (\w+) \(([\d.]+) GiB\)", advice)
    assert named is not None
    assert named[1] == "q4_k_s"
    with opened_outlines(CHATGLM3_6B, [named[1]]) as (variant,):
        assert best_placement(variant.path, (), cpu, WORKLOAD)
        assert float(named[2]) == pytest.approx(variant.num_bytes / GIB, abs=0.05)


def test_nothing_to_advise(outlines: dict[str, Path]) -> None:
    with pytest.raises(DoesNotFitError, match="nothing smaller does either"):
        fit_or_advise(outlines["q2_k"], (), DeviceBudget(CPU, GIB), WORKLOAD)


def test_advice_with_workers(outlines: dict[str, Path], host: ChildProcess) -> None:
    path, room = outlines["f16"], DeviceBudget("RPC0", 4 * GIB)
    with pytest.raises(DoesNotFitError, match=r"a file of type q8_0 \(6\.2 GiB\)"):
        fit_or_advise(
            path, (room,), DeviceBudget(CPU, 4 * GIB), WORKLOAD, workers=host.call("addresses")
        )


def test_what_fits_needs_no_advice(outlines: dict[str, Path]) -> None:
    found = fit_or_advise(outlines["q4_k_m"], (), DeviceBudget(CPU, 4 * GIB), WORKLOAD)
    assert found == best_placement(outlines["q4_k_m"], (), DeviceBudget(CPU, 4 * GIB), WORKLOAD)


def test_sizes_are_read_from_the_file(outlines: dict[str, Path]) -> None:
    """All of them, and the padded feed-forward width stays as it is."""
    found = read_planned_model(None, outlines["q4_k_m"])
    assert found.file_type == "q4_k_m"
    assert replace(found.hparams, ffn_size=13696, norm_epsilon=1e-5) == CHATGLM3_6B
    assert found.hparams.padded_ffn_size == CHATGLM3_6B.padded_ffn_size
