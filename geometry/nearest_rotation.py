r"""The rotation nearest to a 3x3 matrix, without an eigendecomposition.

The rotation that minimises |R - A|_F maximises <R, A> = q^T M(A) q with the symmetric
M(A) of ``rotation_conversions.davenport``: its quaternion is the largest eigenvector. Squaring
M + c I, shifted to be positive, k times and rescaling leaves q q^T up to

    (lambda_2 + c / lambda_1 + c)^(2^k),      lambda_1 - lambda_2 = 2 (s_2 + s_3),

with s_1 >= s_2 >= |s_3| the singular values of A, s_3 signed by det A. A Newton step for the
condition that S = R^T A be symmetric then polishes the result to rounding,

    R <- R Exp(w),     (tr(S) I - S) w = vee(R^T A - A^T R),

and, being the implicit function theorem, carries the exact gradient
(cf. Levinson et al., "An analysis of SVD for deep rotation estimation", NeurIPS 2020): no
1/(s_1 - s_2) as in the derivative of a singular value decomposition, which is infinite at
every rotation. Only 1/(s_2 + s_3) is left, where the nearest rotation is not unique.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import check_shape
from .quaternions import quaternion_multiply
from .rotation_conversions import davenport, dominant_row, quaternion_to_matrix

# The k above: eigenvalues 1e-6 apart, relative to |A|, are told apart.
_SQUARINGS = 24


def nearest_rotation(a: Tensor) -> Tensor:
    """The rotation R of least |R - A|_F (the orthogonal Procrustes problem).

    Where the minimiser is not unique (s_2 + s_3 = 0: rank one or zero, reflections) some
    rotation at least nearly as near is returned, and gradients are finite but large;
    zero gives the identity. The first derivative is exact.

    Args:
        a: ``(..., 3, 3)``, of any scale.

    Returns:
        ``(..., 3, 3)``, orthogonal to rounding with determinant 1.

    Raises:
        ValueError: the trailing shape is not (3, 3), or the dtype is not floating.

    >>> nearest_rotation(torch.diag(torch.tensor([3.0, 2.0, 1.0]))).diagonal()
    tensor([1., 1., 1.])
    """
    check_shape("A", "matrices", a, (3, 3))
    largest = a.detach().abs().amax((-2, -1), keepdim=True)
    a = a / largest.clamp_min(torch.finfo(a.dtype).tiny)
    q = _largest_eigenvector(davenport(a.detach()))
    # The first step removes the error of the squarings, the second carries the gradient.
    q = _newton(q, a.detach())
    return quaternion_to_matrix(_newton(q, a))


def _largest_eigenvector(m: Tensor) -> Tensor:
    """The unit eigenvector of the largest eigenvalue of ``m`` ``(..., 4, 4)``, by squaring."""
    eye = torch.eye(4, dtype=m.dtype, device=m.device)
    # The four eigenvalues are at most |m|_F in size; the shift is positive for m = 0, too.
    shift = (m * m).sum((-2, -1), keepdim=True).sqrt() + torch.finfo(m.dtype).eps
    power = m + shift * eye
    for _ in range(_SQUARINGS):
        power = power / power.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
        power = power @ power
    return dominant_row(power)


def _newton(q: Tensor, a: Tensor) -> Tensor:
    """One Newton step on q towards the symmetry of S = R(q)^T A; the new q, not normalised."""
    s = quaternion_to_matrix(q).transpose(-1, -2) @ a
    residual = torch.stack(
        [s[..., 2, 1] - s[..., 1, 2], s[..., 0, 2] - s[..., 2, 0], s[..., 1, 0] - s[..., 0, 1]], -1
    )
    trace = s.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    eye = torch.eye(3, dtype=a.dtype, device=a.device)
    half = _solve(trace * eye - (s + s.transpose(-1, -2)) / 2, residual) / 2
    # q (1, w/2) is Exp(w) to second order and turns by less than pi whatever w is.
    return quaternion_multiply(q, torch.cat([torch.ones_like(half[..., :1]), half], -1))


def _solve(h: Tensor, b: Tensor) -> Tensor:
    """Solve h w = b by the adjugate, with det h kept away from zero; ``h`` symmetric."""
    r0, r1, r2 = h.unbind(-2)
    c0, c1, c2 = (torch.cross(u, v, dim=-1) for u, v in ((r1, r2), (r2, r0), (r0, r1)))
    det = (r0 * c0).sum(-1, keepdim=True).clamp_min(torch.finfo(h.dtype).eps)
    return (c0 * b[..., :1] + c1 * b[..., 1:2] + c2 * b[..., 2:]) / det
