from dataclasses import replace
from pathlib import Path

import pytest

from glm3edge.errors import ConfigError
from glm3edge.placement.variants import PlannedModel, opened_variants, read_planned_model
from glm3edge_convert.models.chatglm.hparams import CHATGLM3_6B

pytestmark = pytest.mark.slow


def test_sizes_are_read_from_the_file(headers: dict[str, Path]) -> None:
    """All of them, and the padded feed-forward width stays as it is."""
    found = read_planned_model(None, headers["q4_k_m"])
    assert found.file_type == "q4_k_m"
    assert replace(found.hparams, ffn_size=13696, norm_epsilon=1e-5) == CHATGLM3_6B
    assert found.hparams.padded_ffn_size == CHATGLM3_6B.padded_ffn_size


def test_a_checkpoint_has_a_variant_of_each_type_and_a_file_its_own(
    headers: dict[str, Path],
) -> None:
    with opened_variants(PlannedModel(None, CHATGLM3_6B), ["Q8_0", "q2_k", "q8_0"]) as variants:
        assert [variant.type for variant in variants] == ["q8_0", "q2_k"]
        for variant in variants:
            assert variant.num_bytes == headers[variant.type].stat().st_size
    assert not variants[0].path.exists()
    planned = read_planned_model(None, headers["q4_k_m"])
    with opened_variants(planned, []) as (variant,):
        assert (variant.type, variant.path) == ("q4_k_m", headers["q4_k_m"])
    with pytest.raises(ConfigError, match="is q4_k_m"), opened_variants(planned, ["q8_0"]):
        pass
