"""The model that comes with the package."""

import torch

from proteins.generation import generate
from proteins.models import DEFAULT_GENERATOR, load_generator


def test_the_bundled_model_makes_chains_whose_bonds_hold():
    generator = load_generator(DEFAULT_GENERATOR)
    (backbone,) = generate(generator, [40], steps=10, seed=0)
    ca = backbone.coordinates[:, 1]
    bonds = ca.diff(dim=0).norm(dim=-1)
    # Untrained, neighbours are 20 Angstrom apart; the gate allows 3.8 +- 0.2.
    assert torch.quantile((bonds - 3.8).abs(), 0.9) < 0.2
