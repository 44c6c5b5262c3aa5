import sys

import pytest
import torch
from Bio.motifs import jaspar

from dna import motifs
from dna.motifs import Motif, fetch_jaspar, load_motif, read_motifs, write_motif

TEXT = """# a comment
>MA1 first
A [ 9 0 0 1 ]
C [ 0 9 0 1 ]
G [ 0 0 9 1 ]
T [ 0 0 0 6 ]

>MA2 second
9 0
0 9
0 0
0 0
"""


def random_motif(width, seed=0):
    counts = torch.rand(4, width, generator=torch.Generator().manual_seed(seed)) ** 4 * 100
    return Motif("random", counts.double().round() + 1)


def biopython(motif):
    counts = dict(zip("ACGT", motif.counts.tolist(), strict=True))
    theirs = jaspar.Motif("id", "name", alphabet="ACGT", counts=counts)
    theirs.pseudocounts = jaspar.calculate_pseudocounts(theirs)
    return theirs.pssm


def test_files_are_read(tmp_path):
    path = tmp_path / "two.jaspar"
    path.write_text(TEXT)
    first, second = read_motifs(path)
    assert (first.name, first.identifier, first.width, second.width) == ("first", "MA1", 4, 2)
    assert first.counts[:, 3].tolist() == [1, 1, 1, 6]
    assert second.counts[1].tolist() == [0, 9]


def test_what_is_written_is_read_back(tmp_path):
    motif = random_motif(7)
    write_motif(tmp_path / "m.jaspar", motif, comment="where it\ncomes from")
    (again,) = read_motifs(tmp_path / "m.jaspar")
    assert torch.equal(again.counts, motif.counts)
    assert again.name == motif.name
    assert (tmp_path / "m.jaspar").read_text().startswith("# where it\n# comes from\n>random")


@pytest.mark.parametrize("width", [4, 9])
@pytest.mark.parametrize("rate", [1e-2, 1e-3])
def test_scores_and_thresholds_are_those_of_biopython(width, rate):
    motif = random_motif(width)
    pssm = biopython(motif)
    ours = motif.log_odds()
    torch.testing.assert_close(ours, torch.tensor([pssm[base] for base in "ACGT"]).double())
    if width == 9:
        theirs = pssm.distribution(precision=1000).threshold_fpr(rate)
        # Both round each column to their grid, ours of 1/1000 bit, theirs of a similar size.
        assert motif.threshold(rate) == pytest.approx(theirs, abs=9 * 2e-3)


def test_the_threshold_keeps_its_promise_over_all_windows():
    motif = random_motif(6, seed=3)
    every = torch.cartesian_prod(*[torch.arange(4)] * 6)
    scores = motif.log_odds()[every, torch.arange(6)].sum(-1)
    threshold = motif.threshold(0.01)
    # Rounding to the grid may let in scores that are lower by a step a column.
    assert (scores >= threshold + 6e-3).double().mean() <= 0.01
    # The next lower score would break the promise.
    lower = scores[scores < threshold].max()
    assert (scores >= lower).double().mean() > 0.01


def test_background_shifts_scores():
    motif = random_motif(5)
    at_rich = (0.3, 0.2, 0.2, 0.3)
    shift = (torch.tensor(at_rich).double() / 0.25).log2().unsqueeze(-1)
    torch.testing.assert_close(motif.log_odds(at_rich), motif.log_odds() - shift)


def test_a_motif_too_short_for_the_rate_says_so():
    motif = Motif("A6", torch.tensor([[9.0], [0], [0], [0]]).double().repeat(1, 6))
    with pytest.raises(ValueError, match=r"at least 0\.00024, .* A6 \(width 6\), got 1e-05"):
        motif.threshold(1e-5)
    # Only the best window may pass: the threshold is its score, less half a grid step a column.
    best = 6 * float(motif.log_odds().max())
    assert best - 6e-3 <= motif.threshold(4.0**-6) <= best


def test_the_shipped_motifs():
    assert load_motif("CTCF").width == 19
    assert load_motif("PU1").width == 16
    with pytest.raises(ValueError, match="unknown motif 'GATA1'; there are CTCF, PU1"):
        load_motif("GATA1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"m\.jaspar: expected a JASPAR matrix that starts with '>identifier name'"),
        ("A [ 1 2 ]\n", "expected a JASPAR matrix"),
        (">x\n", "expected four rows of counts for each"),
        (">x\n1 2\n3 4\n5 6\n", "expected four rows of counts for each"),
        (">x\n1 2\n3 4\n5 6\n7 y\n", "four rows of counts a matrix: could not convert .*'y'"),
        (">x\n1 2\n3 4\n5 6\n7\n", "expected four rows of counts a matrix"),
        (">x\n1 0\n3 0\n5 0\n7 0\n", "motif x: expected counts, no column all 0"),
        (">x\n1 -1\n3 4\n5 6\n7 8\n", "motif x: expected counts"),
    ],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "m.jaspar"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_motifs(path)


class StandIn:
    """What pyjaspar answers, without its 139 MB."""

    def __init__(self, release="2024"):
        counts = {base: [1.0, 2.0] for base in "ACGT"}
        self.motifs = [
            jaspar.Motif(f"MA{i}.{release}", name, alphabet="ACGT", counts=counts)
            for i, name in enumerate(["one", "two", "two"])
        ]

    def fetch_motif_by_id(self, name):
        return next((m for m in self.motifs if m.matrix_id == name), None)

    def fetch_motifs_by_name(self, name):
        return [m for m in self.motifs if m.name == name]


def test_jaspar_by_identifier_and_name(monkeypatch):
    module = type(sys)("pyjaspar")
    module.jaspardb = StandIn
    monkeypatch.setitem(sys.modules, "pyjaspar", module)
    assert fetch_jaspar("MA1.2024").name == "two"
    assert fetch_jaspar("one", release="2020").identifier == "MA0.2020"
    with pytest.raises(ValueError, match=r"of name 'two', there are: MA1\.2024, MA2\.2024"):
        fetch_jaspar("two")
    with pytest.raises(ValueError, match="of name 'three', there are: none"):
        fetch_jaspar("three")


def test_jaspar_without_pyjaspar(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyjaspar", None)
    with pytest.raises(ValueError, match=r"pip install 'seqflow\[jaspar\]'"):
        fetch_jaspar("MA0139.1")


def test_matrices_are_packaged_with_their_provenance():
    files = sorted(motifs.MATRICES.glob("*.jaspar"))
    assert [path.stem for path in files] == ["CTCF", "PU1"]
    assert all(path.read_text().startswith("# Learnt by seqflow") for path in files)
