r"""Guidance: predictors around predictors, steering samples towards a condition y.

Classifier-free (Ho & Salimans 2022): with w = 0 the unconditional prediction, w = 1 the
conditional one, and w > 1 beyond it::

    log-linear   log p' = (1 - w) log p(.|x_t) + w log p(.|x_t, y)     (up to normalisation)
    linear       p' = (1 - w) p(.|x_t) + w p(.|x_t, y)                 (negative parts cut off)

For predictions that are velocities rather than logits the first line, without its
logarithms, is the usual linear rule, so one function serves both.

Classifier guidance (Dhariwal & Nichol 2021): h = w log p(y | x_t) of a classifier trained
on noisy states; its gradient in x_t tilts the prediction, in the way that the process knows.
A state of tokens is relaxed to one-hot vectors, where a classifier that sees it through the
process's evidence, as `NoisyClassifier` does, has a gradient: the Taylor form, one backward
pass. Forms that need to know the step are in `seqflow.discrete.guidance`.
Nothing here knows which process it steers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .categorical import probabilities
from .process import Condition, Tiltable
from .sampling import Predictor
from .state import State, concatenate, map_state, num_rows, split

NO_LABEL = -1
"""The label of a sample whose class is not told to the network."""

Combination = Callable[[Tensor, Tensor, float], Tensor]


def drop_labels(condition: Condition) -> Condition:
    """The same condition with every label replaced by ``NO_LABEL``."""
    if condition is None:
        return None
    return map_state(lambda label: torch.full_like(label, NO_LABEL), condition)


def check_labels(condition: Condition) -> Tensor:
    """The labels to guide towards; ``ValueError`` if the condition is not a tensor of them."""
    if not isinstance(condition, Tensor):
        raise ValueError(
            f"expected a tensor of labels to guide towards, got {type(condition).__name__}"
        )
    return condition


def log_linear(unconditional: Tensor, conditional: Tensor, strength: float) -> Tensor:
    """(1 - w) a + w b on raw predictions; for logits the geometric mixture p_a^(1-w) p_b^w."""
    return torch.lerp(unconditional, conditional, strength)


def linear(unconditional: Tensor, conditional: Tensor, strength: float) -> Tensor:
    """Logits of the mixture (1 - w) p_a + w p_b, its negative entries cut off."""
    mixture = torch.lerp(probabilities(unconditional), probabilities(conditional), strength)
    # Never all cut off: the entries sum to one before. The floor keeps the logits finite.
    return mixture.clamp(min=torch.finfo(mixture.dtype).tiny).log()


def on_both(predictor: Predictor, x_t: State, t: Tensor, a: State, b: State) -> list[Any]:
    """The predictions under two conditions, by one call on a doubled batch."""
    both = predictor(concatenate([x_t, x_t]), torch.cat([t, t]), concatenate([a, b]))
    size = num_rows(x_t)
    return split(both, size) if size else [both, both]


@dataclass(frozen=True)
class ClassifierFreeGuidance:
    """Moves a conditional predictor's answer away from its unconditional one.

    Attributes:
        predictor: trained with conditions, some of them dropped.
        strength: w; 0 ignores the condition, 1 uses it as trained. Both cost one call of
            the predictor a step, other values one call on a doubled batch.
        combine: ``log_linear`` or ``linear``.
        drop: makes the unconditional condition out of the conditional one.
    """

    predictor: Predictor
    strength: float
    combine: Combination = log_linear
    drop: Callable[[Condition], Condition] = drop_labels

    def __call__(self, x_t: State, t: Tensor, condition: Condition = None) -> Any:
        """The guided prediction."""
        if condition is None:
            raise ValueError("expected a condition to guide towards, got None; pass labels")
        if self.strength == 1:
            return self.predictor(x_t, t, condition)
        dropped = self.drop(condition)
        if self.strength == 0 or dropped is None:
            return self.predictor(x_t, t, dropped)
        halves = on_both(self.predictor, x_t, t, dropped, condition)
        return map_state(lambda a, b: self.combine(a, b, self.strength), *halves)


@dataclass(frozen=True)
class ClassifierGuidance:
    """Tilts an unconditional predictor by the gradient of a classifier on noisy states.

    The gradient is of the *sum* over the batch, so each sample gets its own and the strength
    does not depend on the batch size.

    Attributes:
        process: knows how a gradient tilts its prediction.
        predictor: called without its labels.
        classifier: ``(x_t, t) -> logits`` over labels, shape ``(batch, labels)``.
        strength: w; 0 does not call the classifier.
    """

    process: Tiltable
    predictor: Predictor
    classifier: Callable[[Tensor, Tensor], Tensor]
    strength: float

    def __call__(self, x_t: Tensor, t: Tensor, condition: Condition = None) -> Tensor:
        """The guided prediction; ``condition`` holds the wanted labels, shape ``(batch,)``."""
        labels = check_labels(condition)
        prediction: Tensor = self.predictor(x_t, t, drop_labels(labels))
        if self.strength == 0:
            return prediction
        with torch.enable_grad():
            x = self.process.relax(x_t, t).detach().requires_grad_()
            log_p = -F.cross_entropy(self.classifier(x, t), labels, reduction="sum")
            (gradient,) = torch.autograd.grad(log_p, x)
        return self.process.tilt(prediction, self.strength * gradient, x_t, t)
