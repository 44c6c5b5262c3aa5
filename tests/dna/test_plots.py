import matplotlib
import pytest
import torch
from PIL import Image

from dna.plots import FrontierPoint, information, plot_frontier, plot_logos, plot_profiles

CURVES = {
    "ctcf": [FrontierPoint(1, 0.8, 5.0), FrontierPoint(0, 0.5, 60.0), FrontierPoint(3, 1.0, 12.0)],
    "pu1": [FrontierPoint(0, 0.4, 70.0), FrontierPoint(1, 0.8, 4.0)],
}
REFERENCES = {"real": {"ctcf": (0.9, 0.8), "pu1": (0.9, 0.9)}, "Markov": {"other": (0.6, 30.0)}}
COUNTS = torch.tensor([[9, 3], [0, 3], [0, 2], [1, 2]])


def check_picture(path):
    """It is the only file there, an image, and not one colour."""
    assert list(path.parent.iterdir()) == [path]
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 200
        assert len(image.convert("L").getcolors()) > 10


def test_information_is_two_bits_less_the_entropy():
    heights = information(torch.tensor([[4, 2, 1], [0, 2, 1], [0, 0, 1], [0, 0, 1]]))
    torch.testing.assert_close(heights.sum(0), torch.tensor([2.0, 1.0, 0.0]).double())
    torch.testing.assert_close(heights[:, 1], torch.tensor([0.5, 0.5, 0, 0]).double())
    assert information(torch.zeros(4, 1)).isfinite().all()


@pytest.mark.parametrize(
    "draw",
    [
        lambda path: plot_logos(path, {"one": COUNTS, "two": COUNTS.repeat(1, 5)}),
        lambda path: plot_frontier(path, CURVES, references=REFERENCES),
        lambda path: plot_frontier(path, CURVES),
        lambda path: plot_profiles(path, {"real": torch.rand(30), "generated": torch.rand(30)}),
    ],
)
def test_pictures(tmp_path, draw):
    settings = dict(matplotlib.rcParams)
    draw(tmp_path / "picture.png")
    check_picture(tmp_path / "picture.png")
    assert dict(matplotlib.rcParams) == settings


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda path: plot_logos(path, {}), "at least one logo"),
        (lambda path: plot_logos(path, {"x": COUNTS.T}), r"counts \(4, W\) for 'x', got \(2, 4\)"),
        (lambda path: plot_profiles(path, {}), "at least one profile"),
        (lambda path: plot_frontier(path, {}), "at least one curve"),
        (
            lambda path: plot_frontier(path, {"a": [FrontierPoint(0, 1, 0.0)]}),
            r"curve of positive distances, got \[0\.0\]",
        ),
        (lambda path: plot_logos(path.with_suffix(".txt"), {"x": COUNTS}), "cannot write .*txt"),
        (lambda path: plot_logos(path.parent / "no" / "x.png", {"x": COUNTS}), "no folder"),
    ],
)
def test_errors_leave_no_file(tmp_path, draw, message):
    with pytest.raises(ValueError, match=message):
        draw(tmp_path / "picture.png")
    assert not any(tmp_path.iterdir())
