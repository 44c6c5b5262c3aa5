r"""The geodesics of ``SPD(n)`` for n up to 4, number by number instead of matrix by matrix.

The formulas are those of ``spd.py``, written on whole batches of single numbers: with the
Cholesky factor x_0 = L L^T, the eigenvectors V of W = L^-1 x_1 L^-T and B = L V::

    x_t = B diag(w^t) B^T,    u_t = B diag(w^t log w) B^T

The dependence of W^t on W is that of ``symmetric.py``: divided differences times a zero matrix
that carries the gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .jacobi import Planes, from_planes, jacobi, mirrored, to_planes
from .symmetric import differentiable_once, power_slope


def geodesic(x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """x_t and u_t, ``(..., n, n)``, from points ``(..., n, n)`` and times ``(...)``."""
    a = to_planes(x0)
    factor = _cholesky(a)
    w, near = _relative(factor, a, to_planes(x1))
    fixed = [[number.detach() for number in row] for row in w]
    values, v = jacobi(fixed)
    log_w = [_logarithm(value, near) for value in values]
    shift = _congruence(_transposed(v), _less(w, fixed))
    x, u = _powers(log_w, t, shift)
    b = _product(factor, v)
    return from_planes(_congruence(b, x)), from_planes(_congruence(b, u))


def _relative(factor: Planes, x: Planes, y: Planes) -> tuple[Planes, Tensor]:
    """W - I where every number of y is near that of x, W elsewhere; and where that is.

    y - x is exact then, so that the digits of near pairs are kept; W those of small
    eigenvalues.
    """
    n, d = len(x), _less(y, x)
    ratios = [
        d[i][j].square() / (x[i][i] * x[j][j]).detach() for i in range(n) for j in range(i + 1)
    ]
    near = torch.stack(ratios).amax(0) < 1 / 16
    u = [[torch.where(near, d[i][j], y[i][j]) for j in range(n)] for i in range(n)]
    below = [number for i, row in enumerate(_whiten(factor, u)) for number in row[: i + 1]]
    return mirrored(list(differentiable_once(torch.stack(below)).unbind())), near


def _logarithm(value: Tensor, near: Tensor) -> Tensor:
    """Log of an eigenvalue of W from that of W - I or of W."""
    info = torch.finfo(value.dtype)
    far = value.clamp_min(info.tiny).log()
    return torch.where(near, value.clamp_min(info.eps - 1).log1p(), far)


def _powers(log_w: list[Tensor], t: Tensor, shift: Planes) -> tuple[Planes, Planes]:
    """W^t and W^t log W in the basis of eigenvectors."""
    x, u = [], []
    for i, log in enumerate(log_w):
        for j, other in enumerate(log_w[:i]):
            slope, rate = power_slope(log, other, t)
            x.append(slope * shift[i][j])
            u.append(rate * shift[i][j])
        w_t = (t * log).exp()
        # On the diagonal divided differences are derivatives: t w^(t-1), and its own in t.
        change = w_t * (-log).exp() * shift[i][i]
        x.append(torch.addcmul(w_t, t, change))
        u.append(torch.addcmul(w_t * log, torch.addcmul(torch.ones_like(change), t, log), change))
    return mirrored(x), mirrored(u)


def _cholesky(a: Planes) -> Planes:
    """The rows of L on and left of the diagonal, L L^T = A."""
    rows: Planes = []
    for i in range(len(a)):
        row: list[Tensor] = []
        for j in range(i):
            row.append(_less_dot(a[i][j], row, rows[j][:j]) / rows[j][j])
        rows.append([*row, _less_dot(a[i][i], row, row).sqrt()])
    return rows


def _whiten(factor: Planes, u: Planes) -> Planes:
    """L^-1 u L^-T on and left of the diagonal."""
    half = _transposed(_solve(factor, u))
    rows = _solve(factor, half)
    return [rows[i][: i + 1] for i in range(len(rows))]


def _solve(factor: Planes, u: Planes) -> Planes:
    """L^-1 u."""
    rows: Planes = []
    for i, row in enumerate(factor):
        columns = range(len(u[i]))
        known = [[done[j] for done in rows] for j in columns]
        rows.append([_less_dot(u[i][j], row[:i], known[j]) / row[i] for j in columns])
    return rows


def _congruence(b: Planes, m: Planes) -> Planes:
    """B M B^T for symmetric M."""
    c = _product(b, m)
    n = len(b)
    return mirrored([_dot(c[i], b[j]) for i in range(n) for j in range(i + 1)])


def _product(a: Planes, b: Planes) -> Planes:
    """A B; rows of A may end early, with zeros."""
    columns = _transposed(b)
    return [[_dot(row, column[: len(row)]) for column in columns] for row in a]


def _transposed(a: Planes) -> Planes:
    return [list(column) for column in zip(*a, strict=True)]


def _less(a: Planes, b: Planes) -> Planes:
    n = len(a)
    return mirrored([a[i][j] - b[i][j] for i in range(n) for j in range(i + 1)])


def _dot(a: list[Tensor], b: list[Tensor]) -> Tensor:
    total = a[0] * b[0]
    for x, y in zip(a[1:], b[1:], strict=True):
        total = torch.addcmul(total, x, y)
    return total


def _less_dot(total: Tensor, a: list[Tensor], b: list[Tensor]) -> Tensor:
    for x, y in zip(a, b, strict=True):
        total = torch.addcmul(total, x, y, value=-1)
    return total
