r"""Several parts, each with a process of its own, as one process.

    x_t = {name: x_t^name},   loss = sum_name w_name loss_name,   one time t for all parts

A residue of a protein is a translation and a rotation; with a categorical part it has a type,
with angles side chains. Each part keeps its own prior, schedule and space (the product metric,
Yim et al. 2023, arXiv:2302.02277), and whoever holds the whole asks only what any process answers.

:class:`Memory` is a part that is not noise but what was predicted last. As a part of the state it
makes self-conditioning (Chen et al. 2023, arXiv:2208.04202) a sampler's business no more:
a predictor stays a function of its arguments, batches are cut and joined as ever, and a seed
means what it meant. Its prediction is what the network wants to see again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .process import Process

Parts = Mapping[str, Tensor]
"""A tensor for each part, the batch first."""


@dataclass(frozen=True)
class Part:
    """A process in a product.

    Attributes:
        process: of this part's tensors.
        shape: of one datum of it, behind the axes that all parts share: ``(4,)`` for a
            quaternion a residue, ``()`` for a token.
        weight: of its loss.
    """

    process: Process[Tensor]
    shape: tuple[int, ...] = ()
    weight: float = 1.0


class ProductProcess:
    """Independent parts that share the time; satisfies ``Process``.

    States, predictions and data are mappings with one entry a part; the draws of the parts come
    from one generator, in order.

    Args:
        parts: by name.

    Raises:
        ValueError: for no part; later, for an entry too few.

    Example:
        >>> from geometry import SO3, Euclidean
        >>> from seqflow.riemannian import EndpointFlow
        >>> process = ProductProcess(
        ...     translation=Part(EndpointFlow(Euclidean(3)), (3,)),
        ...     rotation=Part(EndpointFlow(SO3()), (4,), weight=0.5),
        ... )
        >>> x_0 = process.sample_prior((2, 60))  # two chains of sixty residues
        >>> {name: tuple(x.shape) for name, x in x_0.items()}
        {'translation': (2, 60, 3), 'rotation': (2, 60, 4)}
    """

    def __init__(self, **parts: Part) -> None:
        if not parts:
            raise ValueError("expected at least one part, got none")
        self.parts = parts

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={part}" for name, part in self.parts.items())
        return f"ProductProcess({inside})"

    def sample_prior(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> dict[str, Tensor]:
        """Draw x_0; ``shape`` is what the parts share, such as (batch, length)."""
        return {
            name: part.process.sample_prior(
                (*shape, *part.shape), generator=generator, dtype=dtype, device=device
            )
            for name, part in self.parts.items()
        }

    def corrupt(
        self,
        x_1: Parts,
        t: Tensor,
        x_0: Parts | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Each part at time t, with the targets by name; ``x_0`` has all parts, or is None."""
        noise: Mapping[str, Tensor | None] = dict.fromkeys(self.parts) if x_0 is None else x_0
        both = {
            name: part.process.corrupt(datum, t, start, generator=generator)
            for name, part, datum, start in self._zip(x_1, noise)
        }
        x_t = {name: state for name, (state, _) in both.items()}
        return x_t, {name: target for name, (_, target) in both.items()}

    def losses(
        self, prediction: Mapping[str, Any], target: Mapping[str, Any], t: Tensor
    ) -> dict[str, Tensor]:
        """The loss of every part, unweighted, each ``(batch,)``."""
        return {
            name: part.process.loss(guess, truth, t)
            for name, part, guess, truth in self._zip(prediction, target)
        }

    def loss(self, prediction: Mapping[str, Any], target: Mapping[str, Any], t: Tensor) -> Tensor:
        """sum_name w_name loss_name, ``(batch,)``."""
        each = self.losses(prediction, target, t)
        terms = [self.parts[name].weight * value for name, value in each.items()]
        return sum(terms[1:], terms[0])

    def step(
        self,
        x_t: Parts,
        prediction: Mapping[str, Any],
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Each part by its own step."""
        return {
            name: part.process.step(state, guess, t, dt, generator=generator)
            for name, part, state, guess in self._zip(x_t, prediction)
        }

    def decode(self, x_1: Parts) -> dict[str, Any]:
        """Each part decoded."""
        return {name: part.process.decode(state) for name, part, state in self._zip(x_1)}

    def _zip(self, *values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Name, part and the entry of each mapping."""
        for each in values:
            if missing := [name for name in self.parts if name not in each]:
                raise ValueError(
                    f"expected the parts {', '.join(self.parts)}, but {', '.join(missing)} "
                    f"is not among {', '.join(each) or 'none'}"
                )
        for name, part in self.parts.items():
            yield (name, part, *(each[name] for each in values))


@dataclass(frozen=True)
class Memory:
    """The last prediction, zero before there is one; satisfies ``Process``.

    What it holds need not be noisy, so corruption leaves it as it is, and it has no loss.
    """

    def sample_prior(
        self,
        shape: Sequence[int],
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Zeros: nothing is remembered yet."""
        del generator
        return torch.zeros(tuple(shape), dtype=dtype, device=device)

    def corrupt(
        self,
        x_1: Tensor,
        t: Tensor,
        x_0: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The memory ``x_1`` itself."""
        del t, x_0, generator
        return x_1, x_1

    def loss(self, prediction: Tensor, target: Tensor, t: Tensor) -> Tensor:
        """Zeros ``(batch,)``."""
        del prediction, target
        return torch.zeros_like(t)

    def step(
        self,
        x_t: Tensor,
        prediction: Tensor,
        t: Tensor,
        dt: Tensor,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The prediction, to be seen at the next step."""
        del x_t, t, dt, generator
        return prediction

    def decode(self, x_1: Tensor) -> Tensor:
        """What is remembered."""
        return x_1
