import pytest
import torch

from dna.motif_learning import consensus_motif, refine
from dna.sequences import reverse_complement


def test_a_planted_matrix_is_recovered_from_a_vague_consensus():
    generator = torch.Generator().manual_seed(0)
    num, length = 3000, 60
    truth = torch.full((12, 4), 0.04)
    bases = torch.tensor([3, 2, 0, 1, 2, 3, 1, 0, 2, 2, 0, 3])  # TGACGTCAGGAT
    truth[torch.arange(12), bases] = 0.88
    sites = torch.multinomial(truth, num, replacement=True, generator=generator).T
    flip = torch.rand(num, 1, generator=generator) < 0.5
    tokens = torch.randint(4, (num, length), generator=generator)
    tokens[:, 20:32] = torch.where(flip, reverse_complement(sites), sites)
    learnt = refine(consensus_motif("demo", "NNACGTCAGGNN"), tokens, rounds=3)
    found = learnt.counts / learnt.counts.sum(0)
    assert learnt.counts.sum(0)[0] > 0.6 * num
    # Sites that miss the threshold are the weak ones, so what is found is a little sharper.
    assert (found - truth.T).abs().max() < 0.1


def test_errors():
    with pytest.raises(ValueError, match=r"consensus of x, position 3: .* got '-'"):
        consensus_motif("x", "AC-")
    with pytest.raises(ValueError, match="with motif x, found no hit"):
        refine(consensus_motif("x", "ACGTACGTAC"), torch.zeros(4, 20, dtype=torch.int64))
