r"""How weights move: AdamW for most, Muon for the matrices inside.

Muon replaces the (Nesterov) momentum M of a matrix by about the nearest orthogonal one,

    W <- (1 - decay rate) W - 0.2 rate sqrt(max(rows, columns)) U V^T,    M = U S V^T,

so that all directions of a layer are learned at one speed; AdamW follows the strong ones first.
It is for matrices that map features to features: embeddings, heads, biases, convolutions, and
what time and label are turned into stay with AdamW. Queries, keys and values of a block, which
are one matrix here, count as one.
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

    def __getstate__(self) -> dict[str, Any]:
        """For copies."""
        return {**super().__getstate__(), "optimizers": self.optimizers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Of a copy, or what was saved."""
        super().__setstate__(state)
        self._share()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Of weights that one of the optimisers has; others belong to none, ``ValueError``."""
        if hasattr(self, "optimizers"):
            raise ValueError("expected all weights when made; make the optimisers anew with more")
        super().add_param_group(param_group)

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
        ValueError: if Muon is wanted for a model without hidden matrices.

    Example:
        >>> from seqflow.networks import Transformer
        >>> network = Transformer(3, 3, width=8, num_layers=1, num_heads=1)
        >>> build_optimiser(network, 1e-3, 0.01).__class__.__name__
        'AdamW'
        >>> [len(g["params"]) for g in build_optimiser(network, 1e-3, 0.01, 8e-3).param_groups]
        [4, 17]
    """
    if muon_rate is None:
        return AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    matrices = hidden_matrices(model)
    own = {id(each) for each in matrices}
    others = [each for each in model.parameters() if id(each) not in own]
    muon = Muon(matrices, muon_rate, weight_decay, adjust_lr_fn="match_rms_adamw")
    if not others:
        return muon
    return Together(muon, AdamW(others, lr=learning_rate, weight_decay=weight_decay))


def hidden_matrices(model: nn.Module) -> list[Tensor]:
    """The matrices that parts of the model name as such; ``ValueError`` if there are none."""
    parts: list[Any] = [each for each in model.modules() if hasattr(each, "hidden_matrices")]
    found = {id(matrix): matrix for part in parts for matrix in part.hidden_matrices()}
    if not found:
        raise ValueError(
            "this network has no matrices for Muon, as transformers and perceptrons have; leave "
            "out training.muon_learning_rate"
        )
    return list(found.values())
