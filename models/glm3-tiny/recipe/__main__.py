"""Make glm3-tiny: ``python -m recipe train`` and ``python -m recipe evaluate``."""

import json
import logging
from pathlib import Path
from typing import Annotated

import sentencepiece
import torch
import typer
from safetensors.torch import load_file

from recipe.evaluate import reply, same_as, scores, served
from recipe.export import export, shape_for
from recipe.model import ChatGLM3
from recipe.questions import TOOLS, questions
from recipe.tokenizer import train_tokenizer
from recipe.train import PLAN, has_bfloat16, train

HERE = Path(__file__).resolve().parent.parent
TYPES = ("f16", "q8_0", "q4_k_m")

app = typer.Typer(add_completion=False)


def _encoder(folder: Path) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))


@app.command("train")
def train_command(
    work: Annotated[Path, typer.Option(help="Where the training keeps its checkpoint.")],
    out: Annotated[Path, typer.Option(help="Where the model goes.")] = HERE,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    bfloat16: Annotated[bool, typer.Option(help="Multiply in bfloat16.")] = has_bfloat16(),
    fuse: Annotated[bool, typer.Option(help="Compile the layers; wants a C++ compiler.")] = True,
) -> None:
    """Train, or go on where the last run in ``--work`` stopped, and write the checkpoint."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    work.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    if not (work / "tokenizer.model").is_file():
        train_tokenizer(work / "tokenizer.model", seed=PLAN.seed)
    encoder = _encoder(work)
    export(train(shape_for(encoder), encoder, work, bfloat16=bfloat16, fuse=fuse), out)
    (out / "tokenizer.model").write_bytes((work / "tokenizer.model").read_bytes())


@app.command("evaluate")
def evaluate_command(
    model: Annotated[Path, typer.Option(help="The checkpoint.")] = HERE,
    types: Annotated[str, typer.Option(help="Quantizations, by commas.")] = ",".join(TYPES),
    seed: int = 1,
    tools: Annotated[str, typer.Option(help="Whose tools: " + ", ".join(TOOLS))] = TOOLS[0],
    strict: Annotated[bool, typer.Option(help="Constrain calls to their tool's schema.")] = True,
    show: Annotated[int, typer.Option(help="Wrong replies to print.")] = 0,
) -> None:
    """Ask the server, for each quantization, and print what part is right."""
    encoder = _encoder(model)
    reference = ChatGLM3(shape_for(encoder))
    reference.load_state_dict(_weights(model))
    asked = questions(seed=seed, tools=tools)
    for name in types.split(","):
        with served(model, name) as client:
            replies = [reply(client, question, strict=strict) for question in asked]
        counts = scores(asked, replies)
        if not strict:  # PyTorch is not constrained
            same = sum(
                same_as(reference, encoder, q, r) for q, r in zip(asked, replies, strict=True)
            )
            counts["same as PyTorch"] = (same, len(asked))
        figures = {
            m: f"{100 * right / total:.1f} % of {total}" for m, (right, total) in counts.items()
        }
        typer.echo(f"{name}: {json.dumps(figures, ensure_ascii=False, indent=2)}")
        wrong = [(q, r) for q, r in zip(asked, replies, strict=True) if r.turn != q.expected]
        for question, said in wrong[:show]:
            asked_last = question.dialogue.turns[-2].content
            typer.echo(f"{question.kind}: {asked_last}\n  {question.expected}\n  {said.turn}")


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}


app()
