r"""Training: any model for any objective, with an average of its weights.

The exponential moving average that is evaluated and shipped::

    theta_ema <- d theta_ema + (1 - d) theta,    d = min(decay, (1 + n) / (10 + n)) at step n

Exact resume. Batch and noise of step n come from generators seeded by (seed, n), so the
training state is weights, optimiser, averages and n; continued training equals uninterrupted
training to the last bit (on one device).
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytorch_lightning as pl
import torch
from pydantic import Field
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from .batches import Augmentation, BatchStream
from .devices import find_device
from .objectives import Batch, Objective
from .optimisers import build_optimiser, hidden_matrices
from .progress import TrainingBar
from .resume import SafetensorsIO
from .sampling import seeded_generator
from .state import num_rows, split


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; every field has a default that suits a small network.

    Attributes:
        steps: optimiser steps in all.
        batch_size: rows a step.
        learning_rate: peak, after the warm-up and before the cosine decay to zero.
        muon_learning_rate: the same for hidden matrices, under Muon (`seqflow.optimisers`); None
            for AdamW there too.
        warmup: steps of linear warm-up.
        weight_decay: as a part of the learning rate.
        clip: largest gradient norm.
        ema_decay: of the weight average.
        validate_every: steps between validations.
        checkpoint_every: steps between saved training states.
        seed: of batches and noise.
        precision: of Lightning's; ``bf16-mixed`` is faster where the processor knows it.
    """

    steps: Annotated[int, Field(gt=0)] = 5000
    batch_size: Annotated[int, Field(gt=0)] = 64
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1e-3
    muon_learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    warmup: Annotated[int, Field(ge=0)] = 100
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    clip: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    validate_every: Annotated[int, Field(gt=0)] = 500
    checkpoint_every: Annotated[int, Field(gt=0)] = 500
    seed: Annotated[int, Field(ge=0)] = 0
    precision: Literal["32-true", "bf16-mixed"] = "32-true"


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Within, torch's own generators start from ``key``: for initial weights and dropout.

    Example:
        >>> with seeded(0):
        ...     a = torch.rand(1)
        >>> with seeded(0):
        ...     bool(a == torch.rand(1))
        True
    """
    with torch.random.fork_rng():
        torch.manual_seed(seeded_generator(*key).initial_seed())
        yield


class TrainingModule(pl.LightningModule):
    """Trains ``model`` for ``objective``; ``averaged`` holds the weights to keep.

    Args:
        model: whatever the objective calls.
        objective: loss of each example.
        train: rows to train on, in memory.
        validation: rows to judge by, or None.
        settings: how to train.
        augment: changes training batches at random.
        identity: what must be the same when training goes on: plain values, in JSON.

    Raises:
        ValueError: if the settings want Muon for a model without matrices for it.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        train: Batch,
        validation: Batch | None = None,
        settings: TrainingSettings | None = None,
        augment: Augmentation | None = None,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.model, self.objective = model, objective
        self.train_data, self.validation_data = train, validation
        self.settings, self.augment = settings or TrainingSettings(), augment
        if self.settings.muon_learning_rate is not None:
            hidden_matrices(model)  # raises where there are none, before any work
        self.identity = dict(identity or {})
        self.averaged = AveragedModel(model, multi_avg_fn=self._average)

    def _average(self, averages: Any, weights: Any, num_averaged: Any) -> None:
        n = self.global_step
        decay = min(self.settings.ema_decay, (1 + n) / (10 + n))
        torch._foreach_lerp_(averages, weights, 1 - decay)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the state belongs to."""
        checkpoint["identity"] = self.identity

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the state of another training, or of one that is further on."""
        kept, own = checkpoint["identity"], self.identity
        for key in kept | own:
            if _said(kept.get(key)) != _said(own.get(key)):
                raise ValueError(
                    f"the training state was made with {key} {kept.get(key)!r}, not "
                    f"{own.get(key)!r}; choose another folder, or delete it to start anew"
                )
        if checkpoint["global_step"] > self.settings.steps:
            raise ValueError(
                f"the training state is at step {checkpoint['global_step']}, beyond the "
                f"{self.settings.steps} wanted; raise training.steps to go on"
            )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches from the current step on."""
        own = self.settings
        stream = BatchStream(
            self.train_data, own.batch_size, own.seed, self.global_step, self.augment
        )
        return DataLoader(stream, batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch] | list[Any]:
        """Validation rows in order."""
        if self.validation_data is None:
            return []
        pieces: Any = split(self.validation_data, 256)
        return DataLoader(pieces, batch_size=None)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Mean loss of a batch."""
        del index
        key = (self.settings.seed, 2, self.global_step)
        with seeded(*key):  # dropout draws from torch's own generator
            generator = seeded_generator(*key, device=self.device)
            loss = self.objective(self.model, batch, generator).mean()
        self.log("train_loss", loss, prog_bar=True, batch_size=num_rows(batch))
        return loss

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """One step, then the average moves; before any callback saves the two."""
        super().optimizer_step(*arguments, **options)
        self.averaged.update_parameters(self.model)

    def validation_step(self, batch: Batch, index: int) -> None:
        """Loss of the averaged model, under the same noise every time."""
        generator = seeded_generator(self.settings.seed, 3, index, device=self.device)
        loss = self.objective(self.averaged.module, batch, generator).mean()
        self.log("validation_loss", loss, prog_bar=True, batch_size=num_rows(batch))

    def configure_optimizers(self) -> Any:
        """AdamW, or Muon with it; linear warm-up, cosine decay to zero."""
        own = self.settings

        def factor(step: int) -> float:
            decay = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, own.steps))))
            return min(1.0, (step + 1) / max(1, own.warmup)) * decay

        optimizer = build_optimiser(
            self.model, own.learning_rate, own.weight_decay, own.muon_learning_rate
        )
        scheduler = {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}


