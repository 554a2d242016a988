"""GGUF files that lie: a small valid one, taken apart, changed and put together again."""

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gguf
from hypothesis import strategies as st

Draw = Callable[..., Any]

STRING, ARRAY = 8, 9
_SIZES = {int(kind): sizes for kind, sizes in gguf.GGML_QUANT_SIZES.items()}
_MAX_DATA = 2**22
CODES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
EXTREMES = [0, 1, 2, 3, 7, 31, 64, 255, 513, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**64 - 1]
HIDDEN = "\x1b[2J\x1b]0;t\x07\x9b\u202e\u200b\u2028\U000e0041\ufeff"
"""Characters that no terminal may get from a file."""

FLOATS = [0.0, -1.0, 1e-6, 1.0, 1e30, float("inf"), float("-inf"), float("nan")]
KEYS = [
    *(
        f"{name}.{key}"
        for name in ("chatglm", "bert")
        for key in (
            *("context_length", "embedding_length", "block_count", "feed_forward_length"),
            *("vocab_size", "pooling_type", "nextn_predict_layers", "expert_count"),
            *("expert_used_count", "expert_group_count", "expert_group_used_count"),
            *("attention.head_count", "attention.head_count_kv", "attention.key_length"),
            *("attention.value_length", "attention.layer_norm_rms_epsilon"),
            *("attention.layer_norm_epsilon", "attention.causal", "attention.sliding_window"),
            *("attention.key_length_swa", "rope.dimension_count_swa", "embedding_length_out"),
            *("rope.dimension_count", "rope.freq_base", "rope.scaling.type", "rope.scale_linear"),
            *("rope.scaling.factor", "rope.scaling.attn_factor", "rope.scaling.finetuned"),
            *("rope.scaling.original_context_length", "classifier.output_labels"),
        )
    ),
    *("general.architecture", "general.type", "general.name", "general.alignment"),
    *("general.file_type", "split.count", "split.no", "split.tensors.count"),
    *("adapter.type", "adapter.lora.alpha", "imatrix.datasets", "imatrix.chunk_count"),
    *("tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens"),
    *("tokenizer.ggml.scores", "tokenizer.ggml.token_type", "tokenizer.ggml.merges"),
    *("tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"),
    *("tokenizer.ggml.unknown_token_id", "tokenizer.ggml.seperator_token_id"),
    *("tokenizer.ggml.padding_token_id", "tokenizer.ggml.mask_token_id"),
    *("tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"),
    *("tokenizer.ggml.add_sep_token", "tokenizer.ggml.token_type_count"),
    *("tokenizer.ggml.precompiled_charsmap", "tokenizer.ggml.suppress_tokens", HIDDEN),
]
TEXTS = [
    HIDDEN,
    "",
    "chatglm",
    "bert",
    "llama",
    "gpt2",
    "t5",
    "rwkv",
    "no_vocab",
    "yarn",
    "adapter",
]


@dataclass(frozen=True)
class Info:
    """Entry of a tensor; ``shape`` is in the file's order, the row length first."""

    name: bytes
    shape: tuple[int, ...]
    type: int
    offset: int


@dataclass(frozen=True)
class Document:
    """Parts of a GGUF file; values are their bytes with their types before them."""

    values: Mapping[bytes, bytes]
    infos: tuple[Info, ...]
    data: bytes
    repeated: Mapping[bytes, bytes] = field(default_factory=dict)

    def encode(self) -> tuple[bytes, list[tuple[int, int]]]:
        """The file, and where its numbers are: (position, size)."""
        out, places = bytearray(b"GGUF"), []

        def number(value: int, size: int) -> None:
            places.append((len(out), size))
            out.extend((value % 2 ** (8 * size)).to_bytes(size, "little"))

        number(3, 4)
        number(len(self.infos), 8)
        number(len(self.values) + len(self.repeated), 8)
        for key, value in [*self.values.items(), *self.repeated.items()]:
            number(len(key), 8)
            out.extend(key)
            places.extend((len(out) + at, 4) for at in range(0, min(len(value), 24), 4))
            out.extend(value)
        for info in self.infos:
            number(len(info.name), 8)
            out.extend(info.name)
            number(len(info.shape), 4)
            for size in info.shape:
                number(size, 8)
            number(info.type, 4)
            number(info.offset, 8)
        out.extend(bytes(-len(out) % 32) if self.infos else b"")
        return bytes(out) + self.data, places


