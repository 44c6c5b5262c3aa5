import math

import pytest
import torch

from proteins.chain_builder import build_backbone, ideal_coordinates
from proteins.diversity import Nearest, mean_pairwise_tm, nearest_training, pairwise_tm
from proteins.tm_score import fragment_masks, tm_distance_scale, tm_score


def chains(batch, length, seed=0):
    """CA traces with random torsion angles of helices and strands."""
    generator = torch.Generator().manual_seed(seed)
    basins = torch.tensor([[-62.0, -42.0], [-120.0, 130.0]]).deg2rad()
    angles = basins[torch.randint(2, (batch, length), generator=generator)]
    return build_backbone(ideal_coordinates(*angles.unbind(-1)))[..., 1, :]


def test_the_scale_is_the_published_one():
    assert tm_distance_scale(100) == pytest.approx(1.24 * 85 ** (1 / 3) - 1.8)
    assert [tm_distance_scale(n) for n in (1, 15, 18)] == [0.5, 0.5, 0.5]


def test_identity_is_one_and_noise_costs_what_it_should():
    x = chains(4, 60)
    torch.testing.assert_close(tm_score(x, x), torch.ones(4))
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    # Without superposition the score is a bound from below; with it, little is gained.
    square = noise.square().sum(-1) / tm_distance_scale(60) ** 2
    bound = (1 / (1 + square)).mean(-1)
    assert (tm_score(x, x + noise) >= bound - 1e-4).all()
    assert (tm_score(x, x + noise) < bound + 0.05).all()


def test_a_shared_half_is_worth_a_half():
    """Half of the residues superpose exactly, the other half is far away."""
    x = chains(1, 80)[0]
    y = x.clone()
    y[40:] = chains(1, 40, seed=9)[0] + 500.0
    assert 0.5 <= float(tm_score(x, y)) < 0.52


def test_unrelated_chains_score_low_and_symmetrically():
    scores = pairwise_tm(chains(8, 70))
    off = scores[~torch.eye(8, dtype=torch.bool)]
    assert off.max() < 0.5
    assert off.min() > 0.05
    x = chains(8, 70)
    # The climb from either side may end a little differently.
    torch.testing.assert_close(tm_score(x[:4], x[4:]), tm_score(x[4:], x[:4]), atol=2e-3, rtol=0)


def test_more_starts_than_the_whole_chain_are_needed():
    """Two domains turned about a hinge: the whole-chain superposition fits neither."""
    generator = torch.Generator().manual_seed(4)
    basins = torch.tensor([[-62.0, -42.0], [-120.0, 130.0]]).deg2rad()
    angles = basins[torch.randint(2, (90,), generator=generator)]
    other = angles.clone()
    other[30] = other[30] + math.pi / 2
    x, y = (build_backbone(ideal_coordinates(*a.unbind(-1)))[:, 1] for a in (angles, other))
    assert float(tm_score(x, y)) > 60 / 90 - 0.01


def test_fragments_cover_the_chain():
    for length in (1, 4, 9, 50, 101):
        masks = fragment_masks(length)
        assert masks[0].all()
        assert masks.any(0).all()
        assert masks.sum(-1).min() >= min(length, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 3), (2, 3), (0, 20, 3)])
def test_awkward_shapes(shape, dtype):
    x = torch.zeros(shape, dtype=dtype, requires_grad=True)
    score = tm_score(x, x.detach() + 1)
    assert score.dtype == dtype
    torch.testing.assert_close(score, torch.ones(shape[:-2], dtype=dtype))
    score.sum().backward()
    assert x.grad.isfinite().all()
    with pytest.raises(ValueError, match="one length L >= 1"):
        tm_score(x[..., :0, :], x[..., :0, :])


def test_one_backbone_again_and_again_has_no_diversity():
    x = chains(1, 50)[0]
    assert mean_pairwise_tm([x, x + 3, x]) == pytest.approx(1, abs=1e-5)
    assert mean_pairwise_tm(list(chains(4, 50))) < 0.5
    assert mean_pairwise_tm([x, x[:30]]) is None
    assert mean_pairwise_tm([]) is None


@pytest.mark.parametrize("start", [0, 17, 40])
def test_a_recited_piece_of_training_is_found(start):
    training = [*chains(5, 90), *chains(3, 30, seed=7)]
    sample = training[3][start : start + 50].flip(-1) * torch.tensor([-1.0, 1, 1])
    found = nearest_training(sample, training)  # (x, y, z) -> (-z, y, x), a rotation
    assert found[1:] == (3, start)
    assert found.score == pytest.approx(1, abs=1e-4)


def test_a_longer_sample_counts_in_full():
    sample = chains(1, 60)[0]
    found = nearest_training(sample, [chains(1, 40, seed=8)[0], sample[20:50]])
    assert found[1:] == (1, 20)
    # A little more than half: its scale is of the sample's length.
    assert 0.5 <= found.score < 0.51
    assert nearest_training(sample, []) == Nearest(0.0, -1, 0)
    with pytest.raises(ValueError, match="CA trace"):
        nearest_training(sample[:0], [sample])
