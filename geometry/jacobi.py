r"""Eigenvalues of small symmetric matrices by Jacobi's rotations, many matrices at once.

The rotation with tan 2 theta = 2 a_pq/(a_qq - a_pp) and |theta| at most pi/4 makes a_pq zero and
moves its square to the diagonal, without a sine. Going round all pairs (p, q) converges
quadratically (Golub and Van Loan, Matrix Computations, 8.5), so that a fixed number of rounds
reaches rounding for every matrix: no branch, no search, and every step is arithmetic on whole
batches, where LAPACK is called once a matrix (2 microseconds each at n = 3). Small eigenvalues
of positive definite matrices keep more digits than LAPACK's (Demmel and Veselic, 1992).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .stages import stage

# Rounds after which 2e5 matrices of each of eight kinds (graded, equal eigenvalues, integers,
# sparse) missed V diag(w) V^T = A by under 16 roundings of |A|, in float32 and in float64.
ROUNDS = {1: 0, 2: 1, 3: 4, 4: 6}

Planes = list[list[Tensor]]
"""An n x n matrix by its numbers, [row][column], each of the batch shape."""


def pays(n: int, count: int) -> bool:
    """Whether ``jacobi`` is the faster way to diagonalise ``count`` matrices n x n.

    It takes some hundred operations however few they are; in eager mode, on one thread of a
    CPU, 200 matrices of n = 2 make up for that, 700 of n = 3 and 1500 of n = 4.
    """
    return n in ROUNDS and count >= 1000


def jacobi(a: Planes) -> tuple[list[Tensor], Planes]:
    """Diagonalise symmetric matrices of at most 4 rows.

    Args:
        a: symmetric matrices.

    Returns:
        The eigenvalues, in no order, and the matrices with eigenvectors in their columns.
    """
    n, a = len(a), [list(row) for row in a]
    one, zero = torch.ones_like(a[0][0]), torch.zeros_like(a[0][0])
    v = [[one if i == j else zero for j in range(n)] for i in range(n)]
    pairs = [(p, q) for p in range(n) for q in range(p + 1, n)]
    for p, q in pairs * ROUNDS[n]:
        _rotate(a, v, p, q)
    return [a[i][i] for i in range(n)], v


def _rotate(a: Planes, v: Planes, p: int, q: int) -> None:
    """Make a_pq zero, and turn columns p and q of v alike."""
    off, gap = a[p][q], a[q][q] - a[p][p]
    twice, size = 2 * off, gap.abs()
    reach = torch.addcmul(size.square(), twice, twice).sqrt() + size
    # Clamped for the case that both squares underflow.
    tangent = (twice / reach.clamp_min(torch.finfo(gap.dtype).tiny)).clamp(-1, 1)
    tangent = torch.copysign(torch.ones_like(gap), gap) * tangent
    c = torch.addcmul(torch.ones_like(tangent), tangent, tangent).rsqrt()
    c, s, moved = stage(c, tangent * c, tangent * off)
    a[p][p], a[q][q] = a[p][p] - moved, a[q][q] + moved
    a[p][q] = a[q][p] = torch.zeros_like(off)
    for r in set(range(len(a))) - {p, q}:
        a[r][p], a[r][q] = _turn(a[r][p], a[r][q], c, s)
        a[p][r], a[q][r] = a[r][p], a[r][q]
    for row in v:
        row[p], row[q] = _turn(row[p], row[q], c, s)


def _turn(x: Tensor, y: Tensor, c: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """(c x - s y, s x + c y)."""
    return torch.addcmul(c * x, s, y, value=-1), torch.addcmul(s * x, c, y)


def to_planes(a: Tensor) -> Planes:
    """The numbers of symmetric matrices ``(..., n, n)``, from their symmetric parts."""
    n = a.shape[-1]
    below = [(i, j) for i in range(n) for j in range(i + 1)]
    halves = [(a[..., i, j] + a[..., j, i]) / 2 for i, j in below]
    # Stacked, so that a compiler reads the strided numbers once, apart from the arithmetic.
    return mirrored(list(torch.stack(halves).unbind()))


def mirrored(below: list[Tensor]) -> Planes:
    """Symmetric matrices from the numbers on and below the diagonal, row by row."""
    n = int((2 * len(below)) ** 0.5)
    return [
        [below[max(i, j) * (max(i, j) + 1) // 2 + min(i, j)] for j in range(n)] for i in range(n)
    ]


def from_planes(a: Planes) -> Tensor:
    """The matrices ``(..., n, n)`` of numbers of equal shapes."""
    n = len(a)
    flat = torch.stack([number for row in a for number in row], -1)
    return flat.reshape(*flat.shape[:-1], n, n)
