"""What the default trunk sees of pairs, and what it refuses; its laws are in test_trunks."""

import pytest
import torch

from geometry import SO3
from geometry.quaternions import quaternion_multiply, quaternion_rotate
from proteins.network import PairBiasTransformer
from proteins.pair_features import NUM_PAIR_FEATURES, pair_features
from seqflow.optimisers import hidden_matrices


def test_pair_features_are_invariant_and_counted():
    generator = torch.Generator().manual_seed(0)
    x, previous = torch.randn(2, 2, 11, 3, generator=generator, dtype=torch.float64)
    flag = torch.ones(2, 11, 1, dtype=torch.float64)
    q = SO3().random_uniform(2, 11, generator=generator, dtype=torch.float64)
    plain = pair_features(q, x, torch.cat((previous, flag), -1))
    assert plain.shape == (2, 11, 11, NUM_PAIR_FEATURES)
    g = SO3().random_uniform(generator=generator, dtype=torch.float64)
    moved = torch.cat((quaternion_rotate(g, previous) + 4, flag), -1)
    there = pair_features(quaternion_multiply(g, q), quaternion_rotate(g, x) + 4, moved)
    torch.testing.assert_close(there, plain)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="heads that divide the width, got 3 of 16"):
        PairBiasTransformer(16, 1, 3)


def test_two_matrices_of_attention_and_two_of_the_feed_forward_layer_are_muon_s():
    found = hidden_matrices(PairBiasTransformer(16, 3, 2))
    assert len(found) == 3 * 4
    assert all(16 in each.shape for each in found)
