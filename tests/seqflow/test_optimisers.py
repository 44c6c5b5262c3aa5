"""Optimisers: Muon for hidden matrices beside AdamW, as one."""

import copy

import pytest
import torch
from torch import nn

from geometry import Sphere
from seqflow.networks import MLP, Transformer
from seqflow.optimisers import Together, build_optimiser, hidden_matrices


class Layer(nn.Linear):
    def hidden_matrices(self):
        return [self.weight]


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), Layer(8, 8), nn.Linear(8, 2))


def loss_of(network):
    x = torch.linspace(-1, 1, 60).view(10, 6)
    return (network(x) - x[:, :2].sin()).square().mean()


def train(network, optimiser, steps):
    for _ in range(steps):
        optimiser.zero_grad()
        loss_of(network).backward()
        optimiser.step()


def test_a_hidden_matrix_moves_by_an_orthogonal_one():
    network, rate = model(), 1e-2
    before = network[1].weight.detach().clone()
    train(network, build_optimiser(network, 1e-3, 0.0, rate), 1)
    lengths = torch.linalg.svdvals(network[1].weight.detach() - before) / (0.2 * rate * 8**0.5)
    # Five steps of the iteration leave strong directions between 0.68 and 1.13 (Jordan et al.);
    # ten rows of data of smooth functions make at least two directions strong.
    assert 0.6 < lengths[1] <= lengths[0] < 1.25


def test_other_weights_move_as_by_adamw_alone():
    one, two = model(), model()
    train(one, build_optimiser(one, 1e-3, 0.01, 1e-2), 1)
    train(two, build_optimiser(two, 1e-3, 0.01), 1)
    for name, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[name]) == (name != "1.weight"), name


def test_a_schedule_reaches_all():
    network = model()
    optimiser = build_optimiser(network, 1e-3, 0.0, 1e-2)
    torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 0.0)
    before = [each.detach().clone() for each in network.parameters()]
    train(network, optimiser, 2)
    assert all(map(torch.equal, before, network.parameters()))


def test_state_is_kept_whole():
    whole, parts = model(), model()
    train(whole, build_optimiser(whole, 1e-3, 0.01, 1e-2), 6)
    first = build_optimiser(parts, 1e-3, 0.01, 1e-2)
    train(parts, first, 3)
    assert len(first.state_dict()["state"]) == len(list(parts.parameters()))
    second = build_optimiser(parts, 5.0, 0.5, 5.0)  # rates come with the state
    second.load_state_dict(first.state_dict())
    train(parts, second, 3)
    assert all(map(torch.equal, whole.parameters(), parts.parameters()))


def test_a_closure_computes_the_loss():
    network = model()
    optimiser = build_optimiser(network, 1e-3, 0.0, 1e-2)
    assert isinstance(optimiser, Together)

    def closure():
        optimiser.zero_grad()
        loss = loss_of(network)
        loss.backward()
        return loss

    first = optimiser.step(closure)
    for _ in range(20):
        last = optimiser.step(closure)
    assert last < first


def test_copies_go_on_by_themselves():
    network = model()
    optimiser = build_optimiser(network, 1e-3, 0.0, 1e-2)
    train(network, optimiser, 2)
    other, copied = copy.deepcopy((network, optimiser))
    train(other, copied, 2)
    assert not torch.equal(other[1].weight, network[1].weight)
    train(network, optimiser, 2)
    assert all(map(torch.equal, network.parameters(), other.parameters()))


def test_weights_that_come_late_are_refused():
    optimiser = build_optimiser(model(), 1e-3, 0.0, 1e-2)
    with pytest.raises(ValueError, match="make the optimisers anew"):
        optimiser.add_param_group({"params": [torch.zeros(2, requires_grad=True)]})


def test_a_matrix_named_twice_is_trained_once():
    class Twice(nn.Sequential):
        def hidden_matrices(self):
            return [self[0].weight]

    network = Twice(Layer(3, 3, bias=False))
    assert len(hidden_matrices(network)) == 1
    assert isinstance(build_optimiser(network, 1e-3, 0.0, 1e-2), torch.optim.Muon)  # no others


def test_networks_name_their_matrices():
    transformer = Transformer(3, 5, width=8, num_layers=2, num_heads=1)
    perceptron = MLP(Sphere(2), width=8, depth=3)
    assert len(hidden_matrices(transformer)) == 2 * 4
    assert len(hidden_matrices(perceptron)) == 3 * 2
    for network in (transformer, perceptron):
        assert all(each.ndim == 2 and min(each.shape) >= 8 for each in hidden_matrices(network))


def test_a_model_without_hidden_matrices_is_refused():
    with pytest.raises(ValueError, match=r"no matrices for Muon.*leave out training"):
        build_optimiser(nn.Linear(2, 2), 1e-3, 0.0, 1e-2)
