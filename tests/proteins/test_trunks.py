"""Laws of every trunk: equivariance, padding, both signs, awkward chains, learning."""

import pytest
import torch
from e3nn import o3

from geometry import SO3
from geometry.rotation_conversions import matrix_to_quaternion, quaternion_to_matrix
from proteins.flow import PREVIOUS, ROTATION, TRANSLATION
from proteins.ipa_network import IPANetwork
from proteins.knn_network import KNNTransformer
from proteins.network import PairBiasTransformer

L = 11


def pair_bias():
    return PairBiasTransformer(24, 2, 3, points=2, pair_channels=8, condition_channels=8)


def ipa():
    return IPANetwork(
        24, 2, 3, size=8, query_points=2, value_points=3, pair_channels=8, encoder_heads=3
    )


def knn():
    """Sees eight residues of eleven."""
    counts = {"along": 2, "near": 3, "far": 2}
    return KNNTransformer(24, 2, 3, points=2, pair_channels=8, condition_channels=8, **counts)


TRUNKS = [pair_bias, ipa, knn]
every_trunk = pytest.mark.parametrize("make", TRUNKS, ids=lambda make: make.__name__)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def built(make, dtype=torch.float64):
    """With weights that are zero at the start of training drawn at random."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make()
        for each in model.parameters():
            if not each.any():
                torch.nn.init.normal_(each, std=0.2)
    return model.to(dtype).eval()


def state(num=2, length=L, dtype=torch.float64, known=(1.0, 0.0)):
    generator = seeded()
    x = 10 * torch.randn(num, length, 3, generator=generator, dtype=torch.float64)
    guess = x + torch.randn(num, length, 3, generator=generator, dtype=torch.float64)
    flag = torch.tensor(known, dtype=torch.float64)[:num, None, None].expand(num, length, 1)
    q = SO3().random_uniform(num, length, generator=generator, dtype=torch.float64)
    parts = {TRANSLATION: x, ROTATION: q, PREVIOUS: torch.cat((flag * guess, flag), -1)}
    return {name: part.to(dtype) for name, part in parts.items()}


def times(num=2, dtype=torch.float64):
    return torch.linspace(0.1, 0.95, num, dtype=dtype)


def everybody(num=2, length=L):
    return {
        "mask": torch.ones(num, length, dtype=torch.bool),
        "positions": torch.arange(length).expand(num, length),
    }


def moved(x_t, R, shift):
    """By a matrix, which is e3nn's: an opinion other than that of our quaternions."""
    flag = x_t[PREVIOUS][..., 3:]
    previous = x_t[PREVIOUS][..., :3] @ R.mT + flag * shift
    return {
        TRANSLATION: x_t[TRANSLATION] @ R.mT + shift,
        ROTATION: matrix_to_quaternion(R @ quaternion_to_matrix(x_t[ROTATION])),
        PREVIOUS: torch.cat((previous, flag), -1),
    }


def assert_same(actual, expected, within):
    for name in (TRANSLATION, PREVIOUS):
        torch.testing.assert_close(actual[name], expected[name], rtol=0, atol=within)
    assert SO3().dist(actual[ROTATION], expected[ROTATION]).max() < within


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_trunk
def test_rigid_motions_move_the_prediction_along(make, dtype):
    # Coordinates of 30 A are rounded to 30 eps; a few hundred such errors are allowed.
    within = 300 * 30 * torch.finfo(dtype).eps
    model, x_t, t = built(make, dtype), state(dtype=dtype), times(dtype=dtype)
    plain = model(x_t, t)
    shift = torch.tensor([3.0, -8.0, 1.0], dtype=dtype)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        turns = o3.rand_matrix(3, dtype=dtype)
    for R in turns:
        assert_same(model(moved(x_t, R, shift), t), moved(plain, R, shift), within)


@every_trunk
def test_the_centre_stays_and_the_residues_do_not(make):
    x_t, t = state(), times()
    end = built(make)(x_t, t)
    centres = (x[TRANSLATION].mean(1) for x in (x_t, end))
    torch.testing.assert_close(*centres)
    assert (end[TRANSLATION] - x_t[TRANSLATION]).abs().mean() > 0.1
    assert SO3().dist(end[ROTATION], x_t[ROTATION]).mean() > 0.1
    torch.testing.assert_close(end[ROTATION].norm(dim=-1), torch.ones(2, L).double())


@every_trunk
def test_mirror_images_are_told_apart(make):
    """Distances are the same; what is seen in local frames is not."""
    x_t = state(known=(0.0, 0.0))
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    flip = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)  # of S R S
    other = x_t | {TRANSLATION: mirror * x_t[TRANSLATION], ROTATION: flip * x_t[ROTATION]}
    model, t = built(make), times()
    a, b = model(x_t, t)[TRANSLATION], model(other, t)[TRANSLATION]
    assert (a - mirror * b).abs().max() > 0.01


@every_trunk
def test_signs_do_not_matter(make):
    model, x_t, t = built(make), state(), times()
    signs = torch.tensor([1.0, -1.0]).double().repeat(L)[:L, None]
    flipped = model(x_t | {ROTATION: signs * x_t[ROTATION]}, t)
    assert_same(flipped, model(x_t, t), 1e-11)


