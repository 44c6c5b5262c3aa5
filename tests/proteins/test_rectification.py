"""Rectification from end to end on small models: what it leaves, goes on from and refuses."""

import csv
from itertools import islice

import pytest
import torch
from safetensors.torch import load_file
from torch.utils.data import IterableDataset

from proteins.backbone import Backbone
from proteins.buckets import ChainStream
from proteins.chain_builder import build_backbone, ideal_coordinates
from proteins.couplings import StoredNoise
from proteins.datasets import gather_chains, save_chains
from proteins.flow import ROTATION, TRANSLATION, BackboneFlow
from proteins.losses import BackboneLoss
from proteins.models import GeneratorSpec, build_generator, load_generator, save_generator
from proteins.objective import BackboneMatching, pair_batch
from proteins.pairs import NOISE_ROTATION, NOISE_TRANSLATION, Pairs, load_pairs
from proteins.plausibility import GATE
from proteins.rectification import split_pairs
from proteins.settings import FlowSettings
from proteins.stream_training import MixedStream
from proteins.trunk_settings import PairBiasSettings
from seqflow.cli import main
from seqflow.training import seeded

SIZE = {"channels": 16, "layers": 1, "heads": 2, "points": 2, "pair_channels": 8}
ANYTHING = "{" + ", ".join(f"{part.name}: [null, null]" for part in GATE) + "}"
CONFIG = f"""\
model: BASE
pairs: {{num: 30, steps: 2, batch_size: 16}}
filter: {{limits: {ANYTHING}}}
training: {{steps: 4, batch_size: 8, warmup: 1, validate_every: 2}}
out: OUT
"""


