import pytest
import torch
from Bio.motifs import jaspar

from dna import motif_scan
from dna.motif_scan import aligned_hits, best_hits, hit_profile, hit_rate, scan
from dna.motifs import Motif, load_motif
from dna.sequences import decode, encode, reverse_complement

SITE = "TGGCCACCAGGGGGCGCTA"  # the best-known CTCF site


def random_tokens(num, length, seed=0):
    return torch.randint(4, (num, length), generator=torch.Generator().manual_seed(seed))


def planted(position, strand, length=60):
    tokens = random_tokens(8, length, seed=5)
    site = encode([SITE])[0]
    tokens[:, position : position + len(SITE)] = reverse_complement(site) if strand else site
    return tokens


def biopython(motif):
    counts = dict(zip("ACGT", motif.counts.tolist(), strict=True))
    theirs = jaspar.Motif("id", "name", alphabet="ACGT", counts=counts)
    theirs.pseudocounts = jaspar.calculate_pseudocounts(theirs)
    return theirs.pssm


@pytest.mark.parametrize("name", ["CTCF", "PU1"])
def test_scores_are_those_of_biopython_on_both_strands(name):
    motif = load_motif(name)
    pssm = biopython(motif)
    tokens = random_tokens(5, 40)
    scores = scan(tokens, motif)
    for row, sequence in zip(scores, decode(tokens), strict=True):
        forward = torch.as_tensor(pssm.calculate(sequence))
        backward = torch.as_tensor(pssm.reverse_complement().calculate(sequence))
        # float32 sums of up to 19 terms below 16 in size.
        expected = torch.stack([forward, backward]).float()
        torch.testing.assert_close(row, expected, rtol=0, atol=19 * 16 * 1.2e-7)


@pytest.mark.parametrize("strand", [0, 1])
@pytest.mark.parametrize("position", [0, 23, 41])
def test_a_planted_site_is_found_read_along_the_motif(position, strand):
    motif = load_motif("CTCF")
    tokens = planted(position, strand)
    hits = best_hits(tokens, motif)
    assert (hits.position == position).all()
    assert (hits.strand == strand).all()
    assert hit_rate(tokens, motif) == 1
    assert decode(aligned_hits(tokens, motif)) == [SITE] * 8
    assert hit_profile(tokens, motif)[position] == 1


def test_strands_and_chunks_do_not_matter(monkeypatch):
    motif = load_motif("PU1")
    tokens = torch.cat([random_tokens(300, 60), planted(3, 1)])
    rate = hit_rate(tokens, motif, false_positive_rate=1e-3)
    assert 0 < rate < 1
    assert hit_rate(reverse_complement(tokens), motif, false_positive_rate=1e-3) == rate
    monkeypatch.setattr(motif_scan, "CHUNK", 7)
    assert hit_rate(tokens, motif, false_positive_rate=1e-3) == rate
    profile = hit_profile(tokens, motif, false_positive_rate=1e-3)
    assert profile.shape == (60 - 16 + 1,)
    assert float(profile.sum()) == pytest.approx(rate)


def test_random_sequences_hit_at_the_stated_rate():
    motif, num, length = load_motif("CTCF"), 20_000, 60
    rate = 1e-3
    expected = 2 * (length - motif.width + 1) * rate  # 8%; overlaps of hits are rarer still
    # 4 binomial standard deviations; 1 - (1 - p)^n instead of n p; grid rounding.
    tolerance = 4 * (expected / num) ** 0.5 + expected**2 / 2 + 0.02 * expected
    found = hit_rate(random_tokens(num, length), motif, false_positive_rate=rate)
    assert found == pytest.approx(expected, abs=tolerance)


def test_no_hits_and_too_short():
    motif = Motif("G12", torch.tensor([[0.0], [0], [100], [0]]).double().repeat(1, 12))
    tokens = torch.zeros(3, 20, dtype=torch.int64)
    assert hit_rate(tokens, motif) == 0
    assert aligned_hits(tokens, motif).shape == (0, 12)
    with pytest.raises(ValueError, match=r"at least 12 bases, .* motif G12, got length 11"):
        scan(tokens[:, :11], motif)
