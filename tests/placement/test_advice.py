"""Advice where a model does not fit: everything that it names does fit."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from glm3edge.errors import DoesNotFitError
from glm3edge.llama.child_process import ChildProcess
from glm3edge.llama.devices import CPU
from glm3edge.placement.advice import fit_or_advise
from glm3edge.placement.budgets import DeviceBudget
from glm3edge.placement.memory_usage import ContextParams
from glm3edge.placement.search import best_placement
from glm3edge.placement.variants import header_only_variants
from glm3edge_convert.models.chatglm.hparams import CHATGLM3_6B

pytestmark = pytest.mark.slow

GIB = 2**30
CONTEXT = ContextParams(8192, 128, 52)


def test_each_piece_of_advice_fits(headers: dict[str, Path]) -> None:
    path, cpu = headers["q4_k_m"], DeviceBudget(CPU, int(3.79 * GIB))
    with pytest.raises(DoesNotFitError) as caught:
        fit_or_advise(path, (), cpu, CONTEXT)
    advice = caught.value.advice
    assert advice in str(caught.value)
    assert "--kv-type q8_0" in advice
    assert best_placement(path, (), cpu, replace(CONTEXT, kv_type="q8_0"))
    size = re.search(r"--ctx-size (\d+)", advice)
    assert size is not None
    assert best_placement(path, (), cpu, replace(CONTEXT, context_size=int(size[1])))
    named = re.search(r"a file of type (\w+) \(([\d.]+) GiB\)", advice)
    assert named is not None
    assert named[1] == "q4_k_s"
    with header_only_variants(CHATGLM3_6B, [named[1]]) as (variant,):
        assert best_placement(variant.path, (), cpu, CONTEXT)
        assert float(named[2]) == pytest.approx(variant.num_bytes / GIB, abs=0.05)


def test_nothing_to_advise(headers: dict[str, Path]) -> None:
    with pytest.raises(DoesNotFitError, match="nothing smaller fits either"):
        fit_or_advise(headers["q2_k"], (), DeviceBudget(CPU, GIB), CONTEXT)


def test_advice_with_workers(headers: dict[str, Path], child: ChildProcess) -> None:
    path, budget = headers["f16"], DeviceBudget("RPC0", 4 * GIB)
    with pytest.raises(DoesNotFitError, match=r"a file of type q8_0 \(6\.2 GiB\)"):
        fit_or_advise(
            path, (budget,), DeviceBudget(CPU, 4 * GIB), CONTEXT, workers=child.call("addresses")
        )


def test_what_fits_needs_no_advice(headers: dict[str, Path]) -> None:
    found = fit_or_advise(headers["q4_k_m"], (), DeviceBudget(CPU, 4 * GIB), CONTEXT)
    assert found == best_placement(headers["q4_k_m"], (), DeviceBudget(CPU, 4 * GIB), CONTEXT)
