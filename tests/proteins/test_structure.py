"""Reading PDB and mmCIF: what files look like in the wild, and what is said of the unreadable."""

import gzip

import pytest
import torch

from proteins.chain_builder import build_backbone, ideal_coordinates
from proteins.reading import RefusedError
from proteins.structure import read_backbone, read_structure

ATOMS = ("N", "CA", "C", "O")
COLUMNS = """
    group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_seq_id
    pdbx_PDB_ins_code Cartn_x Cartn_y Cartn_z occupancy B_iso_or_equiv auth_seq_id auth_asym_id
    pdbx_PDB_model_num
"""
HELIX = build_backbone(
    ideal_coordinates(*torch.tensor([-60.0, -45.0]).deg2rad()[:, None].expand(2, 40))
)


def atom(
    name,
    place,
    *,
    residue="ALA",
    chain="A",
    number=1,
    code=" ",
    alternative=" ",
    occupancy=1.0,
    record="ATOM",
):
    x, y, z = (float(value) for value in place)
    return (
        f"{record:<6}    1  {name:<3}{alternative}{residue:>3} {chain}{number:>4}{code}   "
        f"{x:8.3f}{y:8.3f}{z:8.3f}{occupancy:6.2f}  0.00          {name[0]:>2}"
    )


def residue(i, number=None, *, atoms=ATOMS, shift=0.0, **options):
    """The atom lines of residue i of a helix, which may be called anything."""
    number = i + 1 if number is None else number
    return [
        atom(name, HELIX[i, ATOMS.index(name)] + shift, number=number, **options) for name in atoms
    ]


def helix(size=5, **options):
    return [line for i in range(size) for line in residue(i, **options)]


@pytest.fixture
def write(tmp_path):
    def write(lines, name="x.pdb"):
        path = tmp_path / name
        text = "\n".join([*lines, "END", ""]) if isinstance(lines, list) else lines
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def mmcif(lines):
    """The same atoms as an mmCIF table."""
    rows = [
        (
            f"{one[:6]} {i} {one[12:16].strip()[0]} {one[12:16]} {one[16].strip() or '.'} "
            f"{one[17:20]} L . {one[26].strip() or '?'} {one[30:38]} {one[38:46]} {one[46:54]} "
            f"{one[54:60]} 0.0 {one[22:26]} {one[21]} 1"
        )
        for i, one in enumerate(lines, 1)
    ]
    return "\n".join(
        ["data_X", "loop_", *(f"_atom_site.{name}" for name in COLUMNS.split()), *rows, "#", ""]
    )


@pytest.mark.parametrize("name", ["x.pdb", "x.cif", "x.pdb.gz", "x.cif.gz", "no_suffix"])
def test_both_formats_plain_and_gzipped_are_told_by_content(write, name):
    lines = helix()
    text = mmcif(lines) if "cif" in name else "\n".join(lines)
    data = text.encode()
    reading = read_structure(write(gzip.compress(data) if "gz" in name else data, name))
    (one,) = reading.chains
    assert not reading.refused
    assert (one.sequence, one.chain_ids, one.name) == ("AAAAA", ("A",), f"{name.split('.')[0]}:A")
    assert one.residue_index.tolist() == [1, 2, 3, 4, 5]
    assert one.atom_mask.all()
    assert one.coordinates.dtype == torch.float32
    # Three decimals.
    assert (one.coordinates - HELIX[:5]).abs().max() <= 0.0005 + 1e-6
    assert one.linked().tolist() == [True] * 4 + [False]


def test_chains_in_order_and_by_name(write):
    path = write([*helix(4, chain="B"), "TER", *helix(3, chain="A")])
    assert [(one.chain_ids, len(one)) for one in read_structure(path).chains] == [
        (("B",), 4),
        (("A",), 3),
    ]
    assert len(read_backbone(path)) == 4
    assert len(read_backbone(path, "A")) == 3
    with pytest.raises(ValueError, match=r"x.pdb: no protein chain 'Z'; there are B, A"):
        read_backbone(path, "Z")


def test_models_are_chosen_by_number(write):
    models = [
        line
        for k in (1, 2, 3)
        for line in [f"MODEL     {k:4}", *helix(3, shift=100.0 * k), "ENDMDL"]
    ]
    path = write(models)
    for k in (1, 2, 3):
        (one,) = read_structure(path, model=k).chains
        assert (one.coordinates - HELIX[:3] - 100 * k).abs().max() < 0.001
    for k in (0, 4):
        (refusal,) = read_structure(path, model=k).refused
        assert refusal.reason == f"expected a model from 1 to 3, asked for {k}"


def test_damage_in_another_model_does_no_harm(write):
    bad = helix(1)[0][:40]
    path = write(["MODEL        1", *helix(3), "ENDMDL", "MODEL        2", bad, "ENDMDL"])
    assert len(read_backbone(path)) == 3
    assert "damaged at line 16" in read_structure(path, model=2).refused[0].reason


