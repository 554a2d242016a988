"""Tensor types of each output type, as tables. `test_bytes` compares them with llama.cpp."""

from __future__ import annotations

import pytest

from glm3edge_convert.errors import UnknownTypeError
from glm3edge_convert.recipe import (
    DEFAULT_TYPE,
    RECIPES,
    get_recipe,
    gets_more_bits,
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
    "q4_k_m": 15,
    "q4_0": 2,
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


def test_layers_with_more_bits() -> None:
    assert {layer for layer in range(28) if gets_more_bits(layer, 28)} == MORE_BITS
    assert [layer for layer in range(4) if gets_more_bits(layer, 4)] == [2, 3]
    assert [layer for layer in range(8) if gets_more_bits(layer, 8)] == [0, 3, 6, 7]


def test_file_types() -> None:
    assert {name: recipe.file_type for name, recipe in RECIPES.items()} == FILE_TYPES


def test_names() -> None:
    assert get_recipe("Q4_K_M") is RECIPES[DEFAULT_TYPE]
    with pytest.raises(UnknownTypeError, match="unknown type 'q2_k': choose one of f32, f16"):
        get_recipe("q2_k")


@pytest.mark.parametrize(
    ("name", "num_bytes"),
    [("f32", 1024), ("f16", 512), ("q8_0", 272), ("q6_k", 210), ("q4_k_m", 144), ("q4_0", 144)],
)
def test_row_sizes(name: str, num_bytes: int) -> None:
    assert row_num_bytes(get_recipe(name).base, 256) == num_bytes
