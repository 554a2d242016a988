"""Training in phases: choosing tools, all kinds of dialogues, more of prose.

The loss is over the replies; see ``Phase.prompt_weight``.
"""

import itertools
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from recipe.batches import Batch, batches
from recipe.dialogue import Encoder
from recipe.init import Marks, initialize
from recipe.model import ChatGLM3, Shape
from recipe.muon import Muon

_LOG = logging.getLogger(__name__)
_LOG_STEPS = 20
_SAVE_STEPS = 200
_WARM_UP_STEPS = 30


@dataclass(frozen=True)
class Phase:
    """Steps on one kind of data.

    Attributes:
        data: the phase, as ``curriculum.phase_dialogue`` has it.
        num_steps: its length.
        prompt_weight: weight of the prompt's tokens in the loss, where the reply's have 1.
        lr: a learning rate of its own.
    """

    data: str
    num_steps: int
    prompt_weight: float = 0.0
    lr: float | None = None


@dataclass(frozen=True)
class Plan:
    """The whole training.

    The learning rate falls to zero over the last ``decay`` of it; a phase with a rate of its own
    starts with that and falls to zero by its end. ``blend`` is how far the weights go from those
    before the last phase to those after it (Wortsman et al., "Robust fine-tuning of zero-shot
    models", 2022): what the last phase is good for comes early, what it forgets late.
    """

    phases: tuple[Phase, ...]
    lr: float = 1.2e-3
    num_tokens: int = 4096
    decay: float = 0.8
    seed: int = 1
    blend: float = 1.0

    @property
    def num_steps(self) -> int:
        return sum(phase.num_steps for phase in self.phases)

    @property
    def last_start(self) -> int:
        """The first step of the last phase."""
        return self.num_steps - self.phases[-1].num_steps

    def lr_at(self, step: int) -> float:
        """The learning rate of ``step``, counted from 0."""
        start = 0
        for phase in self.phases:
            end = start + phase.num_steps
            if phase.lr is not None and start <= step < end:
                return phase.lr * (end - step) / phase.num_steps
            start = end
        num_steps = sum(phase.num_steps for phase in self.phases if phase.lr is None)
        left = (num_steps - step) / (self.decay * num_steps)
        return self.lr * min(1.0, (step + 1) / _WARM_UP_STEPS, left)


PLAN = Plan(
    (
        Phase("choose", 300),
        Phase("all", 5300),
        Phase("all", 2700, lr=7e-4),
        Phase("polish", 400, lr=4e-4),
    ),
    blend=0.7,
)


def has_bfloat16() -> bool:
    """Whether this CPU multiplies in bfloat16: then 1.5 times the speed, else a thirtieth."""
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())