def test_the_most_occupied_location_is_taken_as_a_whole(write):
    # B is more occupied in all, though A is at N alone.
    n, ca, c = HELIX[2, :3]
    both = [
        atom("N", n, number=3, alternative="A", occupancy=0.6),
        atom("N", n + 1, number=3, alternative="B", occupancy=0.4),
        atom("CA", ca, number=3, alternative="A", occupancy=0.3),
        atom("CA", ca + 1, number=3, alternative="B", occupancy=0.7),
        atom("C", c, number=3, alternative="A", occupancy=0.3),
        atom("C", c + 1, number=3, alternative="B", occupancy=0.7),
        atom("O", HELIX[2, 3], number=3),
    ]
    one = read_backbone(write([*helix(2), *both, *residue(3)]))
    shift = one.coordinates[2] - HELIX[2]
    assert (shift[:3] - 1).abs().max() < 0.001
    assert shift[3].abs().max() < 0.001


def test_the_first_of_equal_locations_is_taken(write):
    both = [
        line
        for name, shift in (("B", 0.0), ("A", 1.0))
        for line in residue(2, alternative=name, occupancy=0.5, shift=shift)
    ]
    one = read_backbone(write([*helix(2), *both, *residue(3)]))
    assert (one.coordinates[2] - HELIX[2]).abs().max() < 0.001


def test_of_two_residues_at_one_place_the_more_occupied_is_taken(write):
    both = [
        line
        for name, kind, occupancy in (("A", "SER", 0.3), ("B", "THR", 0.7))
        for line in residue(2, alternative=name, residue=kind, occupancy=occupancy)
    ]
    assert read_backbone(write([*helix(2), *both, *residue(3)])).sequence == "AATA"


def test_insertion_codes_and_negative_numbers_are_kept(write):
    numbers = [(-1, " "), (0, " "), (1, " "), (1, "A"), (1, "B"), (2, " ")]
    path = write([one for i, (n, c) in enumerate(numbers) for one in residue(i, n, code=c)])
    one = read_backbone(path)
    assert one.residue_index.tolist() == [-1, 0, 1, 1, 1, 2]
    assert one.insertion_codes == ("", "", "", "A", "B", "")
    assert one.label(4) == "ALA 1B"
    assert one.positions().tolist() == [0, 1, 2, 3, 4, 5]


def test_modified_residues_belong_to_the_chain(write):
    lines = [*helix(2), *residue(2, residue="MSE", record="HETATM"), *residue(3)]
    assert read_backbone(write(lines)).sequence == "AAMA"


def test_an_unknown_residue_belongs_if_it_is_linked(write):
    linked = residue(2, residue="QQQ", record="HETATM")
    ligand = residue(9, residue="QQQ", record="HETATM")
    # A standard amino acid among the ligands, as in complexes with glutamate.
    glutamate = residue(20, residue="GLU", record="HETATM", shift=30.0)
    one = read_backbone(write([*helix(2), *linked, *residue(3), "TER", *ligand, *glutamate]))
    assert one.sequence == "AAXA"


def test_waters_ions_and_nucleotides_are_left_out(write):
    ion = "HETATM    1 CA    CA A 201      10.000  10.000  10.000  1.00  0.00          CA"
    water = atom("O", HELIX[0, 0], residue="HOH", number=301, record="HETATM")
    assert len(read_backbone(write([*helix(3), "TER", ion, water]))) == 3
    dna = [atom("P", HELIX[i, 1], residue=" DA", chain="T", number=i) for i in (1, 2)]
    reading = read_structure(write([*helix(3), "TER", *dna, water]))
    assert [one.chain_ids for one in reading.chains] == [("A",)]
    (refusal,) = reading.refused
    assert str(refusal).endswith("x.pdb, chain T: expected amino acids, got 2 residues DA")


def test_residues_without_an_atom_are_masked(write):
    lines = [*helix(2), *residue(2, atoms=("N", "C", "O")), *residue(3, atoms=("N", "CA", "C"))]
    one = read_backbone(write(lines))
    assert one.mask.tolist() == [True, True, False, True]
    assert one.atom_mask[2].tolist() == [True, False, True, True]
    assert (one.coordinates[2, 1] == 0).all()
    assert one.with_oxygen().atom_mask[3].all()


def test_a_chain_without_a_whole_residue_is_refused_by_name(write):
    (refusal,) = read_structure(write(helix(3, atoms=("CA",)))).refused
    assert (refusal.chain, refusal.residue) == ("A", "ALA 1")
    assert refusal.reason == "expected N, CA and C, but none of the 3 residues has all three"