def value_bytes(kind: int, value: Any) -> bytes:
    """A value with its type before it; of a list the second type is that of its elements."""
    if isinstance(value, list):
        items = b"".join(value_bytes(kind, item)[4:] for item in value)
        return struct.pack("<IIQ", ARRAY, kind, len(value)) + items
    if kind == STRING:
        data = str(value).encode("utf-8", "surrogateescape")
        return struct.pack("<IQ", STRING, len(data)) + data
    return struct.pack(f"<I{CODES[kind]}", kind, value)


def read_document(path: Path) -> Document:
    """Take a valid file apart."""
    reader = gguf.GGUFReader(path)
    values = {
        name.encode(): value_bytes(int(found.types[-1]), found.contents())
        for name, found in reader.fields.items()
        if not name.startswith("GGUF.")
    }
    infos = tuple(
        Info(
            tensor.name.encode(),
            tuple(int(size) for size in tensor.shape),
            int(tensor.tensor_type),
            int(tensor.data_offset) - int(reader.data_offset),
        )
        for tensor in reader.tensors
    )
    data = path.read_bytes()[int(reader.data_offset) :] if infos else b""
    document = Document(values, infos, data)
    assert document.encode()[0] == path.read_bytes()
    return document


@st.composite
def hostile(draw: Draw, valid: Document) -> bytes:
    """Files near a valid one: other values, other tensors, other numbers anywhere, cut off."""
    document, kinds = valid, draw(st.sampled_from(_CHANGES))
    for change in kinds:
        document = change(draw, document)
    data, places = document.encode()
    changed = bytearray(data)
    if kinds:
        return data
    for at, size in draw(st.lists(st.sampled_from(places), max_size=2)):
        number = draw(st.sampled_from(EXTREMES) | st.integers(0, 2 ** (8 * size) - 1))
        changed[at : at + size] = (number % 2 ** (8 * size)).to_bytes(size, "little")
    for _ in range(draw(st.integers(0, 2))):
        changed[draw(st.integers(4, places[-1][0]))] = draw(st.integers(0, 255))
    end = draw(st.sampled_from([len(changed)] * 9 + [None]))
    return bytes(changed[: draw(st.integers(0, len(changed))) if end is None else end])


def _other_value(draw: Draw, document: Document) -> Document:
    known = list(document.values)
    others = [key.encode() for key in KEYS if key.startswith(_prefixes(document))]
    key = draw(st.sampled_from(known) | st.sampled_from([*others, HIDDEN.encode()]))
    return replace(
        document, values={**document.values, key: draw(_values(document.values.get(key)))}
    )


def _prefixes(document: Document) -> tuple[str, ...]:
    """Beginnings of keys that readers of this file look for."""
    architecture = document.values.get(b"general.architecture", b"").decode(errors="replace")
    names = [name for name in ("chatglm", "bert") if name in architecture]
    return tuple(f"{name}." for name in (*names, "general", "split", "adapter", "tokenizer"))


def _without(draw: Draw, document: Document) -> Document:
    key = draw(st.sampled_from(list(document.values)))
    return replace(document, values={k: v for k, v in document.values.items() if k != key})


def _twice(draw: Draw, document: Document) -> Document:
    key = draw(st.sampled_from(list(document.values)))
    return replace(document, repeated={key: document.values[key]})


def _other_tensor(draw: Draw, document: Document) -> Document:
    if not document.infos:
        return document
    index = draw(st.integers(0, len(document.infos) - 1))
    info = document.infos[index]
    info = draw(
        st.sampled_from([*range(45), 2**31, 2**32 - 1]).map(
            lambda number: replace(info, type=number)
        )
        | st.permutations(info.shape).map(lambda shape: replace(info, shape=tuple(shape)))
        | st.lists(st.sampled_from([*EXTREMES, *info.shape]), max_size=5).map(
            lambda shape: replace(info, shape=tuple(shape))
        )
        | st.sampled_from(EXTREMES).map(lambda number: replace(info, offset=number))
        | st.sampled_from(
            [b"", HIDDEN.encode(), b"blk.4000000000.attn_norm.weight", b"x" * 70]
        ).map(lambda name: replace(info, name=name))
        | st.sampled_from(document.infos).map(lambda other: replace(info, name=other.name))
    )
    infos = list(document.infos)
    infos[index] = info
    document = replace(document, infos=tuple(infos))
    return _laid_out(document) if draw(st.booleans()) else document


