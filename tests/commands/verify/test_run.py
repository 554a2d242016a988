"""Whole comparisons, with the built-in model and with random ones."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glm3edge.chatglm3.calibration import DEFAULT_TEXT
from glm3edge.commands.verify import run
from glm3edge.commands.verify.errors import MismatchError
from glm3edge.commands.verify.limits import MAX_MEAN_KL, max_mean_kl
from glm3edge.commands.verify.run import Report, verify
from glm3edge.commands.verify.sources import GgufSource, open_original
from glm3edge.config.kv_types import KV_TYPES
from glm3edge.errors import ConfigError, ModelError, ModelLoadError
from glm3edge_convert import convert
from glm3edge_convert.quantize.recipe import RECIPES
from glm3edge_convert.synth.random_checkpoint import SHAPES, Shape, make_checkpoint
from tests.support.demo import Demo
from tests.support.encoders import make_bert
from tests.support.gguf_files import fill_tensor, truncate

pytestmark = pytest.mark.slow

TEXT = DEFAULT_TEXT.read_text("utf-8")


def compare(
    files: Sequence[Path],
    original: Path,
    text: str = TEXT,
    *,
    most: int = 2,
    kv_types: Sequence[str] = ("f32",),
    **options: Any,
) -> Report:
    with ExitStack() as stack:
        against = stack.enter_context(closing(open_original(original, num_threads=1)))
        sources = [
            stack.enter_context(closing(GgufSource(path, num_threads=1, kv_type=kv_type)))
            for path in files
            for kv_type in kv_types
        ]
        return verify(sources, against, text, most=most, **options)


def test_f32_thinks_as_the_checkpoint(demo: Demo, demo_checkpoint: Path) -> None:
    report = compare([demo("f32")], demo_checkpoint)
    (result,) = report.results
    assert (result.type, report.original_type) == ("f32", "checkpoint")
    assert report.num_vocabulary == 5312
    assert report.num_texts > 700
    assert (report.num_windows, report.window, result.summary.num_tokens) == (2, 512, 2 * 255)
    assert result.summary.max_logit_difference < 1e-3
    assert result.summary.mean_kl.value < 1e-9
    assert result.summary.same_top.value == 1
    assert result.summary.perplexity_ratio.value == pytest.approx(1, abs=1e-5)
    assert result.is_within_limit


def test_fewer_bits_are_further_away(demo: Demo) -> None:
    report = compare([demo("q8_0"), demo("q4_k_m")], demo("f16"))
    eight, four = report.results
    assert report.original_type == "f16"
    assert eight.num_bytes > four.num_bytes
    assert 1e-4 < eight.summary.mean_kl.value < four.summary.mean_kl.value
    assert eight.summary.p99_kl < four.summary.p99_kl
    assert eight.summary.same_top.value > four.summary.same_top.value
    assert eight.summary.max_logit_difference < four.summary.max_logit_difference
    assert eight.is_within_limit
    assert four.is_within_limit
    assert eight.summary.original_perplexity == four.summary.original_perplexity
    ratio = eight.summary.perplexity.value / report.perplexity.value
    assert eight.summary.perplexity_ratio.value == pytest.approx(ratio)


def test_a_file_is_as_itself(demo: Demo) -> None:
    (result,) = compare([demo("q4_0")], demo("q4_0"), most=1).results
    assert result.summary.mean_kl.value == 0
    assert result.summary.max_logit_difference == 0


def test_fewer_bits_of_keys_and_values_are_further_away(demo: Demo) -> None:
    """Measured over the whole text: 0.000008, 0.0015 and 0.49 nats a token."""
    report = compare([demo("f16")], demo("f16"), kv_types=["f32", "f16", "q8_0", "q4_0"])
    found = {result.kv_type: result for result in report.results}
    none, sixteen, eight, four = (result.summary for result in found.values())
    assert none.max_logit_difference == 0
    assert 0 < 10 * sixteen.mean_kl.value < eight.mean_kl.value
    assert 10 * eight.mean_kl.value < four.mean_kl.value
    assert sixteen.max_logit_difference < eight.max_logit_difference < four.max_logit_difference
    assert eight.same_top.value > 0.9 > four.same_top.value
    assert all(result.is_within_limit for result in found.values())


def test_losses_of_weights_and_of_keys_and_values_add_up(demo: Demo) -> None:
    files = [demo("f32"), demo("q4_k_m")]
    _, memory, weights, both = compare(files, demo("f32"), kv_types=["f32", "q4_0"], most=1).results
    total = weights.summary.mean_kl.value + memory.summary.mean_kl.value
    assert both.summary.mean_kl.value == pytest.approx(total, rel=0.3)


def test_windows_are_independent_of_each_other(demo: Demo) -> None:
    """What is found of the first does not depend on how many follow."""
    first, both = (compare([demo("q8_0")], demo("f16"), most=n).results[0] for n in (1, 2))
    np.testing.assert_array_equal(first.tokens.kl, both.tokens.kl[: len(first.tokens.kl)])


@pytest.mark.parametrize("changes", [{}, {"rope_ratio": 50.0}, {"num_groups": 1}])
def test_random_checkpoints(changes: dict[str, Any], tmp_path: Path, tiny_checkpoint: Path) -> None:
    sizes: dict[str, Any] = {
        "hidden_size": 64,
        "num_layers": 2,
        "num_heads": 4,
        "num_groups": 2,
        "kv_channels": 16,
        "ffn_hidden_size": 96,
        "seq_length": 64,
    }
    shape = Shape(**{**sizes, **changes})
    make_checkpoint(tmp_path / "made", shape=shape, tokenizer=tiny_checkpoint / "tokenizer.model")
    files = [tmp_path / f"{name}.gguf" for name in ("f32", "f16", "q8_0")]
    for path in files:
        convert(tmp_path / "made", path, quant_type=path.stem)
    report = compare(files, tmp_path / "made", most=8)
    assert report.window == 64  # the model's own context
    f32, f16, q8_0 = (result.summary for result in report.results)
    assert f32.max_logit_difference < 1e-3
    assert f16.max_logit_difference < 0.05
    assert f32.mean_kl.value < f16.mean_kl.value < q8_0.mean_kl.value


def test_other_weights_are_beyond_the_limit(
    tmp_path: Path, tiny_gguf: Path, tiny_checkpoint: Path
) -> None:
    make_checkpoint(
        tmp_path / "other",
        shape=SHAPES["tiny"],
        tokenizer=tiny_checkpoint / "tokenizer.model",
        seed=1,
    )
    (result,) = compare([tiny_gguf], tmp_path / "other", most=1).results
    assert result.summary.mean_kl.value > 1
    assert not result.is_within_limit


def test_another_model(demo: Demo, tiny_gguf: Path) -> None:
    with pytest.raises(MismatchError, match="block_count is 4 where the original has 6"):
        compare([tiny_gguf], demo("f16"))


def test_another_architecture(tmp_path: Path, demo_checkpoint: Path) -> None:
    make_bert(tmp_path / "bert")
    convert(tmp_path / "bert", tmp_path / "bert.gguf", quant_type="f16")
    with pytest.raises(ModelLoadError, match="it is a model for embeddings"):
        compare([tmp_path / "bert.gguf"], demo_checkpoint)


def test_a_truncated_file(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused before anything is computed."""
    truncate(demo("q8_0"), tmp_path / "cut.gguf", 1000)
    monkeypatch.setattr(run, "compare", None)
    seen: list[Path] = []
    with pytest.raises(ModelLoadError, match=r"cut\.gguf"):
        compare([tmp_path / "cut.gguf"], demo("f16"), progress=lambda path, *_: seen.append(path))
    assert seen == []


