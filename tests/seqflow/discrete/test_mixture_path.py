"""What is particular to mixture paths: correctors, bounds, lazy heads, bad input."""

import dataclasses
import math

import pytest
import torch

from seqflow.discrete import MaskedFlow, PriorFlow, UniformFlow
from seqflow.discrete.correctors import DetailedBalance, DivergenceFree, Remasking
from seqflow.discrete.divergences import JumpRates, ReversedNoising
from seqflow.discrete.lazy_logits import DenseLogits, LazyHead, LazyLogits, draw_at
from seqflow.discrete.losses import CrossEntropy, PathDivergence
from seqflow.fisher import FisherFlow
from seqflow.process import CategoricalProcess, Tiltable
from seqflow.sampling import Sampler, time_grid
from seqflow.schedules import CosineSchedule, LinearSchedule, PolynomialSchedule

CONFORMS: list[CategoricalProcess] = [MaskedFlow(4), UniformFlow(4), PriorFlow((1.0, 1.0))]
TILTS: list[Tiltable] = [MaskedFlow(4), UniformFlow(4), PriorFlow((1.0, 1.0))]
CORRECTORS = [DivergenceFree(3.0), DivergenceFree(2.0, 1.5, 2.0), DetailedBalance(2.0)]
CORRECTORS += [Remasking(0.7), Remasking(1.0)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def path_law(process, t):
    """p_t(x | x_1) of one position by x_1 and x, ``(K, num_states)``."""
    K, S = process.num_classes, process.source.num_states
    states = torch.arange(S)
    noise = process.source.log_probability(states, torch.float64).exp()
    noise = noise.masked_fill(process.settled(states), 0)
    kappa = process.schedule.kappa(t)
    return kappa * torch.eye(K, S, dtype=torch.float64) + (1 - kappa) * noise


@pytest.mark.parametrize("corrector", [None, *CORRECTORS], ids=repr)
@pytest.mark.parametrize(
    "process", [MaskedFlow(4, CosineSchedule()), UniformFlow(4), PriorFlow((0.5, 0.3, 0.1, 0.1))]
)
@pytest.mark.parametrize(("s", "t"), [(0.0, 0.2), (0.3, 0.4), (0.1, 0.95), (0.5, 1.0), (0.0, 1.0)])
def test_the_kernel_carries_the_path_for_every_datum(process, corrector, s, t):
    """sum_z p_s(z | x_1) q(x | z, x_1) = p_t(x | x_1), to rounding, for a step of any size."""
    process = dataclasses.replace(process, corrector=corrector)
    s, t = torch.tensor([s], dtype=torch.float64), torch.tensor([t], dtype=torch.float64)
    before, after = path_law(process, s), path_law(process, t)
    states = torch.arange(process.source.num_states)[None]
    for token in range(process.num_classes):
        logits = torch.full((1, states.shape[1], 4), -1e3, dtype=torch.float64)
        logits[..., token] = 0
        q = process.log_kernel(states, logits, s, t - s)[0].exp()
        # Settled tokens other than x_1 have no weight before, so what they do does not count.
        torch.testing.assert_close(before[token] @ q, after[token], rtol=0, atol=1e-12)


def test_multiflow_noise_is_in_detailed_balance_with_the_path():
    """Rates of Campbell et al.: equal flows of noise back and forth; and ours are those rates."""
    K, eta, t, h = 4, 0.6, 0.4, 1e-6
    uniform = UniformFlow(K, corrector=DetailedBalance(K * eta))
    masked = MaskedFlow(K, corrector=DetailedBalance(eta))
    time, dt = (torch.tensor([value], dtype=torch.float64) for value in (t, h))
    for process, to_datum, to_noise in (
        (uniform, (1 + eta + eta * (K - 1) * t) / (1 - t), eta),
        (masked, (1 + eta * t) / (1 - t), eta),
    ):
        noise = K if process is masked else 1
        law = path_law(process, time)[0]
        # What is beyond the plain rate 1/(1 - t) balances, between datum 0 and one noise token.
        extra = to_datum - 1 / (1 - t)
        assert math.isclose(law[noise] * extra, law[0] * to_noise)
        states = torch.tensor([[0, noise]])
        logits = torch.tensor([0.0, -1e3, -1e3, -1e3], dtype=torch.float64).expand(1, 2, K)
        q = process.log_kernel(states, logits, time, dt)[0].exp()
        # First order in h: relative error about h times the rates, of order ten.
        assert math.isclose(q[1, 0] / h, to_datum, rel_tol=1e-4)
        assert math.isclose(q[0, noise] / h, to_noise, rel_tol=1e-4)


def test_the_quadrature_of_a_corrector_is_the_closed_form():
    s, t = torch.tensor(0.9, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    closed = t * (1 - torch.exp(-2.0 * (s - t)))  # a = b = 1
    torch.testing.assert_close(DivergenceFree(2.0).sigma(s, t, t), closed)


def naive_divergence(R, model, z):
    """sum_{y != z} R' - R + R log(R/R') by a loop."""
    return sum(
        model[y] - R[y] + (R[y] * math.log(R[y] / model[y]) if R[y] > 0 else 0)
        for y in range(len(R))
        if y != z
    )


@pytest.mark.parametrize("schedule", [LinearSchedule(), PolynomialSchedule(2.0)], ids=repr)
def test_divergences_are_those_of_the_rates(schedule):
    K, t = 5, 0.35
    p = torch.randn(K, generator=seeded(), dtype=torch.float64).softmax(-1)
    time = torch.tensor([t], dtype=torch.float64)
    kappa, slope = schedule.kappa(time).item(), schedule.derivative(time).item()
    one_hot = torch.eye(K, dtype=torch.float64)[2]
    for z in (2, 4):
        arguments = p.log()[None, None], torch.tensor([[2]]), torch.tensor([[z]]), time, schedule
        jump = slope / (1 - kappa)
        expected = naive_divergence((jump * one_hot).tolist(), (jump * p).tolist(), z)
        assert math.isclose(JumpRates()(*arguments).item(), expected, rel_tol=1e-10)
        noised = K * kappa * torch.eye(K, dtype=torch.float64) + 1 - kappa  # by x_1 and y
        rates = slope / (K * kappa) * noised / noised[:, [z]]
        expected = naive_divergence(rates[2].tolist(), (p @ rates).tolist(), z)
        assert math.isclose(ReversedNoising()(*arguments).item(), expected, rel_tol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("divergence", [JumpRates(), ReversedNoising()], ids=repr)
def test_divergences_are_finite_and_not_negative(divergence, dtype):
    x_1 = torch.randint(4, (3, 50), generator=seeded())
    x_t = torch.randint(4, (3, 50), generator=seeded(1))
    logits = 30 * torch.randn(3, 50, 4, generator=seeded(2), dtype=dtype).requires_grad_()
    each = divergence(
        logits, x_1, x_t, torch.tensor([0.0, 0.5, 1.0], dtype=dtype), LinearSchedule()
    )
    assert each.dtype == dtype
    assert each.isfinite().all()
    assert (each >= 0).all()
    (gradient,) = torch.autograd.grad(each.sum(), logits)
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("process", "tight"),
    [
        (MaskedFlow(4), True),
        (MaskedFlow(4, CosineSchedule()), True),
        (UniformFlow(4), True),
        (UniformFlow(4, CosineSchedule()), True),
        (UniformFlow(4, divergence=JumpRates()), False),
        (PriorFlow((0.5, 0.2, 0.2, 0.1)), False),
    ],
    ids=repr,
)
def test_the_bound_is_above_the_likelihood_and_tight_where_paths_are_markov(process, tight):
    """4000 sequences of 8 tokens, five standard errors."""
    pi = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    num = 4000
    x_1 = torch.multinomial(pi, num * 8, replacement=True, generator=seeded()).view(num, 8)
    t = (torch.arange(num, dtype=torch.float64) + 0.5) / num
    t = t[torch.randperm(num, generator=seeded(1))]
    x_t, _ = process.corrupt(x_1, t, generator=seeded(2))
    logits = process.evidence(x_t, t) + pi.log()
    exact = -pi.log()[x_1].sum(-1)
    gap = process.path_kl(logits, x_1, x_t, t) - exact
    error = 5 * gap.std() / num**0.5
    assert gap.mean() > -error
    assert not tight or gap.mean() < error
    # A predictor that takes the tokens for uniform is worse, seen on the same draws.
    worse = process.path_kl(process.evidence(x_t, t), x_1, x_t, t) - exact - gap
    assert worse.mean() > 3 * worse.std() / num**0.5


def test_losses():
    process, t = MaskedFlow(3), torch.tensor([0.5])
    logits = torch.tensor([[[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]])
    x_1, x_0 = torch.tensor([[1, 0]]), torch.tensor([[3, 3]])
    x_t, target = process.corrupt(x_1, torch.zeros(1), x_0)
    assert torch.equal(x_t, x_0)
    each = -logits.log_softmax(-1).gather(-1, x_1[..., None])[..., 0]
    torch.testing.assert_close(process.loss(logits, target, t), each.mean(-1))
    shown = target._replace(x_t=torch.tensor([[3, 0]]))
    torch.testing.assert_close(CrossEntropy()(process, logits, shown, t), each[:, 0] / 2)
    bound = PathDivergence()(process, logits, shown, t)
    torch.testing.assert_close(bound, each[:, 0] / 2 / (1 - t))


class Head:
    """A linear head that counts the rows it sees."""

    def __init__(self, width, num_classes):
        self.weight = torch.randn(width, num_classes, generator=seeded())
        self.rows = 0

    def __call__(self, hidden):
        self.rows += len(hidden)
        return hidden @ self.weight


@pytest.mark.parametrize("flow", [MaskedFlow, UniformFlow])
@pytest.mark.parametrize("num_classes", [7, 100])
def test_a_lazy_head_gives_the_same_samples_at_the_jumping_rows_only(flow, num_classes):
    process, num_steps, shape = flow(num_classes), 16, (3, 40)
    head, hidden = Head(5, num_classes), torch.randn(*shape, 5, generator=seeded(1))
    dense = Sampler(process, lambda x, t, c: hidden @ head.weight, time_grid(num_steps))
    lazy = Sampler(LazyHead(process, head), lambda x, t, c: hidden, time_grid(num_steps))
    assert torch.equal(dense.sample(shape, seed=3), lazy.sample(shape, seed=3))
    tokens = shape[0] * shape[1]
    # Masks jump once each; visible noise in each step with 1/(steps left), H_16 = 3.38 times.
    expected = tokens if flow is MaskedFlow else tokens * sum(1 / n for n in range(1, 17))
    assert abs(head.rows - expected) <= (0 if flow is MaskedFlow else 5 * expected**0.5)


def test_samples_do_not_depend_on_the_batch_size():
    process = UniformFlow(5, corrector=DivergenceFree(2.0))

    def predict(x, t, condition):
        return process.evidence(x, t) + torch.arange(5.0)

    samples = [
        Sampler(process, predict, time_grid(6), batch_size=size).sample((100, 9), seed=1)
        for size in (16, 64, 1000)
    ]
    assert torch.equal(samples[0], samples[1])
    assert torch.equal(samples[0], samples[2])


@pytest.mark.parametrize("num_classes", [3, 33, 1000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_are_drawn_from_their_own_law(num_classes, dtype):
    """Token frequencies of 20,000 draws from one row: five standard errors each."""
    logits = 2 * torch.randn(1, 2, num_classes, generator=seeded(), dtype=dtype)
    draws = draw_at(
        DenseLogits(logits), torch.ones(20_000, dtype=torch.int64), generator=seeded(1)
    )
    p = logits[0, 1].double().softmax(-1)
    frequency = torch.bincount(draws, minlength=num_classes) / len(draws)
    error = 5 * (p * (1 - p) / len(draws)).sqrt() + 5 / len(draws)
    assert ((frequency - p).abs() < error).all()


def test_tiny_probabilities_survive():
    """Of 2^17 tokens of 8e-7 each beside one of 0.9: float32 sums would lose or misplace them."""
    num = 2**17
    logits = torch.full((1, 1, num), math.log(0.1 / num))
    logits[..., 0] = math.log(0.9)
    draws = draw_at(DenseLogits(logits), torch.zeros(400, dtype=torch.int64), generator=seeded())
    rare = draws[draws > 0].double() / num
    assert 15 <= len(rare) <= 70  # 40 of 400, five standard errors of 6
    assert abs(rare.mean() - 0.5) < 5 * (1 / 12 / len(rare)) ** 0.5


def test_tokens_of_probability_zero_are_never_drawn():
    logits = torch.full((1, 1, 40), -math.inf)
    logits[..., [3, 30]] = 0.0
    for K in (32, 40):
        rows = DenseLogits(logits[..., :K])
        draws = draw_at(rows, torch.zeros(200, dtype=torch.int64), generator=seeded())
        assert set(draws.tolist()) == {3, 30}


class Unfinished(LinearSchedule):
    """It ends at 0.9."""

    def kappa(self, t):
        return 0.9 * t


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MaskedFlow(4, Unfinished()), "a schedule from 0 to 1, got .* from 0 to 0.9"),
        (lambda: UniformFlow(4, Unfinished()), "a schedule from 0 to 1"),
        (lambda: PriorFlow((0.5, 0.5), Unfinished()), "a schedule from 0 to 1"),
        (lambda: FisherFlow(4, Unfinished()), "a schedule from 0 to 1"),
        (lambda: MaskedFlow(1), "num_classes of at least 2, got 1"),
        (lambda: PriorFlow((0.5, 0.0)), "positive probabilities, got 0.0 for token 1"),
        (lambda: PriorFlow((0.5, math.inf)), "positive probabilities, got inf for token 1"),
        (lambda: PriorFlow((1.0,)), "num_classes of at least 2, got 1"),
        (lambda: DivergenceFree(1.0, 0.5), "strength >= 0, a >= 1 and b >= 1"),
        (lambda: DetailedBalance(-1.0), "eta of at least 0, got -1.0"),
        (lambda: Remasking(1.5), r"eta in \[0, 1\], got 1.5"),
    ],
)
def test_bad_parameters(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_input():
    t = torch.full((2,), 0.5)
    mask = torch.tensor([[0, 4], [1, 2]])
    with pytest.raises(ValueError, match=r"clean tokens in 0..3, got 4, which is the mask"):
        MaskedFlow(4).corrupt(mask, t)
    with pytest.raises(ValueError, match=r"clean tokens in 0..3, got -1"):
        UniformFlow(4).corrupt(mask - 1, t)
    with pytest.raises(ValueError, match=r"noise tokens of shape \(2, 2\), got \(2, 1\)"):
        UniformFlow(5).corrupt(mask, t, mask[:, :1])
    with pytest.raises(ValueError, match=r"logits of shape \(2, 2, 4\), got \(2, 2, 5\)"):
        MaskedFlow(4).step(mask, torch.zeros(2, 2, 5), t, t)
    lazy = LazyLogits(torch.zeros(2, 3, 8), torch.nn.Identity(), 4)
    with pytest.raises(ValueError, match=r"logits of shape \(2, 2, 4\), got \(2, 3, 4\)"):
        MaskedFlow(4).step(mask, lazy, t, t)
