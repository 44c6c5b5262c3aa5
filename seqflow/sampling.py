r"""The one sampling loop.

For a grid 0 = t_0 < ... < t_N = 1::

    x_{t_0} ~ prior,    x_{t_{n+1}} = step(x_{t_n}, predictor(x_{t_n}, t_n), t_n, t_{n+1} - t_n)

or, with a ``solver``, whatever makes x_{t_{n+1}} out of several predictions.

Seeds. Sample number i belongs to block i // BLOCK, and every block draws its noise from a
generator of its own, seeded by (seed, block). ``batch_size`` decides only how many rows the
predictor sees at once, so the samples do not depend on it, nor on how blocks are shared out
among devices (beyond the rounding of the predictor).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from .process import Condition, Process
from .state import State, concatenate, map_state, num_rows, split

BLOCK = 64
"""Rows that share one generator. Part of what a seed means: changing it changes samples."""


class Predictor(Protocol):
    """Whatever predicts from a noisy state: a network, or guidance around one."""

    def __call__(self, x_t: Any, t: Tensor, condition: Condition = None) -> Any:
        """The prediction that the process's ``step`` and ``loss`` expect."""
        ...


class Solver(Protocol):
    """A way to take one step of the grid with any number of predictions, and no draws."""

    def __call__(
        self, predict: Callable[[State, Tensor], Any], x_t: Any, t: Tensor, dt: Tensor
    ) -> Any:
        """The state at t + dt; ``predict(x, t)`` asks the predictor. ``t``, ``dt`` are numbers."""
        ...


