"""Distances between tokens, for metric paths: which mistakes are small ones."""

from __future__ import annotations

from collections.abc import Sequence

Matrix = tuple[tuple[float, ...], ...]
"""A K x K matrix; tuples, so that a process that holds one is a value."""


def uniform_distance(num_classes: int) -> Matrix:
    """1 between any two tokens: the metric path is then a mixture path from uniform noise.

    Example:
        >>> uniform_distance(2)
        ((0.0, 1.0), (1.0, 0.0))
    """
    return tuple(tuple(float(i != j) for j in range(num_classes)) for i in range(num_classes))


def transition_transversion(ratio: float = 0.5) -> Matrix:
    """Of the bases A, C, G, T: ``ratio`` for the transitions A-G and C-T, 1 for the others.

    Transitions, within the purines or within the pyrimidines, are the commoner mutations.

    Args:
        ratio: length of a transition to that of a transversion, positive.

    Raises:
        ValueError: for a ratio that is not positive.

    Example:
        >>> transition_transversion(0.5)[0]
        (0.0, 1.0, 0.5, 1.0)
    """
    if not ratio > 0:
        raise ValueError(f"expected a positive ratio, got {ratio}")
    lengths = (0.0, 1.0, ratio, 1.0)
    return tuple(tuple(lengths[abs(i - j)] for j in range(4)) for i in range(4))


def substitution_distance(scores: Sequence[Sequence[float]]) -> Matrix:
    """(s_ii + s_jj)/2 - s_ij of a substitution matrix such as BLOSUM62, K x K.

    Scores are log odds of two tokens being aligned, so this is minus the logarithm of how
    often i and j replace each other, relative to how often each stays.

    Raises:
        ValueError: through `check_distance`, for scores that give no distance.

    Example:
        >>> substitution_distance([[4, -1], [-1, 6]])
        ((0.0, 6.0), (6.0, 0.0))
    """
    K = range(len(scores))
    matrix = tuple(tuple((scores[i][i] + scores[j][j]) / 2 - scores[i][j] for j in K) for i in K)
    check_distance(matrix)
    return matrix


def check_distance(matrix: Matrix) -> None:
    """Raise ``ValueError`` unless it is K x K, symmetric, 0 on and > 0 off the diagonal; K >= 2.

    Example:
        >>> check_distance(((0.0, 1.0), (2.0, 0.0)))
        Traceback (most recent call last):
        ...
        ValueError: expected a symmetric distance, got d[0, 1] = 1.0 but d[1, 0] = 2.0
    """
    K = len(matrix)
    if K < 2 or any(len(row) != K for row in matrix):
        lengths = sorted({len(row) for row in matrix})
        raise ValueError(f"expected a square matrix of at least 2 x 2, got {K} rows of {lengths}")
    for i in range(K):
        if matrix[i][i] != 0:
            raise ValueError(f"expected zeros on the diagonal, got d[{i}, {i}] = {matrix[i][i]}")
        for j in range(i):
            near, far = matrix[j][i], matrix[i][j]
            if near != far:
                raise ValueError(
                    f"expected a symmetric distance, got d[{j}, {i}] = {near} "
                    f"but d[{i}, {j}] = {far}"
                )
            if not 0 < near < float("inf"):
                raise ValueError(
                    f"expected positive distances off the diagonal, got d[{j}, {i}] = {near}"
                )
