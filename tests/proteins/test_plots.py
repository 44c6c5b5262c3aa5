import matplotlib
import pytest
import torch
from PIL import Image

from proteins.decoys import ideal_helix, mirror_image, random_walk
from proteins.plots import plot_distance_maps, plot_ramachandran
from proteins.torsions import backbone_torsions

HELIX = ideal_helix(30)
WALK = random_walk(30, generator=torch.Generator().manual_seed(0))


def draw_angles(path):
    chains = {
        "helices": HELIX.expand(4, 30, 4, 3),
        "mirror": mirror_image(HELIX),
        "one": HELIX[:1],
    }
    plot_ramachandran(path, {name: backbone_torsions(x) for name, x in chains.items()})


def draw_maps(path):
    plot_distance_maps(path, {"a": HELIX, "b": WALK, "one": HELIX[:1]}, columns=2)


@pytest.mark.parametrize("draw", [draw_angles, draw_maps])
def test_pictures(tmp_path, draw):
    settings = dict(matplotlib.rcParams)
    draw(tmp_path / "picture.png")
    assert list(tmp_path.iterdir()) == [tmp_path / "picture.png"]
    with Image.open(tmp_path / "picture.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 200
        assert len(image.convert("L").getcolors()) > 10
    assert dict(matplotlib.rcParams) == settings


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda path: plot_ramachandran(path, {}), "at least one panel"),
        (lambda path: plot_distance_maps(path, {}), "at least one panel"),
        (lambda path: plot_distance_maps(path, {"x": HELIX}, columns=0), "at least 1 column"),
        (lambda path: plot_distance_maps(path, {"x": HELIX[None]}), r"\(L, 4, 3\) for 'x'"),
        (lambda path: plot_distance_maps(path, {"x": HELIX[:0]}), r"got \(0, 4, 3\)"),
        (lambda path: draw_maps(path.with_suffix(".txt")), "cannot write .*txt"),
    ],
)
def test_errors_leave_no_file(tmp_path, draw, message):
    with pytest.raises(ValueError, match=message):
        draw(tmp_path / "picture.png")
    assert not any(tmp_path.iterdir())
