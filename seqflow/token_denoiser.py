r"""Predictors that read tokens by looking up their vectors, never as one-hot features.

They compute what `EvidenceDenoiser` and `CausalPredictor` compute, with the same weights,
from a network that has a `TokenEmbedding`. With z = x_t and o = odds(x_t, t), evidence is o at
z and 0 elsewhere, so that ::

    sum_i pi_i p_i e_i / sum_i pi_i p_i = (m + (exp(o) - 1) pi_z e_z) / (1 + (exp(o) - 1) pi_z)

with p = softmax(evidence), pi the embedding's frequencies and m = sum_i pi_i e_i: one lookup
instead of three passes over ``(batch, length, K)`` numbers, and the logits are the only tensor
of that size.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .categorical import each_position
from .networks.embedding import TokenEmbedding
from .process import CategoricalProcess, Condition, Process


class TokenProcess(CategoricalProcess, Protocol):
    """A process whose states are tokens, each of which speaks for one clean token."""

    def odds(self, x_t: Tensor, t: Tensor) -> Tensor:
        """Evidence for the token ``x_t`` less that for any other, ``(batch, length)``."""
        ...


class TokenNetwork(Protocol):
    """A network that can be given embedded tokens, such as ``Transformer``."""

    embedding: TokenEmbedding

    def logits(self, h: Tensor, t: Tensor, label: Any = None) -> Tensor:
        """Logits ``(batch, length, K)`` from embedded tokens ``(batch, length, width)``.

        A new tensor, of the dtype of ``t``, that the caller may write to.
        """
        ...


class TokenDenoiser(nn.Module):
    """Adds a network's logits to the evidence of a process on tokens.

    Args:
        process: such as ``MaskedFlow`` or ``UniformFlow``.
        network: such as ``Transformer``.

    Example:
        >>> from seqflow.discrete import MaskedFlow
        >>> from seqflow.networks import Transformer
        >>> network = Transformer(27, 27, width=32, num_layers=1, num_heads=2)
        >>> model = TokenDenoiser(MaskedFlow(27), network)
        >>> model(torch.tensor([[3, 27]]), torch.tensor([0.5])).argmax(-1)
        tensor([[3, 0]])
    """

    def __init__(self, process: TokenProcess, network: TokenNetwork) -> None:
        super().__init__()
        self.process = process
        self.network: Any = network  # a module too

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition = None) -> Tensor:
        """Logits of p(x_1 | x_t), shape ``(batch, length, K)``."""
        return self._judge(x_t, self.process.odds(x_t, t), t, condition)

    def at_times(self, x_t: Tensor, times: Tensor, t: Tensor) -> Tensor:
        """The same where position l is at ``times[:, l]``, of which the network is told t."""
        return self._judge(x_t, each_position(self.process.odds, x_t, times), t, None)

    def _judge(self, x_t: Tensor, odds: Tensor, t: Tensor, condition: Condition) -> Tensor:
        # A mask has no vector of its own: with odds of 0 it counts as the mean of all.
        shown = x_t.clamp_max(self.process.num_classes - 1)
        logits = self.network.logits(self.network.embedding.peaked(shown, odds), t, condition)
        evident: Tensor = logits.scatter_add_(-1, shown[..., None], odds[..., None])
        return evident

    def seeing(self, process: Any) -> TokenDenoiser:
        """The same network with the evidence of another process, such as ``Inpainting``."""
        return TokenDenoiser(process, self.network)


class TokenCausalPredictor(nn.Module):
    """Shows a causal network every token one position late; for autoregression.

    Args:
        network: such as ``Transformer``, causal.
    """

    def __init__(self, network: TokenNetwork) -> None:
        super().__init__()
        self.network: Any = network  # a module too

    def forward(self, x_t: Tensor, t: Tensor, condition: Condition = None) -> Tensor:
        """Logits of each token given those before it, shape ``(batch, length, K)``."""
        # Position 0 sees zeros; the last token is shown to nobody. Time is known from there.
        late = F.pad(self.network.embedding.lookup(x_t), (0, 0, 1, -1))
        logits: Tensor = self.network.logits(late, torch.zeros_like(t), condition)
        return logits

    def seeing(self, process: Process[Tensor]) -> TokenCausalPredictor:
        """Itself: it reads the tokens of the state, whichever process left them there."""
        del process
        return self
