"""Output types, and the type of each tensor in them: llama.cpp's policy for ``chatglm``.

Follows llama_tensor_get_type_impl and tensor_type_fallback of llama.cpp's src/llama-quant.cpp, so
that a file made here equals one made by its quantize tool:

- vectors (norms, biases) stay F32;
- output.weight and token_embd.weight get types of their own;
- matrices that cost most when they lose bits, attn_qkv first, then ffn_down and attn_output, get
  more of them: in all layers, or in some (see MIXES);
- a type whose blocks do not divide the row falls back to one with blocks of 32, or to F16.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, LlamaFileType

from glm3edge_convert.errors import UnknownTypeError

_T = GGMLQuantizationType
F32, F16, BF16, Q8_0 = _T.F32, _T.F16, _T.BF16, _T.Q8_0
Q2_K, Q3_K, Q4_K, Q5_K, Q6_K = _T.Q2_K, _T.Q3_K, _T.Q4_K, _T.Q5_K, _T.Q6_K
IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S = _T.IQ2_XS, _T.IQ2_S, _T.IQ3_XXS, _T.IQ3_S

FALLBACKS = {
    **dict.fromkeys((Q2_K, Q3_K), _T.Q4_0),
    **dict.fromkeys((IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, _T.IQ4_XS), _T.IQ4_NL),
    Q4_K: _T.Q5_0,
    Q5_K: _T.Q5_1,
    Q6_K: Q8_0,
}
_FILE_TYPE = re.compile(r"(ALL|MOSTLY)_")
MATRIX_OF_LAYER = re.compile(r"blk\.")
MATRIX = re.compile(r"blk\.(\d+)\.(attn_qkv|attn_output|ffn_down)\.weight")


@dataclass(frozen=True)
class Place:
    """Layer of a matrix, and properties of its model that a mix depends on.

    Attributes:
        layer: the layer, from 0.
        num_layers: layers of the model.
        n_gqa: number of query heads that share a key/value head.
        has_importances: whether there is an importance matrix.
    """

    layer: int
    num_layers: int
    n_gqa: int
    has_importances: bool

    @property
    def use_more_bits(self) -> bool:
        """Whether a mixed type spends more bits here: first eighth, last, every third between."""
        eighth = self.num_layers // 8
        is_at_an_end = self.layer < eighth or self.layer >= 7 * self.num_layers // 8
        return is_at_an_end or (self.layer - eighth) % 3 == 2

    def is_in_first(self, part: int) -> bool:
        """Whether this is one of the first ``num_layers`` / ``part`` layers."""
        return self.layer < self.num_layers // part


Rule = Callable[[Place], GGMLQuantizationType | None]
Mix = Mapping[str, Rule]


def _always(wanted: GGMLQuantizationType) -> Rule:
    return lambda _place: wanted


def _more_bits(wanted: GGMLQuantizationType) -> Rule:
    return lambda place: wanted if place.use_more_bits else None


def _shared(wanted: GGMLQuantizationType, otherwise: GGMLQuantizationType | None = None) -> Rule:
    """A type for models in which many heads share keys and values, so that these matter much."""
    return lambda place: wanted if place.n_gqa >= 4 else otherwise


def _first(part: int, wanted: GGMLQuantizationType, otherwise: GGMLQuantizationType | None) -> Rule:
    return lambda place: wanted if place.is_in_first(part) else otherwise


def _first_unweighted(wanted: GGMLQuantizationType) -> Rule:
    return lambda place: wanted if place.is_in_first(8) and not place.has_importances else None


def _first_weighted(wanted: GGMLQuantizationType) -> Rule:
    return lambda place: wanted if place.is_in_first(8) and place.has_importances else None


def _first_layers(count: int, wanted: GGMLQuantizationType) -> Rule:
    return lambda place: wanted if place.layer < count else None


MIXES: dict[str, Mix] = {
    "q2_k": {
        "attn_qkv": _shared(Q4_K, Q3_K),
        "ffn_down": _always(Q3_K),
        "attn_output": _always(Q3_K),
    },
    "q3_k_m": {
        "attn_qkv": lambda place: Q5_K if place.layer < 2 else Q4_K,
        "ffn_down": _first(16, Q5_K, Q4_K),
        "attn_output": _always(Q4_K),
    },
    "q3_k_l": dict.fromkeys(("attn_qkv", "ffn_down", "attn_output"), _always(Q5_K)),
    "q4_0": {"ffn_down": _first_weighted(_T.Q4_1)},
    "q4_k_s": {"attn_qkv": _first_layers(4, Q5_K), "ffn_down": _first(8, Q5_K, None)},
    "q4_k_m": dict.fromkeys(("attn_qkv", "ffn_down"), _more_bits(Q6_K)),
    "q5_k_m": dict.fromkeys(("attn_qkv", "ffn_down"), _more_bits(Q6_K)),
    "iq4_nl": {"attn_qkv": _shared(Q5_K), "ffn_down": _first_unweighted(Q5_K)},
    "iq4_xs": {"attn_qkv": _shared(Q5_K), "ffn_down": _first_unweighted(Q5_K)},
    "iq3_m": {
        "attn_qkv": _always(Q4_K),
        "ffn_down": _first(8, Q4_K, None),
        "attn_output": _always(Q4_K),
    },
    "iq3_s": {"attn_qkv": _shared(Q4_K)},
    "iq3_xxs": {"attn_qkv": _shared(Q4_K), "attn_output": _always(IQ3_S)},
    "iq2_m": {
        "attn_qkv": _shared(Q4_K, IQ3_S),
        "ffn_down": _first(8, IQ3_S, None),
        "attn_output": _always(IQ3_S),
    },
    "iq2_xs": {"attn_qkv": _shared(Q4_K, Q2_K), "ffn_down": _first(8, Q2_K, None)},
}
"""Types that some matrices get instead of the base type, by output type."""


@dataclass(frozen=True)
class Recipe:
    """An output type.

    Attributes:
        name: its name, as ``--type`` takes it.
        file_type: GGUF's number for it.
        base: type of most matrices.
        token_type: type of token_embd.weight, if not the base.
        output_type: type of output.weight in a quantized type, if that is not q8_0.
        needs_importances: whether it is too coarse to be made without an importance matrix.
        mix: matrices that get another type.
    """

    name: str
    file_type: int
    base: GGMLQuantizationType
    token_type: GGMLQuantizationType | None = None
    output_type: GGMLQuantizationType = Q6_K
    needs_importances: bool = False
    mix: Mix = field(default_factory=dict)

    @property
    def is_quantized(self) -> bool:
        return self.base not in {F32, F16, BF16}


def _recipe(name: str, file_type: int, base: GGMLQuantizationType) -> Recipe:
    return Recipe(name, file_type, base, mix=MIXES.get(name, {}))


def _coarse(
    name: str, file_type: int, base: GGMLQuantizationType, token_type: GGMLQuantizationType
) -> Recipe:
    return Recipe(
        name,
        file_type,
        base,
        token_type=token_type,
        output_type=Q5_K,
        needs_importances=True,
        mix=MIXES[name],
    )


_ALL = (
    _recipe("f32", LlamaFileType.ALL_F32, F32),
    _recipe("f16", LlamaFileType.MOSTLY_F16, F16),
    _recipe("bf16", LlamaFileType.MOSTLY_BF16, BF16),
    _recipe("q8_0", LlamaFileType.MOSTLY_Q8_0, Q8_0),
    _recipe("q6_k", LlamaFileType.MOSTLY_Q6_K, Q6_K),
    _recipe("q5_k_m", LlamaFileType.MOSTLY_Q5_K_M, Q5_K),
    _recipe("q5_k_s", LlamaFileType.MOSTLY_Q5_K_S, Q5_K),
    _recipe("q4_k_m", LlamaFileType.MOSTLY_Q4_K_M, Q4_K),
    _recipe("q4_k_s", LlamaFileType.MOSTLY_Q4_K_S, Q4_K),
    _recipe("q4_0", LlamaFileType.MOSTLY_Q4_0, _T.Q4_0),
    _recipe("iq4_nl", LlamaFileType.MOSTLY_IQ4_NL, _T.IQ4_NL),
    _recipe("iq4_xs", LlamaFileType.MOSTLY_IQ4_XS, _T.IQ4_XS),
    _recipe("q3_k_l", LlamaFileType.MOSTLY_Q3_K_L, Q3_K),
    _recipe("q3_k_m", LlamaFileType.MOSTLY_Q3_K_M, Q3_K),
    _recipe("q3_k_s", LlamaFileType.MOSTLY_Q3_K_S, Q3_K),
    _recipe("iq3_m", LlamaFileType.MOSTLY_IQ3_M, IQ3_S),
    _recipe("iq3_s", LlamaFileType.MOSTLY_IQ3_S, IQ3_S),
    _coarse("iq3_xxs", LlamaFileType.MOSTLY_IQ3_XXS, IQ3_XXS, token_type=IQ3_S),
    _recipe("q2_k", LlamaFileType.MOSTLY_Q2_K, Q2_K),
    _coarse("iq2_m", LlamaFileType.MOSTLY_IQ2_M, IQ2_S, token_type=IQ3_S),
    _coarse("iq2_xs", LlamaFileType.MOSTLY_IQ2_XS, IQ2_XS, token_type=Q2_K),
)
RECIPES = {recipe.name: recipe for recipe in _ALL}
DEFAULT_TYPE = "q4_k_m"


def get_recipe(name: str) -> Recipe:
    """The recipe of an output type, whose ``name`` may be in upper case.

    Raises:
        UnknownTypeError: there is no such type.
    """
    recipe = RECIPES.get(name.lower())
    if recipe is None:
        raise UnknownTypeError(name, list(RECIPES))
    return recipe


def needs_importances(name: str, its_type: GGMLQuantizationType) -> bool:
    """Whether llama.cpp quantizes a matrix to this type with importances only."""
    return its_type in {IQ2_XS, IQ2_S, IQ3_XXS} and MATRIX_OF_LAYER.match(name) is not None


def tensor_type(
    recipe: Recipe,
    name: str,
    shape: tuple[int, ...],
    num_layers: int,
    *,
    n_gqa: int = 1,
    has_importances: bool = False,
) -> GGMLQuantizationType:
    """The type of a GGUF tensor.

    Args:
        recipe: the output type.
        name: the tensor's name.
        shape: (rows, row length), or (length,).
        num_layers: layers of the model.
        n_gqa: number of query heads that share a key/value head.
        has_importances: whether there is an importance matrix.
    """
    if len(shape) < 2:
        return F32
    if not recipe.is_quantized:
        return recipe.base
    row_size = shape[-1]
    if name == "output.weight":
        is_plain = recipe.base is Q8_0 or not _fits(recipe.base, row_size)
        return _fitting(Q8_0 if is_plain else recipe.output_type, row_size)
    if name == "token_embd.weight":
        return _fitting(recipe.token_type or recipe.base, row_size)
    wanted = None
    if match := MATRIX.fullmatch(name):
        place = Place(int(match[1]), num_layers, n_gqa, has_importances)
        if rule := recipe.mix.get(match[2]):
            wanted = rule(place)
    return _fitting(wanted or recipe.base, row_size)


def _fitting(wanted: GGMLQuantizationType, row_size: int) -> GGMLQuantizationType:
    for candidate in (wanted, FALLBACKS.get(wanted, F16)):
        if _fits(candidate, row_size):
            return candidate
    return F16


def _fits(candidate: GGMLQuantizationType, row_size: int) -> bool:
    block_size, _ = _block_sizes(candidate)
    return row_size % block_size == 0


def row_num_bytes(tensor_type: GGMLQuantizationType, row_size: int) -> int:
    """Bytes in a row of ``row_size`` values, a multiple of the type's block size."""
    block_size, block_num_bytes = _block_sizes(tensor_type)
    return row_size // block_size * block_num_bytes


def _block_sizes(tensor_type: GGMLQuantizationType) -> tuple[int, int]:
    """Values and bytes in a block."""
    sizes: tuple[int, int] = GGML_QUANT_SIZES[tensor_type]
    return sizes


def file_type_name(number: object) -> str | None:
    """Name of a GGUF file type as ``--type`` takes it, None if its number is unknown."""
    try:
        return _FILE_TYPE.sub("", LlamaFileType(number).name).lower()
    except ValueError:
        return None
