import pytest
import torch

from geometry import SO3, quaternion_to_matrix
from proteins.superposition import (
    RigidMotion,
    ca_mean_distance,
    ca_rmsd,
    kabsch,
    superposed_distances,
)


def draw(*shape, seed=0, dtype=torch.float64):
    return 10 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def motion(batch, seed=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    q = SO3().random_uniform(batch, generator=generator, dtype=dtype)
    return RigidMotion(quaternion_to_matrix(q), draw(batch, 3, seed=seed, dtype=dtype))


def by_svd(x, y):
    """The textbook's Kabsch, as an independent reference."""
    a, b = x - x.mean(-2, keepdim=True), y - y.mean(-2, keepdim=True)
    u, _, v = torch.linalg.svd(b.transpose(-1, -2) @ a)
    sign = torch.ones(*x.shape[:-2], 3, dtype=x.dtype)
    sign[..., 2] = torch.linalg.det(u @ v)
    r = u @ torch.diag_embed(sign) @ v
    return (a @ r.transpose(-1, -2) - b).square().sum((-2, -1)).div(x.shape[-2]).sqrt()


def test_motions_are_found():
    x, g = draw(7, 20, 3), motion(7)
    found = kabsch(x, g.apply(x))
    torch.testing.assert_close(found.rotation, g.rotation)
    torch.testing.assert_close(found.translation, g.translation)


def test_the_rmsd_is_the_textbooks():
    x, y = draw(50, 20, 3), draw(50, 20, 3, seed=1)
    torch.testing.assert_close(ca_rmsd(x, y), by_svd(x, y))
    # In a plane, and mirrored, where the sign of the determinant matters.
    torch.testing.assert_close(ca_rmsd(x, -x), by_svd(x, -x))


def test_the_mean_distance_is_no_larger_and_both_are_symmetric():
    x, y = draw(50, 20, 3), draw(50, 20, 3, seed=1)
    assert (ca_mean_distance(x, y) < ca_rmsd(x, y)).all()
    torch.testing.assert_close(ca_rmsd(x, y), ca_rmsd(y, x))


def test_gaussian_errors_give_the_ratio_of_maxwell():
    """Mean over root mean square of |N(0, I_3)| is sqrt(8 / (3 pi)) = 0.921."""
    x = draw(1, 4000, 3)
    y = x + draw(1, 4000, 3, seed=1) / 10
    ratio = float(ca_mean_distance(x, y) / ca_rmsd(x, y))
    # Of 4,000 lengths the ratio has a standard error of 0.0035; five of them.
    assert abs(ratio - 0.9213) < 0.018


def test_masked_points_count_for_nothing():
    x, y = draw(2, 20, 3), draw(2, 20, 3, seed=1)
    mask = (torch.arange(20) < 12).expand(2, 20)
    torch.testing.assert_close(ca_rmsd(x, y, mask), ca_rmsd(x[:, :12], y[:, :12]))
    assert superposed_distances(x, y, mask)[:, 12:].eq(0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.zeros(1, 4, 3), torch.zeros(1, 4, 3)),
        (torch.ones(1, 4, 3), torch.zeros(1, 4, 3)),
        (torch.eye(3)[None], torch.eye(3)[None]),
        (torch.eye(3)[None], -torch.eye(3)[None]),
        (torch.zeros(1, 1, 3), torch.ones(1, 1, 3)),
        (torch.zeros(1, 0, 3), torch.ones(1, 0, 3)),
        (torch.zeros(0, 5, 3), torch.ones(0, 5, 3)),
    ],
)
def test_awkward_points(x, y, dtype):
    x, y = x.to(dtype).requires_grad_(), y.to(dtype).requires_grad_()
    for measure in (ca_rmsd, ca_mean_distance):
        value = measure(x, y)
        assert value.dtype == dtype
        assert value.isfinite().all()
        grads = torch.autograd.grad(value.sum(), (x, y))
        assert all(grad.isfinite().all() for grad in grads)


def test_no_weight_at_all():
    x = draw(4, 3)
    assert float(ca_rmsd(x, x + 1, torch.zeros(4, dtype=torch.bool))) == 0


def test_gradients_are_right():
    x, y = draw(1, 5, 3), draw(1, 5, 3, seed=1)
    torch.autograd.gradcheck(ca_rmsd, (x.requires_grad_(), y.requires_grad_()))


def test_refusals():
    with pytest.raises(ValueError, match=r"two sets of points .* got \(4, 3\) and \(5, 3\)"):
        kabsch(draw(4, 3), draw(5, 3))
    with pytest.raises(ValueError, match=r"weights \(\.\.\., 4\), got \(5,\)"):
        kabsch(draw(4, 3), draw(4, 3), torch.ones(5))
