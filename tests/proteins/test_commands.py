"""Train, sample and evaluate from end to end on small data, and what they say to bad input."""

import csv

import pytest
import torch
from pytorch_lightning.callbacks import Callback
from safetensors.torch import load_file

from proteins.backbone import Backbone
from proteins.chain_builder import build_backbone, ideal_coordinates
from proteins.datasets import gather_chains, load_chains, save_chains
from proteins.evaluation import bonded, measure_backbone, read_backbones, summarise
from proteins.flow import BackboneFlow
from proteins.generation import draw_lengths, generate
from proteins.graphs import padded
from proteins.lengths import LengthRange
from proteins.losses import BackboneLoss
from proteins.models import GeneratorSpec, build_generator, load_generator
from proteins.objective import BackboneMatching, frame_batch
from proteins.settings import GeneratorSettings
from proteins.stream_training import StreamTraining, padded_batches
from proteins.training import chain_stream, frame_chains, read_parts
from seqflow.cli import main
from seqflow.settings import load_settings
from seqflow.training import fit, seeded

CONFIG = """\
data: {path: CHAINS, length: 10-20, validation: 0.2, test: 0.2}
network: {channels: 16, layers: 1, heads: 2, points: 2, pair_channels: 8}
training: {steps: 4, batch_size: 4, warmup: 1, validate_every: 2}
out: OUT
"""


def chain(length, seed, name):
    generator = torch.Generator().manual_seed(seed)
    angles = torch.tensor([-60.0, -45.0])[:, None] + 10 * torch.randn(
        2, length, generator=generator
    )
    atoms = build_backbone(ideal_coordinates(*angles.deg2rad()))
    return Backbone.from_coordinates(atoms, name=name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty bent helices, two in a cluster."""
    folder = tmp_path_factory.mktemp("proteins")
    chains = [chain(10 + i % 11, i, f"helix{i}") for i in range(20)]
    clusters = [str(i // 2) for i in range(20)]
    save_chains(folder / "chains.safetensors", gather_chains(chains, clusters))
    text = CONFIG.replace("CHAINS", str(folder / "chains.safetensors"))
    (folder / "base.yaml").write_text(text.replace("OUT", str(folder / "base")))
    return folder


@pytest.fixture(scope="module")
def model(folder):
    assert main(["proteins", "train", str(folder / "base.yaml"), "--device", "cpu"]) == 0
    return str(folder / "base")


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_training_leaves_a_model_its_curves_and_the_parts(folder, model):
    out = folder / "base"
    assert (out / "training.png").stat().st_size > 0
    parts = [load_chains(out / "parts" / f"{n}.safetensors") for n in ("train", "validation")]
    parts.append(load_chains(out / "parts" / "test.safetensors"))
    assert sum(map(len, parts)) == 20
    clusters = [set(part.clusters) for part in parts]
    assert not clusters[0] & clusters[1]
    assert not clusters[0] & clusters[2]
    spec = load_generator(model).spec
    assert spec.length == "10-20"
    assert spec.provenance["chains"] == len(parts[0])


class StopAt(Callback):
    """Stops a training as an interruption would, with its state saved."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *rest):
        trainer.should_stop = trainer.global_step >= self.step


def test_going_on_equals_never_having_stopped(folder, tmp_path):
    settings = load_settings(GeneratorSettings, folder / "base.yaml")
    spec = GeneratorSpec(length="10-20", flow=settings.flow, network=settings.network)
    parts = read_parts(settings.data)

    def train(out, callbacks=()):
        with seeded(0):
            generator = build_generator(spec)
        objective = BackboneMatching(generator.flow, BackboneLoss())
        stream = chain_stream(parts.train, settings.training)
        validation = padded_batches(parts.validation, 4, frame_chains)
        module = StreamTraining(
            generator.network, objective, stream, validation, settings.training, {}
        )
        fit(module, tmp_path / out, device="cpu", progress=False, callbacks=list(callbacks))
        return module.averaged.module.state_dict()

    train("halves", [StopAt(2)])
    torch.testing.assert_close(train("halves"), train("whole"), rtol=0, atol=0)


def test_another_loss_is_another_training(folder, model, capsys):
    assert main(["proteins", "train", str(folder / "base.yaml"), "loss.links=2"]) == 2
    assert "the training state was made with loss" in capsys.readouterr().err


@pytest.mark.parametrize("coupling", ["align", "optimal-transport"])
def test_noise_can_be_coupled_to_the_chains(folder, model, capsys, coupling):
    out = folder / coupling
    command = ["proteins", "train", str(folder / "base.yaml"), f"coupling={coupling}"]
    assert main([*command, f"out={out}", "--device", "cpu"]) == 0
    assert load_generator(str(out)).spec.provenance["coupling"] == coupling
    a, b = (load_file(f / "model.safetensors") for f in (out, folder / "base"))
    assert any(not a[name].equal(b[name]) for name in a)
    # Another way of training is another training.
    assert main([*command, f"out={model}"]) == 2
    assert f"was made with coupling None, not '{coupling}'" in capsys.readouterr().err


def test_samples_are_written_with_their_table_and_pictures(folder, model, capsys):
    out = folder / "samples"
    command = ["proteins", "sample", "--model", model, "--length", "10-14", "--num", "3"]
    command += ["--steps", "3", "--device", "cpu"]
    assert main([*command, "--out", str(out)]) == 0
    assert "| plausible |" in capsys.readouterr().out
    table = rows(out / "metrics.csv")
    assert [row["name"] for row in table] == ["sample-0-0", "sample-0-1", "sample-0-2"]
    assert [int(row["length"]) for row in table] == draw_lengths(LengthRange(10, 14), 3, 0)
    for name in ("ramachandran.png", "distance_maps.png", "backbones.html"):
        assert (out / name).stat().st_size > 0
    again = folder / "again"
    assert main([*command, "--batch-size", "1", "--format", "cif", "--out", str(again)]) == 0
    for row in table:
        a, b = (
            read_backbones([f])[0][0]
            for f in (out / f"{row['name']}.pdb", again / f"{row['name']}.cif")
        )
        assert len(a) == int(row["length"])
        # Three decimals, and a batch of another size is rounded otherwise.
        torch.testing.assert_close(a.coordinates, b.coordinates, rtol=0, atol=0.01)


def test_evaluation_shows_sets_beside_each_other(folder, model, capsys):
    parts = folder / "base" / "parts"
    out = folder / "rows.csv"
    command = ["proteins", "evaluate", str(parts / "test.safetensors"), "--out", str(out)]
    command += ["--reference", str(parts / "validation.safetensors")]
    command += ["--training", str(parts / "test.safetensors")]
    assert main([*command, "--pictures", str(folder / "pictures")]) == 0
    said = capsys.readouterr().out
    assert "|  | given | reference |" in said
    assert (folder / "pictures" / "backbones.html").exists()
    table = rows(out)
    assert len(table) == len(load_chains(parts / "test.safetensors"))
    # Each is its own nearest.
    assert all(float(row["nearest_tm"]) > 0.999 for row in table)
    assert all(float(row["helix"]) > 0.3 for row in table)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sample", "--length", "a", "--out", "OUT"], "expected a length such as"),
        (["sample", "--num", "0", "--out", "OUT"], "number of backbones of at least 1"),
        (["sample", "--steps", "0", "--out", "OUT"], "at least one sampling step"),
        (["sample", "--length", "9999", "--out", "OUT"], "at most 1024 residues"),
        (["sample", "--seed", "-1", "--out", "OUT"], "a seed of at least 0"),
        (["evaluate", "nowhere.pdb"], "nowhere.pdb"),
        (["evaluate", "EMPTY"], "no chain in"),
        (["train", "CONFIG", "data.length=4-5"], "no chain of 4-5 residues"),
        (["train", "CONFIG", "data.length=x"], "data.length"),
        (["train", "CONFIG", "data.test=0.9"], "leave no chain"),
        (["train", "CONFIG", "network.trunk=magic"], "network.trunk"),
    ],
)
def test_bad_input_is_told_in_one_line(folder, model, capsys, words, message):
    (folder / "empty").mkdir(exist_ok=True)
    places = {"OUT": folder / "bad", "EMPTY": folder / "empty", "CONFIG": folder / "base.yaml"}
    words = [str(places.get(word, word)) for word in words]
    words += ["--model", model] if words[0] == "sample" else []
    assert main(["proteins", *words]) == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


