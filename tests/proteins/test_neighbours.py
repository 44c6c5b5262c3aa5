"""Whom a residue looks at, and what it sees of them."""

import pytest
import torch
from e3nn import o3

from geometry import SO3
from geometry.quaternions import quaternion_multiply
from geometry.rotation_conversions import matrix_to_quaternion
from proteins.flow import PREVIOUS, ROTATION, TRANSLATION
from proteins.knn_network import KNNTransformer
from proteins.neighbour_features import NUM_NEIGHBOUR_FEATURES, neighbour_features
from proteins.neighbours import NeighbourCounts, find_neighbours, gather, place_hash
from proteins.pair_features import NUM_DISTANCE_FEATURES

COUNTS = NeighbourCounts(along=4, near=5, far=3)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def chain(num=2, length=40):
    x = 10 * torch.randn(num, length, 3, generator=seeded(), dtype=torch.float64)
    return x, torch.ones(num, length, dtype=torch.bool), torch.arange(length).expand(num, length)


def test_neighbours_are_who_they_should_be():
    x, mask, positions = chain()
    index, there = find_neighbours(x, mask, positions, COUNTS)
    assert there.all()
    assert index.shape == (2, 40, 1 + sum(COUNTS))
    assert index[..., 0].equal(positions)
    along = (index[:, 2:-2, 1:5] - positions[:, 2:-2, None]).sort(-1).values
    assert (along == torch.tensor([-2, -1, 1, 2])).all()
    # Each neighbour once.
    assert (index.sort(-1).values.diff(dim=-1) > 0).all()
    # Whoever is nearer in space than one of the near is a neighbour already.
    d = torch.cdist(x, x)
    farthest = d.gather(-1, index[..., 5:10]).amax(-1, keepdim=True)
    chosen = torch.zeros_like(d, dtype=torch.bool).scatter(-1, index[..., :10], True)
    assert chosen[d < farthest].all()


def test_random_neighbours_depend_on_the_two_places_alone():
    x, mask, positions = chain()
    none_near = NeighbourCounts(along=4, near=0, far=3)
    index, _ = find_neighbours(x, mask, positions, none_near)
    assert index[0].equal(index[1])
    again, _ = find_neighbours(-x, mask, positions + 7, none_near)
    assert index.equal(again)
    # Among equally good ones: the mean of 120 distances along the chain, uniform about 13.
    apart = (index[0, :, 5:] - positions[0, :, None]).abs().double()
    assert 10 < apart.mean() < 17


def test_the_hash_is_as_good_as_random():
    i = torch.arange(300)
    u = place_hash(i[:, None], i).double() / 2**24
    # 90,000 uniform numbers: five standard errors of the mean and of the variance.
    assert abs(u.mean().item() - 0.5) < 5 * (1 / 12 / 90_000) ** 0.5
    assert abs(u.var().item() - 1 / 12) < 5 * (1 / 180 / 90_000) ** 0.5
    # How often each is among the 16 least of a row: binomial, of variance 16 (1 - 16/300) = 15.
    times = torch.bincount(u.topk(16, largest=False).indices.flatten(), minlength=300).double()
    assert abs(times.var().item() / 15.1 - 1) < 5 * (2 / 299) ** 0.5


@pytest.mark.parametrize(("length", "present"), [(1, 1), (3, 3), (40, 6), (40, 0)])
def test_short_chains_have_fewer(length, present):
    x, _, positions = chain(length=length)
    mask = positions < present
    index, there = find_neighbours(x, mask, positions, COUNTS)
    assert index.shape[-1] == min(length, 1 + sum(COUNTS))
    # Itself, and all others that are there, within the counts.
    wanted = torch.where(mask, min(present, 1 + sum(COUNTS)), 1 + min(present, sum(COUNTS)))
    assert there.sum(-1).equal(wanted)
    others = index[..., 1:][there[..., 1:]]
    assert (others < max(present, 1)).all()


def test_gathered_rows_and_their_gradients():
    a = torch.randn(2, 3, 5, 4, generator=seeded(), requires_grad=True)
    index = torch.randint(5, (2, 1, 5, 6), generator=seeded(1))
    rows = gather(a, index)
    wanted = (
        a.unsqueeze(2)
        .expand(2, 3, 5, 5, 4)
        .gather(3, index.expand(2, 3, 5, 6).unsqueeze(-1).expand(2, 3, 5, 6, 4))
    )
    assert rows.equal(wanted)
    ours, theirs = (torch.autograd.grad(b.square().sum(), a)[0] for b in (rows, wanted))
    torch.testing.assert_close(ours, theirs)


def frames(num=9):
    x = 5 * torch.randn(1, num, 3, generator=seeded(), dtype=torch.float64)
    q = SO3().random_uniform(1, num, generator=seeded(1), dtype=torch.float64)
    return {TRANSLATION: x, ROTATION: q, PREVIOUS: torch.zeros(1, num, 4, dtype=torch.float64)}


def test_harmonics_turn_with_the_frame_that_sees_them():
    """Frames turned by R, each in its own place: Y_l(R^T u) = D_l(R^T) Y_l(u), by e3nn's D."""
    x_t, index = frames(), torch.arange(9).expand(1, 9, 9)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        R = o3.rand_matrix(dtype=torch.float64)
    turned = quaternion_multiply(x_t[ROTATION], matrix_to_quaternion(R))
    harmonics = slice(NUM_DISTANCE_FEATURES, NUM_DISTANCE_FEATURES + 15)
    plain, there = (
        neighbour_features(state, index)[..., harmonics]
        for state in (x_t, x_t | {ROTATION: turned})
    )
    D = o3.Irreps("1o + 2e + 3o").D_from_matrix(R.mT)
    # D of e3nn 0.6.0 has the digits of float32: at degree one it misses R by 4e-7.
    torch.testing.assert_close(there, plain @ D.mT, rtol=0, atol=1e-5)
    assert (there - plain).abs().max() > 0.1


def test_features_are_counted_and_smooth_where_residues_coincide():
    x_t, index = frames(), torch.arange(9).expand(1, 9, 9)
    assert neighbour_features(x_t, index).shape == (1, 9, 9, NUM_NEIGHBOUR_FEATURES)
    x = torch.zeros_like(x_t[TRANSLATION]).requires_grad_()
    seen = neighbour_features(x_t | {TRANSLATION: x}, index)
    (gradient,) = torch.autograd.grad(seen.square().sum(), x)
    assert seen.isfinite().all()
    assert gradient.isfinite().all()


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="heads that divide the width, got 3 of 16"):
        KNNTransformer(16, 1, 3)