def helix(length, seed):
    angles = torch.tensor([-60.0, -45.0])[:, None] + 10 * torch.randn(
        2, length, generator=torch.Generator().manual_seed(seed)
    )
    return Backbone.from_coordinates(
        build_backbone(ideal_coordinates(*angles.deg2rad())), name=f"helix{seed}"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An untrained base, a configuration and some real chains."""
    folder = tmp_path_factory.mktemp("rectify")
    with seeded(0):
        spec = GeneratorSpec(length="8-12", flow=FlowSettings(), network=PairBiasSettings(**SIZE))
        generator = build_generator(spec)
        for weight in generator.network.parameters():
            weight.data += 0.05 * torch.randn_like(weight)
    save_generator(folder / "base", generator)
    text = CONFIG.replace("BASE", str(folder / "base")).replace("OUT", str(folder / "rectified"))
    (folder / "rectified.yaml").write_text(text)
    chains = gather_chains([helix(10, i) for i in range(8)], [str(i) for i in range(8)])
    save_chains(folder / "chains.safetensors", chains)
    return folder


def command(folder, *words):
    config = str(folder / "rectified.yaml")
    return main(["proteins", "rectify", config, *words, "--device", "cpu"])


@pytest.fixture(scope="module")
def rectified(folder):
    assert command(folder) == 0
    return folder / "rectified"


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_step_leaves_its_result(rectified, folder):
    pairs = load_pairs(rectified / "pairs.safetensors")
    assert len(pairs) == 32
    assert pairs.origin["steps"] == 2
    rows = table(rectified / "pairs.csv")
    assert [int(row["length"]) for row in rows] == pairs.lengths.tolist()
    assert all(row["kept"] == "1" for row in rows)
    model, base = (load_generator(str(rectified)), load_generator(str(folder / "base")))
    assert model.spec.network == base.spec.network
    assert model.spec.length == "8-12"
    assert (base.spec.steps, model.spec.steps) == (50, 10)
    assert model.spec.provenance["pairs"]["kept"] == 32
    # It began with the weights of the base and went on.
    pieces = zip(model.network.parameters(), base.network.parameters(), strict=True)
    moved = max((a - b).detach().abs().max().item() for a, b in pieces)
    assert 0 < moved < 0.05  # four steps of Adam at a rate of at most 1e-3


def test_the_new_model_samples(rectified, folder):
    out = folder / "samples"
    words = ["--model", str(rectified), "--num", "2", "--steps", "2", "--out", str(out)]
    assert main(["proteins", "sample", *words, "--device", "cpu"]) == 0
    assert len(table(out / "metrics.csv")) == 2


def test_steps_can_be_done_one_by_one(folder, capsys):
    out = folder / "one_by_one"
    words = [f"out={out}", "--num", "10", "--length", "9", "--seed", "3"]
    assert command(folder, *words, "--until", "pairs") == 0
    assert "16 pairs in" in capsys.readouterr().err
    pairs = load_pairs(out / "pairs.safetensors")
    assert pairs.lengths.unique().tolist() == [9]
    assert pairs.origin["seed"] == 3
    assert not (out / "pairs.csv").exists()
    assert command(folder, "filter.limits={}", *words, "--until", "filter") == 0
    assert "kept 0 of 16 pairs (0.0%); outside the limits: " in capsys.readouterr().err
    assert not (out / "config.yaml").exists()
    assert load_pairs(out / "pairs.safetensors").rows[ROTATION].equal(pairs.rows[ROTATION])


def test_training_goes_on_from_its_state(rectified, folder, capsys):
    before = load_file(rectified / "model.safetensors")
    assert command(folder, "training.steps=4") == 0
    after = load_file(rectified / "model.safetensors")
    assert all(after[name].equal(x) for name, x in before.items())
    capsys.readouterr()
    for word, message in (
        ("loss.links=2", "the training state was made with loss"),
        ("pairs.num=40", "the training state was made with kept 32, not 48"),
    ):
        assert command(folder, word) == 2
        assert message in capsys.readouterr().err


def test_pairs_may_be_shared_and_real_chains_mixed_in(rectified, folder):
    words = [f"pairs.path={rectified / 'pairs.safetensors'}", "mixture.share=0.5"]
    words += [f"mixture.path={folder / 'chains.safetensors'}", f"out={folder / 'mixed'}"]
    words += ["sampling.rotation.kind=linear", "pairs.num=30"]
    assert command(folder, *words) == 0
    assert not (folder / "mixed" / "pairs.safetensors").exists()
    spec = load_generator(str(folder / "mixed")).spec
    assert spec.provenance["mixture"] == 0.5
    assert spec.flow.sampling.rotation.kind == "linear"
    mixed, plain = (load_file(folder / name / "model.safetensors") for name in ("mixed", "base"))
    assert any(not mixed[name].equal(plain[name]) for name in plain)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["filter.limits={}"], "expected at least 2 plausible pairs to train on, got 0"),
        (["filter.limits={magic: [0, 1]}"], "no component magic; there are complete"),
        (["mixture.share=0.5"], "needs the path of their file"),
        (["--num", "0"], "pairs.num"),
        (["--length", "a"], "expected a length such as"),
        (["--length", "9999"], "at most 1024 residues"),
        (["--steps", "3"], "pairs made with steps 2, not 3"),
        (["model=nowhere"], "no model 'nowhere'"),
        (["--until", "never"], "--until"),
    ],
)
def test_bad_input_is_told_in_one_line(rectified, folder, capsys, words, message):
    assert command(folder, f"pairs.path={rectified / 'pairs.safetensors'}", *words) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


def some_pairs(lengths):
    generator = torch.Generator().manual_seed(0)
    process = BackboneFlow().training_process(torch.ones(1, dtype=torch.bool))
    groups = []
    for length in lengths:
        rotation = process.parts[ROTATION].process
        q = [rotation.sample_prior((1, length, 4), generator=generator) for _ in range(2)]
        x = torch.randn(2, 1, length, 3, generator=generator)
        names = (NOISE_ROTATION, ROTATION, NOISE_TRANSLATION, TRANSLATION)
        groups.append(dict(zip(names, (*q, *x), strict=True)))
    return Pairs.empty({}).joined(groups)


def test_the_loss_is_that_of_the_path_between_the_two_ends():
    """The network is shown x_t of its pair, whatever else is in the batch or the padding."""
    pairs, shown = some_pairs([7, 4]), []
    batch = pair_batch(pairs, torch.tensor([0, 1]), 7)

    def network(x_t, t, condition):
        shown.append((x_t, t))
        return {**x_t, ROTATION: x_t[ROTATION]}

    objective = BackboneMatching(
        BackboneFlow(), BackboneLoss(), self_condition=0.0, coupling=StoredNoise()
    )
    loss = objective(network, batch, torch.Generator().manual_seed(0))
    ((x_t, t),) = shown
    assert loss.isfinite().all()
    for i, length in enumerate((7, 4)):
        own = pairs.select(torch.tensor([i])).rows
        expected = own[NOISE_TRANSLATION] + t[i] * (own[TRANSLATION] - own[NOISE_TRANSLATION])
        torch.testing.assert_close(x_t[TRANSLATION][i, :length], expected)
    # Frames in the padding are turns, and no bond leads there.
    assert (batch[ROTATION].norm(dim=-1) - 1).abs().max() < 1e-5
    assert batch["linked"].sum(-1).tolist() == [6, 3]


def test_real_chains_draw_their_noise():
    process = BackboneFlow().training_process(torch.ones(3, dtype=torch.bool))
    assert StoredNoise()(process, {"mask": torch.ones(1, 3)}, torch.Generator()) is None


class Numbers(IterableDataset):
    def __init__(self, name, start):
        self.name, self.start = name, start

    def __iter__(self):
        n = self.start
        while True:
            yield self.name, n
            n += 1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 1 / 3, 0.9])
def test_a_mixture_has_its_share_and_goes_on_anywhere(share):
    def stream(start):
        return MixedStream(lambda n: Numbers("a", n), lambda n: Numbers("b", n), share, start)

    whole = list(islice(stream(0), 60))
    names = [name for name, _ in whole]
    assert names.count("b") == int(60 * share)
    for name in "ab":  # each stream in order, none left out
        numbers = [n for own, n in whole if own == name]
        assert numbers == list(range(len(numbers)))
    for start in (1, 7, 31):
        assert list(islice(stream(start), 20)) == whole[start : start + 20]


def test_pairs_stream_like_chains():
    pairs = some_pairs([9, 9, 8, 4, 4, 4])
    stream = ChainStream(pairs, 2, seed=0, pad=pair_batch)
    lengths = []
    for batch in islice(stream, stream.batches_per_epoch):
        lengths += batch["mask"].sum(-1).tolist()
        assert NOISE_TRANSLATION in batch
    assert sorted(lengths) == sorted(pairs.lengths.tolist())


def test_a_split_of_pairs_loses_none():
    pairs = some_pairs([3, 4, 5, 6, 7])
    train, held_out = split_pairs(pairs, 0.05, seed=0)
    assert len(held_out) == 1
    both = train.lengths.tolist() + held_out.lengths.tolist()
    assert sorted(both) == [3, 4, 5, 6, 7]
    with pytest.raises(ValueError, match="at least 2 plausible pairs to train on, got 1"):
        split_pairs(pairs.select(torch.tensor([0])), 0.05, seed=0)
