"""Fuzzer of files: ``python -m tests.support.file_fuzzer FOLDER NUMBER [SEED]``.

It runs in a process of its own, since what it looks for may end that: an abort, or two seconds of
computing for one file, after which the process is killed. The file that did it is in FOLDER.
"""

import contextlib
import io
import resource
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from glm3edge.commands.app import app
from glm3edge.core import Span
from glm3edge.errors import Glm3EdgeError
from glm3edge.llama.adapter import Adapter
from glm3edge.llama.context import Context
from glm3edge.llama.encoder import Encoder
from glm3edge.llama.model import Model
from glm3edge.llama.model_checks import ENCODER_ARCHITECTURE
from glm3edge.llama.prefix import Prefix
from glm3edge.llama.reranker import Reranker
from glm3edge_convert import convert, convert_lora, convert_prefix
from glm3edge_convert.checkpoint.weights import open_tensors
from glm3edge_convert.errors import ConvertError
from glm3edge_convert.printable import one_line
from glm3edge_convert.quantize.imatrix import read_imatrix, write_imatrix
from glm3edge_convert.synth.random_checkpoint import make_checkpoint
from tests.support.checkpoints import SMALL, merge_shards
from tests.support.encoders import make_bert, make_reranker, make_xlm_roberta
from tests.support.hostile_gguf import hostile, read_document
from tests.support.hostile_safetensors import hostile_safetensors
from tests.support.lora_adapters import layer_modules, make_adapter
from tests.support.prefixes import make_prefix

CPU_SECONDS = 2.0
ROUND = 500
MEMORY = 4 * 2**30
TEXT = "你好, a\u0301 世界 \U0001f600\n①ﬁ"


class Inputs:
    """Valid files of each kind, which hostile ones are made of, and what reads each kind."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "hostile.gguf"
        self.folder = folder / "checkpoint"
        make_checkpoint(self.folder, shape=SMALL)
        merge_shards(self.folder)
        weights = (self.folder / "model.safetensors").read_bytes()
        self.shard = self.folder / "model.safetensors"
        model = folder / "model.gguf"
        convert(self.folder, model, quant_type="f16")
        self.model = Model(model)
        lora = make_adapter(folder / "lora", self.folder, layer_modules(SMALL.num_layers)).folder
        convert_lora(lora, folder / "lora.gguf")
        convert_prefix(make_prefix(folder / "prefix", self.folder).folder, folder / "prefix.gguf")
        make_bert(folder / "bert")
        convert(folder / "bert", folder / "bert.gguf")
        make_xlm_roberta(folder / "xlm")
        convert(folder / "xlm", folder / "xlm.gguf")
        make_reranker(folder / "rerank")
        convert(folder / "rerank", folder / "rerank.gguf")
        sums = {"blk.0.ffn_up.weight": np.ones(64, np.float32)}
        imatrix = folder / "imatrix.gguf"
        counts = dict.fromkeys(sums, 3)
        write_imatrix(imatrix, sums, counts, datasets=["a"], num_chunks=1, chunk_size=32)
        self.kinds: dict[str, tuple[st.SearchStrategy[bytes], Callable[[], None]]] = {
            "chat": (hostile(read_document(model)), self.chat),
            "lora": (hostile(read_document(folder / "lora.gguf")), self.lora),
            "prefix": (hostile(read_document(folder / "prefix.gguf")), self.prefix),
            "bert": (hostile(read_document(folder / "bert.gguf")), self.embed),
            "xlm": (hostile(read_document(folder / "xlm.gguf")), self.embed),
            "rerank": (hostile(read_document(folder / "rerank.gguf")), self.rerank),
            "imatrix": (hostile(read_document(imatrix)), self.imatrix),
            "safetensors": (hostile_safetensors(weights), self.weights),
        }

    def chat(self) -> None:
        self.inspect()
        with Model(self.file) as model:
            ids = model.tokenize(TEXT)[:16]
            with Context(
                model, context_size=64, batch_size=16, num_sequences=1, num_threads=1
            ) as context:
                context.decode([Span(0, 0, ids, wants_output=True)])

    def lora(self) -> None:
        self.inspect()
        with Model(self.model.path) as model:
            adapter = Adapter(model, self.file)
            with Context(
                model,
                context_size=64,
                batch_size=16,
                num_sequences=1,
                num_threads=1,
                adapters=[adapter],
            ) as context:
                context.decode([Span(0, 0, [1, 2, 3], wants_output=True)], adapter=1)

    def prefix(self) -> None:
        self.inspect()
        Prefix(self.model, self.file)

    def embed(self, kind: type[Encoder] = Encoder) -> None:
        self.inspect()
        with (
            Model(self.file, architecture=ENCODER_ARCHITECTURE) as model,
            kind(model, batch_size=64, num_sequences=1, num_threads=1) as encoder,
        ):
            ids = model.tokenize(TEXT, add_special=True)
            if isinstance(encoder, Reranker):
                ids = encoder.pair(ids[:2], ids)
            encoder.encode([ids[: min(16, model.context_length)]])

    def rerank(self) -> None:
        self.embed(Reranker)

    def imatrix(self) -> None:
        self.inspect()
        read_imatrix(self.file)

    def inspect(self) -> None:
        """Run the command: what it prints may command no terminal."""
        for options in ([], ["--json", "--tensors"], ["--tensors"]):
            out = io.StringIO()
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(out),
                pytest.raises(SystemExit) as ended,
            ):
                app(["inspect", str(self.file), *options])
            assert ended.value.code in {0, 8}, out.getvalue()
            for line in out.getvalue().split("\n"):
                assert one_line(line) == line

    def weights(self) -> None:
        self.shard.write_bytes(self.file.read_bytes())
        for tensor in open_tensors(self.folder).values():
            tensor.rows(0, min(2, (*tensor.shape, 1)[0]))


def main(folder: Path, number: int, first: int) -> None:
    """Make ``number`` files and read each."""
    inputs = Inputs(folder)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
    counts, refused = Counter[str](), Counter[str]()
    for start in range(0, number, ROUND):  # hypothesis keeps what it made in a round
        _run(inputs, min(ROUND, number - start), first + start, counts, refused)
    for kind, count in counts.items():
        print(f"{kind}: {refused[kind]} of {count} refused", flush=True)  # noqa: T201


def _run(
    inputs: Inputs, number: int, first: int, counts: Counter[str], refused: Counter[str]
) -> None:
    @seed(first)
    @settings(
        max_examples=number,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def check(data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(sorted(inputs.kinds)))
        strategy, read = inputs.kinds[kind]
        inputs.file.write_bytes(data.draw(strategy))
        inputs.file.with_suffix(".kind").write_text(kind)
        counts[kind] += 1
        num_lines = 1
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # its signal kills
        try:
            read()
        except (Glm3EdgeError, ConvertError) as exc:
            refused[kind] += 1
            num_lines = len(str(exc).split("\n"))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        assert num_lines == 1

    check()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int((sys.argv[3:] or ["0"])[0]))
