"""Numpy archives of one's own."""

import zipfile

import numpy as np
import pytest
import torch

from proteins.archives import read_archive


def arrays(**changes):
    generator = np.random.default_rng(0)
    plain = {
        "coords": generator.normal(size=(9, 4, 3)).astype(np.float32),
        "offsets": np.array([0, 4, 9]),
        "name": np.array(["one", "two"]),
        "sequence": np.array(["ACDE", "FGHIK"]),
        "cluster": np.array([7, 7]),
    }
    plain |= changes
    return {key: value for key, value in plain.items() if value is not None}


@pytest.fixture
def write(tmp_path):
    def write(**changes):
        np.savez(tmp_path / "x.npz", **arrays(**changes))
        return tmp_path / "x.npz"

    return write


def test_chains_of_an_archive(write):
    (one, two), refused = read_archive(write())
    assert not refused
    assert (one.backbone.name, one.backbone.sequence, one.cluster) == ("one", "ACDE", "7")
    assert two.backbone.coordinates.equal(torch.from_numpy(arrays()["coords"][4:]))
    assert two.backbone.residue_index.tolist() == [1, 2, 3, 4, 5]


def test_only_coordinates_and_offsets_are_needed(write):
    path = write(coords=arrays()["coords"][:, :3], name=None, sequence=None, cluster=None)
    (one, two), _ = read_archive(path)
    assert (one.backbone.name, two.backbone.name) == ("x:0", "x:1")
    assert (one.backbone.sequence, one.cluster) == ("XXXX", None)
    assert one.backbone.mask.all()
    assert not one.backbone.atom_mask[:, 3].any()


def test_a_key_of_clusters_can_be_named(write):
    (one, _), _ = read_archive(write(mine=np.array(["a", "b"])), cluster_key="mine")
    assert one.cluster == "a"


def test_absent_atoms_are_masked_and_chains_without_residues_refused(write):
    coords = arrays()["coords"]
    coords[0, 1] = np.nan
    coords[4:, 2, 0] = np.inf
    (one,), (refusal,) = read_archive(write(coords=coords))
    assert one.backbone.mask.tolist() == [False, True, True, True]
    assert one.backbone.coordinates.isfinite().all()
    assert refusal.chain == "two"
    assert "none of the 5 residues has all three" in refusal.reason


def test_a_sequence_of_another_length_refuses_its_chain(write):
    (one,), (refusal,) = read_archive(write(sequence=np.array(["ACDE", "FG"])))
    assert one.backbone.name == "one"
    assert (refusal.chain, refusal.reason[:32]) == ("two", "expected a sequence of 5 letters")


BAD = {
    "no array 'offsets'; there are cluster, coords, name, sequence": {"offsets": None},
    r"expected coords \(sum, 3 or 4, 3\) .* got shape \(9, 12\)": {"coords": np.zeros((9, 12))},
    "expected coords of a floating dtype, got int64": {"coords": np.zeros((9, 4, 3), int)},
    "expected offsets that rise from 0 to 9": {"offsets": np.array([0, 10, 9])},
    "expected offsets that rise from 0": {"offsets": np.array([0.0, 4, 9])},
    r"expected name of 2 chains, got shape \(3,\)": {"name": np.array(["a", "b", "c"])},
    r"plain arrays, but Object arrays cannot be loaded": {"name": np.array(["a", 1], object)},
}


@pytest.mark.parametrize("message", BAD)
def test_arrays_that_do_not_fit_are_named(write, message):
    with pytest.raises(ValueError, match=f"x.npz: .*{message}"):
        read_archive(write(**BAD[message]))


def test_an_unknown_key_of_clusters_is_an_error(write):
    with pytest.raises(ValueError, match="no array 'cluster40'; there are cluster, coords"):
        read_archive(write(), cluster_key="cluster40")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 no archive", b"\x80\x04pickle", b"text"])
def test_what_is_no_archive_is_said(tmp_path, data):
    path = tmp_path / "x.npz"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.npz: expected a numpy archive"):
        read_archive(path)


def test_a_plain_array_is_no_archive(tmp_path):
    with (tmp_path / "x.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match=r"x\.npz: expected a numpy archive"):
        read_archive(tmp_path / "x.npz")


def test_other_members_of_a_zip_are_said(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("coords", "text")
    with pytest.raises(ValueError, match=r"x\.npz: .* some of its members are no arrays"):
        read_archive(tmp_path / "x.npz")
