"""Chains in memory, on disk, as graphs and in batches of similar length."""

from itertools import islice, pairwise

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from proteins.backbone import Backbone
from proteins.buckets import ChainStream, length_buckets
from proteins.datasets import gather_chains, load_chains, save_chains
from proteins.graphs import FIELDS, chain_graph, dense_batch, join_graphs, padded

LENGTHS = [*range(40, 101, 3), 40, 41, 97]


def make_chains(lengths=LENGTHS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    backbones = []
    for i, size in enumerate(lengths):
        # A walk of short steps, in which every bond is seen.
        ca = 0.5 * torch.randn(size, 1, 3, generator=generator).cumsum(0)
        mask = torch.rand(size, generator=generator) < 0.95
        backbones.append(
            Backbone.from_coordinates(
                ca + 0.3 * torch.randn(size, 4, 3, generator=generator),
                mask=mask,
                sequence="ACDEFGHIKLMNPQRSTVWY"[i % 20] * size,
                name=f"chain {i}",
            )
        )
    return gather_chains(backbones, [str(i % 5) for i in range(len(lengths))])


@pytest.fixture(scope="module")
def chains():
    return make_chains()


def equal(one, other):
    fields = ("coordinates", "mask", "positions", "residue_types", "offsets")
    return all(getattr(one, name).equal(getattr(other, name)) for name in fields) and (
        one.names,
        one.clusters,
    ) == (other.names, other.clusters)


def test_a_set_gives_its_chains_back(chains):
    assert len(chains) == len(LENGTHS)
    assert chains.lengths.tolist() == LENGTHS
    one = chains[3]
    assert (len(one), one.name, one.sequence) == (49, "chain 3", "E" * 49)
    assert one.mask.equal(chains.mask[chains.rows(3)])
    assert sum(len(one) for one in chains) == sum(LENGTHS)
    assert chains.residue_types.dtype == chains.positions.dtype == torch.int64
    with pytest.raises(IndexError, match="from 0 to 23, got 24"):
        chains.rows(24)


def test_chains_are_centred_as_a_whole():
    one = Backbone.from_coordinates(100 + torch.arange(36.0).reshape(3, 4, 3))
    (moved,) = gather_chains([one], ["a"])
    assert moved.coordinates[:, 1].mean(0).abs().max() < 1e-4  # rounding of 140
    assert (moved.coordinates - one.coordinates).std(dim=(0, 1)).max() < 1e-4


def test_a_choice_of_chains(chains):
    chosen = chains.select(torch.tensor([5, 2]))
    assert chosen.names == ("chain 5", "chain 2")
    assert chosen[1].coordinates.equal(chains[2].coordinates)
    by_mask = chains.select(chains.lengths < 50)
    assert by_mask.lengths.max() < 50
    assert len(chains.select(torch.tensor([], dtype=torch.int64))) == 0


def test_positions_jump_at_gaps():
    whole = Backbone.from_coordinates(0.1 * torch.ones(6, 4, 3))
    cut = whole.select(torch.tensor([0, 1, 4, 5]))
    cut.coordinates[2:] += 10
    chains = gather_chains([cut], ["a"])
    assert chains.positions.tolist() == [0, 1, 4, 5]
    assert chains[0].residue_index.tolist() == [1, 2, 5, 6]


def test_the_file_holds_all(chains, tmp_path):
    save_chains(tmp_path / "x.safetensors", chains)
    assert equal(load_chains(tmp_path / "x.safetensors"), chains)
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_gathering_wants_single_chains():
    one = Backbone.from_coordinates(torch.zeros(2, 4, 3))
    with pytest.raises(ValueError, match="at least one, got 0 and 0"):
        gather_chains([], [])
    with pytest.raises(ValueError, match="got 2 and 1"):
        gather_chains([one], ["a", "b"])


def test_other_files_are_refused(chains, tmp_path):
    path = tmp_path / "x.safetensors"
    for data in (b"", b"text", b"\xff" * 64):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"x.safetensors: expected a file of chains, but"):
            load_chains(path)
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(
        ValueError, match="expected the format 'seqflow-protein-chains-1', got None"
    ):
        load_chains(path)
    with pytest.raises(FileNotFoundError):
        load_chains(tmp_path / "none")


@pytest.mark.parametrize("field", ["mask", "offsets", "positions", "coordinates"])
def test_damaged_files_are_refused(chains, tmp_path, field):
    path = tmp_path / "x.safetensors"
    save_chains(path, chains)
    with safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = load_file(path)
    for damaged in (tensors[field][:-1].clone(), tensors[field].double()):
        save_file({**tensors, field: damaged}, path, header)
        with pytest.raises(ValueError, match="damaged: its tensors do not fit each other"):
            load_chains(path)


