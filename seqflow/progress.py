"""A training bar on stderr; Lightning's own writes to stdout, which is for results."""

from __future__ import annotations

from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from tqdm import tqdm


class TrainingBar(Callback):
    """Steps done and the latest losses.

    Args:
        every: steps between refreshed losses.
    """

    def __init__(self, every: int = 10) -> None:
        self.every = every
        self.bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar, at the step where training goes on."""
        del pl_module
        done = trainer.global_step
        self.bar = tqdm(total=trainer.max_steps, initial=done, unit="step", desc="training")

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """One step more."""
        if self.bar is None:
            return
        self.bar.update(trainer.global_step - self.bar.n)
        if trainer.global_step % self.every == 0:
            losses = {name: f"{float(v):.3f}" for name, v in trainer.callback_metrics.items()}
            self.bar.set_postfix(losses)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Close the bar, also when training was interrupted."""
        del trainer, pl_module, stage
        if self.bar is not None:
            self.bar.close()
