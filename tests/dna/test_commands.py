"""The commands from end to end on small data, and what they say to bad input."""

import gzip
import shutil

import pytest
import torch

from dna.fasta import read_fasta, write_fasta
from dna.metrics import Summary, save_summaries
from dna.models import load_classifier, load_generator
from dna.processes import build_process
from dna.settings import PathSettings
from seqflow.cli import main

LENGTH = 24
METHODS = ["dirichlet", "linear", "fisher", "masked", "uniform", "metric", "autoregressive"]
BOUNDED, TOKENS = METHODS[3:], METHODS[3:6]
CONFIG = """\
data:
  files: {a: A, b: B}
  train: ["hash-[0-7]?"]
  validation: ["hash-[89]?"]
network: {channels: 8, kernel_size: 3, dilations: [1]}
training: {steps: 4, batch_size: 16, validate_every: 2}
out: OUT
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two classes: rich in A, and rich in C."""
    folder = tmp_path_factory.mktemp("data")
    generator = torch.Generator().manual_seed(0)
    for name, base in (("a", 0), ("b", 1)):
        tokens = torch.randint(0, 4, (80, LENGTH), generator=generator)
        rich = torch.rand(80, LENGTH, generator=generator) < 0.5
        tokens = torch.where(rich, base, tokens)
        write_fasta(folder / f"{name}.fasta.gz", tokens, [f"{name}{i}" for i in range(80)])
    return folder


def config(files, folder, out, text=CONFIG):
    path = folder / f"{out}.yaml"
    path.write_text(
        text.replace("A,", f"{files}/a.fasta.gz,")
        .replace("B}", f"{files}/b.fasta.gz}}")
        .replace("OUT", str(folder / out))
    )
    return str(path)


@pytest.fixture(scope="module")
def models(files, tmp_path_factory):
    """A trained generator of every method, an oracle with references, and a guide."""
    folder = tmp_path_factory.mktemp("models")
    for method in METHODS:
        assert main(["dna", "train", config(files, folder, method), f"method={method}"]) == 0
    for out, noise in (("oracle", "none"), ("guide", "dirichlet")):
        assert main(["dna", "oracle", config(files, folder, out), f"noise={noise}"]) == 0
    words = [f"{name}={files}/{name}.fasta.gz" for name in "ab"]
    references = [part for word in words for part in ("--reference", word)]
    oracle = str(folder / "oracle")
    command = ["dna", "evaluate", *words, "--model", oracle, *references]
    assert main([*command, "--save-reference", oracle, "--out", str(folder / "real.csv")]) == 0
    return folder


def sample(models, out, *words, method="dirichlet"):
    command = ["dna", "sample", "--model", str(models / method), "--out", str(out), "--steps", "3"]
    return main([*command, *map(str, words)])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("guidance", [0, 1, 3])
