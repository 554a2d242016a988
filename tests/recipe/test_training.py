"""The PyTorch model: resumes where it stopped, and is the model that llama.cpp runs."""

import random
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from numpy.typing import NDArray

from glm3edge.core import Span
from glm3edge.llama.context import Context
from glm3edge.llama.model import Model
from glm3edge_convert import convert
from tests.support.optional import need_module

pytestmark = pytest.mark.slow

torch = need_module("torch", "the recipe of glm3-tiny needs the extra `train`")

from recipe.batches import batches  # noqa: E402
from recipe.calls import sample  # noqa: E402
from recipe.dialogue import encode  # noqa: E402
from recipe.export import export, shape_for  # noqa: E402
from recipe.init import Marks, initialize  # noqa: E402
from recipe.model import ChatGLM3, Shape  # noqa: E402
from recipe.muon import Muon  # noqa: E402
from recipe.tokenizer import train_tokenizer  # noqa: E402
from recipe.train import Phase, Plan, loss_of, train  # noqa: E402

SMALL = Shape(padded_vocab_size=512, num_layers=4)


class Letters:
    """An encoder small enough to train with in a second."""

    def encode(self, text: str) -> list[int]:
        return [3 + byte for byte in text.encode()]

    def vocab_size(self) -> int:
        return 300


def weights(model: ChatGLM3) -> NDArray[np.float32]:
    return np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])


def test_a_new_model_can_copy() -> None:
    """A random text whose second half is made of pieces of the first."""
    rng = random.Random(1)
    model = ChatGLM3(Shape(padded_vocab_size=2048))
    initialize(model, Marks(key=1, quote=2, assistant=3), seed=1)
    rows = []
    for _ in range(20):
        first = [rng.randrange(4, 2000) for _ in range(48)]
        starts = [rng.randrange(40) for _ in range(6)]
        rows.append(first + [token_id for start in starts for token_id in first[start : start + 8]])
    ids = torch.tensor(rows)
    with torch.no_grad():
        chosen = model.logits(model.hidden(ids)[:, :-1]).argmax(-1)
    right = (chosen == ids[:, 1:])[:, 48:].float().mean()
    assert right > 0.2  # one in 2000 by chance


def test_a_new_model_can_look_up_tools(tmp_path: Path) -> None:
    """The name of the tool that a question means is likelier than those of the others."""
    train_tokenizer(tmp_path / "tokenizer.model", seed=1)
    encoder = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    model = ChatGLM3(shape_for(encoder))
    initialize(model, Marks.of(encoder), seed=1)
    rng, right = random.Random(2), 0
    for _ in range(40):
        dialogue = sample(rng, ("call",), "zh", num_tools=3, coined=1.0, bare=1.0)
        ids, mine = encode(dialogue, encoder)
        reply = len(ids) - mine[::-1].index(False)
        with torch.no_grad():
            logits = model.logits(model.hidden(torch.tensor([ids[: reply + 1]])))[0, -1]
        names = [encoder.encode(tool["name"])[1] for tool in dialogue.tools]
        right += int(max(names, key=lambda token_id: float(logits[token_id])) == ids[reply + 1])
    assert right > 24  # 13 by chance


def test_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    plan = Plan((Phase("all", 2), Phase("prose", 2, prompt_weight=0.1)), num_tokens=600, blend=0.5)
    whole = train(SMALL, Letters(), tmp_path / "whole", plan)
    train(SMALL, Letters(), tmp_path / "parts", plan, until=3)
    parts = train(SMALL, Letters(), tmp_path / "parts", plan)
    np.testing.assert_array_equal(weights(whole), weights(parts))


def test_the_last_phase_counts_as_far_as_it_is_blended(tmp_path: Path) -> None:
    phases = (Phase("all", 2), Phase("prose", 2))
    ends = []
    for blend in (0.0, 0.5, 1.0):
        plan = Plan(phases, num_tokens=600, blend=blend)
        ends.append(weights(train(SMALL, Letters(), tmp_path / str(blend), plan)))
    assert np.abs(ends[2] - ends[0]).max() > 1e-4
    np.testing.assert_allclose(ends[1], (ends[0] + ends[2]) / 2, atol=1e-6)


def test_the_learning_rate_falls_to_zero_and_starts_again() -> None:
    plan = Plan((Phase("all", 100), Phase("polish", 50, lr=0.5)), lr=1.0, decay=0.5)
    rates = [plan.lr_at(step) for step in range(150)]
    assert rates[0] < rates[29] == rates[50] == 1.0
    assert rates[75] == rates[100] == 0.5
    assert rates[99] == pytest.approx(0.02)
    assert rates[125] == 0.25
    assert rates[149] == pytest.approx(0.01)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    batch = next(batches(Letters(), "prose", seed="9", num_tokens=600, prompt_weight=0.1))
    plan = Plan((Phase("prose", 25, prompt_weight=0.1),), lr=3e-3, num_tokens=600)
    before = train(SMALL, Letters(), tmp_path / "before", plan, until=0)
    after = train(SMALL, Letters(), tmp_path / "after", plan)
    with torch.no_grad():
        assert loss_of(after, batch) < 0.9 * loss_of(before, batch)


def test_llama_cpp_runs_the_same_model(tmp_path: Path) -> None:
    train_tokenizer(tmp_path / "tokenizer.model", seed=1)
    encoder = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    torch.manual_seed(0)
    model = ChatGLM3(shape_for(encoder))  # PyTorch's own first weights: no matrix is special
    export(model, tmp_path)
    convert(tmp_path, tmp_path / "model.gguf", quant_type="f16")
    ids = list(range(300, 340))
    with (
        Model(tmp_path / "model.gguf") as loaded,
        Context(loaded, context_size=64, batch_size=64, num_sequences=1, num_threads=2) as context,
        torch.no_grad(),
    ):
        context.decode([Span(0, 0, ids, wants_output=True)], hidden_states=True)
        ours = context.hidden_states(0, len(ids))
        theirs = model.hidden(torch.tensor([ids]))[0].numpy()
    np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_muon_makes_each_block_orthogonal() -> None:
    weight = torch.nn.Parameter(torch.zeros(6, 8))
    weight.grad = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    Muon([(weight, (4, 2))], lr=1.0, momentum=0.0).step()
    for block, scale in zip(weight.detach().split((4, 2)), (0.2 * 8**0.5,) * 2, strict=True):
        values = torch.linalg.svdvals(block) / scale
        assert values.min() > 0.6
        assert values.max() < 1.3