def _said(value: Any) -> Any:
    """Without what is None: a state of before a setting existed is one that leaves it out."""
    if not isinstance(value, Mapping):
        return value
    return {key: _said(item) for key, item in value.items() if item is not None}


def fit(
    module: TrainingModule,
    folder: Path,
    *,
    device: str = "auto",
    progress: bool = True,
    callbacks: list[Callback] | None = None,
) -> nn.Module:
    """Train, or go on from ``folder/training_state.safetensors`` where there is one.

    Args:
        module: what to train and how.
        folder: where the training state and ``logs/version_*/metrics.csv`` go.
        device: where to compute, as `seqflow.devices.find_device` reads it.
        progress: whether to show a bar on stderr.
        callbacks: extra ones.

    Returns:
        The averaged model, on the CPU and in evaluation mode.
    """
    own = module.settings
    state = folder / "training_state.safetensors"
    keep = ModelCheckpoint(
        dirpath=folder,
        filename=state.stem,
        every_n_train_steps=own.checkpoint_every,
        enable_version_counter=False,
    )
    keep.FILE_EXTENSION = state.suffix
    bar: list[Callback] = [TrainingBar()] if progress else []
    place = find_device(device)
    for logger in ("pytorch_lightning", "lightning_fabric"):  # hints and advertisements
        logging.getLogger(logger).setLevel(logging.WARNING)
    trainer = pl.Trainer(
        max_steps=own.steps,
        max_epochs=-1,
        accelerator=place.type,
        devices=1 if place.type == "cpu" else [place.index or 0],
        precision=own.precision,
        gradient_clip_val=own.clip,
        val_check_interval=own.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        limit_val_batches=0 if module.validation_data is None else None,
        log_every_n_steps=min(50, own.steps),
        logger=CSVLogger(folder, name="logs"),
        callbacks=[keep, *bar, *(callbacks or [])],
        plugins=[SafetensorsIO()],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        # Lightning 2.6 still uses a name that torch 2.13 deprecates.
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
        # The data are in memory; workers would only copy them.
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        # It holds the state that we go on from.
        warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
        try:
            trainer.fit(module, ckpt_path=state if state.exists() else None, weights_only=True)
        except SystemExit:  # Lightning's answer to Ctrl-C and to a scheduler's SIGTERM
            raise KeyboardInterrupt from None
        trainer.save_checkpoint(state)
    model: nn.Module = module.averaged.module
    return model.cpu().eval()
