r"""Steps as long as the error allows, for each row of a batch on its own.

Dormand and Prince's scheme of order 5 with an embedded one of order 4, in normal coordinates
(see ``solvers``). A step is accepted if the estimated error e, in the metric at its start, is

    r = |e| / (sqrt(dim) (tolerance + 16 eps |x' - x|)) <= 1,
    h <- h clip(0.9 r^(-1/5), 1/5, 5)

(the second term is what rounding takes). Each row has its own time and step, so its result
does not depend on the rest of the batch; the network sees only the rows that have not arrived.
The last slope of an accepted step is the first of the next: six evaluations a step.
Source: Dormand and Prince 1980; Hairer, Norsett and Wanner 1993, section II.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geometry.manifold import Manifold

from .process import expand_time
from .solvers import RowField, Scheme, combine, stages, to_chart

DORMAND_PRINCE = Scheme(
    a=(
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    ),
    b=(35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    c=(0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0),
    order=5,
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
"""b minus the weights of order 4, for the six slopes and the one at the end."""


@dataclass(frozen=True)
class AdaptiveSteps:
    """Error control for each row.

    Args:
        tolerance: of the error of one step, in the metric.
        max_steps: tried steps of one row, refused ones included.

    Raises:
        ValueError: no positive tolerance or number of steps; later, when a row does not arrive.
    """

    tolerance: float = 1e-5
    max_steps: int = 1000

    def __post_init__(self) -> None:
        if not (self.tolerance > 0 and self.max_steps > 0):
            raise ValueError(
                f"expected a positive tolerance and number of steps, got {self.tolerance} and "
                f"{self.max_steps}"
            )

    def __call__(
        self, manifold: Manifold, field: RowField, x: Tensor, start: float, end: float
    ) -> Tensor:
        """Where the flow takes ``x`` from ``start`` to ``end``, ``(batch, *point_shape)``."""
        result, rows = x.clone(), torch.arange(len(x), device=x.device)
        t, h = (x.new_full((len(x),), value) for value in (start, (end - start) / 20))
        v = field(x, t, rows)
        for _ in range(self.max_steps):
            if not len(rows):
                return result
            last = (end - t).abs() <= h.abs()
            h = torch.where(last, end - t, h)
            x_new, v_new, ratio = self._attempt(manifold, field, x, v, t, h, rows)
            # A step this small is taken whatever its error: the field must jump there.
            accept = (ratio <= 1) | (h.abs() <= 1e-6 * abs(end - start))
            x, v = (_where(accept, new, old) for new, old in ((x_new, x), (v_new, v)))
            t = torch.where(accept, t + h, t)
            h = h * (0.9 * ratio.clamp_min(1e-9) ** -0.2).clamp(0.2, 5)
            arrived = accept & last
            result[rows[arrived]] = x[arrived]
            x, v, t, h, rows = (a[~arrived] for a in (x, v, t, h, rows))
        if not len(rows):
            return result
        raise ValueError(
            f"expected all rows to arrive at t = {end} in {self.max_steps} steps, {len(rows)} did "
            f"not; raise max_steps or the tolerance {self.tolerance}"
        )

    def _attempt(
        self,
        manifold: Manifold,
        field: RowField,
        x: Tensor,
        v: Tensor,
        t: Tensor,
        h: Tensor,
        rows: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The end of a step, the field there, and its error over what is allowed."""
        slopes = stages(DORMAND_PRINCE, manifold, lambda y, s: field(y, s, rows), x, t, h, v)
        move = combine(DORMAND_PRINCE.b, slopes, h)
        x_new = manifold.projx(manifold.expmap(x, move))
        v_new = field(x_new, t + h, rows)
        slopes.append(to_chart(manifold, x, x_new, v_new))
        error = manifold.norm(x, combine(ERROR, slopes, h)) / manifold.dim**0.5
        rounding = 16 * torch.finfo(x.dtype).eps * manifold.norm(x, move)
        ratio = error / (self.tolerance + rounding)
        return x_new, v_new, ratio.nan_to_num(torch.inf)


def _where(accept: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(expand_time(accept, new), new, old)
