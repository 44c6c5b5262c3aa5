r"""How much of a trained field to follow, from a prior that is good already.

A flow from a kernel density of the data has little to gain, and with few data its field may
lose. So of the fields

    s v_t(x),    s = 0, 1/4, 1/2, 1

that of the least negative log-likelihood on validation points is kept; s = 0 is the prior.
"""

from __future__ import annotations

from torch import Tensor

from ..likelihood.ode import DensityProcess, log_likelihood
from ..networks import MLP
from ..solvers import FixedSteps

STRENGTHS = (0.0, 0.25, 0.5, 1.0)
STEPS = 8
MOST = 1000
"""Validation points that are looked at, for time's sake."""


def best_strength(process: DensityProcess, network: MLP, validation: Tensor) -> float:
    """The strength with the least negative log-likelihood on ``validation`` points.

    Args:
        process: such as ``VelocityFlow``, with a prior that is a density of the data.
        network: of velocities.
        validation: ``(N, *point_shape)``.
    """

    def nll(strength: float) -> float:
        return -float(
            log_likelihood(
                process,
                network.scaled(strength),
                validation[:MOST],
                integrator=FixedSteps(STEPS),
            ).mean()
        )

    return min(STRENGTHS, key=nll)
