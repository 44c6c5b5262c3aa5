import pytest
import torch
from safetensors.torch import save_file

from dna.composition import kmer_distance
from dna.metrics import Summary, compare, load_summaries, save_summaries, summarise
from dna.motifs import load_motif


def sample(seed, num=200):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(4, (num, 40), generator=generator)
    return tokens, torch.randn(num, 3, generator=generator)


def summary(seed):
    tokens, embeddings = sample(seed)
    return summarise(tokens, motifs=[load_motif("CTCF")], embeddings=embeddings)


def test_a_set_compared_with_itself():
    row = compare(summary(0), summary(0))
    assert row["gc_drift"] == row["js_4"] == row["js_6"] == 0
    assert row["frechet"] == pytest.approx(0, abs=1e-9)
    assert row["num"] == 200
    assert set(row) == {
        "num", "gc_drift", "js_4", "js_6", "frechet", "frechet_floor", "motif_CTCF",
    }  # fmt: skip


def test_two_sets_compared_through_their_summaries():
    row = compare(summary(0), summary(1))
    assert row["js_6"] == kmer_distance(sample(0)[0], sample(1)[0], 6)
    # Both are draws of one law: the floor, within a factor of 3.
    assert row["frechet_floor"] / 3 < row["frechet"] < row["frechet_floor"] * 3


def test_only_what_both_have_is_compared():
    tokens, _ = sample(0)
    bare = summarise(tokens, kmer_sizes=[4])
    assert set(compare(bare, summary(1))) == {"num", "gc_drift", "js_4"}


def test_summaries_stand_in_for_the_data(tmp_path):
    path = tmp_path / "reference.safetensors"
    save_summaries(path, {"ctcf": summary(0), "pu1": summary(1)})
    loaded = load_summaries(path)
    assert list(loaded) == ["ctcf", "pu1"]
    for label, seed in (("ctcf", 0), ("pu1", 1)):
        assert compare(summary(2), loaded[label]) == compare(summary(2), summary(seed))
        assert loaded[label].motif_rates == summary(seed).motif_rates
    assert list(tmp_path.iterdir()) == [path]


def test_errors(tmp_path):
    tokens, embeddings = sample(0)
    with pytest.raises(ValueError, match="expected 200 embeddings, got 199"):
        summarise(tokens, embeddings=embeddings[:199])
    with pytest.raises(ValueError, match="there is no 'gc'"):
        Summary.from_tensors({"num": torch.tensor(3)})
    with pytest.raises(ValueError, match="labels without a slash, got 'a/b'"):
        save_summaries(tmp_path / "x", {"a/b": summary(0)})
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"not a safetensors file")
    with pytest.raises(ValueError, match=r"bad\.safetensors: expected a safetensors file"):
        load_summaries(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match=r"bad\.safetensors: expected a file of summaries"):
        load_summaries(path)
    with pytest.raises(ValueError, match="there is no folder"):
        save_summaries(tmp_path / "none" / "x", {"a": summary(0)})