def test_gaps_are_seen(write):
    one = read_backbone(write([*helix(3), *residue(7), *residue(8)]))
    assert one.residue_index.tolist() == [1, 2, 3, 8, 9]
    assert one.linked().tolist() == [True, True, False, True, False]


def test_of_a_repeated_residue_the_first_counts_and_it_is_remarked(write):
    reading = read_structure(write([*helix(3), *residue(1, shift=5.0)]))
    (one,) = reading.chains
    assert (one.coordinates - HELIX[:3]).abs().max() < 0.001
    assert any(
        "already defined" in remark or "defined twice" in remark for remark in reading.remarks
    )


def test_what_follows_the_end_is_another_structure(write):
    one = read_backbone(write([*helix(3), "END", *residue(8)]))
    assert len(one) == 3


def test_one_residue_is_a_chain(write):
    one = read_backbone(write(residue(0)))
    assert (len(one), one.linked().tolist()) == (1, [False])


@pytest.mark.parametrize("name", ["x.pdb", "x.cif"])
def test_missing_occupancies_and_odd_columns(write, name):
    # Old programs end a line after the coordinates.
    short = [line[:54] for line in helix(3)]
    text = mmcif(helix(3)).replace("1.00 0.0", "0.00 0.0") if "cif" in name else short
    assert len(read_backbone(write(text, name))) == 3


NO_RECORDS = "expected ATOM records (PDB) or data_ (mmCIF), got neither"
UNREADABLE = {
    "empty": ("", "expected a PDB or mmCIF file, got an empty one"),
    "blank": (" \n\n", "expected a PDB or mmCIF file, got an empty one"),
    "binary": (bytes(range(256)), "expected text (plain or gzipped), got byte 0x80 at offset 128"),
    "prose": ("The structure of lysozyme.\n", NO_RECORDS),
    "header only": ("HEADER    HYDROLASE\nEND\n", NO_RECORDS),
    "waters only": (
        [atom("O", (0, 0, 0), residue="HOH", record="HETATM")],
        "expected a protein chain, got waters and ligands only",
    ),
    "half a gzip": (gzip.compress(b"ATOM" * 99)[:20], "expected a complete gzip file"),
    "mmCIF without atoms": (
        "data_X\n_entry.id X\n",
        "expected atoms in a table with the column _atom_site.id, but it has none",
    ),
    "mmCIF with an empty table": ("data_X\nloop_\nATOM\n", "damaged mmCIF: "),
    "mmCIF of no kind": ("data_X\nloop_\n_a.b\n'", "damaged mmCIF: "),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_structure_is_refused_with_the_reason(write, name):
    content, reason = UNREADABLE[name]
    path = write(content)
    reading = read_structure(path)
    assert not reading.chains
    (refusal,) = reading.refused
    assert refusal.source == str(path)
    assert refusal.reason.startswith(reason)
    with pytest.raises(RefusedError) as caught:
        read_backbone(path)
    assert str(caught.value) == str(refusal)


@pytest.mark.parametrize(
    ("start", "stop", "put"),
    [(30, 38, "  abc   "), (30, 54, " " * 24), (22, 26, "A000"), (30, 38, "********")],
    ids=["letters", "no coordinates", "number in base 36", "overflow"],
)
def test_a_damaged_line_is_named_with_chain_and_residue(write, start, stop, put):
    lines = ["REMARK", "", *helix(3)]
    lines[7] = lines[7][:start] + put + lines[7][stop:]
    (refusal,) = read_structure(write(lines)).refused
    number = put if start == 22 else "2"
    assert (refusal.chain, refusal.residue) == ("A", f"ALA {number}")
    assert refusal.reason.startswith("damaged at line 8: 'ATOM")


@pytest.mark.parametrize(
    ("was", "put", "column"),
    [(" 0.0 ", " ? ", "B_iso_or_equiv"), (f"{HELIX[1, 0, 0]:8.3f}", " 1e-x", "Cartn_x")],
)
def test_a_damaged_atom_of_an_mmcif_file_is_named(write, was, put, column):
    *head, second, third = mmcif(helix(3)).split("ALA L . ? ", 6)
    assert was in second
    text = "ALA L . ? ".join([*head, second.replace(was, put), third])
    (refusal,) = read_structure(write(text)).refused
    assert (refusal.chain, refusal.residue) == ("A", "ALA 2")
    wanted = f"expected a number for {column}, got {put.strip()!r}"
    assert refusal.reason == f"damaged at atom {len(head)}: {wanted}"


def test_coordinates_that_are_no_numbers_are_absent_atoms(write):
    lines = helix(3)
    lines[5] = lines[5][:30] + "     nan" + lines[5][38:]
    one = read_backbone(write(lines))
    assert one.atom_mask[1].tolist() == [True, False, True, True]
    assert one.coordinates.isfinite().all()


def test_a_file_that_is_not_there_is_an_error_of_its_own(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_structure(tmp_path / "none.pdb")
