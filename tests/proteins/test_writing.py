"""Writing PDB and mmCIF: what comes back, columns, and what has no room."""

from dataclasses import replace

import pytest
import torch

from proteins.backbone import Backbone
from proteins.structure import read_backbone, read_structure
from proteins.writing import format_structure, write_structure

NAMES = ["x.pdb", "x.ent", "x.cif", "x.mmcif", "x.pdb.gz", "x.cif.gz"]


def chain(size=6, *, chain_id="A", seed=0, scale=30.0):
    """A chain whose bonds are short enough to be seen, anywhere in space."""
    generator = torch.Generator().manual_seed(seed)
    place = scale * torch.randn(3, generator=generator)
    steps = 0.5 * torch.randn(size, 4, 3, generator=generator)
    return Backbone.from_coordinates(
        place + steps, sequence="ACDEFGHIKLMNPQRSTVWYX"[-size:], chain_id=chain_id
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_comes_back(tmp_path, name):
    one = chain()
    mask = torch.ones(6, 4, dtype=torch.bool)
    mask[2, 3] = mask[4, 1] = False
    one = replace(
        one,
        atom_mask=mask,
        coordinates=torch.where(mask[..., None], one.coordinates, 0.0),
        residue_index=torch.tensor([-5, -4, 7, 7, 7, 1000]),
        insertion_codes=("", "", "", "A", "B", ""),
    )
    write_structure(tmp_path / name, one)
    back = read_backbone(tmp_path / name)
    assert (back.coordinates - one.coordinates).abs().max() <= 0.0005 + 1e-5  # three decimals
    for field in ("atom_mask", "residue_index", "residue_types", "chain_index"):
        assert getattr(back, field).equal(getattr(one, field)), field
    assert back.insertion_codes == one.insertion_codes
    assert back.chain_ids == ("A",)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["x.pdb", "x.cif"])
def test_several_chains_come_back_in_order(tmp_path, name):
    one, two = chain(4, chain_id="B", seed=1), chain(5, chain_id="A", seed=2)
    both = Backbone(
        torch.cat((one.coordinates, two.coordinates)),
        torch.cat((one.atom_mask, two.atom_mask)),
        torch.cat((one.residue_index, two.residue_index)),
        one.insertion_codes + two.insertion_codes,
        torch.cat((one.residue_types, two.residue_types)),
        torch.tensor([0] * 4 + [1] * 5),
        ("B", "A"),
    )
    assert format_structure(".pdb", one, two) == format_structure(".pdb", both)
    write_structure(tmp_path / name, both)
    back = read_structure(tmp_path / name).chains
    assert [(x.chain_ids, x.sequence) for x in back] == [
        (("B",), one.sequence),
        (("A",), two.sequence),
    ]


def test_columns_of_a_pdb_file():
    place = torch.tensor([-123.456, 7.0, 9999.999]).expand(1, 4, 3)
    one = replace(Backbone.from_coordinates(place), residue_index=torch.tensor([-12]))
    first = format_structure(".pdb", one).split("\n")[1]
    assert first[:54] == "ATOM      2  CA  GLY A -12    -123.456   7.0009999.999"
    assert (first[12:16], first[17:20], first[21], first[22:26]) == (" CA ", "GLY", "A", " -12")
    assert (first[30:38], first[38:46], first[46:54]) == ("-123.456", "   7.000", "9999.999")
    assert first[76:78] == " C"


def test_equal_structures_make_equal_files(tmp_path):
    for name in ("a.pdb.gz", "b.pdb.gz"):
        write_structure(tmp_path / name, chain())
    assert (tmp_path / "a.pdb.gz").read_bytes() == (tmp_path / "b.pdb.gz").read_bytes()


@pytest.mark.parametrize("value", [-999.9996, 9999.9996, 1e5, -1e5])
def test_coordinates_beyond_the_columns_go_to_mmcif(tmp_path, value):
    one = chain()
    one.coordinates[3, 2, 1] = value
    with pytest.raises(ValueError, match=r"from -999.999 to 9999.999 .* at C of .*suffix .cif"):
        write_structure(tmp_path / "x.pdb", one)
    assert not list(tmp_path.iterdir())
    write_structure(tmp_path / "x.cif", one)
    back = read_backbone(tmp_path / "x.cif")
    assert abs(float(back.coordinates[3, 2, 1]) - value) < 0.01


def test_what_has_no_room_goes_to_mmcif(tmp_path):
    one = chain()
    long_name = replace(one, chain_ids=("AA",))
    large = replace(one, residue_index=one.residue_index + 9999)
    for odd, message in ((long_name, "one letter, got 'AA'"), (large, "to 9999, got 10000")):
        with pytest.raises(ValueError, match=f"{message}; write mmCIF"):
            write_structure(tmp_path / "x.pdb", odd)
        write_structure(tmp_path / "x.cif", odd)
        back = read_backbone(tmp_path / "x.cif")
        assert back.chain_ids == odd.chain_ids
        assert back.residue_index.equal(odd.residue_index)


def test_refusals(tmp_path):
    one = chain()
    with pytest.raises(ValueError, match=r"x.xyz: expected a name that ends in .pdb"):
        write_structure(tmp_path / "x.xyz", one)
    with pytest.raises(ValueError, match="different names, got 'A' twice"):
        write_structure(tmp_path / "x.pdb", one, chain(seed=3))
    with pytest.raises(ValueError, match="at least one atom to write, got none"):
        write_structure(tmp_path / "x.pdb", Backbone.from_coordinates(torch.zeros(0, 4, 3)))
    twice = replace(one, residue_index=torch.ones(6, dtype=torch.int64))
    with pytest.raises(ValueError, match="each residue once in chain A"):
        write_structure(tmp_path / "x.pdb", twice)
    one.coordinates[1, 1] = torch.nan
    with pytest.raises(ValueError, match=r"finite coordinates, got \(nan.* at CA of"):
        write_structure(tmp_path / "x.cif", one)
    assert not list(tmp_path.iterdir())
