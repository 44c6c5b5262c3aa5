"""The loop: seeds, batch sizes, trajectories, states that are mappings."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from seqflow.process import expand_time
from seqflow.sampling import BLOCK, Sampler, seeded_generator, time_grid


@dataclass(frozen=True)
class RandomWalk:
    """A process with noise at the start and in every step; the prediction is the drift."""

    def sample_prior(self, shape, *, generator=None, dtype=None, device=None):
        return torch.randn(*shape, generator=generator, dtype=dtype, device=device)

    def step(self, x_t, prediction, t, dt, *, generator=None):
        noise = torch.randn(x_t.shape, generator=generator, dtype=x_t.dtype)
        return x_t + expand_time(dt, x_t) * prediction + expand_time(dt.sqrt(), x_t) * noise


@dataclass(frozen=True)
class TwoWalks:
    """The same on a mapping of two tensors."""

    def sample_prior(self, shape, *, generator=None, dtype=None, device=None):
        walk = RandomWalk().sample_prior
        return {n: walk(shape, generator=generator, dtype=dtype, device=device) for n in "ab"}

    def step(self, x_t, prediction, t, dt, *, generator=None):
        walk = RandomWalk().step
        return {n: walk(x_t[n], prediction[n], t, dt, generator=generator) for n in "ab"}


class Drift:
    """Predicts the condition, and remembers how many rows it saw at once."""

    def __init__(self):
        self.rows = []

    def __call__(self, x_t: Tensor, t: Tensor, condition=None):
        self.rows.append(len(x_t))
        assert t.shape == (len(x_t),)
        return torch.zeros_like(x_t) if condition is None else condition[:, None].expand_as(x_t)


SIZES = [1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK]


@pytest.mark.parametrize("batch_size", SIZES)
@pytest.mark.parametrize("num", [1, 3, BLOCK, 2 * BLOCK + 5])
def test_samples_do_not_depend_on_the_batch_size(num, batch_size):
    condition = torch.arange(num, dtype=torch.float32)
    draws = [
        Sampler(RandomWalk(), Drift(), time_grid(3), size).sample(
            (num, 2), condition=condition, seed=5
        )
        for size in (BLOCK, batch_size)
    ]
    # Elementwise arithmetic on the same numbers: equal to the bit.
    assert torch.equal(*draws)


@pytest.mark.parametrize("batch_size", SIZES)
def test_predictor_never_sees_more_rows_than_asked(batch_size):
    predictor = Drift()
    Sampler(RandomWalk(), predictor, time_grid(2), batch_size).sample((150, 2))
    assert max(predictor.rows) <= batch_size
    assert sum(predictor.rows) == 2 * 150


def test_more_samples_begin_with_the_same_blocks():
    sampler = Sampler(RandomWalk(), Drift(), time_grid(2))
    few, many = (sampler.sample((num, 2), seed=1) for num in (BLOCK, 3 * BLOCK))
    assert torch.equal(few, many[:BLOCK])


def test_seeds_differ_and_repeat():
    sampler = Sampler(RandomWalk(), Drift(), time_grid(2))
    a, b, c = (sampler.sample((4, 2), seed=seed) for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_blocks_have_noise_of_their_own():
    x = Sampler(RandomWalk(), Drift(), time_grid(1)).sample((2 * BLOCK, 2))
    assert not torch.equal(x[:BLOCK], x[BLOCK:])


def test_global_random_state_is_untouched():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Sampler(RandomWalk(), Drift(), time_grid(2)).sample((4, 2))
    assert torch.equal(before, torch.get_rng_state())


def test_trajectory_runs_from_prior_to_sample():
    sampler = Sampler(RandomWalk(), Drift(), time_grid(3))
    path = sampler.trajectory((BLOCK + 2, 5), seed=2)
    assert path.shape == (4, BLOCK + 2, 5)
    assert torch.equal(path[-1], sampler.sample((BLOCK + 2, 5), seed=2))
    prior = RandomWalk().sample_prior((BLOCK, 5), generator=seeded_generator(2, 0))
    assert torch.equal(path[0, :BLOCK], prior)


@pytest.mark.parametrize("num", [0, 1, BLOCK + 1])
def test_mappings_flow_too(num):
    sampler = Sampler(TwoWalks(), lambda x_t, t, condition=None: x_t, time_grid(2), batch_size=9)
    x = sampler.sample((num, 3))
    assert {name: tensor.shape for name, tensor in x.items()} == {"a": (num, 3), "b": (num, 3)}


@pytest.mark.parametrize("num", [0, 3, BLOCK + 2])
def test_the_two_ends_are_those_of_the_trajectory(num):
    sampler = Sampler(TwoWalks(), lambda x, t, c: x, time_grid(3), batch_size=7)
    x_0, x_1 = sampler.ends((num, 2), seed=4)
    path = sampler.trajectory((num, 2), seed=4)
    for name in "ab":
        assert x_0[name].equal(path[name][0])
        assert x_1[name].equal(path[name][-1])


def test_no_sample_at_all():
    sampler = Sampler(RandomWalk(), Drift(), time_grid(2).double())
    x = sampler.sample((0, 3), condition=torch.zeros(0))
    assert x.shape == (0, 3)
    assert x.dtype == torch.float64
    assert sampler.trajectory((0, 3)).shape == (3, 0, 3)


def test_samples_need_no_gradient():
    weight = torch.ones(1, requires_grad=True)
    sampler = Sampler(RandomWalk(), lambda x, t, condition=None: weight * x, time_grid(2))
    assert not sampler.sample((2, 2)).requires_grad


def test_progress_goes_to_stderr(capsys):
    Sampler(RandomWalk(), Drift(), time_grid(2), progress=True).sample((2, 2))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "sampling" in captured.err
    assert "2/2" in captured.err


@pytest.mark.parametrize(
    ("one", "other"), [((7,), (7, 0)), ((7, 0), (7, 0, 0)), ((2**32, 0), (0, 1)), ((1, 2), (2, 1))]
)
def test_every_key_has_a_stream_of_its_own(one, other):
    draws = [torch.rand(4, generator=seeded_generator(*key)) for key in (one, other)]
    assert not torch.equal(*draws)


def test_bad_input():
    sampler = Sampler(RandomWalk(), Drift(), time_grid(1))
    for rows in (64, 201):
        with pytest.raises(ValueError, match=rf"one condition a sample, 200, got {rows}"):
            sampler.sample((200, 2), condition=torch.zeros(rows))
    with pytest.raises(ValueError, match="seed of at least 0, got -1"):
        seeded_generator(-1)
    with pytest.raises(ValueError, match="at least one sampling step, got 0"):
        time_grid(0)
    with pytest.raises(ValueError, match="batch size of at least 1, got 0"):
        Sampler(RandomWalk(), Drift(), time_grid(1), batch_size=0)
