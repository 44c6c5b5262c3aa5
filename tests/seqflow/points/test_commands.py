"""The commands from end to end, on small data that the project makes."""

import pytest
import torch

from seqflow.cli import main
from seqflow.flow_map import flow_map
from seqflow.points.models import load_model
from seqflow.points.synthetic import SETS
from seqflow.points.tables import read_table, write_table

TINY = [
    "network.width=16",
    "network.depth=1",
    "network.num_frequencies=1",
    "training.steps=4",
    "training.batch_size=32",
    "training.validate_every=2",
]
FLOWS = [
    [],
    ["prior=kernels"],
    ["smoothing=true", "method=endpoint"],
    ["smoothing=true", "schedule=exponential", "network.grid_levels=2"],
]
# Four steps that move points by degrees.
BOLD = ["training.learning_rate=0.1", "training.warmup=1", "training.ema_decay=0"]
TETRAHEDRON = """v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1
f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"""


@pytest.fixture
def moons(tmp_path):
    make, names = SETS["moons"]
    path = tmp_path / "moons.csv"
    write_table(path, names, make(90, torch.Generator().manual_seed(0)))
    return path


def train(path, out, *words, manifold="sphere"):
    words = [*TINY, *words, f"out={out}", "--manifold", manifold, "--device", "cpu"]
    return main(["points", "train", str(path), *words])


@pytest.mark.parametrize("words", FLOWS)
def test_train_sample_evaluate(moons, tmp_path, capsys, words):
    out, new = tmp_path / "model", tmp_path / "new.csv"
    assert train(moons, out, *words) == 0
    assert "72 to train on, 9 to validate, 9 to test" in capsys.readouterr().err
    arguments = ["--model", str(out), "--num", "70", "--steps", "4", "--out", str(new)]
    assert main(["points", "sample", *arguments]) == 0
    numbers = read_table(new, ["latitude", "longitude"]).numbers
    assert numbers.shape == (70, 2)
    assert numbers[:, 0].abs().max() <= 90
    picture = tmp_path / "globe.png"
    arguments = ["--model", str(out), "--num", "50"]
    assert main(["points", "evaluate", str(moons), *arguments]) == 0
    assert "| points | nll | mmd2 | mmd2 of halves |" in capsys.readouterr().out
    arguments = ["--reference", str(moons), "--manifold", "sphere", "--picture", str(picture)]
    assert main(["points", "evaluate", str(new), *arguments]) == 0
    assert picture.stat().st_size > 1000


def test_samples_belong_to_the_seed_not_to_the_batch(moons, tmp_path):
    assert train(moons, tmp_path / "m") == 0
    files = []
    for name, extra in (("a", []), ("b", ["--batch-size", "64"]), ("c", ["--seed", "1"])):
        path = tmp_path / f"{name}.csv"
        words = ["--model", str(tmp_path / "m"), "--num", "130", "--steps", "2", *extra]
        assert main(["points", "sample", *words, "--solver", "rk4", "--out", str(path)]) == 0
        files.append(read_table(path, [0, 1]).numbers)
    # The batch changes only the rounding of float32.
    torch.testing.assert_close(files[0], files[1], atol=1e-3, rtol=0)
    assert (files[0] - files[2]).abs().max() > 1


def test_the_adaptive_solver_is_the_limit_of_many_steps(moons, tmp_path):
    assert train(moons, tmp_path / "m", *BOLD) == 0
    files = {}
    for solver in ("adaptive", "rk4"):
        path = tmp_path / f"{solver}.csv"
        words = ["--model", str(tmp_path / "m"), "--num", "20", "--solver", solver]
        assert main(["points", "sample", *words, "--out", str(path)]) == 0
        files[solver] = read_table(path, [0, 1]).numbers
    # Degrees; float32 and a tolerance of 1e-5 radians, and longitudes at a latitude of 80.
    near = (files["adaptive"] - files["rk4"]).remainder(360)
    assert torch.minimum(near, 360 - near).max() < 0.05


