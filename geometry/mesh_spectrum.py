r"""The spectrum of a mesh and the distances made of it.

The cotangent Laplacian L (Pinkall and Polthier, 1993) and the lumped mass M, a third of the
area around each vertex, have eigenpairs L phi_i = lambda_i M phi_i, phi^T M phi = 1. Extended
linearly into the faces they give the spectral distances ::

    d(x, y)^2 = sum_i w(lambda_i) (phi_i(x) - phi_i(y))^2,    i = 1, ..., k

with w = lambda^-2 (biharmonic; Lipman, Rustamov and Funkhouser, 2010), exp(-2 tau lambda)
(diffusion; Coifman and Lafon, 2006) or 1/lambda (commute time; Qiu and Hancock, 2007).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


class Premetric(ABC):
    """Which eigenfunctions count how much."""

    @abstractmethod
    def weights(self, eigenvalues: Tensor) -> Tensor:
        """w(lambda), (k,) to (k,)."""


@dataclass(frozen=True)
class Biharmonic(Premetric):
    """Weights lambda^-2: smooth, and close to the geodesic distance far away."""

    def weights(self, eigenvalues: Tensor) -> Tensor:
        """lambda^-2."""
        return eigenvalues**-2


@dataclass(frozen=True)
class CommuteTime(Premetric):
    """Weights 1/lambda: the mean time of a random walk there and back, up to scale."""

    def weights(self, eigenvalues: Tensor) -> Tensor:
        """1/lambda."""
        return 1 / eigenvalues


@dataclass(frozen=True)
class Diffusion(Premetric):
    """Weights exp(-2 tau lambda): the difference of heat kernels after a time tau.

    Raises:
        ValueError: ``tau`` is not positive.
    """

    tau: float = 0.25

    def __post_init__(self) -> None:
        if not self.tau > 0:
            raise ValueError(f"expected Diffusion(tau) with tau > 0, got tau = {self.tau}")

    def weights(self, eigenvalues: Tensor) -> Tensor:
        """exp(-2 tau lambda)."""
        return torch.exp(-2 * self.tau * eigenvalues)


def _matrices(vertices: Tensor, faces: Tensor) -> tuple[Any, Any]:
    """The cotangent Laplacian, sparse (V, V), and the diagonal of the mass, (V,), in float64."""
    import scipy.sparse

    corners = vertices[faces].double().cpu()
    to_next, to_last = corners.roll(-1, 1) - corners, corners.roll(-2, 1) - corners
    double = torch.linalg.cross(to_next, to_last).square().sum(-1).sqrt()
    cot = ((to_next * to_last).sum(-1) / double).reshape(-1).numpy() / 2
    numbers, count = faces.cpu(), vertices.shape[0]
    i, j = numbers[:, [1, 2, 0]].reshape(-1).numpy(), numbers[:, [2, 0, 1]].reshape(-1).numpy()
    half = scipy.sparse.coo_matrix((cot, (i, j)), shape=(count, count))
    weights = (half + half.T).tocsc()
    mass = torch.zeros(count, dtype=torch.float64)
    mass.index_add_(0, numbers.reshape(-1), double.reshape(-1) / 6)
    laplacian = scipy.sparse.diags(weights.sum(axis=1).A1) - weights
    return laplacian.tocsc(), mass.numpy()


def eigenpairs(vertices: Tensor, faces: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest eigenpairs after the constant, by shift-and-invert Lanczos iteration.

    Args:
        vertices: (V, 3).
        faces: (F, 3).
        k: how many, at most V - 1.

    Returns:
        Eigenvalues (k,) ascending and eigenfunctions at the vertices (V, k), float64, CPU.

    Raises:
        ValueError: the mesh is not connected, or ``k`` is not in 1, ..., V - 1.
    """
    import numpy as np
    import scipy.linalg
    import scipy.sparse
    import scipy.sparse.csgraph
    import scipy.sparse.linalg

    count = vertices.shape[0]
    if not 1 <= k < count:
        raise ValueError(f"expected 1 to {count - 1} eigenpairs of {count} vertices, got {k}")
    laplacian, mass = _matrices(vertices, faces)
    pieces, label = scipy.sparse.csgraph.connected_components(laplacian != 0)
    if pieces > 1:
        other = int((label != label[0]).argmax())
        raise ValueError(
            f"expected a connected Mesh for its spectrum, got {pieces} pieces: vertices 0 and "
            f"{other} are not joined; make one Mesh of each piece"
        )
    # Solved for M^-1/2 L M^-1/2, which is symmetric, so that no generalised problem is left.
    root = 1 / np.sqrt(mass)
    scaled = scipy.sparse.diags(root) @ laplacian @ scipy.sparse.diags(root)
    if count <= 400 or 3 * k >= count:
        values, vectors = scipy.linalg.eigh(scaled.toarray(), subset_by_index=[1, k])
    else:
        # The shift lies below the spectrum, at a hundredth of its scale 4 pi/area.
        shift = -0.04 * np.pi / mass.sum()
        start = np.random.default_rng(0).standard_normal(count)
        values, vectors = scipy.sparse.linalg.eigsh(
            scaled.tocsc(), k + 1, sigma=shift, which="LM", v0=start
        )
        order = np.argsort(values)[1:]
        values, vectors = values[order], vectors[:, order]
    return torch.from_numpy(values.copy()), torch.from_numpy(root[:, None] * vectors)
