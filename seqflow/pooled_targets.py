r"""Flow matching with less noise in its targets: all data of a batch vouch for a state.

A state x_t drawn from a row of the batch could as well have come from another, and with rows
drawn alike the chance that it did is known,

    w_j = p_t(x_t | x_1^j) / sum_i p_t(x_t | x_1^i),
    target = sum_j w_j u_t(x_t | x_1^j) = E[u_t | x_t, the batch].

By the law of total expectation the field that is learnt is the same; the variance of the target
is less, the more so the earlier the time and the larger the batch. From uniform noise, with
r = d(x_t, x_1) and s(r) as in ``geometry.distributions.space_forms``,

    p_t(x_t | x_1) ~ (s(r_0)/s(r))^{n-1},  r = (1 - kappa) r_0,    r_0 below the diameter,

on a space form; on a torus it is constant where each angle is less than (1 - kappa) pi; on a
product it is the product of those of the parts.
Source: Xu, Tong and Jaakkola 2023, "Stable Target Field for Reduced Variance Score Estimation"
(ICLR), there for Gaussian noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

import torch
from torch import Tensor, nn

from geometry.distributions.space_forms import SpaceForm, space_form
from geometry.distributions.uniform import Uniform
from geometry.manifold import Manifold
from geometry.product import Factored
from geometry.sphere import Sphere
from geometry.torus import FlatTorus, shortest

from .objectives import Batch, stratified_times
from .process import expand_time
from .riemannian import PathPoint, VelocityFlow


@dataclass(frozen=True)
class PooledFlowMatching:
    """``FlowMatching`` of velocities, each target a mean over the batch.

    For batches of single points without labels, from independent uniform noise.

    Attributes:
        process: with the uniform law of a sphere, rotations, a torus or a product of them as
            its prior.

    Raises:
        ValueError: another prior; when called, data with labels or several points a row.

    Example:
        >>> from geometry import Sphere
        >>> objective = PooledFlowMatching(VelocityFlow(Sphere(2)))
        >>> data, draw = {"x_1": torch.eye(3)}, torch.Generator().manual_seed(0)
        >>> objective(lambda x_t, t, label: 0 * x_t, data, draw).shape
        torch.Size([3])
    """

    process: VelocityFlow

    def __post_init__(self) -> None:
        law, manifold = self.process.prior_law, self.process.manifold
        if not isinstance(law, Uniform):
            raise ValueError(
                f"expected a uniform prior, got {law}; train with FlowMatching instead"
            )
        x = manifold.projx(torch.zeros(1, *manifold.point_shape))
        log_likelihoods(manifold, x, x, torch.ones(1))  # raises where they are not known

    def __call__(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Tensor:
        """Losses of shape ``(batch,)``."""
        x_1 = batch["x_1"]
        expected = (len(x_1), *self.process.manifold.point_shape)
        if x_1.shape != expected or "label" in batch:
            raise ValueError(
                f"expected points of shape {expected} without labels, got {tuple(x_1.shape)} and "
                f"{sorted(batch)}; train with FlowMatching instead"
            )
        t = stratified_times(len(x_1), generator)
        x_t, target = self.process.corrupt(x_1, t, generator=generator)
        return self.process.loss(model(x_t, t, None), pool(self.process, target, t), t)


@torch.no_grad()
def pool(process: VelocityFlow, target: PathPoint, t: Tensor) -> PathPoint:
    """The target with the expected velocity given the batch; time and memory are of its square.

    Args:
        process: that drew it.
        target: of rows drawn alike, ``(batch, *point_shape)`` each.
        t: ``(batch,)``.
    """
    x_t, x_1, own = target
    left = process.schedule.survival(t.to(x_t)).clamp_min(torch.finfo(x_t.dtype).eps)
    with torch.autocast(x_t.device.type, enabled=False):  # others/left would amplify its errors
        log_p = log_likelihoods(process.manifold, x_t, x_1, left)
        # Every state has come from its own row, whatever rounding says.
        log_p.diagonal().clamp_min_(torch.finfo(log_p.dtype).min)
        w = log_p.softmax(1)
        certain = expand_time(w.diagonal(), own) * own  # known to full precision
        others = mean_log(process.manifold, x_t, x_1, w.fill_diagonal_(0))
        return PathPoint(x_t, x_1, certain + others / expand_time(left, others))


@singledispatch
def log_likelihoods(manifold: Manifold, x: Tensor, x_1: Tensor, left: Tensor) -> Tensor:
    """log p_t(x | x_1) of all pairs, up to a number a row; -inf where x_1 cannot have led to x.

    Args:
        manifold: a space form, a torus or a product of them.
        x: ``(a, *point_shape)``.
        x_1: ``(b, *point_shape)``.
        left: 1 - kappa, above zero, ``(a,)``.

    Returns:
        ``(a, b)``.

    Raises:
        ValueError: another manifold.
    """
    return _polar(space_form(manifold), manifold.dist(x.unsqueeze(1), x_1), left)


@log_likelihoods.register
def _(manifold: Sphere, x: Tensor, x_1: Tensor, left: Tensor) -> Tensor:
    return _polar(space_form(manifold), _angles(x, x_1), left)


@log_likelihoods.register
def _(manifold: FlatTorus, x: Tensor, x_1: Tensor, left: Tensor) -> Tensor:
    widest = shortest(x_1 - x.unsqueeze(1)).abs().amax(-1)
    outside = widest >= torch.pi * left.unsqueeze(1)
    return torch.zeros_like(widest).masked_fill(outside, -torch.inf)


@log_likelihoods.register
def _(manifold: Factored, x: Tensor, x_1: Tensor, left: Tensor) -> Tensor:
    triples = zip(manifold.parts, manifold.split(x), manifold.split(x_1), strict=True)
    return torch.stack([log_likelihoods(part, a, b, left) for part, a, b in triples]).sum(0)


@singledispatch
def mean_log(manifold: Manifold, x: Tensor, x_1: Tensor, w: Tensor) -> Tensor:
    """sum_j w_ij log_{x_i} x_1^j for weights ``(a, b)``, ``(a, *tangent_shape)``."""
    u = manifold.logmap(x.unsqueeze(1), x_1)
    return (expand_time(w, u) * u).sum(1)


@mean_log.register
def _(manifold: Sphere, x: Tensor, x_1: Tensor, w: Tensor) -> Tensor:
    # log_x y is r/sin r times the part of y across x: no vector a pair is needed.
    r = _angles(x, x_1)
    eps, tiny = torch.finfo(r.dtype).eps, torch.finfo(r.dtype).tiny
    sine = torch.where(r < 1, r.sin(), r.sin().clamp_min(eps**0.5)).clamp_min(tiny)
    return manifold.proju(x, (w * r.clamp_min(tiny) / sine) @ x_1)


def _polar(form: SpaceForm, r: Tensor, left: Tensor) -> Tensor:
    """The log likelihoods on a space form by the distances."""
    tiny, eps = torch.finfo(r.dtype).tiny, torch.finfo(r.dtype).eps
    r = r.clamp_min(tiny / eps)  # so that 0/0 is 1/left where points coincide
    r_0 = r / left.unsqueeze(1)
    log_p = (form.dim - 1) * (form.log_sine(r_0.clamp_max(form.diameter)) - form.log_sine(r))
    return log_p.masked_fill(r_0 >= form.diameter, -torch.inf)


def _angles(x: Tensor, y: Tensor) -> Tensor:
    """Angles of all pairs of unit vectors by their chords, exact near zero, ``(a, b)``."""
    chord = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    return 2 * (chord / 2).clamp_max(1).asin()
