r"""How weights move: AdamW for most, Muon for the matrices inside.

Muon replaces the momentum M of a matrix by the nearest orthogonal one, up to its length,

    W <- W - 0.2 rate sqrt(max(rows, columns)) U V^T,    M = U S V^T,

so that all directions of a layer are learned at one speed; AdamW follows the strong ones first.
It is for matrices that map features to features: embeddings, heads, biases, and what time and
label are turned into stay with AdamW.
Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the
length as in Liu et al. 2025, "Muon is Scalable for LLM Training", section 2.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer


class Together(Optimizer):
    """Several optimisers of different weights, as one with one state.

    Args:
        optimizers: each with its own weights.
    """

    def __init__(self, *optimizers: Optimizer) -> None:
        groups = [group for each in optimizers for group in each.param_groups]
        super().__init__(groups, {})
        self.optimizers = optimizers
        self._share()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave."""
        super().load_state_dict(state_dict)
        self._share()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of each; ``closure`` computes the loss and its gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for each in self.optimizers:
            each.step()
        return loss

    def _share(self) -> None:
        """Let all see the state and the groups that are saved, and that a schedule changes."""
        first = 0
        for each in self.optimizers:
            last = first + len(each.param_groups)
            each.state, each.param_groups = self.state, self.param_groups[first:last]
            first = last


def build_optimiser(
    model: nn.Module, learning_rate: float, weight_decay: float, muon_rate: float | None = None
) -> Optimizer:
    """AdamW, and Muon for hidden matrices where ``muon_rate`` is given.

    Hidden matrices are what the method ``hidden_matrices()`` of any part of the model returns.

    Args:
        model: whose weights to train.
        learning_rate: of AdamW.
        weight_decay: of both.
        muon_rate: the learning rate of Muon.

    Raises:
        ValueError: if Muon is wanted for a model that has no hidden matrices.

    Example:
        >>> from seqflow.networks import Transformer
        >>> network = Transformer(3, 3, width=8, num_layers=1, num_heads=1)
        >>> build_optimiser(network, 1e-3, 0.01).__class__.__name__
        'AdamW'
        >>> [len(g["params"]) for g in build_optimiser(network, 1e-3, 0.01, 8e-3).param_groups]
        [4, 16]
    """
    if muon_rate is None:
        return AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    matrices = hidden_matrices(model)
    if not matrices:
        raise ValueError(
            f"expected a model with hidden matrices for Muon, such as a Transformer, got "
            f"{type(model).__name__}; leave out muon_learning_rate"
        )
    own = {id(each) for each in matrices}
    others = [each for each in model.parameters() if id(each) not in own]
    return Together(
        Muon(matrices, muon_rate, weight_decay, adjust_lr_fn="match_rms_adamw"),
        AdamW(others, lr=learning_rate, weight_decay=weight_decay),
    )


def hidden_matrices(model: nn.Module) -> list[Tensor]:
    """The matrices that parts of the model name as such."""
    parts = [each for each in model.modules() if hasattr(each, "hidden_matrices")]
    return [matrix for part in parts for matrix in part.hidden_matrices()]  # type: ignore[operator]
