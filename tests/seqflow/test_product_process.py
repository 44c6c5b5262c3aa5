"""A product does what its parts do, each by itself."""

import pytest
import torch

from geometry import SO3, Euclidean, FlatTorus
from seqflow.discrete import MaskedFlow
from seqflow.product_process import Memory, Part, ProductProcess
from seqflow.riemannian import EndpointFlow, VelocityFlow
from seqflow.sampling import Sampler, time_grid
from seqflow.schedules import CosineSchedule

ROTATION = EndpointFlow(SO3(), schedule=CosineSchedule())
TRANSLATION = EndpointFlow(Euclidean(3))
ANGLE = VelocityFlow(FlatTorus(2))
PROCESS = ProductProcess(
    translation=Part(TRANSLATION, (3,)),
    rotation=Part(ROTATION, (4,), weight=0.5),
    angles=Part(ANGLE, (2,), weight=0.0),
    kind=Part(MaskedFlow(20), (), weight=2.0),
)
SHAPE = (2, 7)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def data():
    x_1 = PROCESS.sample_prior(SHAPE, generator=seeded(1))
    return x_1 | {"kind": torch.randint(20, SHAPE, generator=seeded(2))}


def test_draws_are_those_of_the_parts_one_after_the_other():
    x_0 = PROCESS.sample_prior(SHAPE, generator=seeded(), dtype=torch.float64)
    generator = seeded()
    for name, part in PROCESS.parts.items():
        alone = part.process.sample_prior(
            (*SHAPE, *part.shape), generator=generator, dtype=torch.float64
        )
        assert x_0[name].equal(alone)


def test_corruption_loss_and_step_are_those_of_the_parts():
    t, dt = torch.tensor([0.2, 0.7]), torch.tensor([0.1, 0.3])
    x_1 = data()
    x_t, target = PROCESS.corrupt(x_1, t, generator=seeded())
    guess, _ = PROCESS.corrupt(x_1, t, generator=seeded(3))
    guess["kind"] = torch.randn(*SHAPE, 20, generator=seeded(4))
    losses = PROCESS.losses(guess, target, t)
    total = sum(PROCESS.parts[name].weight * value for name, value in losses.items())
    torch.testing.assert_close(PROCESS.loss(guess, target, t), total)
    moved = PROCESS.step(x_t, guess, t, dt, generator=seeded(5))
    generators = seeded(0), seeded(5)
    for name, part in PROCESS.parts.items():
        alone, aim = part.process.corrupt(x_1[name], t, generator=generators[0])
        assert x_t[name].equal(alone)
        assert losses[name].equal(part.process.loss(guess[name], aim, t))
        after = part.process.step(alone, guess[name], t, dt, generator=generators[1])
        assert moved[name].equal(after)
    assert PROCESS.decode(x_1)["kind"].equal(x_1["kind"])


def test_noise_of_a_coupling_reaches_every_part():
    x_1, x_0 = data(), PROCESS.sample_prior(SHAPE, generator=seeded(6))
    x_t, _ = PROCESS.corrupt(x_1, torch.zeros(2), x_0, generator=seeded())
    assert x_t["translation"].equal(x_0["translation"])
    torch.testing.assert_close(x_t["rotation"], x_0["rotation"])


def test_the_loop_asks_nothing_of_a_product():
    """And a memory shows a pure function what it said last."""
    process = ProductProcess(
        translation=Part(TRANSLATION, (3,)), steps=Part(Memory(), (1,)), seen=Part(Memory(), (1,))
    )
    calls = []

    def predictor(x_t, t, condition=None):
        calls.append(len(t))
        count = x_t["steps"] + 1
        return {"translation": 0 * x_t["translation"], "steps": count, "seen": x_t["steps"]}

    sampler = Sampler(process, predictor, time_grid(4), batch_size=3)
    x_1 = sampler.sample((5, 6))
    assert calls == [3, 2] * 4
    assert x_1["steps"].equal(torch.full((5, 6, 1), 4.0))
    assert x_1["seen"].equal(torch.full((5, 6, 1), 3.0))
    assert x_1["translation"].equal(torch.zeros(5, 6, 3))


def test_memory_has_no_loss_and_changes_nothing():
    x, t = torch.randn(2, 3, generator=seeded()), torch.tensor([0.1, 0.9])
    assert Memory().sample_prior((2, 3), dtype=torch.float64).equal(torch.zeros(2, 3).double())
    assert Memory().corrupt(x, t)[0] is x
    assert Memory().loss(x, 0 * x, t).equal(torch.zeros(2))
    assert Memory().decode(x) is x


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="at least one part"):
        ProductProcess()
    with pytest.raises(ValueError, match=r"expected the parts .* but rotation, angles, kind is"):
        PROCESS.corrupt({"translation": torch.zeros(1, 2, 3)}, torch.zeros(1))
    assert "weight=0.5" in repr(PROCESS)