def _laid_out(document: Document) -> Document:
    """Put each tensor where the one before it ends, as far as these have sizes."""
    infos, end = [], 0
    for info in document.infos:
        infos.append(replace(info, offset=end))
        block_size, block_bytes = _SIZES.get(info.type, (1, 4))
        end += math.prod(info.shape) // block_size * block_bytes
        end += -end % 32
    data = document.data + bytes(max(0, min(end, _MAX_DATA) - len(document.data)))
    return replace(document, infos=tuple(infos), data=data)


_CHANGES = [
    *[[_other_value]] * 6,
    *[[_other_value] * 2] * 3,
    *[[_other_tensor]] * 3,
    [_other_value, _other_tensor],
    [_without],
    [_twice],
    *[[]] * 5,
]


def _values(present: bytes | None) -> st.SearchStrategy[bytes]:
    """Values of any type, most of them of the type of the one that is there."""
    kind = struct.unpack("<I", present[:4])[0] if present else 4
    is_array = kind == ARRAY
    own = st.nothing() if is_array else _scalars(kind).map(lambda value: value_bytes(kind, value))
    anything = st.sampled_from([*CODES, STRING]).flatmap(
        lambda kind: (_scalars(kind) | st.lists(_scalars(kind), max_size=12)).map(
            lambda value: value_bytes(kind, value)
        )
    )
    nested = st.just(struct.pack("<IIQ", ARRAY, ARRAY, 1) + struct.pack("<IIQ", ARRAY, 4, 0))
    return st.one_of([own] * 8 + [anything, nested] + [_damaged_arrays(present)] * 8)


def _damaged_arrays(present: bytes | None) -> st.SearchStrategy[bytes]:
    """Shorter arrays, and such with an element twice, of a list of texts that is there."""
    if not present or len(present) < 400:
        return st.nothing()
    _, kind, length = struct.unpack("<IIQ", present[:16])
    if kind != STRING:
        size = struct.calcsize(CODES[kind])
        shorter = st.integers(0, length).map(
            lambda n: struct.pack("<IIQ", ARRAY, kind, n) + present[16 : 16 + n * size]
        )
        places = st.integers(16, len(present) - 1) | st.integers(16, 800)
        other = st.tuples(places, st.binary(min_size=1, max_size=4)).map(
            lambda p: (present[: p[0]] + p[1] + present[p[0] + len(p[1]) :])[: len(present)]
        )
        return shorter | other | other
    texts, at = [], 16
    for _ in range(length):
        (size,) = struct.unpack("<Q", present[at : at + 8])
        texts.append(present[at : at + 8 + size])
        at += 8 + size

    def joined(items: list[bytes]) -> bytes:
        return struct.pack("<IIQ", ARRAY, STRING, len(items)) + b"".join(items)

    places = st.integers(0, length - 1)
    return st.one_of(
        places.map(lambda n: joined(texts[:n])),
        st.tuples(places, places).map(
            lambda p: joined([*texts[: p[0]], texts[p[1]], *texts[p[0] + 1 :]])
        ),
        st.tuples(places, st.sampled_from([b"", b"\xff", HIDDEN.encode(), b"a" * 3000])).map(
            lambda p: joined(
                [*texts[: p[0]], struct.pack("<Q", len(p[1])) + p[1], *texts[p[0] + 1 :]]
            )
        ),
    )


def _scalars(kind: int) -> st.SearchStrategy[Any]:
    if kind == STRING:
        return st.sampled_from(TEXTS)
    code = CODES[kind]
    if code == "?":
        return st.booleans()
    if code in "fd":
        return st.sampled_from(FLOATS)
    bits = 8 * struct.calcsize(code)
    low, high = (0, 2**bits - 1) if code.isupper() else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return st.sampled_from([n for n in EXTREMES if n <= high]) | st.integers(low, high)
