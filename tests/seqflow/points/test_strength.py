"""How much of a field is kept."""

import torch

from geometry import FlatTorus
from geometry.distributions import WrappedNormal
from seqflow.networks import MLP
from seqflow.points.strength import STRENGTHS, best_strength
from seqflow.riemannian import VelocityFlow

TORUS = FlatTorus(1)


def test_the_shift_of_the_data_is_found():
    """Data around 1.2 s are reached from a bump at 0 by the part s of a shift by 1.2."""
    network = MLP(TORUS, 4, 1).requires_grad_(False)
    network.last.bias.fill_(1.2)
    flow = VelocityFlow(TORUS, WrappedNormal(TORUS, torch.zeros(1), 0.5))
    for strength in STRENGTHS[::2]:
        data = 1.2 * strength + torch.linspace(-0.5, 0.5, 21).unsqueeze(1)
        assert best_strength(flow, network, data) == strength