@pytest.mark.parametrize("key", ["names", "clusters"])
def test_a_damaged_header_is_refused_by_name(chains, tmp_path, key):
    path = tmp_path / "x.safetensors"
    save_chains(path, chains)
    with safe_open(path, "pt") as file:
        header = file.metadata()
    save_file(load_file(path), path, header | {key: "["})
    with pytest.raises(ValueError, match=rf"x\.safetensors: damaged: its {key} is no JSON"):
        load_chains(path)


def test_graphs_are_joined_and_padded(chains):
    chosen = [7, 0, 3]
    joined = join_graphs([chain_graph(chains, i) for i in chosen])
    sizes = [LENGTHS[i] for i in chosen]
    assert joined.ptr.diff().tolist() == sizes
    batch = dense_batch(joined, 64)
    assert {name: tuple(x.shape) for name, x in batch.items()} == {
        "coordinates": (3, 64, 4, 3),
        "mask": (3, 64),
        "positions": (3, 64),
        "residue_types": (3, 64),
    }
    for row, i in enumerate(chosen):
        own = chains[i]
        assert batch["mask"][row, : len(own)].equal(own.mask)
        assert batch["residue_types"][row, : len(own)].equal(own.residue_types)
        for name in FIELDS:
            assert (batch[name][row, len(own) :] == 0).all()
        assert batch["coordinates"][row, : len(own)].equal(own.coordinates)


def test_a_batch_too_short_is_refused(chains):
    with pytest.raises(ValueError, match="at most 50 residues, got one of 52"):
        padded(chains, torch.tensor([4]), 50)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.5])
def test_buckets_cover_all_with_little_padding(share):
    lengths = torch.randint(1, 500, (400,), generator=torch.Generator().manual_seed(0))
    buckets = length_buckets(lengths, share)
    assert torch.cat([one.index for one in buckets]).sort().values.tolist() == list(range(400))
    for one in buckets:
        own = lengths[one.index]
        assert own.max() == one.length
        assert own.min() >= (1 - share) * one.length - 1e-6
    # Each begins where the one before could take no more.
    edges = [one.length for one in buckets]
    assert all(b < a * (1 - share) for a, b in pairwise(edges))


def test_buckets_of_nothing_and_of_the_impossible():
    assert length_buckets(torch.tensor([], dtype=torch.int64)) == []
    with pytest.raises(ValueError, match=r"padding in \[0, 1\), got 1"):
        length_buckets(torch.tensor([5]), 1.0)
    with pytest.raises(ValueError, match="at least one residue"):
        length_buckets(torch.tensor([5, 0]))


def drawn(stream, count):
    return list(islice(stream, count))


def test_an_epoch_shows_every_chain_once(chains):
    stream = ChainStream(chains, 4, seed=0)
    per_epoch = stream.batches_per_epoch
    for batches in (drawn(stream, per_epoch), drawn(stream, 2 * per_epoch)[per_epoch:]):
        kinds = sorted(int(row.sum()) for one in batches for row in one["mask"])
        assert kinds == sorted(int(chains.mask[chains.rows(i)].sum()) for i in range(len(chains)))
        assert max(len(one["mask"]) for one in batches) <= 4
        for one in batches:
            # A masked residue inside a chain has a position; padding has none but 0.
            sizes = one["positions"].argmax(1) + 1
            assert sizes.sum() >= 0.9 * one["mask"].numel()


def test_batch_n_depends_on_seed_and_n_alone(chains):
    batches = drawn(ChainStream(chains, 4, seed=1), 25)
    later = drawn(ChainStream(chains, 4, seed=1, start=13), 12)
    for one, other in zip(batches[13:], later, strict=True):
        assert all(one[name].equal(other[name]) for name in FIELDS)
    other = drawn(ChainStream(chains, 4, seed=2), 25)
    assert any(
        one["mask"].shape != two["mask"].shape or not one["mask"].equal(two["mask"])
        for one, two in zip(batches, other, strict=True)
    )


def test_without_padding_a_batch_has_one_length(chains):
    stream = ChainStream(chains, 4, seed=0, max_padding=0.0)
    for one in drawn(stream, stream.batches_per_epoch):
        size = one["mask"].shape[1]
        assert (one["positions"].argmax(1) + 1 == size).all()


def test_nothing_to_stream_is_an_error(chains):
    with pytest.raises(ValueError, match="expected chains to train on, got none"):
        ChainStream(chains.select(torch.zeros(len(chains), dtype=torch.bool)), 4, seed=0)
    with pytest.raises(ValueError, match="batch of at least one chain, got 0"):
        ChainStream(chains, 0, seed=0)
