"""Training: exact resume, reproducible batches, averages, states on disk without pickle."""

import json
import os
import signal
from dataclasses import replace

import pytest
import torch
from pytorch_lightning.callbacks import Callback
from safetensors import safe_open

from seqflow.batches import BatchStream
from seqflow.dirichlet import DirichletFlow
from seqflow.discrete import MaskedFlow
from seqflow.networks import ConvolutionalClassifier, Transformer
from seqflow.objectives import (
    Classification,
    FlowMatching,
    NoisyClassification,
    hide_labels,
    stratified_times,
)
from seqflow.plots import plot_training, read_curves
from seqflow.resume import SafetensorsIO, flatten, unflatten
from seqflow.token_denoiser import TokenDenoiser
from seqflow.training import TrainingModule, TrainingSettings, fit, seeded

X = torch.randint(0, 4, (90, 12), generator=torch.Generator().manual_seed(0))
DATA = {"x_1": X, "label": (X[:, 3] > 1).long()}
SETTINGS = TrainingSettings(steps=24, batch_size=16, checkpoint_every=8, validate_every=8)


class Interrupt(Callback):
    """Stops a run as a person would, after some steps."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            trainer.should_stop = True


def module(settings=SETTINGS):
    with seeded(0):
        # Dropout on: its draws too must be the same after a resume.
        model = ConvolutionalClassifier(
            4, 2, channels=8, dilations=(1,), max_length=12, embedding_size=4, dropout=0.5
        )
    return TrainingModule(model, Classification(4), DATA, DATA, settings)


def test_interrupted_training_equals_uninterrupted(tmp_path):
    whole = fit(module(), tmp_path / "whole", progress=False)
    # Stopped at 19, it goes on from the state saved at 16 and repeats three steps.
    fit(module(), tmp_path / "parts", progress=False, callbacks=[Interrupt(19)])
    parts = fit(module(), tmp_path / "parts", progress=False)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, parts.state_dict()[name]), name


def transformer(settings):
    with seeded(0):
        network = Transformer(4, 4, width=8, num_layers=1, num_heads=1)
    process = MaskedFlow(4)
    model = TokenDenoiser(process, network)
    return TrainingModule(model, FlowMatching(process), {"x_1": X}, None, settings)


def test_interrupted_training_with_muon_equals_uninterrupted(tmp_path):
    settings = replace(SETTINGS, muon_learning_rate=1e-2, precision="bf16-mixed")
    whole = fit(transformer(settings), tmp_path / "whole", progress=False)
    fit(transformer(settings), tmp_path / "parts", progress=False, callbacks=[Interrupt(19)])
    parts = fit(transformer(settings), tmp_path / "parts", progress=False)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, parts.state_dict()[name]), name


def test_muon_asks_for_hidden_matrices():
    with pytest.raises(ValueError, match=r"no matrices for Muon.*training\.muon_learning_rate"):
        module(replace(SETTINGS, muon_learning_rate=1e-2))


def test_a_state_of_before_a_setting_existed_leaves_it_out(tmp_path):
    def told(**training):
        made = module(replace(SETTINGS, steps=2))
        made.identity = {"training": {"warmup": 100} | training, "kind": "test"}
        return made

    fit(told(), tmp_path, progress=False)
    fit(told(added_later=None), tmp_path, progress=False)
    with pytest.raises(ValueError, match="made with training"):
        fit(told(added_later=1.0), tmp_path, progress=False)


def test_training_learns_and_leaves_curves(tmp_path):
    settings = TrainingSettings(steps=150, batch_size=32, learning_rate=1e-2, validate_every=50)
    model = fit(module(settings), tmp_path, progress=False)
    assert not model.training
    features = torch.nn.functional.one_hot(X, 4).float()
    accuracy = (model(features).argmax(-1) == DATA["label"]).double().mean()
    # The label is one base of a fixed position; chance is 0.5 with deviation 0.05.
    assert accuracy > 0.8
    curves = read_curves(tmp_path / "logs")
    assert set(curves) == {"train_loss", "validation_loss"}
    plot_training(tmp_path / "logs", tmp_path / "training.png")
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")


def test_state_on_disk_is_plain_json_and_tensors(tmp_path):
    fit(module(), tmp_path, progress=False)
    with safe_open(tmp_path / "training_state.safetensors", framework="pt") as file:
        assert "global_step" in json.dumps(json.loads(file.metadata()["structure"]))


def test_damaged_state_is_named(tmp_path):
    (tmp_path / "training_state.safetensors").write_bytes(b"rubbish")
    with pytest.raises(ValueError, match=r"expected a training state in .* delete it"):
        fit(module(), tmp_path, progress=False)


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "x"], 3: (torch.ones(2), {"b": torch.tensor(1)})},
        [],
        {},
        torch.zeros(0),
    ],
)
def test_flatten_round_trip(value, tmp_path):
    checkpoint = {"value": value}
    SafetensorsIO().save_checkpoint(checkpoint, tmp_path / "state")
    back = SafetensorsIO().load_checkpoint(tmp_path / "state")
    assert str(back) == str(checkpoint)
    tensors = []
    assert str(unflatten(flatten(value, tensors), tensors)) == str(value)


def test_objects_are_refused_in_states():
    with pytest.raises(ValueError, match=r"expected plain values and tensors"):
        flatten({"a": object()}, [])


class TestBatches:
    def take(self, number, **options):
        stream = iter(BatchStream(DATA, **({"batch_size": 16, "seed": 3} | options)))
        return [next(stream)["x_1"] for _ in range(number)]

    def test_any_start_gives_the_same_batches(self):
        late = self.take(4, start=7)
        for a, b in zip(self.take(11)[7:], late, strict=True):
            assert torch.equal(a, b)

    def test_an_epoch_shows_every_row_once(self):
        rows = torch.cat(self.take(6, batch_size=15))
        assert torch.equal(rows.unique(dim=0), X.unique(dim=0))
        assert len(rows) == len(X)

    def test_epochs_and_seeds_differ(self):
        assert not torch.equal(self.take(7)[0], self.take(7)[5])
        assert not torch.equal(self.take(1)[0], self.take(1, seed=4)[0])

    def test_small_data_make_small_batches(self):
        assert self.take(1, batch_size=1000)[0].shape == X.shape

    def test_no_data(self):
        with pytest.raises(ValueError, match=r"expected training data, got none"):
            BatchStream({"x_1": X[:0]}, 4, 0)

    def test_augmentation_is_reproducible(self):
        def flip(batch, generator):
            return {
                "x_1": batch["x_1"].flip(1)
                if torch.rand(1, generator=generator) < 0.5
                else batch["x_1"]
            }

        for a, b in zip(
            self.take(8, augment=flip)[5:], self.take(3, augment=flip, start=5), strict=True
        ):
            assert torch.equal(a, b)


class Record(Callback):
    """Keeps the weights after every step."""

    def __init__(self):
        self.weights = []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.weights.append([p.detach().clone() for p in pl_module.model.parameters()])


def test_average_follows_the_formula(tmp_path):
    settings = TrainingSettings(steps=5, batch_size=16, learning_rate=0.1, warmup=1)
    trained, record = module(settings), Record()
    fit(trained, tmp_path, progress=False, callbacks=[record])
    expected = record.weights[0]  # the first update copies
    for n, weights in enumerate(record.weights[1:], 1):
        decay = (1 + n) / (10 + n)  # below settings.ema_decay
        expected = [decay * a + (1 - decay) * w for a, w in zip(expected, weights, strict=True)]
    assert not torch.equal(expected[0], record.weights[-1][0])
    for a, b in zip(trained.averaged.module.parameters(), expected, strict=True):
        # Four averages in float32.
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_signals_interrupt_training(kind, tmp_path):
    class Send(Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 10:
                os.kill(os.getpid(), kind)

    # A shell starts its background jobs deaf to Ctrl-C; these tests may run in one.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(module(), tmp_path, progress=False, callbacks=[Send()])
    finally:
        signal.signal(signal.SIGINT, before)
    whole = fit(module(), tmp_path / "whole", progress=False)
    continued = fit(module(), tmp_path, progress=False)
    for a, b in zip(whole.parameters(), continued.parameters(), strict=True):
        assert torch.equal(a, b)


class TestObjectives:
    def test_stratified_times_fall_into_every_stratum(self):
        t = stratified_times(50, torch.Generator().manual_seed(0))
        assert ((t * 50).floor().sort().values == torch.arange(50)).all()
        assert stratified_times(0, torch.Generator()).shape == (0,)

    @pytest.mark.parametrize(("probability", "hidden"), [(0.0, 0), (1.0, 1000)])
    def test_labels_are_hidden_at_the_ends(self, probability, hidden):
        label = torch.ones(1000, dtype=torch.long)
        shown = hide_labels(label, probability, torch.Generator().manual_seed(0))
        assert (shown < 0).sum() == hidden

    def test_labels_are_hidden_at_the_rate(self):
        shown = hide_labels(torch.ones(10_000).long(), 0.3, torch.Generator().manual_seed(0))
        # Five standard deviations of a binomial share.
        assert abs((shown < 0).double().mean() - 0.3) < 5 * (0.3 * 0.7 / 10_000) ** 0.5

    def test_losses_are_per_example_and_from_the_generator(self):
        process = DirichletFlow(4)

        def model(x_t, t, condition=None):
            return x_t.mean(1) if condition is None else x_t

        for objective in (FlowMatching(process, 0.1), NoisyClassification(process)):
            a, b = (objective(model, DATA, torch.Generator().manual_seed(1)) for _ in range(2))
            assert a.shape == (len(X),)
            assert torch.equal(a, b)
