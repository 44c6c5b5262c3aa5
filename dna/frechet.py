"""Frechet distance of two sets of embeddings, and what a perfect sampler would score.

Between Gaussians with means m_i and covariances S_i (Dowson and Landau 1982, J. Multivariate
Anal. 12(3); for generated data Heusel et al. 2017)

    d^2 = |m_1 - m_2|^2 + tr(S_1 + S_2 - 2 (S_1^{1/2} S_2 S_1^{1/2})^{1/2}),

which is reported without a root, as in the literature. All in float64; the inner matrix is
symmetric and its trace of roots comes from its eigenvalues, never from a general matrix root.

Finite samples of one source are apart. With n and m independent Gaussian vectors of covariance
S, eigenvalues l_i, second-order perturbation of the formula above gives the mean

    (1/n + 1/m) (sum_i l_i + sum_ij l_i l_j (1 + [i = j]) / (2 (l_i + l_j)))

up to terms of higher order in dim/n [derived; in one dimension l + l/2]. Embeddings are not
quite Gaussian, so `split_floor` measures the floor on real rows where there are any.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Gaussian:
    """Mean ``(D,)`` and unbiased covariance ``(D, D)`` of ``num`` embeddings, float64."""

    mean: Tensor
    covariance: Tensor
    num: int


def fit_gaussian(embeddings: Tensor) -> Gaussian:
    """Moments of embeddings ``(N, D)``; raises ``ValueError`` for N < 2 or nan or infinity."""
    if embeddings.ndim != 2 or embeddings.shape[0] < 2:
        raise ValueError(
            f"expected embeddings (N, D) of at least 2 rows, got shape {tuple(embeddings.shape)}"
        )
    embeddings = embeddings.double()
    if not bool(embeddings.isfinite().all()):
        bad = int((~embeddings.isfinite().all(-1)).nonzero()[0])
        raise ValueError(f"expected finite embeddings, row {bad} is not")
    return Gaussian(
        mean=embeddings.mean(0),
        covariance=torch.cov(embeddings.T).reshape(2 * embeddings.shape[1:]),
        num=embeddings.shape[0],
    )


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Squared Frechet distance, in squared units of the embedding; 0 if a equals b.

    Example:
        >>> zero, one = torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
        >>> round(frechet_distance(Gaussian(zero, one, 9), Gaussian(zero + 3, 4 * one, 9)), 9)
        20.0
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(
            f"expected embeddings of one width, got {a.mean.shape[0]} and {b.mean.shape[0]}; "
            "embed both with the same oracle"
        )
    values, vectors = torch.linalg.eigh(a.covariance)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    inner = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp_min(0).sqrt().sum()
    traces = a.covariance.trace() + b.covariance.trace()
    distance = (a.mean - b.mean).square().sum() + traces - 2 * inner
    return float(distance.clamp_min(0))


def expected_floor(reference: Gaussian, num: int) -> float:
    """Mean distance of ``num`` draws of the reference's own law from the reference.

    The closed form above, counting the noise of both; leading order, so ``num`` should
    exceed the width several times. It needs no data.
    """
    l = torch.linalg.eigvalsh(reference.covariance).clamp_min(0)
    pairs = l[:, None] * l / (2 * (l[:, None] + l)).clamp_min(torch.finfo(l.dtype).tiny)
    per_draw = l.sum() + pairs.sum() + pairs.trace()
    return float(per_draw * (1 / num + 1 / reference.num))


def split_floor(
    train: Tensor,
    test: Tensor,
    num: int,
    *,
    repeats: int = 5,
    generator: torch.Generator | None = None,
) -> tuple[float, float]:
    """Mean and standard deviation of the distance of ``num`` real rows from the test set.

    Rows of ``train`` ``(N, D)`` are drawn without replacement, anew for each repeat: the
    score of a sampler that is as good as real data, at the same sample size. Raises
    ``ValueError`` if there are fewer than ``num`` rows or repeats are below 2.
    """
    if not 2 <= num <= train.shape[0]:
        raise ValueError(f"expected num from 2 to {train.shape[0]} (rows of train), got {num}")
    if repeats < 2:
        raise ValueError(f"expected at least 2 repeats, got {repeats}")
    target = fit_gaussian(test)
    scores = torch.tensor(
        [
            frechet_distance(fit_gaussian(train[_draw(train.shape[0], num, generator)]), target)
            for _ in range(repeats)
        ],
        dtype=torch.float64,
    )
    return float(scores.mean()), float(scores.std())


def _draw(total: int, num: int, generator: torch.Generator | None) -> Tensor:
    return torch.randperm(total, generator=generator)[:num]
