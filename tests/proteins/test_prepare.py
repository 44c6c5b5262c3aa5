"""``seqflow proteins prepare`` from end to end, and what it says."""

import csv
import gzip

import numpy as np
import pytest
import torch

from proteins.backbone import Backbone, centre
from proteins.chain_builder import build_backbone, ideal_coordinates
from proteins.criteria import Criteria, trim
from proteins.datasets import load_chains
from proteins.lengths import LengthRange, parse_lengths
from proteins.preparation import Preparer
from proteins.writing import format_structure, write_structure
from seqflow.cli import main

SEQUENCE = "ACDEFGHIKLMNPQRSTVWYACDEFGHIKLMNPQRSTVWY"


def helix(size=30, *, start=0, chain_id="A"):
    angles = torch.tensor([-60.0, -45.0]).deg2rad()[:, None].expand(2, size)
    return Backbone.from_coordinates(
        build_backbone(ideal_coordinates(*angles)),
        sequence=SEQUENCE[start : start + size],
        chain_id=chain_id,
    )


def keep(one, *absent):
    return one.select(torch.tensor([i for i in range(len(one)) if i not in absent]))


@pytest.fixture
def folder(tmp_path):
    """Good files and bad ones, as a folder of downloads has them."""
    folder = tmp_path / "pdb"
    (folder / "deeper").mkdir(parents=True)
    write_structure(folder / "a.pdb", helix(30), helix(25, start=3, chain_id="B"))
    write_structure(folder / "deeper" / "b.cif.gz", helix(28, start=5))
    write_structure(folder / "double.pdb", helix(30))
    write_structure(folder / "gap.pdb", keep(helix(30, start=2), 10, 11))
    write_structure(folder / "short.pdb", helix(8))
    (folder / "empty.pdb").write_text("")
    (folder / "half.cif.gz").write_bytes(gzip.compress(b"data_x")[:15])
    (folder / "notes.txt").write_text("of no interest")
    (folder / ".hidden.pdb").write_text("")
    return folder


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_a_folder_becomes_one_file(folder, tmp_path, capsys):
    out = tmp_path / "chains.safetensors"
    assert main(["proteins", "prepare", str(folder), "--out", str(out)]) == 0
    chains = load_chains(out)
    assert chains.names == ("a:A", "a:B", "b:A")
    assert chains.lengths.tolist() == [30, 25, 28]
    assert chains[1].sequence == SEQUENCE[3:28]
    assert len(set(chains.clusters)) == 3
    assert chains.mask.all()
    off = chains[0].coordinates - centre(helix(30).coordinates, chains[0].mask)
    assert off.abs().max() < 0.0011  # three decimals, and those of the mean

    table = rows(tmp_path / "chains.refused.tsv")
    found = {
        row["file"].rpartition("/")[2]: (row["chain"], row["residue"], row["reason"])
        for row in table
    }
    assert found == {
        "double.pdb": ("A", "", "has the sequence of a:A"),
        "empty.pdb": ("", "", "expected a PDB or mmCIF file, got an empty one"),
        "gap.pdb": (
            "A",
            "ASN 10",
            "expected at most 0 gaps in the chain, got 1, the first behind this residue",
        ),
        "half.cif.gz": ("", "", found["half.cif.gz"][2]),
        "notes.txt": ("", "", found["notes.txt"][2]),
        "short.pdb": ("A", "", "expected 20-512 residues, got 8"),
    }
    assert found["half.cif.gz"][2].startswith("expected a complete gzip file")
    said = capsys.readouterr()
    assert said.out == ""
    lines = [line for line in said.err.splitlines() if "refused: " in line]
    assert len(lines) == 5  # all but the duplicate
    gap = "gap.pdb, chain A, residue ASN 10: expected at most 0 gaps"
    assert any(gap in line for line in lines)
    assert "3 chains of 25-30 residues in 3 clusters (3 chains without a given one)" in said.err


def test_criteria_can_be_relaxed(folder, tmp_path):
    out = tmp_path / "x.safetensors"
    command = ["proteins", "prepare", str(folder), "--out", str(out)]
    assert main([*command, "--max-gaps", "1", "--length", "8-28"]) == 0
    chains = load_chains(out)
    assert chains.names == ("a:B", "b:A", "gap:A", "short:A")
    gap = chains[2]
    assert gap.residue_index.tolist() == [*range(1, 11), *range(13, 31)]


