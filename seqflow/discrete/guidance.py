r"""Guidance of token paths where it has to know the step: around the process.

`seqflow.guidance` steers predictions. For paths of tokens that is enough for classifier-free
guidance of masks, p ~ p_0^(1-w) p_y^w, and for classifiers by Taylor. Two forms need more:

**Classifier-free on the kernel.** A token that is visible noise may also stay; what is
mixed is the law of the next state, q ~ q_0^(1-w) q_y^w (Schiff et al. 2025, D-CFG).

**Classifiers, exactly, where tokens jump.** A jump to i is weighed by p(y | x_t with i there)^w,

    p'(i) ~ p(i) p(y | x_t with i at l)^w,

K calls of the classifier for a position. Jumps are decided first, so only the share of
positions that jump, 1/N of them for masks, asks for them (D-CBG, which asks for all). For
masks and a classifier that is consistent, p(y | mask) = sum_i p(i) p(y | i), this samples the
conditional law as N grows. For visible noise it leaves out that guidance also changes how
often tokens jump.

Each is a process around a process, beside a predictor that brings along what its step needs::

    Sampler(KernelGuidance(process, w), BothPredictions(network), times)
    Sampler(JumpGuidance(process, classifier, w), Labelled(network), times)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..guidance import Combination, check_labels, drop_labels, log_linear, on_both
from ..process import CategoricalProcess, Condition
from ..sampling import Predictor
from ..wrapping import Wrapping
from .lazy_logits import DenseLogits, Logits, as_logits, draw_at

Classifier = Callable[[Tensor, Tensor], Tensor]
"""``(x_t, t) -> logits`` over labels, ``(batch, labels)``."""


class TokenProcess(CategoricalProcess, Protocol):
    """A path of tokens whose one-step law can be written down."""

    def log_kernel(self, x_t: Tensor, prediction: Tensor, t: Tensor, dt: Tensor) -> Tensor:
        """Log of the law of each token of x_{t+dt}, ``(batch, length, num_states)``; finite."""
        ...


@dataclass(frozen=True)
class BothPredictions:
    """A predictor's answers with and without the condition, by one call on a doubled batch.

    Attributes:
        predictor: trained with conditions, some of them dropped.
        drop: makes the unconditional condition out of the conditional one.
    """

    predictor: Predictor
    drop: Callable[[Condition], Condition] = drop_labels

    def __call__(
        self, x_t: Tensor, t: Tensor, condition: Condition = None
    ) -> Mapping[str, Tensor]:
        """``{"unconditional": logits, "conditional": logits}``."""
        if condition is None:
            raise ValueError("expected a condition to guide towards, got None; pass labels")
        dropped = self.drop(condition)
        if dropped is None:
            raise ValueError("expected drop to keep the form of the condition, got None")
        pair = on_both(self.predictor, x_t, t, dropped, condition)
        return dict(zip(("unconditional", "conditional"), pair, strict=True))


@dataclass(frozen=True)
class KernelGuidance(Wrapping):
    """Classifier-free guidance of the one-step law; predictions are of `BothPredictions`.

    Attributes:
        process: a path of tokens, such as ``UniformFlow(4)``.
        strength: w; 0 ignores the condition, 1 uses it as trained, more goes beyond.
        combine: of the logarithms of the two laws.

    Example:
        >>> from seqflow.discrete import UniformFlow
        >>> process, t = KernelGuidance(UniformFlow(2), 3.0), torch.zeros(1)
        >>> x = process.sample_prior((1, 5), generator=torch.Generator().manual_seed(0))
        >>> pair = {"unconditional": torch.zeros(1, 5, 2), "conditional": torch.zeros(1, 5, 2)}
        >>> pair["conditional"][..., 1] = 5.0
        >>> process.step(x, pair, t, t + 1, generator=torch.Generator().manual_seed(0))
        tensor([[1, 1, 1, 1, 1]])
    """

    process: TokenProcess
    strength: float
    combine: Combination = log_linear

    def step(
        self,
        x_t: Tensor,
        prediction: Mapping[str, Tensor],
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draw x_{t+dt} from the mixed law; looks at every position."""
        unconditional, conditional = (
            self.process.log_kernel(x_t, prediction[name], t, dt)
            for name in ("unconditional", "conditional")
        )
        mixed = DenseLogits(self.combine(unconditional, conditional, self.strength))
        everywhere = torch.arange(x_t.numel(), device=x_t.device)
        return draw_at(mixed, everywhere, generator=generator).view_as(x_t)


@dataclass(frozen=True)
class Labelled:
    """An unconditional prediction, together with the labels to steer towards.

    Attributes:
        predictor: called without its labels.
    """

    predictor: Predictor

    def __call__(
        self, x_t: Tensor, t: Tensor, condition: Condition = None
    ) -> Mapping[str, Tensor]:
        """``{"logits": ..., "label": ...}``; ``condition`` holds labels, ``(batch,)``."""
        label = check_labels(condition)
        return {"logits": self.predictor(x_t, t, drop_labels(label)), "label": label}


@dataclass(frozen=True)
class JumpGuidance(Wrapping):
    """Exact classifier guidance of the tokens that jump; predictions are of `Labelled`.

    Attributes:
        process: a path of tokens.
        classifier: of noisy states x_t, with tokens as the process has them.
        strength: w; 0 does not call the classifier.
        batch_size: sequences that the classifier sees at once, at least.
    """

    process: CategoricalProcess
    classifier: Classifier
    strength: float
    batch_size: int = 256

    def step(
        self,
        x_t: Tensor,
        prediction: Mapping[str, Tensor],
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The process's own step, with the logits of jumping positions reweighted."""
        logits, label = prediction["logits"], prediction["label"]
        if self.strength != 0:
            rows = as_logits(logits, x_t, self.process.num_classes)
            logits = WeighedLogits(rows, x_t, t, label, self)  # type: ignore[assignment]  # lazy
        return self.process.step(x_t, logits, t, dt, generator=generator)


@dataclass(frozen=True)
class WeighedLogits:
    """log p(i) + w log p(y | x_t with i there), evaluated only where it is asked for.

    Attributes:
        logits: of p.
        x_t: ``(batch, length)``.
        t: ``(batch,)``.
        label: y, ``(batch,)``.
        guidance: holds classifier, strength and batch size.
    """

    logits: Logits
    x_t: Tensor
    t: Tensor
    label: Tensor
    guidance: JumpGuidance

    @property
    def shape(self) -> torch.Size:
        """``(batch, length, K)``."""
        return self.logits.shape

    def rows(self, positions: Tensor) -> Tensor:
        """The weighed logits ``(n, K)`` of n positions, at n K calls of the classifier."""
        width = max(1, self.guidance.batch_size // self.shape[-1])
        gains = torch.cat([self._gain(some) for some in positions.split(width)])
        return self.logits.rows(positions) + self.guidance.strength * gains

    def _gain(self, positions: Tensor) -> Tensor:
        """log p(y | x_t with i there) for every i, ``(n, K)``."""
        K, length = self.shape[-1], self.x_t.shape[-1]
        row, column = positions // length, positions % length
        x = self.x_t[row, None].expand(-1, K, -1).clone()
        tokens = torch.arange(K, device=x.device).expand(len(row), K)
        x.scatter_(2, column[:, None, None].expand(-1, K, 1), tokens[..., None])
        row = row.repeat_interleave(K)
        scores = self.guidance.classifier(x.flatten(0, 1), self.t[row]).log_softmax(-1)
        return scores.gather(1, self.label[row, None]).view(-1, K)
