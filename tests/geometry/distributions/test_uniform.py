"""The uniform law: its density and which manifolds have one."""

import math

import pytest
import torch

from geometry import SO3, Euclidean, FlatTorus, Sphere
from geometry.distributions import Uniform


@pytest.mark.parametrize(
    ("manifold", "volume"),
    [(Sphere(2), 4 * math.pi), (SO3(), 8 * math.pi**2), (FlatTorus(2), 4 * math.pi**2)],
    ids=str,
)
def test_density_is_one_over_the_volume_and_zero_for_haar(manifold, volume):
    law = Uniform(manifold)
    x = law.sample(5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert x.dtype == torch.float64
    torch.testing.assert_close(law.log_prob(x), x.new_full((5,), -math.log(volume)))
    assert law.log_prob_normalised(x).abs().max() < 1e-14
    assert law == Uniform(manifold)


def test_infinite_volume_is_refused():
    with pytest.raises(ValueError, match="expected a manifold of finite volume, got Euclidean"):
        Uniform(Euclidean(3))
