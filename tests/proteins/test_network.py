"""The default trunk: equivariance, padding, both signs, short chains, learning."""

import pytest
import torch

from geometry import SO3
from geometry.quaternions import quaternion_multiply, quaternion_rotate
from proteins.flow import PREVIOUS, ROTATION, TRANSLATION
from proteins.network import PairBiasTransformer
from proteins.pair_features import NUM_PAIR_FEATURES, pair_features
from proteins.settings import NetworkSettings

L = 11


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def network(dtype=torch.float64):
    """Small, with weights that are zero at the start of training drawn at random."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PairBiasTransformer(24, 2, 3, points=2, pair_channels=8, condition_channels=8)
        for each in model.parameters():
            if not each.any():
                torch.nn.init.normal_(each, std=0.2)
    return model.to(dtype).eval()


def state(num=2, length=L, dtype=torch.float64, known=(1.0, 0.0)):
    generator = seeded()
    x = 10 * torch.randn(num, length, 3, generator=generator, dtype=dtype)
    guess = x + torch.randn(num, length, 3, generator=generator, dtype=dtype)
    flag = torch.tensor(known, dtype=dtype)[:num, None, None].expand(num, length, 1)
    q = SO3().random_uniform(num, length, generator=generator, dtype=dtype)
    return {TRANSLATION: x, ROTATION: q, PREVIOUS: torch.cat((flag * guess, flag), -1)}


def times(num=2, dtype=torch.float64):
    return torch.linspace(0.1, 0.95, num, dtype=dtype)


def moved(x_t, g, shift):
    flag = x_t[PREVIOUS][..., 3:]
    previous = quaternion_rotate(g, x_t[PREVIOUS][..., :3]) + flag * shift
    return {
        TRANSLATION: quaternion_rotate(g, x_t[TRANSLATION]) + shift,
        ROTATION: quaternion_multiply(g, x_t[ROTATION]),
        PREVIOUS: torch.cat((previous, flag), -1),
    }


def test_rigid_motions_move_the_prediction_along():
    model, x_t, t = network(), state(), times()
    plain = model(x_t, t)
    shift = torch.tensor([3.0, -8.0, 1.0], dtype=torch.float64)
    for g in SO3().random_uniform(3, generator=seeded(1), dtype=torch.float64):
        there, wanted = model(moved(x_t, g, shift), t), moved(plain, g, shift)
        # In float64; coordinates of 30 A.
        torch.testing.assert_close(there[TRANSLATION], wanted[TRANSLATION], rtol=0, atol=1e-9)
        torch.testing.assert_close(there[PREVIOUS], wanted[PREVIOUS], rtol=0, atol=1e-9)
        assert SO3().dist(there[ROTATION], wanted[ROTATION]).max() < 1e-9


def test_the_centre_stays_and_the_residues_do_not():
    x_t, t = state(), times()
    end = network()(x_t, t)
    centres = (x[TRANSLATION].mean(1) for x in (x_t, end))
    torch.testing.assert_close(*centres)
    assert (end[TRANSLATION] - x_t[TRANSLATION]).abs().mean() > 0.1
    assert SO3().dist(end[ROTATION], x_t[ROTATION]).mean() > 0.1
    torch.testing.assert_close(end[ROTATION].norm(dim=-1), torch.ones(2, L).double())


def test_mirror_images_are_told_apart():
    """Distances are the same; what is seen in local frames is not."""
    x_t = state(known=(0.0, 0.0))
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    flip = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)  # of S R S
    other = x_t | {TRANSLATION: mirror * x_t[TRANSLATION], ROTATION: flip * x_t[ROTATION]}
    model, t = network(), times()
    a, b = model(x_t, t)[TRANSLATION], model(other, t)[TRANSLATION]
    assert (a - mirror * b).abs().max() > 0.01


def test_signs_do_not_matter():
    model, x_t, t = network(), state(), times()
    plain, flipped = model(x_t, t), model(x_t | {ROTATION: -x_t[ROTATION]}, t)
    torch.testing.assert_close(flipped[TRANSLATION], plain[TRANSLATION])
    assert SO3().dist(flipped[ROTATION], plain[ROTATION]).max() < 1e-9


def test_padding_does_not_matter():
    """Neither how much of it, nor what is in it."""
    model, t, size = network(), times(), 7
    x_t = state()
    mask = (torch.arange(L) < size).expand(2, L)
    condition = {"mask": mask, "positions": torch.arange(L).expand(2, L)}
    short = {name: x[:, :size] for name, x in x_t.items()}
    plain, padded = model(short, t), model(x_t, t, condition)
    for name in (TRANSLATION, PREVIOUS):
        torch.testing.assert_close(padded[name][:, :size], plain[name])
    assert SO3().dist(padded[ROTATION][:, :size], plain[ROTATION]).max() < 1e-9
    other = {name: torch.where(mask[..., None], x, 5 * x + 1) for name, x in x_t.items()}
    there = model(other, t, condition)
    for name in x_t:
        torch.testing.assert_close(there[name][:, :size], padded[name][:, :size])


def test_gaps_are_seen():
    model, x_t, t = network(), state(), times()
    condition = {"mask": torch.ones(2, L, dtype=torch.bool)}
    positions = torch.arange(L).expand(2, L)
    whole = model(x_t, t, condition | {"positions": positions})
    torch.testing.assert_close(whole, model(x_t, t))
    torch.testing.assert_close(whole, model(x_t, t, condition | {"positions": positions + 3}))
    gap = model(x_t, t, condition | {"positions": positions + (positions > 5)})
    assert (gap[TRANSLATION] - whole[TRANSLATION]).abs().max() > 1e-4


def test_memory_is_seen_only_with_its_flag():
    model, x_t, t = network(), state(known=(0.0, 0.0)), times()
    plain = model(x_t, t)
    remembered = model(x_t | {PREVIOUS: plain[PREVIOUS]}, t)
    assert (remembered[TRANSLATION] - plain[TRANSLATION]).abs().max() > 1e-4
    assert plain[PREVIOUS].equal(
        torch.cat((plain[TRANSLATION], torch.ones_like(plain[PREVIOUS][..., 3:])), -1)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("length", [1, 2])
def test_short_chains_coincident_residues_and_empty_batches(length, dtype):
    model = network(dtype)
    one_place = {name: x[:, :1].expand(2, length, -1) for name, x in state(dtype=dtype).items()}
    x = one_place[TRANSLATION].clone().requires_grad_()
    end = model(one_place | {TRANSLATION: x}, times(dtype=dtype))
    (gradient,) = torch.autograd.grad(end[ROTATION].sum() + end[TRANSLATION].square().sum(), x)
    assert gradient.isfinite().all()
    assert all(value.isfinite().all() and value.dtype == dtype for value in end.values())
    none = {name: value[:0] for name, value in one_place.items()}
    assert model(none, times(0, dtype))[TRANSLATION].shape == (0, length, 3)
    nobody = {
        "mask": torch.zeros(2, length, dtype=torch.bool),
        "positions": torch.zeros(2, length, dtype=torch.int64),
    }
    assert all(v.isfinite().all() for v in model(one_place, times(dtype=dtype), nobody).values())


def test_a_fresh_network_predicts_the_state_and_learns():
    torch.manual_seed(0)
    model, x_t = PairBiasTransformer(16, 2, 2), state(dtype=torch.float32)
    end = model(x_t, times(dtype=torch.float32))
    torch.testing.assert_close(end[TRANSLATION], x_t[TRANSLATION])
    torch.testing.assert_close(end[ROTATION], x_t[ROTATION])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    target = x_t[TRANSLATION].flip(1)
    errors = []
    for _ in range(40):
        error = (model(x_t, times(dtype=torch.float32))[TRANSLATION] - target).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]


def test_pair_features_are_invariant_and_counted():
    x_t = state()
    plain = pair_features(x_t[ROTATION], x_t[TRANSLATION], x_t[PREVIOUS])
    assert plain.shape == (2, L, L, NUM_PAIR_FEATURES)
    g = SO3().random_uniform(generator=seeded(2), dtype=torch.float64)
    there = moved(x_t, g, 4.0)
    torch.testing.assert_close(
        pair_features(there[ROTATION], there[TRANSLATION], there[PREVIOUS]), plain
    )


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="heads that divide the width, got 3 of 16"):
        PairBiasTransformer(16, 1, 3)
    with pytest.raises(ValueError, match="3 heads do not divide the width 16"):
        NetworkSettings(channels=16, heads=3)