@every_trunk
def test_padding_does_not_matter(make):
    """Neither how much of it, nor what is in it."""
    model, t, size = built(make), times(), 7
    x_t = state()
    mask = (torch.arange(L) < size).expand(2, L)
    condition = everybody() | {"mask": mask}
    short = {name: x[:, :size] for name, x in x_t.items()}
    plain, padded = model(short, t), model(x_t, t, condition)
    assert_same({name: x[:, :size] for name, x in padded.items()}, plain, 1e-11)
    other = {name: torch.where(mask[..., None], x, 5 * x + 1) for name, x in x_t.items()}
    there = model(other, t, condition)
    for name in x_t:
        torch.testing.assert_close(there[name][:, :size], padded[name][:, :size])
    assert not padded[PREVIOUS][:, size:].any()


@every_trunk
def test_company_does_not_matter(make):
    """A chain alone, and in a batch."""
    model, x_t, t = built(make), state(), times()
    alone = {name: x[:1] for name, x in x_t.items()}
    assert_same({n: x[:1] for n, x in model(x_t, t).items()}, model(alone, t[:1]), 1e-11)


@every_trunk
def test_gaps_are_seen(make):
    model, x_t, t = built(make), state(), times()
    whole = model(x_t, t, everybody())
    torch.testing.assert_close(whole, model(x_t, t))
    positions = everybody()["positions"]
    torch.testing.assert_close(whole, model(x_t, t, everybody() | {"positions": positions + 3}))
    gap = model(x_t, t, everybody() | {"positions": positions + (positions > 5)})
    assert (gap[TRANSLATION] - whole[TRANSLATION]).abs().max() > 1e-4


@every_trunk
def test_time_and_memory_are_seen(make):
    model, x_t, t = built(make), state(known=(0.0, 0.0)), times()
    plain = model(x_t, t)
    remembered = model(x_t | {PREVIOUS: plain[PREVIOUS]}, t)
    assert (remembered[TRANSLATION] - plain[TRANSLATION]).abs().max() > 1e-4
    assert (model(x_t, 0.5 * t)[TRANSLATION] - plain[TRANSLATION]).abs().max() > 1e-4
    # The answer says that there is one.
    assert plain[PREVIOUS].equal(
        torch.cat((plain[TRANSLATION], torch.ones_like(plain[PREVIOUS][..., 3:])), -1)
    )


@every_trunk
def test_memory_all_in_one_place_is_not_none(make):
    """The flag tells the two apart."""
    model, x_t, t = built(make), state(known=(0.0, 0.0)), times()
    one_place = torch.zeros_like(x_t[PREVIOUS])
    one_place[..., 3] = 1.0
    a, b = (model(x_t | {PREVIOUS: p}, t)[TRANSLATION] for p in (x_t[PREVIOUS], one_place))
    assert (a - b).abs().max() > 1e-4


@every_trunk
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("length", [1, 2, L])
def test_awkward_chains_have_finite_values_and_gradients(make, dtype, length):
    """One residue, residues that coincide, nobody at all; at times 0 and 1."""
    model = built(make, dtype)
    one = {name: x[:, :1].expand(2, length, -1) for name, x in state(dtype=dtype).items()}
    t = torch.tensor([0.0, 1.0], dtype=dtype)
    nobody = {name: torch.zeros_like(each) for name, each in everybody(2, length).items()}
    for condition in (None, everybody(2, length), nobody):
        x, q = (one[name].clone().requires_grad_() for name in (TRANSLATION, ROTATION))
        end = model(one | {TRANSLATION: x, ROTATION: q}, t, condition)
        assert all(value.isfinite().all() and value.dtype == dtype for value in end.values())
        total = end[ROTATION].sum() + end[TRANSLATION].square().sum()
        for gradient in torch.autograd.grad(total, (x, q, *model.parameters()), allow_unused=True):
            assert gradient is None or gradient.isfinite().all()


@every_trunk
def test_no_chains_at_all(make):
    none = {name: value[:0] for name, value in state().items()}
    for condition in (None, everybody(0)):
        end = built(make)(none, times(0), condition)
        assert {name: x.shape for name, x in end.items()} == {n: x.shape for n, x in none.items()}


@every_trunk
def test_coordinates_keep_their_digits_under_autocast(make):
    model, x_t = built(make, torch.float32), state(dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        end = model(x_t, times(dtype=torch.float32))
    assert all(value.dtype == torch.float32 for value in end.values())
    # A chain 1,000 A away is the same; bfloat16 would know it to 4 A.
    far = x_t | {TRANSLATION: x_t[TRANSLATION] + 1000}
    far[PREVIOUS] = x_t[PREVIOUS] + 1000 * x_t[PREVIOUS][..., 3:] * torch.tensor([1.0, 1, 1, 0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        there = model(far, times(dtype=torch.float32))
    # float32 knows 1,000 A to 6e-5; numbers of bfloat16 make more of it, 2^-8 of 10 A.
    assert (there[TRANSLATION] - 1000 - end[TRANSLATION]).abs().max() < 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: PairBiasTransformer(16, 2, 2),
        lambda: IPANetwork(16, 2, 2, size=8, pair_channels=16, encoder_heads=2),
        lambda: KNNTransformer(16, 2, 2, near=3, along=3, far=2),
    ],
    ids=["pair_bias", "ipa", "knn"],
)
def test_a_fresh_network_predicts_the_state_and_learns(make):
    torch.manual_seed(0)
    model, x_t = make(), state(dtype=torch.float32)
    end = model(x_t, times(dtype=torch.float32))
    torch.testing.assert_close(end[TRANSLATION], x_t[TRANSLATION])
    torch.testing.assert_close(end[ROTATION], x_t[ROTATION])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    target = x_t[TRANSLATION].flip(1)
    errors = []
    for _ in range(25):
        error = (model(x_t, times(dtype=torch.float32))[TRANSLATION] - target).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.5 * errors[0]