def test_clusters_come_from_a_table_before_the_archive(folder, tmp_path, capsys):
    one, two = helix(30, start=1).coordinates, helix(30, start=2).coordinates
    np.savez(
        tmp_path / "own.npz",
        coords=torch.cat((one, two))[:, :3].numpy(),
        offsets=np.array([0, 30, 60]),
        name=np.array(["p", "q"]),
        sequence=np.array([SEQUENCE[1:31], SEQUENCE[2:32]]),
        family=np.array([7, 8]),
    )
    (tmp_path / "clusters.csv").write_text("name,cluster\na,both\nq,both\n")
    out = tmp_path / "x.safetensors"
    words = [folder, tmp_path / "own.npz", "--clusters", tmp_path / "clusters.csv"]
    command = ["proteins", "prepare", *map(str, words), "--cluster-key", "family"]
    assert main([*command, "--out", str(out)]) == 0
    chains = load_chains(out)
    assert dict(zip(chains.names, chains.clusters, strict=True)) == {
        "a:A": "both",
        "a:B": "both",
        "b:A": "chain b:A",
        "p": "7",
        "q": "both",
    }
    assert chains[3].atom_mask.all()  # O was placed
    assert "in 3 clusters (1 chains without a given one)" in capsys.readouterr().err


def test_a_named_file_is_read_whatever_it_is_called(tmp_path):
    (tmp_path / "model").write_text(format_structure(".cif", helix()))
    out = tmp_path / "x.safetensors"
    assert main(["proteins", "prepare", str(tmp_path / "model"), "--out", str(out)]) == 0
    assert load_chains(out).names == ("model:A",)


@pytest.mark.parametrize("name", ["empty.pdb", "short.pdb", "none.pdb", "notes.txt"])
def test_nothing_read_is_an_error_with_the_reason(folder, tmp_path, capsys, name):
    out = tmp_path / "x.safetensors"
    assert main(["proteins", "prepare", str(folder / name), "--out", str(out)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("seqflow: error: no chain was taken and 1 refused; the first: ")
    assert name in last
    assert not out.exists()


def test_an_empty_folder_is_said(tmp_path, capsys):
    (tmp_path / "none").mkdir()
    out = str(tmp_path / "x.safetensors")
    assert main(["proteins", "prepare", str(tmp_path / "none"), "--out", out]) == 2
    assert "expected files, but the folder has none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--length", "9-3"], "expected lengths from small to large"),
        (["--length", "many"], "expected a length such as 64 or 64-100, got 'many'"),
        (["--max-missing", "2"], "expected a missing share from 0 to 1, got 2.0"),
        (["--max-gaps", "-1"], "expected a number of gaps of at least 0, got -1"),
        (["--clusters", "none.csv"], "none.csv: No such file"),
        (["--pdb-model", "2"], "expected a model from 1 to 1, asked for 2"),
        (["--out", "none/x"], "there is no folder none"),
    ],
)
def test_wrong_options_are_named(folder, tmp_path, capsys, options, message):
    command = ["proteins", "prepare", str(folder / "a.pdb"), "--out", str(tmp_path / "x")]
    assert main([*command, *options]) == 2
    assert message in capsys.readouterr().err


def test_incomplete_ends_are_cut_and_inner_ones_counted():
    mask = torch.ones(30, dtype=torch.bool)
    mask[[0, 1, 9, 29]] = False
    one = Backbone.from_coordinates(helix(30).coordinates, mask=mask, sequence=SEQUENCE[:30])
    strict, lax = (Criteria(LengthRange(5, 50), share) for share in (0.0, 0.05))
    assert len(trim(one)) == 27
    residue, reason = strict.fault(trim(one))
    assert residue == "LEU 10"
    assert reason == "1 of 27 residues lack N, CA or C, this is the first; at most 0% may"
    assert lax.fault(trim(one)) is None


def test_of_one_sequence_the_most_complete_is_kept(tmp_path):
    mask = torch.ones(30, dtype=torch.bool)
    mask[10] = False
    for name, one in (("first", mask), ("second", torch.ones_like(mask)), ("third", mask)):
        backbone = Backbone.from_coordinates(
            helix(30).coordinates, mask=one, sequence=SEQUENCE[:30]
        )
        # N stays, so that the residue is seen and counted as incomplete.
        atoms = backbone.atom_mask
        atoms[10, 0] = True
        backbone.coordinates[10, 0] = helix(30).coordinates[10, 0]
        write_structure(tmp_path / f"{name}.pdb", backbone)
    preparer = Preparer(Criteria(max_missing=0.1))
    preparer.read_all([tmp_path])
    result = preparer.finish()
    assert result.chains.names == ("second:A",)
    assert [one.source.rpartition("/")[2] for one in result.duplicates] == [
        "first.pdb",
        "third.pdb",
    ]


def test_unknown_sequences_are_no_duplicates(tmp_path):
    coords = np.concatenate([helix(30).coordinates.numpy()] * 2)
    np.savez(tmp_path / "x.npz", coords=coords, offsets=np.array([0, 30, 60]))
    preparer = Preparer(Criteria())
    preparer.read(tmp_path / "x.npz")
    assert len(preparer.finish().chains) == 2


def test_lengths_are_read():
    assert parse_lengths(" 64 ") == (64, 64)
    assert str(parse_lengths("64-100")) == "64-100"
    for text in ("", "0", "-5", "5-", "1.5"):
        with pytest.raises(ValueError, match="expected"):
            parse_lengths(text)
