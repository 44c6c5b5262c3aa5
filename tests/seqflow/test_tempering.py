"""Sharpened predictions, for every way of sharpening and every process on tokens."""

import math

import pytest
import torch

from seqflow.autoregressive import Autoregression
from seqflow.categorical import probabilities
from seqflow.dirichlet import DirichletFlow
from seqflow.discrete import MaskedFlow, UniformFlow
from seqflow.sampling import Sampler, time_grid
from seqflow.tempering import Tempering

K = 5
WAYS = [(1.0, 1.0), (0.5, 1.0), (2.0, 1.0), (0.0, 1.0), (1.0, 0.5), (1e-30, 1.0), (0.7, 1e-9)]


def temper(logits, temperature=1.0, top_p=1.0):
    return Tempering(lambda x_t, t, condition: logits, temperature, top_p)(None, None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("way", WAYS)
class TestEveryWay:
    def test_finite_and_the_same_favourite(self, way, dtype):
        logits = 30 * torch.randn(50, K, dtype=dtype, generator=torch.Generator().manual_seed(0))
        sharp = temper(logits, *way)
        assert sharp.dtype == dtype
        assert sharp.isfinite().all()
        assert torch.equal(sharp.argmax(-1), logits.argmax(-1))
        assert probabilities(sharp).isfinite().all()

    def test_no_rows(self, way, dtype):
        assert temper(torch.zeros(0, 3, K, dtype=dtype), *way).shape == (0, 3, K)

    def test_equal_tokens(self, way, dtype):
        sharp = temper(torch.zeros(4, K, dtype=dtype), *way)
        p = probabilities(sharp)
        assert ((p - p.amax(-1, keepdim=True)).abs() < 1e-6).logical_or(p == 0).all()


def test_temperature_is_a_power():
    p = torch.tensor([0.5, 0.3, 0.15, 0.04, 0.01], dtype=torch.float64)
    for T in (0.5, 3.0):
        expected = p ** (1 / T) / (p ** (1 / T)).sum()
        torch.testing.assert_close(temper(p.log(), T).softmax(-1), expected)


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, 1), (0.79, 2), (0.81, 3), (0.999, 5), (1.0, 5)])
def test_a_nucleus_is_the_fewest_tokens_of_its_mass(top_p, kept):
    p = torch.tensor([0.15, 0.5, 0.01, 0.3, 0.04], dtype=torch.float64)
    q = temper(p.log(), top_p=top_p).softmax(-1)
    expected = p.masked_fill(p < p.sort(descending=True).values[kept - 1], 0)
    torch.testing.assert_close(q, expected / expected.sum())


def test_zero_leaves_one_of_equals():
    assert temper(torch.zeros(3, K), 0.0).softmax(-1).tolist() == [[1, 0, 0, 0, 0]] * 3


def test_the_rest_is_passed_on():
    seen = []

    def predictor(x_t, t, condition=None):
        seen.append((x_t, t, condition))
        return torch.zeros(1, K)

    Tempering(predictor, 0.5)("state", "time", "label")
    assert seen == [("state", "time", "label")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 1.0), "temperature of at least 0, got -1"),
        ((math.nan, 1.0), "temperature of at least 0, got nan"),
        ((math.inf, 1.0), "temperature of at least 0, got inf"),
        ((1.0, 0.0), "top-p above 0 and at most 1, got 0"),
        ((1.0, math.nan), "top-p above 0 and at most 1, got nan"),
    ],
)
def test_what_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        Tempering(lambda x_t, t, condition: x_t, *arguments)


@pytest.mark.parametrize(
    "process",
    [MaskedFlow(K), UniformFlow(K), DirichletFlow(K), Autoregression(K)],
    ids=lambda process: type(process).__name__,
)
def test_every_process_samples_what_is_left(process):
    """Independent tokens under a predictor that knows their law, all but two of them gone."""
    law = torch.tensor([0.35, 0.3, 0.2, 0.1, 0.05])

    def predictor(x_t, t, condition=None):
        logits = law.log().expand(len(x_t), 6, K)
        return logits if isinstance(process, Autoregression) else logits + process.evidence(x_t, t)

    sampler = Sampler(process, Tempering(predictor, 1.0, 0.6), time_grid(6))
    tokens = process.decode(sampler.sample((64, 6), seed=0))
    assert (tokens == 0).any()
    # Only evidence can bring others in, where it outweighs the prior: masks have none.
    if not isinstance(process, UniformFlow | DirichletFlow):
        assert (tokens <= 1).all()
