import json
import re
from html.parser import HTMLParser

import pytest
import torch

from proteins.decoys import ideal_helix, random_walk
from proteins.viewer import VENDOR, Scene, pdb_text, write_page

NASTY = '</script><b>"helix" & co'


class Elements(HTMLParser):
    """Every element that a browser would see, and the text of scripts."""

    def __init__(self):
        super().__init__()
        self.tags, self.scripts = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data


def page(path, scenes, **settings):
    write_page(path, scenes, **settings)
    elements = Elements()
    elements.feed(path.read_text(encoding="utf-8"))
    return elements


def test_a_page_holds_all_it_needs(tmp_path):
    scenes = [Scene(NASTY, ideal_helix(20), values={"score": 0.5, "none": float("nan")})]
    found = page(tmp_path / "page.html", scenes, title=NASTY)
    assert list(tmp_path.iterdir()) == [tmp_path / "page.html"]
    # No element names another file, and the browser is told to fetch none.
    assert not [tag for tag, attrs in found.tags if {"src", "href", "srcset"} & attrs.keys()]
    assert {tag for tag, _ in found.tags}.isdisjoint({"link", "iframe", "img", "b"})
    policy = next(a["content"] for _, a in found.tags if "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert "http" not in policy
    licence, viewer, data, own = (script.strip() for script in found.scripts)
    assert "BSD-3-Clause" in licence
    assert viewer == (VENDOR / "3Dmol-min.js").read_text(encoding="utf-8")
    entry = json.loads(data)[0]
    assert entry["name"] == NASTY
    assert entry["values"] == {"score": 0.5, "none": None}
    assert "$3Dmol.createViewer" in own
    assert not re.search(r"https?://", own)


def test_records_have_the_columns_of_pdb():
    coords = ideal_helix(12, dtype=torch.float64)
    lines = pdb_text(Scene("x", coords)).splitlines()
    atoms = [line for line in lines if line.startswith("ATOM")]
    assert len(atoms) == 48
    assert lines[-2:] == ["TER", "END"]
    assert {line[12:16].strip() for line in atoms} == {"N", "CA", "C", "O"}
    assert [int(line[22:26]) for line in atoms[::4]] == list(range(1, 13))
    found = torch.tensor([[float(line[a : a + 8]) for a in (30, 38, 46)] for line in atoms])
    expected = coords.flatten(0, 1) - coords.flatten(0, 1).mean(0)
    # Three decimals.
    torch.testing.assert_close(found.double(), expected, atol=5.1e-4, rtol=0)


def test_absent_atoms_are_left_out():
    walk = random_walk(5, generator=torch.Generator().manual_seed(0))
    assert pdb_text(Scene("walk", walk)).count("ATOM") == 5
    mask = torch.tensor([True, False, True, True, False])
    assert pdb_text(Scene("walk", walk, mask=mask)).count("ATOM") == 3
    assert pdb_text(Scene("none", torch.zeros(0, 4, 3))) == "TER\nEND\n"


@pytest.mark.parametrize(
    ("scenes", "message"),
    [
        ([], "at least one backbone"),
        ([Scene("x", torch.zeros(1, 5, 4, 3))], r"one backbone \(L, 4, 3\) for 'x'"),
        ([Scene("x", 1e4 * ideal_helix(5))], "within 999 Angstrom of their mean in 'x'"),
    ],
)
def test_errors_leave_no_file(tmp_path, scenes, message):
    with pytest.raises(ValueError, match=message):
        write_page(tmp_path / "page.html", scenes)
    assert not any(tmp_path.iterdir())
