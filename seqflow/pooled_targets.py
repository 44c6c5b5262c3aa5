r"""Flow matching with less noise in its targets: all data of a batch vouch for a state.

A state x_t drawn from a row of the batch could as well have come from another, and with rows
drawn alike the chance that it did is known,

    w_j = p_t(x_t | x_1^j) / sum_i p_t(x_t | x_1^i),
    target = sum_j w_j u_t(x_t | x_1^j) = E[u_t | x_t, the batch].

By the law of total expectation the field that is learnt is the same; the variance of the target
is less, the more so the earlier the time and the larger the batch. From uniform noise the chances
are in closed form (`seqflow.pairs`).
Source: Xu, Tong and Jaakkola 2023, "Stable Target Field for Reduced Variance Score Estimation"
(ICLR), there for Gaussian noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geometry.distributions.uniform import Uniform

from .objectives import Batch, stratified_times
from .pairs import pairs
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
        pairs(manifold, x, x)  # raises where they are not known

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
        known = pairs(process.manifold, x_t, x_1)
        log_p = known.log_likelihoods(left)
        # Every state has come from its own row, whatever rounding says.
        log_p.diagonal().clamp_min_(torch.finfo(log_p.dtype).min)
        w = log_p.softmax(1)
        certain = expand_time(w.diagonal(), own) * own  # known to full precision
        others = known.mean_log(w.fill_diagonal_(0))
        return PathPoint(x_t, x_1, certain + others / expand_time(left, others))