def test_samples_do_not_depend_on_the_batch_size(model):
    generator = load_generator(model)
    a = generate(generator, [12, 12, 10, 12], steps=2, seed=3, batch_size=1)
    b = generate(generator, [12, 12, 10, 12], steps=2, seed=3)
    for one, other in zip(a, b, strict=True):
        # The network's rounding differs with the batch.
        torch.testing.assert_close(one.coordinates, other.coordinates, rtol=0, atol=1e-3)
    assert not torch.allclose(a[0].coordinates, a[1].coordinates, atol=1)


def test_one_residue_can_be_made(model):
    (one,) = generate(load_generator(model), [1], steps=2)
    assert len(one) == 1
    assert one.coordinates.isfinite().all()


def test_the_objective_ignores_what_is_in_the_padding(folder):
    settings = load_settings(GeneratorSettings, folder / "base.yaml")
    chains = read_parts(settings.data).train
    batch = dict(frame_batch(padded(chains)))
    assert not batch["linked"][~batch["mask"]].any()
    assert batch["linked"].sum() == batch["mask"].sum() - len(chains)
    spec = {"length": "10-20", "flow": settings.flow, "network": settings.network}
    network = build_generator(GeneratorSpec(**spec)).network
    objective = BackboneMatching(BackboneFlow(), BackboneLoss(), self_condition=1.0)
    plain = objective(network, batch, torch.Generator().manual_seed(0))
    absent = ~batch["mask"][..., None]
    batch["rotation"] = torch.where(absent, torch.eye(4)[1], batch["rotation"])
    other = objective(network, batch, torch.Generator().manual_seed(0))
    torch.testing.assert_close(plain, other)


def test_a_bond_that_is_too_long_is_no_gap():
    one = chain(20, 0, "broken")
    one.coordinates[10:] += 5.0
    assert not one.linked()[9]
    assert bonded(one)[9]
    row = measure_backbone(one)
    assert row["c_n"] == pytest.approx(18 / 19)
    assert summarise([row], [one.coordinates[:, 1]])["c_n ok"] == 0
