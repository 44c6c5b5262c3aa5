"""Couplings: what noise may lose by being chosen (its place) and what not (its law, its shape)."""

import pytest
import torch

from geometry import SO3
from geometry.quaternions import quaternion_conjugate, quaternion_multiply, quaternion_rotate
from proteins.couplings import AlignedNoise, TransportedNoise
from proteins.flow import PREVIOUS, ROTATION, TRANSLATION, BackboneFlow
from proteins.losses import BackboneLoss
from proteins.objective import BackboneMatching
from proteins.superposition import kabsch

COUPLINGS = [AlignedNoise(), TransportedNoise()]
every_coupling = pytest.mark.parametrize("coupling", COUPLINGS, ids=repr)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
LENGTHS = (9, 12, 9, 9, 12, 5, 1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def chains(lengths=LENGTHS, dtype=torch.float32, seed=0):
    """Random frames, padded to the longest, as ``frame_batch`` makes them."""
    size = max(lengths, default=3)
    mask = torch.arange(size) < torch.tensor(lengths, dtype=torch.int64)[:, None]
    process = BackboneFlow().training_process(mask)
    drawn = process.sample_prior((len(lengths), size), generator=seeded(seed), dtype=dtype)
    return process, {
        TRANSLATION: drawn[TRANSLATION],
        ROTATION: drawn[ROTATION],
        "mask": mask,
        "positions": torch.arange(size).expand(len(lengths), -1),
        "linked": mask & mask.roll(-1, 1),
        "atoms": drawn[TRANSLATION].unsqueeze(-2).expand(-1, -1, 3, 3),
    }


def drawn(process, batch, seed):
    x = batch[TRANSLATION]
    return process.sample_prior(x.shape[:2], generator=seeded(seed), dtype=x.dtype)


def inside(state):
    """What no rigid motion changes: R_i^T (x_j - x_i) and R_i^T R_j, up to sign, (B, L, L, 7)."""
    x, q = state[TRANSLATION], state[ROTATION]
    back = quaternion_conjugate(q).unsqueeze(2)
    seen = quaternion_rotate(back, x.unsqueeze(1) - x.unsqueeze(2))
    turn = quaternion_multiply(back, q.unsqueeze(1))
    return torch.cat((seen, turn.abs()), -1)


def present(batch):
    mask = batch["mask"]
    return (mask.unsqueeze(1) & mask.unsqueeze(2)).unsqueeze(-1)


def rounding(dtype):
    """Distances of some 50 Angstrom, turned by quaternions of a dozen roundings."""
    return 2000 * torch.finfo(dtype).eps


@every_dtype
def test_alignment_is_one_rigid_motion_of_places_and_frames(dtype):
    process, batch = chains(dtype=dtype)
    before, after = drawn(process, batch, 1), AlignedNoise()(process, batch, seeded(1))
    keep = present(batch)
    error = (keep * (inside(before) - inside(after))).abs().max()
    assert error < rounding(dtype)
    assert after[ROTATION].dtype == after[TRANSLATION].dtype == dtype


@every_dtype
def test_aligned_noise_cannot_be_turned_nearer(dtype):
    process, batch = chains(dtype=dtype)
    x_0 = AlignedNoise()(process, batch, seeded(1))
    x, y, mask = x_0[TRANSLATION], batch[TRANSLATION], batch["mask"]
    rest = kabsch(x, y, mask).rotation
    assert (rest - torch.eye(3, dtype=dtype)).abs().max() < rounding(dtype)
    plain = drawn(process, batch, 1)[TRANSLATION]
    way, before = (((a - y) ** 2).sum((1, 2)) for a in (x, plain))
    assert (way <= before * (1 + 1e-5)).all()
    assert way.sum() < 0.95 * before.sum()


def test_transport_uses_each_noise_once_and_within_its_length():
    process, batch = chains()
    before, after = drawn(process, batch, 1), TransportedNoise()(process, batch, seeded(1))
    keep = present(batch)
    shapes = [(keep * inside(state)).flatten(1) for state in (before, after)]
    # Row b of the result has the shape of exactly one noise, of the same length.
    far = torch.cdist(shapes[1].double(), shapes[0].double())
    chosen = far.argmin(1)
    assert far.min(1).values.max() < 0.05  # thousands of numbers, each to some 1e-3
    assert sorted(chosen.tolist()) == list(range(len(LENGTHS)))
    assert [LENGTHS[i] for i in chosen.tolist()] == list(LENGTHS)


def cost(state, batch):
    mask = batch["mask"]
    far = (state[TRANSLATION] - batch[TRANSLATION]).square().sum(-1) / 100
    turned = SO3().dist(state[ROTATION], batch[ROTATION]).square()
    return ((far + turned) * mask).sum()


def test_transport_is_shorter_than_alignment_and_that_than_chance():
    process, batch = chains((12,) * 16)
    ways = [drawn(process, batch, 1)]
    ways += [coupling(process, batch, seeded(1)) for coupling in COUPLINGS]
    chance, aligned, transported = (cost(way, batch) for way in ways)
    assert transported < aligned - 1
    # Frames are no nearer by an alignment of places, so places alone are compared.
    far = [(way[TRANSLATION] - batch[TRANSLATION]).square().sum() for way in ways]
    assert far[1] < 0.9 * far[0]
    assert chance > transported


@every_coupling
def test_a_turned_chain_gets_the_noise_turned(coupling):
    process, batch = chains(dtype=torch.float64)
    g = SO3().random_uniform(1, 1, generator=seeded(5), dtype=torch.float64)
    turned = {
        **batch,
        TRANSLATION: quaternion_rotate(g, batch[TRANSLATION]),
        ROTATION: quaternion_multiply(g, batch[ROTATION]),
    }
    x_0, moved = (coupling(process, one, seeded(1)) for one in (batch, turned))
    # A single residue has no orientation, so nothing turns along with it.
    has_shape = batch["mask"].sum(-1) > 1
    torch.testing.assert_close(
        moved[TRANSLATION][has_shape], quaternion_rotate(g, x_0[TRANSLATION])[has_shape]
    )
    seen = SO3().dist(moved[ROTATION], quaternion_multiply(g, x_0[ROTATION]))
    # Angles near half a turn are known to the root of the rounding.
    assert seen[has_shape].max() < 1e-7


@every_coupling
def test_coupled_noise_has_the_law_of_the_prior_but_for_its_orientation(coupling):
    """Means and second moments of what rigid motions leave, over 400 draws for one chain."""
    process, batch = chains((6,) * 4)
    draws = [coupling(process, batch, seeded(s)) for s in range(100)]
    plain = [drawn(process, batch, 1000 + s) for s in range(100)]
    a, b = (torch.cat([inside(one) for one in some]) for some in (draws, plain))
    for moment in (a.mean(0) - b.mean(0), a.square().mean(0).sqrt() - b.square().mean(0).sqrt()):
        # Vectors have 14 Angstrom a coordinate: standard error of a difference 14 sqrt(2/400);
        # five of them, over 250 numbers. The draws of one batch are not independent of each
        # other, but each noise is used exactly once.
        assert moment[..., :3].abs().max() < 5 * 14 * (2 / 400) ** 0.5
        assert moment[..., 3:].abs().max() < 5 * 0.5 * (2 / 400) ** 0.5


@every_coupling
@pytest.mark.parametrize("lengths", [(), (1,), (1, 1, 2)])
def test_small_batches(coupling, lengths):
    process, batch = chains(lengths)
    x_0 = coupling(process, batch, seeded(1))
    assert x_0[TRANSLATION].shape == batch[TRANSLATION].shape
    assert x_0[ROTATION].isfinite().all()
    assert not x_0[TRANSLATION][~batch["mask"]].any()
    assert not x_0[PREVIOUS].any()


@every_coupling
def test_a_flat_or_pointlike_chain_is_no_fault(coupling):
    process, batch = chains((9, 9))
    for x in (torch.zeros(2, 12, 3)[:, :9], torch.linspace(-4, 4, 9)[:, None].expand(2, 9, 3)):
        x_0 = coupling(process, {**batch, TRANSLATION: x.clone()}, seeded(1))
        assert x_0[TRANSLATION].isfinite().all()
        assert (x_0[ROTATION].norm(dim=-1) - 1).abs().max() < 1e-5


@every_coupling
def test_the_objective_takes_it(coupling):
    _, batch = chains()
    shown = []

    def network(x_t, t, condition):
        shown.append((x_t, t))
        return x_t

    objective = BackboneMatching(BackboneFlow(), BackboneLoss(), 0.0, coupling)
    assert objective(network, batch, seeded(3)).isfinite().all()
    again = shown[0]
    objective(network, batch, seeded(3))
    assert shown[1][0][TRANSLATION].equal(again[0][TRANSLATION])
