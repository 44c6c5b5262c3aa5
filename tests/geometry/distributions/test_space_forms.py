"""Polar coordinates of constant curvature against mpmath and against the manifolds."""

import math

import mpmath
import pytest
import torch

from geometry import SO3, Euclidean, FlatTorus, Sphere
from geometry.distributions import SpaceForm, space_form
from geometry.lorentz import Lorentz
from geometry.poincare import PoincareBall

RADII = [0.0, 1e-8, 1e-3, 0.17, 0.18, 1.0, 2.0, 3.1]


def reference(form, r):
    rate = mpmath.sqrt(mpmath.mpf(form.curvature))
    z = rate * mpmath.mpf(r)
    return (form.dim - 1) * mpmath.log(mpmath.re(mpmath.sinc(z)))


@pytest.mark.parametrize("curvature", [1.0, 0.25, 0.0, -1.0])
def test_log_det_exp_against_mpmath(curvature, dtype):
    form = SpaceForm(4, curvature, math.pi if curvature > 0 else math.inf)
    r = torch.tensor(RADII, dtype=dtype)
    expected = torch.tensor(
        [float(reference(form, value)) for value in r.tolist()], dtype=torch.float64
    )
    # Near pi a rounding of r is magnified by (n-1)/sin r = 72.
    torch.testing.assert_close(
        form.log_det_exp(r).double(), expected, rtol=1e2 * torch.finfo(dtype).eps, atol=1e-15
    )


@pytest.mark.parametrize("curvature", [1.0, 0.25, 0.0, -1.0])
def test_gradients_are_right_and_finite(curvature):
    form = SpaceForm(4, curvature, math.pi if curvature > 0 else math.inf)
    r = torch.tensor([0.05, 0.17, 0.18, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(form.log_det_exp, r)
    ends = torch.tensor([0.0, 1e-20, math.pi], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(form.log_det_exp(ends).sum(), ends)
    assert gradient.isfinite().all()
    assert gradient[0] == 0


@pytest.mark.parametrize("manifold", [Sphere(2), SO3(), Lorentz(2), PoincareBall(2), Euclidean(3)])
def test_it_is_the_determinant_of_exp(manifold):
    """The Jacobian of exp in an orthonormal frame at either end, by autograd."""
    n, r = manifold.dim, 1.3
    m = {Sphere: [0.0, 0, 1], SO3: [1.0, 0, 0, 0], Lorentz: [1.0, 0, 0]}.get(type(manifold))
    m = torch.tensor(m or [0.0] * n, dtype=torch.float64)
    # Coordinates of tangent vectors at these base points, scaled to unit metric.
    embed = {Sphere: torch.eye(2, 3), Lorentz: torch.eye(3)[1:]}.get(type(manifold), torch.eye(n))
    scale = 0.5 if isinstance(manifold, PoincareBall) else 1.0
    embed = scale * embed.double()
    u = torch.zeros(n, dtype=torch.float64)
    u[0] = r
    jacobian = torch.autograd.functional.jacobian(lambda c: manifold.expmap(m, c @ embed), u)
    y = manifold.expmap(m, u @ embed)
    if isinstance(manifold, SO3):
        # Ambient velocities of the quaternion are half as long as angular ones.
        gram = 4 * jacobian.T @ jacobian
    else:
        columns = jacobian.T
        gram = manifold.inner(y, columns[:, None], columns[None, :])
    expected = 0.5 * torch.logdet(gram)
    actual = space_form(manifold).log_det_exp(torch.tensor(r, dtype=torch.float64))
    torch.testing.assert_close(actual, expected)


def test_other_manifolds_are_refused():
    with pytest.raises(ValueError, match=r"constant curvature .* got FlatTorus\(2\)"):
        space_form(FlatTorus(2))