def test_a_damaged_tensor(demo: Demo, tmp_path: Path) -> None:
    fill_tensor(demo("f32"), tmp_path / "nan.gguf", "blk.2.ffn_down.weight", 255)
    with pytest.raises(ModelError, match="its logits are not finite, so the file is damaged"):
        compare([tmp_path / "nan.gguf"], demo("f32"), most=1)


def test_a_lost_tensor(demo: Demo, tmp_path: Path) -> None:
    fill_tensor(demo("f32"), tmp_path / "zero.gguf", "blk.2.ffn_down.weight", 0)
    (result,) = compare([tmp_path / "zero.gguf"], demo("f32"), most=1).results
    assert not result.is_within_limit


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("hello", {}, r"the text has \d+ tokens and a window takes 510: give a longer --text"),
        (TEXT, {"window": 2048}, "--window 2048: this model's windows have 16 to 1024 tokens"),
        (TEXT, {"window": 8}, "--window 8: "),
    ],
)
def test_texts_and_windows_that_do_not_do(
    demo: Demo, text: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        compare([demo("q8_0")], demo("f16"), text, **options)


def test_no_room_for_logits(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: usage)
    with pytest.raises(ConfigError, match="no space for 10 MiB of logits: compare fewer --windows"):
        compare([demo("q8_0")], demo("f16"))


def test_each_type_has_a_limit() -> None:
    assert set(MAX_MEAN_KL) == set(RECIPES)
    names = ("f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k")
    large = [max_mean_kl(name, 6_000_000_000) or 0 for name in names]
    assert large == sorted(large)
    assert max_mean_kl("q8_0", 7_000_000) == pytest.approx(3 * MAX_MEAN_KL["q8_0"])
    assert max_mean_kl("q5_1", 6_000_000_000) is None
    assert max_mean_kl("q5_1", 6_000_000_000, "q8_0") is None


def test_keys_and_values_may_cost_what_weights_of_their_type_may() -> None:
    exact, *rounded = (max_mean_kl("q4_k_m", 6_000_000_000, name) for name in ("f32", *KV_TYPES))
    assert exact == MAX_MEAN_KL["q4_k_m"]
    assert rounded == [MAX_MEAN_KL["q4_k_m"] + MAX_MEAN_KL[name] for name in KV_TYPES]
    small = max_mean_kl("q4_k_m", 7_000_000, "q8_0")
    assert small == pytest.approx(3 * (MAX_MEAN_KL["q4_k_m"] + MAX_MEAN_KL["q8_0"]))
