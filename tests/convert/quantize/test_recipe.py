"""Tensor types of each output type, as tables. ``test_bytes`` compares them with llama.cpp."""

import pytest

from glm3edge_convert.errors import UnknownTypeError
from glm3edge_convert.quantize.recipe import (
    DEFAULT_TYPE,
    RECIPES,
    Place,
    get_recipe,
    row_num_bytes,
    tensor_type,
)

FILE_TYPES = {
    "f32": 0,
    "f16": 1,
    "bf16": 32,
    "q8_0": 7,
    "q6_k": 18,
    "q5_k_m": 17,
    "q5_k_s": 16,
    "q4_k_m": 15,
    "q4_k_s": 14,
    "q4_0": 2,
    "iq4_nl": 25,
    "iq4_xs": 30,
    "q3_k_l": 13,
    "q3_k_m": 12,
    "q3_k_s": 11,
    "iq3_m": 27,
    "iq3_s": 26,
    "iq3_xxs": 23,
    "q2_k": 10,
    "iq2_m": 29,
    "iq2_xs": 20,
}
# The 28 layers of ChatGLM3-6B whose attn_qkv and ffn_down get Q6_K.
MORE_BITS = {0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27}

# type: (most matrices, sensitive ones in a favoured layer, output.weight) by row length
TYPES = {
    4096: {
        "f32": ("F32", "F32", "F32"),
        "f16": ("F16", "F16", "F16"),
        "bf16": ("BF16", "BF16", "BF16"),
        "q8_0": ("Q8_0", "Q8_0", "Q8_0"),
        "q6_k": ("Q6_K", "Q6_K", "Q6_K"),
        "q5_k_m": ("Q5_K", "Q6_K", "Q6_K"),
        "q4_k_m": ("Q4_K", "Q6_K", "Q6_K"),
        "q4_0": ("Q4_0", "Q4_0", "Q6_K"),
    },
    288: {
        "f16": ("F16", "F16", "F16"),
        "q8_0": ("Q8_0", "Q8_0", "Q8_0"),
        "q6_k": ("Q8_0", "Q8_0", "Q8_0"),
        "q5_k_m": ("Q5_1", "Q8_0", "Q8_0"),
        "q4_k_m": ("Q5_0", "Q8_0", "Q8_0"),
        "q4_0": ("Q4_0", "Q4_0", "Q8_0"),
    },
    48: dict.fromkeys(("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0"), ("F16", "F16", "F16")),
}
CASES = [(size, name, types) for size, table in TYPES.items() for name, types in table.items()]


@pytest.mark.parametrize(("row_size", "name", "types"), CASES)
def test_types(row_size: int, name: str, types: tuple[str, str, str]) -> None:
    most, favoured, output = types
    recipe = get_recipe(name)

    def found(tensor: str, rows: int = 64) -> str:
        return str(tensor_type(recipe, tensor, (rows, row_size), 28).name)

    for tensor in ("token_embd", "blk.0.attn_output", "blk.0.ffn_up", "blk.3.attn_qkv"):
        assert found(f"{tensor}.weight") == most
    for tensor in ("blk.0.attn_qkv", "blk.0.ffn_down", "blk.27.ffn_down"):
        assert found(f"{tensor}.weight") == favoured
    assert found("output.weight") == output


@pytest.mark.parametrize("name", RECIPES)
def test_vectors_stay_f32(name: str) -> None:
    for tensor in ("output_norm.weight", "blk.0.attn_qkv.bias", "blk.0.ffn_norm.weight"):
        assert tensor_type(get_recipe(name), tensor, (4096,), 28).name == "F32"


def favoured(num_layers: int) -> set[int]:
    """Layers with more bits in mixed types."""
    places = [Place(layer, num_layers, 1, has_importances=False) for layer in range(num_layers)]
    return {place.layer for place in places if place.use_more_bits}


def test_layers_with_more_bits() -> None:
    assert favoured(28) == MORE_BITS
    assert favoured(4) == {2, 3}
    assert favoured(8) == {0, 3, 6, 7}


# In ChatGLM3-6B's shape: attn_qkv in layers 0 and 9, ffn_down in both, attn_output, token_embd,
# output.
PLACES = {
    "q5_k_s": "Q5_K Q5_K Q5_K Q5_K Q5_K Q5_K Q6_K",
    "q4_k_s": "Q5_K Q4_K Q5_K Q4_K Q4_K Q4_K Q6_K",
    "iq4_nl": "Q5_K Q5_K Q5_K IQ4_NL IQ4_NL IQ4_NL Q6_K",
    "iq4_xs": "Q5_K Q5_K Q5_K IQ4_XS IQ4_XS IQ4_XS Q6_K",
    "q3_k_l": "Q5_K Q5_K Q5_K Q5_K Q5_K Q3_K Q6_K",
    "q3_k_m": "Q5_K Q4_K Q5_K Q4_K Q4_K Q3_K Q6_K",
    "q3_k_s": "Q3_K Q3_K Q3_K Q3_K Q3_K Q3_K Q6_K",
    "iq3_m": "Q4_K Q4_K Q4_K IQ3_S Q4_K IQ3_S Q6_K",
    "iq3_s": "Q4_K Q4_K IQ3_S IQ3_S IQ3_S IQ3_S Q6_K",
    "iq3_xxs": "Q4_K Q4_K IQ3_XXS IQ3_XXS IQ3_S IQ3_S Q5_K",
    "q2_k": "Q4_K Q4_K Q3_K Q3_K Q3_K Q2_K Q6_K",
    "iq2_m": "Q4_K Q4_K IQ3_S IQ2_S IQ3_S IQ3_S Q5_K",
    "iq2_xs": "Q4_K Q4_K Q2_K IQ2_XS IQ2_XS Q2_K Q5_K",
}
NAMES = (
    *("blk.0.attn_qkv", "blk.9.attn_qkv", "blk.0.ffn_down", "blk.9.ffn_down"),
    *("blk.9.attn_output", "token_embd", "output"),
)


@pytest.mark.parametrize("name", PLACES)
def test_places(name: str) -> None:
    found = [
        tensor_type(get_recipe(name), f"{tensor}.weight", (64, 4096), 28, n_gqa=16).name
        for tensor in NAMES
    ]
    assert " ".join(found) == PLACES[name]


def test_importances_change_what_is_favoured() -> None:
    for name, plain, weighted in (("iq4_xs", "Q5_K", "IQ4_XS"), ("q4_0", "Q4_0", "Q4_1")):
        found = [
            tensor_type(
                get_recipe(name), "blk.0.ffn_down.weight", (64, 4096), 28, has_importances=has
            ).name
            for has in (False, True)
        ]
        assert found == [plain, weighted]


def test_file_types() -> None:
    assert {name: recipe.file_type for name, recipe in RECIPES.items()} == FILE_TYPES


def test_names() -> None:
    assert get_recipe("Q4_K_M") is RECIPES[DEFAULT_TYPE]
    with pytest.raises(UnknownTypeError, match="unknown type 'q1_k': choose one of f32, f16"):
        get_recipe("q1_k")


@pytest.mark.parametrize(
    ("name", "num_bytes"),
    [("f32", 1024), ("f16", 512), ("q8_0", 272), ("q6_k", 210), ("q4_k_m", 144), ("q4_0", 144)],
)
def test_row_sizes(name: str, num_bytes: int) -> None:
    assert row_num_bytes(get_recipe(name).base, 256) == num_bytes