def test_samples_carry_label_seed_and_index(models, tmp_path, method, guidance):
    out = tmp_path / "out.fasta"
    words = ("--label", "b", "--guidance", guidance, "--num", 5, "--seed", 7)
    assert sample(models, out, *words, method=method) == 0
    titles = [line for line in out.read_text().splitlines() if line.startswith(">")]
    assert titles[3] == f">b-7-3 label=b guidance={guidance:g} seed=7 index=3"
    records = read_fasta(out)
    assert records.tokens.shape == (5, LENGTH)
    assert set(records.labels) == {"b"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("words", [(), ("--label", "a", "--guidance", 3)])
def test_templates_are_held(models, tmp_path, method, words):
    template = "ACgt" + "." * 10 + "TTNN" + "." * 5 + "G"
    out = tmp_path / "out.fasta"
    assert sample(models, out, "--template", template, "--num", 40, *words, method=method) == 0
    tokens = read_fasta(out).tokens
    assert tokens.shape == (40, LENGTH)
    held = {0: 0, 1: 1, 2: 2, 3: 3, 14: 3, 15: 3, 23: 2}
    for position in range(LENGTH):
        assert len(tokens[:, position].unique()) == (1 if position in held else 4)
    for position, token in held.items():
        assert (tokens[:, position] == token).all()


@pytest.mark.parametrize("method", ["dirichlet", "masked", "autoregressive"])
def test_a_transformer_in_place_of_convolutions(files, tmp_path, method):
    words = [f"method={method}", "transformer={width: 8, layers: 1, heads: 2}"]
    assert main(["dna", "train", config(files, tmp_path, method), *words]) == 0
    out = tmp_path / "out.fasta"
    assert sample(tmp_path, out, "--label", "a", "--guidance", 2, method=method) == 0
    assert read_fasta(out).tokens.shape == (10, LENGTH)


def test_a_shorter_template_makes_shorter_sequences(models, tmp_path):
    out = tmp_path / "out.fasta"
    assert sample(models, out, "--template", "..ACGT.N", "--length", 8) == 0
    assert (read_fasta(out).tokens[:, 2:6] == torch.arange(4)).all()


@pytest.mark.parametrize("method", BOUNDED)
def test_what_a_base_costs(models, files, tmp_path, capsys, method):
    out = tmp_path / "table.csv"
    command = ["dna", "evaluate", f"a={files}/a.fasta.gz", "--model", str(models / "oracle")]
    assert main([*command, "--likelihood", str(models / method), "--out", str(out)]) == 0
    header, row, _ = out.read_text().splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    # Four steps of training hardly move it from 2 bits; the bound may be looser.
    assert 1.5 < float(cells["bits"]) < 3.5


@pytest.mark.parametrize("method", ["fisher", "masked", "uniform", "metric"])
def test_guides_by_their_gradient(models, files, tmp_path, method):
    command = ["dna", "oracle", config(files, tmp_path, "guide"), f"noise={method}"]
    assert main([*command, "training.steps=1"]) == 0
    words = ["--label", "a", "--guidance", 3, "--guide", tmp_path / "guide", "--num", 5]
    for template in ([], ["--template", "AC" + "." * 22]):
        for form in ("gradient", "exact") if method in TOKENS else ("gradient",):
            out = tmp_path / f"{form}.fasta"
            command = [*words, "--guide-form", form, *template]
            assert sample(models, out, *command, method=method) == 0
            assert read_fasta(out).tokens.shape == (5, LENGTH)


@pytest.mark.parametrize(
    ("method", "words", "path"),
    [
        ("masked", [], {"schedule": "linear"}),
        ("uniform", ["path.schedule=linear"], {"schedule": "linear"}),
        ("uniform", [], {"schedule": "kinetic"}),
        ("metric", ["path.transition=0.25"], {"transition": 0.25, "power": 1.0}),
    ],
)
def test_the_parameters_of_a_method_are_kept_with_the_model(files, tmp_path, method, words, path):
    command = ["dna", "train", config(files, tmp_path, "model"), f"method={method}"]
    assert main([*command, "training.steps=1", *words]) == 0
    loaded = load_generator(str(tmp_path / "model"))
    assert path.items() <= loaded.spec.path.model_dump().items()
    assert loaded.process == build_process(method, PathSettings(**path))


def test_seeds_and_batch_sizes(models, tmp_path):
    texts = []
    for seed, size in ((0, 64), (0, 3), (1, 64)):
        out = tmp_path / f"{seed}-{size}.fasta"
        words = ("--num", 9, "--label", "a", "--seed", seed, "--batch-size", size)
        assert sample(models, out, *words) == 0
        texts.append(read_fasta(out).tokens)
    assert torch.equal(texts[0], texts[1])
    assert not torch.equal(texts[0], texts[2])


def test_samples_go_to_stdout_and_progress_to_stderr(models, capsys):
    assert sample(models, "-", "--num", 2, "--length", 7) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == ">any-0-0 seed=0 index=0"
    assert len(lines) == 4
    assert len(lines[1]) == 7
    assert "sampling" in captured.err


def test_compressed_output(models, tmp_path):
    assert sample(models, tmp_path / "out.fa.gz", "--num", 2) == 0
    assert gzip.decompress((tmp_path / "out.fa.gz").read_bytes()).startswith(b">any-0-0")


@pytest.mark.parametrize(
    "words", [(), ("--combine", "linear"), ("--combine", "log"), ("--guide", "GUIDE")]
)
def test_ways_of_guidance(models, tmp_path, words):
    words = [str(models / "guide") if word == "GUIDE" else word for word in words]
    out = tmp_path / "out.fasta"
    assert sample(models, out, "--label", "a", "--guidance", 2, "--num", 3, *words) == 0
    assert len(read_fasta(out)) == 3


@pytest.mark.parametrize("method", TOKENS)
def test_kernels_are_mixed_around_a_template(models, tmp_path, method):
    out = tmp_path / "out.fasta"
    words = ("--combine", "kernel", "--guidance", 3, "--num", 20, "--template", "AC" + "." * 22)
    assert sample(models, out, "--label", "a", *words, method=method) == 0
    assert (read_fasta(out).tokens[:, :2] == torch.arange(2)).all()


def test_evaluate_says_what_the_samples_are_worth(models, files, tmp_path, capsys):
    out = tmp_path / "out.fasta"
    assert sample(models, out, "--label", "a", "--num", 70) == 0
    capsys.readouterr()
    command = ["dna", "evaluate", str(tmp_path), "--model", str(models / "oracle")]
    assert main([*command, "--training", str(files / "a.fasta.gz")]) == 0
    header, _, row, real = capsys.readouterr().out.splitlines()
    assert real.startswith("| real a | 80 |")
    cells = dict(zip(header.split("|"), row.split("|"), strict=True))
    assert cells[" n "] == " 70 "
    assert 0 <= float(cells[" success "]) <= 1
    assert 0.25 < float(cells[" nearest "]) <= 1


def test_evaluate_counts_any_motif_and_draws_it(models, files, tmp_path, capsys):
    matrix = tmp_path / "mine.jaspar"
    rows = [
        f"{base} [{8 * count}]"
        for base, count in zip("ACGT", (" 90", " 5", " 5", " 5"), strict=True)
    ]
    matrix.write_text("\n".join([">M1 mine", *rows, ""]))
    command = ["dna", "evaluate", f"a={files}/a.fasta.gz", "--model", str(models / "oracle")]
    command += ["--motif", str(matrix), "CTCF", "--pictures", str(tmp_path / "logos")]
    assert main(command) == 0
    assert "motif mine M1 | motif CTCF" in capsys.readouterr().out
    # Eight A in a row: 2% of the windows of a class whose bases are A five times in eight.
    assert (tmp_path / "logos" / "mine M1.png").read_bytes().startswith(b"\x89PNG")


def test_real_sequences_are_their_own_reference(models):
    header, *rows = (models / "real.csv").read_text().splitlines()
    for row in rows:
        cells = dict(zip(header.split(","), row.split(","), strict=True))
        assert float(cells["js 4"]) == float(cells["js 6"]) == 0
        # The root of rounding errors of covariances of order one in float64.
        assert abs(float(cells["frechet"])) < 1e-6


def test_sets_of_one_name_stay_apart(models, tmp_path, capsys):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        assert sample(models, tmp_path / folder / "s.fasta", "--label", "a", "--num", 5) == 0
    capsys.readouterr()
    words = [str(tmp_path / folder / "s.fasta") for folder in ("one", "two")]
    assert main(["dna", "evaluate", *words, "--model", str(models / "oracle")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(words) + 1


def test_training_goes_on_where_it_stopped(files, tmp_path):
    short = config(files, tmp_path, "model", CONFIG.replace("validate_every", "checkpoint_every"))
    assert main(["dna", "train", short]) == 0
    before = load_generator(str(tmp_path / "model"))
    assert main(["dna", "train", short]) == 0
    after = load_generator(str(tmp_path / "model"))
    for a, b in zip(before.network.parameters(), after.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert (tmp_path / "model" / "training.png").is_file()


def test_longer_training_goes_on_and_reports_on_stderr(files, tmp_path, capsys):
    path = config(files, tmp_path, "model")
    assert main(["dna", "train", path]) == 0
    capsys.readouterr()
    assert main(["dna", "train", path, "training.steps=7"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "7/7" in captured.err
    assert "4/7" in captured.err  # where it went on


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("method=linear", "made with method 'dirichlet', not 'linear'"),
        ("training.learning_rate=0.5", "made with training"),
        ("data.train=['hash-[0-6]?']", "made with data"),
        ("network.channels=12", "made with network"),
        ("training.steps=3", "at step 4, beyond the 3 wanted"),
    ],
)
def test_training_does_not_go_on_with_other_settings(files, tmp_path, capsys, word, message):
    path = config(files, tmp_path, "model")
    assert main(["dna", "train", path]) == 0
    before = (tmp_path / "model" / "config.yaml").read_bytes()
    assert message in fails(capsys, "dna", "train", path, word)
    assert (tmp_path / "model" / "config.yaml").read_bytes() == before


def fails(capsys, *command):
    """The one line on stderr of a command that must exit with 2."""
    capsys.readouterr()
    assert main(list(map(str, command))) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line = captured.err.splitlines()[-1]
    assert line.startswith("seqflow: error: ")
    return line


class TestBadInput:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "expected FASTA records, got an empty file"),
            (">r1\nACGT\n>r2\nACXT\n", "record 2 ('r2')"),
            (">r1\nACGT\n>r2\nACG\n", "record 2 ('r2')"),
            ("ACGT\n", "expected a FASTA header"),
        ],
    )
    def test_bad_records(self, models, tmp_path, capsys, content, message):
        (tmp_path / "bad.fa").write_text(content)
        line = fails(
            capsys, "dna", "evaluate", f"a={tmp_path}/bad.fa", "--model", models / "oracle"
        )
        assert message in line

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--label", "zebra"], "no label 'zebra'; the model knows a, b"),
            (["--length", "99"], "expected a length from 1 to 24, got 99"),
            (["--length", "0"], "expected a length from 1 to 24, got 0"),
            (["--template", "." * 99], "has 99 positions, but the model makes at most 24 bases"),
            (["--template", "AC.", "--length", "4"], "has 3 positions, not the 4 of --length"),
            (["--template", "AC?"], "position 3: expected A, C, G or T where held"),
            (["--template", ""], "expected a template of at least one position"),
            (["--num", "0"], "at least 1, got 0"),
            (["--steps", "0"], "at least one sampling step, got 0"),
            (["--batch-size", "0"], "batch size of at least 1, got 0"),
            (["--label", "a", "--guide", "GENERATOR"], "expected kind 'classifier'"),
            (["--model", "nonsense"], "no model 'nonsense'"),
            (["--label", "a", "--guidance", "nan"], "expected a guidance between"),
            (["--label", "a", "--guidance", "1e300"], "expected a guidance between"),
            (["--guidance", "3"], "--guidance steers towards a class: say which with --label"),
            (["--guide", "x"], "--guide steers towards a class: say which with --label"),
            (["--guide-form", "exact"], "--guide-form steers towards a class: say which"),
            (["--label", "a", "--guide-form", "exact"], "name one with --guide"),
            (["--label", "a", "--guide", "x", "--combine", "log"], "without --guide: give one"),
            (["--label", "a", "--combine", "kernel"], "dirichlet has no law of a step to mix"),
            (
                ["--label", "a", "--guide", "GUIDE", "--guide-form", "exact"],
                "dirichlet has no jumps to try; follow the gradient",
            ),
            (["--seed", "-1"], "expected a seed of at least 0, got -1"),
            (["--device", "cpu:3"], "no device 'cpu:3' here"),
            (["--device", "abacus"], "unknown device 'abacus'"),
        ],
    )
    def test_bad_options(self, models, tmp_path, capsys, words, message):
        names = {"GENERATOR": "dirichlet", "GUIDE": "guide"}
        words = [str(models / names[word]) if word in names else word for word in words]
        out = tmp_path / "out.fasta"
        command = ["dna", "sample", "--model", models / "dirichlet", "--out", out, *words]
        assert message in fails(capsys, *command)
        assert not list(tmp_path.iterdir())

    def test_unwritable_output(self, models, tmp_path, capsys):
        out = tmp_path / "none" / "out.fasta"
        line = fails(capsys, "dna", "sample", "--model", models / "dirichlet", "--out", out)
        assert "there is no folder" in line

    def test_guide_of_another_method(self, models, capsys):
        line = fails(
            capsys, "dna", "sample", "--model", models / "linear", "--label", "a",
            "--guidance", 2, "--guide", models / "guide",
        )  # fmt: skip
        assert "the guide reads dirichlet states, the generator makes linear ones" in line

    def test_guide_of_another_path(self, files, models, tmp_path, capsys):
        words = ["noise=masked", "training.steps=1"]
        command = ["dna", "oracle", config(files, tmp_path, "g"), *words, "path.schedule=cosine"]
        assert main(command) == 0
        line = fails(
            capsys, "dna", "sample", "--model", models / "masked", "--label", "a",
            "--guide", tmp_path / "g",
        )  # fmt: skip
        assert "the guide was trained with path.schedule cosine, the generator with linear" in line

    @pytest.mark.parametrize("method", ["dirichlet", "linear", "fisher"])
    def test_methods_without_a_bound(self, models, files, capsys, method):
        command = ["dna", "evaluate", f"a={files}/a.fasta.gz", "--model", models / "oracle"]
        line = fails(capsys, *command, "--likelihood", models / method)
        assert f"the method {method} has no bound on its likelihood" in line

    def test_unknown_motif(self, models, files, capsys):
        command = ["dna", "evaluate", f"a={files}/a.fasta.gz", "--model", models / "oracle"]
        assert "unknown motif 'nonsense'" in fails(capsys, *command, "--motif", "nonsense")

    def test_guide_as_oracle(self, models, files, capsys):
        line = fails(
            capsys, "dna", "evaluate", f"a={files}/a.fasta.gz", "--model", models / "guide"
        )
        assert "an oracle is trained with noise: none" in line

    def test_damaged_weights(self, models, tmp_path, capsys):
        shutil.copytree(models / "dirichlet", tmp_path / "model")
        weights = tmp_path / "model" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100])
        line = fails(capsys, "dna", "sample", "--model", tmp_path / "model")
        assert "damaged weights" in line

    def test_incomplete_reference(self, models, files, tmp_path, capsys):
        shutil.copytree(models / "oracle", tmp_path / "oracle")
        summary = Summary(num=3, gc=0.5, kmers={})
        save_summaries(tmp_path / "oracle" / "reference.safetensors", {"a": summary})
        line = fails(
            capsys, "dna", "evaluate", f"a={files}/a.fasta.gz", "--model", tmp_path / "oracle"
        )
        assert "the statistics of a are incomplete" in line

    @pytest.mark.parametrize("change", ["length: -5", "length: 10000000000000", "method: magic"])
    def test_damaged_model_configuration(self, models, tmp_path, capsys, change):
        shutil.copytree(models / "dirichlet", tmp_path / "model")
        key = change.partition(":")[0]
        path = tmp_path / "model" / "config.yaml"
        lines = [
            change if line.startswith(f"{key}:") else line
            for line in path.read_text().splitlines()
        ]
        path.write_text("\n".join(lines))
        line = fails(capsys, "dna", "sample", "--model", tmp_path / "model")
        assert f"{key}: Input should be" in line

    def test_labels_with_spaces(self, files, tmp_path, capsys):
        path = config(files, tmp_path, "m", CONFIG.replace("{a:", "{a b:"))
        assert "expected labels without spaces" in fails(capsys, "dna", "train", path)

    def test_sequences_without_a_class(self, models, files, capsys):
        line = fails(
            capsys, "dna", "evaluate", f"{files}/a.fasta.gz", "--model", models / "oracle"
        )
        assert "say the class: LABEL=" in line

    @pytest.mark.parametrize(
        ("word", "message"),
        [
            ("data.train=[chr1]", "data.train: 'chr1' matches no group"),
            ("data.validation=['*']", "train and validation share the group"),
            ("data.files.a=nothing.fa", "No such file"),
            ("method=magic", "method: Input should be 'dirichlet'"),
            ("path.schedule=linear", "the method dirichlet has no schedule"),
            ("path.schedule=magic", "path.schedule: Input should be 'linear'"),
            ("path.transition=-1", "path.transition: Input should be greater than 0"),
            ("network.chanels=3", "network.chanels"),
            ("training.steps=often", "training.steps"),
            ("training.steps=-1", "training.steps"),
            ("training.batch_size=0", "training.batch_size"),
            ("training.learning_rate=.nan", "training.learning_rate"),
            ("network.dilations=[0]", "network.dilations.0"),
            ("data.train=[]", "data.train"),
            ("data.table.path=x.csv", "give either files"),
        ],
    )
    def test_bad_settings(self, files, tmp_path, capsys, word, message):
        assert message in fails(capsys, "dna", "train", config(files, tmp_path, "m"), word)
        assert not (tmp_path / "m").exists()


def test_bundled_models_load():
    classifier = load_classifier("ctcf-pu1-oracle")
    assert classifier.spec.labels == ["ctcf", "pu1"]
    assert not classifier.network.training