def seeded_generator(seed: int, *key: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator whose stream belongs to the seed and its ``key`` alone, such as a step.

    Raises:
        ValueError: for a negative seed.

    Example:
        >>> a, b = seeded_generator(0, 1), seeded_generator(0, 2)
        >>> torch.rand(1, generator=a).equal(torch.rand(1, generator=b))
        False
    """
    if seed < 0:
        raise ValueError(f"expected a seed of at least 0, got {seed}")
    # As spawn key: a plain sequence is padded with zeros, so that (7,) would equal (7, 0).
    (state,) = np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state))


def time_grid(num_steps: int, *, device: torch.device | str = "cpu") -> Tensor:
    """num_steps + 1 equidistant times from 0 to 1; raises ``ValueError`` below one step.

    Example:
        >>> time_grid(2)
        tensor([0.0000, 0.5000, 1.0000])
    """
    if num_steps < 1:
        raise ValueError(f"expected at least one sampling step, got {num_steps}")
    return torch.linspace(0, 1, num_steps + 1, device=device)


@dataclass(frozen=True)
class Sampler:
    """Draws samples of a process, given a predictor and a grid of times.

    Attributes:
        process: how the state moves.
        predictor: a network, or guidance around one.
        times: increasing grid from 0 to 1, shape ``(N + 1,)``; its dtype and device are
            those of the samples.
        batch_size: rows that the predictor sees at once.
        progress: whether to show a bar on stderr.
        solver: how to take a step; None is the process's own, of one prediction.

    Raises:
        ValueError: for a batch size below one.
    """

    process: Process[Any]
    predictor: Predictor
    times: Tensor
    batch_size: int = BLOCK
    progress: bool = False
    solver: Solver | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"expected a batch size of at least 1, got {self.batch_size}")

    def sample(self, shape: Sequence[int], *, condition: Condition = None, seed: int = 0) -> State:
        """Samples x_1; ``process.decode`` reads the data off them.

        Args:
            shape: shape of the data, number of samples first.
            condition: one row a sample, or None.
            seed: same seed, same samples, whatever the batch size.
        """
        walks = self._walks(shape, condition, seed)
        return concatenate([_last(states) for states in walks])

    def ends(
        self, shape: Sequence[int], *, condition: Condition = None, seed: int = 0
    ) -> tuple[State, State]:
        """Where the samples started, and the samples: the pairs (x_0, x_1) of rectification."""
        walks = self._walks(shape, condition, seed)
        both = [(next(states), _last(states)) for states in walks]
        first, last = zip(*both, strict=True)
        return concatenate(first), concatenate(last)

    @torch.no_grad()
    def prior(self, shape: Sequence[int], *, seed: int = 0) -> State:
        """The states x_0 that ``sample`` starts from with the same seed."""
        return self._prior(shape, self._generators(seed, 0, shape[0]))

    def trajectory(
        self, shape: Sequence[int], *, condition: Condition = None, seed: int = 0
    ) -> State:
        """The states at all times of the grid, shape ``(N + 1, samples, ...)``."""
        walks = self._walks(shape, condition, seed)
        stacks = [map_state(lambda *xs: torch.stack(xs, 1), *states) for states in walks]
        return map_state(lambda x: x.movedim(1, 0), concatenate(stacks))

    def _walks(
        self, shape: Sequence[int], condition: Condition, seed: int
    ) -> Iterator[Iterator[State]]:
        """One walk along the grid for every group of blocks, as many blocks as fill a batch."""
        num, blocks = shape[0], max(1, self.batch_size // BLOCK)
        if condition is not None and num_rows(condition) != num:
            raise ValueError(f"expected one condition a sample, {num}, got {num_rows(condition)}")
        conditions = _split(condition, BLOCK * blocks)
        starts = range(0, max(num, 1), BLOCK * blocks)
        total = len(starts) * (len(self.times) - 1)
        with tqdm(total=total, unit="step", desc="sampling", disable=not self.progress) as bar:
            for start, own in zip(starts, conditions, strict=False):
                size = min(num - start, BLOCK * blocks)
                generators = self._generators(seed, start, size)
                yield self._walk((size, *shape[1:]), own, generators, bar)

    def _generators(self, seed: int, start: int, size: int) -> list[torch.Generator]:
        """Those of the blocks that rows ``start`` to ``start + size`` belong to."""
        return [
            seeded_generator(seed, (start + i) // BLOCK, device=self.times.device)
            for i in range(0, max(size, 1), BLOCK)
        ]

    @torch.no_grad()
    def _walk(
        self,
        shape: Sequence[int],
        condition: Condition,
        generators: Sequence[torch.Generator],
        bar: tqdm[Any],
    ) -> Iterator[State]:
        """Yield the state of one group of blocks at every time of the grid."""
        x_t = self._prior(shape, generators)
        yield x_t
        for t, dt in zip(self.times[:-1], self.times.diff(), strict=True):
            x_t = self._advance(x_t, t, dt, condition, generators)
            bar.update()
            yield x_t

    def _advance(
        self,
        x_t: State,
        t: Tensor,
        dt: Tensor,
        condition: Condition,
        generators: Sequence[torch.Generator],
    ) -> State:
        if self.solver is None:
            return self._step(x_t, self._predict(x_t, t, condition), t, dt, generators)
        state: State = self.solver(lambda x, s: self._predict(x, s, condition), x_t, t, dt)
        return state

    def _prior(self, shape: Sequence[int], generators: Sequence[torch.Generator]) -> State:
        return concatenate(
            [
                self.process.sample_prior(
                    (min(shape[0] - BLOCK * i, BLOCK), *shape[1:]),
                    generator=generator,
                    dtype=self.times.dtype,
                    device=self.times.device,
                )
                for i, generator in enumerate(generators)
            ]
        )

    def _predict(self, x_t: State, t: Tensor, condition: Condition) -> State:
        pieces = zip(split(x_t, self.batch_size), _split(condition, self.batch_size), strict=False)
        return concatenate([self.predictor(x, t.expand(num_rows(x)), c) for x, c in pieces])

    def _step(
        self,
        x_t: State,
        prediction: State,
        t: Tensor,
        dt: Tensor,
        generators: Sequence[torch.Generator],
    ) -> State:
        pieces = zip(split(x_t, BLOCK), split(prediction, BLOCK), generators, strict=True)
        return concatenate(
            [
                self.process.step(
                    x, p, t.expand(num_rows(x)), dt.expand(num_rows(x)), generator=generator
                )
                for x, p, generator in pieces
            ]
        )


def _split(condition: Condition, width: int) -> Iterator[Condition]:
    """Pieces of the condition; without one, None as often as needed."""
    return repeat(None) if condition is None else iter(split(condition, width))


def _last(states: Iterator[State]) -> State:
    """The last of some states, without keeping the others."""
    return deque(states, maxlen=1).pop()
