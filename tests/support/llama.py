"""llama.cpp through llama_cpp's low-level functions: logits, token ids, the quantize tool."""

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path

import llama_cpp
import numpy as np
from numpy.typing import NDArray

FLASH_ATTENTION_OFF = 0


class Model:
    """A loaded GGUF file; a context manager."""

    def __init__(self, path: Path, *, vocab_only: bool = False) -> None:
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = vocab_only
        params.n_gpu_layers = 0
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            raise RuntimeError(f"llama.cpp cannot load {path}")
        self.vocab = llama_cpp.llama_model_get_vocab(self._model)
        self.num_tokens: int = llama_cpp.llama_vocab_n_tokens(self.vocab)

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *exc_info: object) -> None:
        llama_cpp.llama_model_free(self._model)

    def tokenize(self, text: str) -> list[int]:
        """Ids of plain text: no special tokens added, none recognised."""
        data = text.encode()
        capacity = len(data) + 8
        ids = (llama_cpp.llama_token * capacity)()
        count = llama_cpp.llama_tokenize(self.vocab, data, len(data), ids, capacity, False, False)
        assert count >= 0
        return list(ids[:count])

    def token_text(self, token: int) -> str:
        text: bytes = llama_cpp.llama_vocab_get_text(self.vocab, token)
        return text.decode()

    def logits(
        self, tokens: Sequence[int], *, lora: Path | None = None, scale: float = 1.0
    ) -> NDArray[np.float32]:
        """Logits of one sequence from position 0, shape (len(tokens), vocabulary).

        ``lora`` is a GGUF adapter to apply.
        """
        count = len(tokens)
        adapter = self._load_adapter(lora) if lora else None
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = count
        params.n_threads = params.n_threads_batch = 2
        params.flash_attn_type = FLASH_ATTENTION_OFF
        params.type_k = params.type_v = llama_cpp.GGML_TYPE_F32
        context = llama_cpp.llama_init_from_model(self._model, params)
        batch = llama_cpp.llama_batch_init(count, 0, 1)
        try:
            if adapter:
                adapters, scales = (ctypes.c_void_p * 1)(adapter), (ctypes.c_float * 1)(scale)
                pointers = ctypes.cast(adapters, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p)))
                assert llama_cpp.llama_set_adapters_lora(context, pointers, 1, scales) == 0
            batch.n_tokens = count
            for i, token in enumerate(tokens):
                batch.token[i], batch.pos[i] = token, i
                batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = 1, 0, 1
            assert llama_cpp.llama_decode(context, batch) == 0
            pointer = llama_cpp.llama_get_logits(context)
            logits = np.ctypeslib.as_array(pointer, (count, self.num_tokens))
            return np.array(logits)
        finally:
            llama_cpp.llama_batch_free(batch)
            llama_cpp.llama_free(context)

    def _load_adapter(self, path: Path) -> int:
        adapter = llama_cpp.llama_adapter_lora_init(self._model, str(path).encode())
        if not adapter:
            raise RuntimeError(f"llama.cpp cannot load {path}")
        return ctypes.addressof(adapter.contents)


def quantize(
    source: Path,
    output: Path,
    file_type: int,
    importances: Mapping[str, NDArray[np.float32]] | None = None,
) -> None:
    """Run llama.cpp's quantize tool."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = file_type
    params.nthread = 2
    if importances:
        entry = llama_cpp.llama_cpp.llama_model_imatrix_data
        entries = (entry * (len(importances) + 1))()  # the last one, without a name, ends the list
        for place, (name, values) in zip(entries, importances.items(), strict=False):
            place.name, place.size = name.encode(), values.size
            place.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        params.imatrix = entries
    status = llama_cpp.llama_model_quantize(
        str(source).encode(), str(output).encode(), ctypes.byref(params)
    )
    assert status == 0