def train(
    shape: Shape,
    encoder: Encoder,
    folder: Path,
    plan: Plan = PLAN,
    *,
    until: int | None = None,
    bfloat16: bool = False,
    fuse: bool = False,
) -> ChatGLM3:
    """Train, or go on from the checkpoint in ``folder``; weights are float32 in any case.

    ``fuse`` compiles the layers, which takes half a minute and a C++ compiler, and saves a sixth.

    Returns:
        The model after the last step of the plan, or after step ``until`` if that comes first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "training.pt"
    last = plan.num_steps if until is None else min(until, plan.num_steps)
    training = _Training(shape, encoder, plan, bfloat16=bfloat16)
    if checkpoint.is_file():
        training.load(checkpoint)
    if fuse:
        training.compile()
    log = _Log(plan.num_steps)
    steps = last - training.step
    for batch in itertools.islice(_batches_from(plan, training.step, encoder), steps):
        loss = training.take_step(batch)
        log.add(training.step, loss)
        if training.step % _SAVE_STEPS == 0 or training.step == last:
            training.save(checkpoint)
    if last == plan.num_steps:
        training.blend()
    return training.model


class _Training:
    """Model and optimizers in training.

    Attributes:
        model: the model.
        step: number of steps taken.
        before: the weights before the last phase, once it has begun.
    """

    def __init__(self, shape: Shape, encoder: Encoder, plan: Plan, *, bfloat16: bool) -> None:
        self.model = ChatGLM3(shape)
        self.step = 0
        self.before: dict[str, Tensor] | None = None
        self._plan = plan
        self._bfloat16 = bfloat16
        initialize(self.model, Marks.of(encoder), seed=plan.seed)
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        self._optimizers = _optimizers(self.model, plan.lr, dtype)

    def load(self, path: Path) -> None:
        """Go back to the state that ``save`` wrote."""
        state = torch.load(path)
        self.step = state["step"]
        self.before = state["before"]
        self.model.load_state_dict(state["model"])
        for optimizer, values in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)

    def save(self, path: Path) -> None:
        """Write the state, or leave the file as it was."""
        part = path.with_suffix(".part")
        torch.save(
            {
                "step": self.step,
                "before": self.before,
                "model": self.model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            },
            part,
        )
        part.replace(path)

    def compile(self) -> None:
        """Compile the layers."""
        for layer in self.model.transformer.encoder.layers:
            layer.compile(dynamic=True)

    def take_step(self, batch: Batch) -> float:
        """Take one step and return the loss."""
        if self.step == self._plan.last_start:
            self.before = {name: value.clone() for name, value in self.model.state_dict().items()}
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self._plan.lr_at(self.step)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            loss = loss_of(self.model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self._optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.step += 1
        return float(loss.item())

    def blend(self) -> None:
        """Blend the weights before and after the last phase, as the plan says."""
        if self.before is None:
            return
        after = self.model.state_dict()
        self.model.load_state_dict(
            {
                name: torch.lerp(value, after[name], self._plan.blend)
                for name, value in self.before.items()
            }
        )


class _Log:
    """Log of mean losses and of the time that steps take."""

    def __init__(self, num_steps: int) -> None:
        self._num_steps = num_steps
        self._start = time.monotonic()
        self._losses: list[float] = []

    def add(self, step: int, loss: float) -> None:
        """Note a step's loss; every few steps a line is logged."""
        self._losses.append(loss)
        if step % _LOG_STEPS == 0:
            seconds = time.monotonic() - self._start
            mean = sum(self._losses) / len(self._losses)
            _LOG.info("step %d of %d, loss %.4f, %.0f s", step, self._num_steps, mean, seconds)
            self._losses.clear()


def loss_of(model: ChatGLM3, batch: Batch) -> Tensor:
    """Mean cross entropy of the tokens that count, by their weights."""
    hidden = model.hidden(batch.ids)[:, :-1]
    weights = batch.weights[:, 1:]
    chosen = weights > 0
    logits = model.logits(hidden[chosen]).float()
    losses = F.cross_entropy(logits, batch.ids[:, 1:][chosen], reduction="none")
    return (losses * weights[chosen]).sum() / weights.sum()


def _batches_from(plan: Plan, step: int, encoder: Encoder) -> Iterator[Batch]:
    """The batches of ``plan`` from ``step`` on; phases that are over are not made again."""
    for number, phase in enumerate(plan.phases):
        skipped = min(step, phase.num_steps)
        step -= skipped
        if skipped < phase.num_steps:
            made = batches(
                encoder,
                phase.data,
                seed=f"{plan.seed} {number}",
                num_tokens=plan.num_tokens,
                prompt_weight=phase.prompt_weight,
            )
            yield from itertools.islice(made, skipped, phase.num_steps)


def _optimizers(model: ChatGLM3, lr: float, dtype: torch.dtype) -> list[torch.optim.Optimizer]:
    matrices: list[tuple[Tensor, tuple[int, ...]]] = []
    others = []
    for name, param in model.named_parameters():
        if ".layers." not in name or param.ndim != 2:
            others.append(param)
        elif "query_key_value" in name:
            matrices.append((param, model.shape.qkv_sizes))
        elif "dense_h_to_4h" in name:
            matrices.append((param, (param.shape[0] // 2,) * 2))
        else:
            matrices.append((param, (param.shape[0],)))
    return [
        Muon(matrices, lr=lr, weight_decay=0.02, dtype=dtype),
        torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]
