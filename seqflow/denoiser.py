r"""From a network to a predictor of clean tokens.

The state x_t speaks for itself: evidence(x_t, t)_i = log p(x_t | x_1 = i). Bayes' rule for
one position adds to it the logarithm of a prior, and what the other positions tell is just
that prior. So the network predicts only what the position itself does not say::

    logits = evidence + network(softmax(evidence), t, condition)

Its input has one scale at every time and for every process, and at late times, when the
state says all, it may answer with zeros.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .categorical import each_position, probabilities
from .process import CategoricalProcess, Condition, Process


class EvidenceDenoiser(nn.Module):
    """Adds a network's logits to the process's own evidence.

    Args:
        process: any categorical process.
        network: ``(features, t, condition) -> logits``, both ``(batch, length, K)``.
    """

    def __init__(self, process: CategoricalProcess, network: nn.Module) -> None:
        super().__init__()
        self.process = process
        self.network = network

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition = None) -> Tensor:
        """Logits of p(x_1 | x_t), shape ``(batch, length, K)``."""
        return self._judge(self.process.evidence(x_t, t), t, condition)

    def at_times(self, x_t: Tensor, times: Tensor, t: Tensor) -> Tensor:
        """The same where position l is at ``times[:, l]``, of which the network is told t."""
        return self._judge(each_position(self.process.evidence, x_t, times), t, None)

    def _judge(self, evidence: Tensor, t: Tensor, condition: Condition) -> Tensor:
        logits: Tensor = evidence + self.network(probabilities(evidence), t, condition)
        return logits

    def seeing(self, process: CategoricalProcess) -> EvidenceDenoiser:
        """The same network with the evidence of another process, such as ``Inpainting``."""
        return EvidenceDenoiser(process, self.network)


class NoisyClassifier(nn.Module):
    """Classifies noisy states, seen through the same evidence; for classifier guidance.

    Args:
        process: any categorical process.
        network: ``(features, t) -> logits`` over labels, shape ``(batch, labels)``.
    """

    def __init__(self, process: CategoricalProcess, network: nn.Module) -> None:
        super().__init__()
        self.process = process
        self.network = network

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Logits of p(y | x_t), shape ``(batch, labels)``."""
        logits: Tensor = self.network(probabilities(self.process.evidence(x_t, t)), t)
        return logits

    def seeing(self, process: CategoricalProcess) -> NoisyClassifier:
        """The same network with the evidence of another process, such as ``Inpainting``."""
        return NoisyClassifier(process, self.network)


class CausalPredictor(nn.Module):
    """Shows a causal network every token one position late; for autoregression.

    Args:
        num_classes: K, the size of the alphabet.
        network: ``(features, t, condition) -> logits``, where position l depends on
            positions up to l.
    """

    def __init__(self, num_classes: int, network: nn.Module) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.network = network

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition = None) -> Tensor:
        """Logits of each token given those before it, shape ``(batch, length, K)``."""
        features = F.one_hot(x_t, self.num_classes).to(t.dtype)
        # Position 0 sees zeros; the last token is shown to nobody. Time is known from there.
        late = F.pad(features, (0, 0, 1, -1))
        logits: Tensor = self.network(late, torch.zeros_like(t), condition)
        return logits

    def seeing(self, process: Process[Tensor]) -> CausalPredictor:
        """Itself: it reads the tokens of the state, whichever process left them there."""
        del process
        return self