def test_latents_go_back_to_the_noise(moons, tmp_path):
    assert train(moons, tmp_path / "m", *BOLD) == 0
    path, words = tmp_path / "latent.csv", ["--model", str(tmp_path / "m"), "--num", "10"]
    arguments = [str(moons), *words, "--all", "--latent", str(path)]
    assert main(["points", "evaluate", *arguments]) == 0
    names = ["latitude", "longitude", "latent_latitude", "latent_longitude"]
    rows = read_table(path, names).numbers
    torch.testing.assert_close(rows[:, :2], read_table(moons, [0, 1]).numbers, atol=1e-3, rtol=0)
    model = load_model(str(tmp_path / "m"))
    x_0, x_1 = (model.spec.space.to_points(part).float() for part in (rows[:, 2:], rows[:, :2]))
    again = flow_map(model.process, model.network, x_0, 0.0, 1.0)
    assert model.process.manifold.dist(again, x_1).max() < 1e-3
    assert model.process.manifold.dist(x_0, x_1).max() > 0.02


@pytest.mark.parametrize(
    ("kind", "columns", "words"),
    [
        ("torus", 3, ["data.space.dim=3"]),
        ("so3", 4, []),
        ("hyperbolic", 2, []),
        ("mesh", 3, ["data.space.num_steps=4", "data.space.num_paths=50"]),
    ],
)
def test_other_manifolds(tmp_path, kind, columns, words):
    g = torch.Generator().manual_seed(0)
    numbers = 0.1 + 0.4 * torch.rand(40, columns, generator=g, dtype=torch.float64)
    if kind == "mesh":
        numbers[:, 2] = 0
        (tmp_path / "one.obj").write_text(TETRAHEDRON)
        words = [*words, f"data.space.path={tmp_path / 'one.obj'}"]
    path, out, new = (tmp_path / name for name in ("points.csv", "model", "new.csv"))
    write_table(path, [f"c{i}" for i in range(columns)], numbers)
    assert train(path, out, *words, manifold=kind) == 0
    words = ["--model", str(out), "--num", "8", "--steps", "2", "--out", str(new)]
    assert main(["points", "sample", *words]) == 0
    if kind == "mesh":
        words = [str(path), "--model", str(out), "--all", "--latent", str(tmp_path / "z.csv")]
        assert main(["points", "evaluate", *words]) == 2
    model = load_model(str(out))
    model.process.manifold.check_point(
        model.spec.space.to_points(read_table(new, model.spec.space.names).numbers).float()
    )


def test_a_kernel_prior_survives_the_disk(moons, tmp_path):
    assert train(moons, tmp_path / "m", "prior=kernels") == 0
    law = load_model(str(tmp_path / "m")).process.prior_law
    assert len(law.centres) == 72
    assert float(law.weights.sum()) == pytest.approx(1, abs=1e-5)
    assert law.log_prob(law.centres).isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "{}"], "expected a .yaml file, or a table with --manifold"),
        (["train", "{}", "out=x", "prior=odd", "--manifold", "sphere"], "prior: Input should be"),
        (
            ["train", "{}", "prior=kernels", "method=endpoint", "--manifold", "sphere"],
            "expected method: velocity with prior: kernels",
        ),
        (
            ["train", "{}", "schedule=exponential", "data.space.path=a.off", "--manifold", "mesh"],
            "expected schedule: linear on a mesh",
        ),
        (["train", "{}", "--manifold", "mesh"], "data.space.mesh.path: Field required"),
        (["sample", "--model", "nowhere"], "no model 'nowhere'"),
        (["evaluate", "{}"], "give --model, or --reference"),
        (["evaluate", "{}", "--reference", "{}", "--latent", "z.csv"], "give --model"),
        (["evaluate", "{}", "--reference", "{}"], "say which with --manifold"),
    ],
)
def test_faults_are_one_line(moons, capsys, arguments, message):
    assert main(["points", *(word.format(moons) for word in arguments)]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
