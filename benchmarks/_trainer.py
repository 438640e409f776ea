"""The peer: Hugging Face's Trainer with its defaults, watched."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

from _race import Outcome, Stopwatch
from torch import Tensor, nn
from transformers import EvalPrediction, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

TEST_BATCH = 64  # of evaluation, which is not counted


class Examples(Protocol):
    """Rows as the model's arguments; labels (int) among them."""

    def __len__(self) -> int: ...
    def __getitem__(self, i: int, /) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Limits:
    """When a run is looked at, and when it is stopped before its end."""

    every_steps: int
    most_steps: float = inf
    most_seconds: float = inf


def run(
    model: nn.Module,
    rows: tuple[Examples, Examples],
    limits: Limits,
    watch: Stopwatch,
    seed: int,
    score: Callable[[EvalPrediction], float] | None = None,
    **given: Any,
) -> Outcome:
    """What Trainer's defaults come to: batches of 8, learning rate 5e-5 falling to 0, 3 epochs, every weight learns.

    rows: to learn from, and to test on; score: what is measured, None for the accuracy; given: what else Trainer is
    given, such as the tokenizer. A run that is stopped has followed the learning rates of a whole one so far."""
    with tempfile.TemporaryDirectory() as folder:  # it wants one, though nothing is saved
        arguments = TrainingArguments(
            output_dir=folder,
            eval_strategy="steps",
            eval_steps=limits.every_steps,
            per_device_eval_batch_size=TEST_BATCH,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=seed,
        )
        trainer = _Watched(
            model,
            arguments,
            train_dataset=rows[0],
            eval_dataset=rows[1],
            compute_metrics=lambda answers: {"accuracy": (score or _accuracy)(answers)},
            **given,
        )
        trainer.watch, trainer.curve = watch, []
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(_Stop(limits, watch))
        trainer.train()
        seconds = watch.seconds()
        if not trainer.curve or trainer.curve[-1][0] != trainer.state.global_step:
            trainer.evaluate()
    curve = tuple((at, accuracy) for _, at, accuracy in trainer.curve)
    done, planned = trainer.state.global_step, trainer.state.max_steps
    cut = f"stopped after {done:,} of {planned:,} steps" if done < planned else ""
    notes = {"steps": done, "steps_planned": planned, "evaluated_at_steps": [step for step, _, _ in trainer.curve]}
    return Outcome(curve[-1][1], len(rows[1]), seconds, curve, cut, notes)


class PictureClassifier(nn.Module):
    """A picture body with a new linear head on its last depth, in the shape that Trainer trains."""

    def __init__(self, body: nn.Module, width: int, n_labels: int) -> None:
        super().__init__()
        self.body, self.width = body.train().requires_grad_(True), width
        self.head = nn.Linear(width, n_labels)

    def forward(self, pixels: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """(b, h, w, 3) uint8, (b,) int64 -> loss, logits (b, c)."""
        logits = self.head(self.body(pixels)[:, -self.width :])
        loss = {} if labels is None else {"loss": nn.functional.cross_entropy(logits, labels)}
        return {**loss, "logits": logits}


class _Watched(Trainer):
    """Notes the accuracy at each evaluation and leaves its time out."""

    watch: Stopwatch
    curve: list[tuple[int, float, float]]  # step, seconds, accuracy

    def evaluate(self, *args: Any, **given: Any) -> dict[str, float]:
        at = self.watch.seconds()
        with self.watch.paused():
            found = super().evaluate(*args, **given)
        self.curve.append((self.state.global_step, at, found["eval_accuracy"]))
        return found


class _Stop(TrainerCallback):
    def __init__(self, limits: Limits, watch: Stopwatch) -> None:
        self.limits, self.watch = limits, watch

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        over = state.global_step >= self.limits.most_steps or self.watch.seconds() >= self.limits.most_seconds
        control.should_training_stop = control.should_training_stop or over


def _accuracy(answers: EvalPrediction) -> float:
    return float((answers.predictions.argmax(-1) == answers.label_ids).mean())
