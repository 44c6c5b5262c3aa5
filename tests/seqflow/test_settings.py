"""Settings: typed, overridden by words, every fault named in one line."""

from pathlib import Path

import pytest

from seqflow.settings import Settings, load_settings


class Inner(Settings):
    steps: int = 10
    rate: float = 0.1


class Outer(Settings):
    inner: Inner = Inner()
    out: Path


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("out: runs/a\ninner: {steps: 5}\n")
    return file


def test_file_and_overrides(path):
    settings = load_settings(Outer, path, ["inner.rate=1e-3", "out=runs/b"])
    assert settings == Outer(inner=Inner(steps=5, rate=1e-3), out=Path("runs/b"))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("inner.steps=many", r"inner\.steps: .*valid integer"),
        ("inner.step=3", r"inner\.step: Extra inputs are not permitted"),
        ("nonsense=3", "nonsense: Extra inputs"),
        ("steps", "expected key=value, got 'steps'"),
        ("out.deep=1", "cannot set out.deep: out holds a value"),
        ("out=[", "the value of out is not YAML"),
    ],
)
def test_faults_are_named_in_one_line(path, word, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_settings(Outer, path, [word])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "is not YAML"), ("- 1", "expected keys and values"), ("", "out: Field required")],
)
def test_bad_files(tmp_path, text, message):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_settings(Outer, file)


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read the settings .*: No such file"):
        load_settings(Outer, tmp_path / "none.yaml")
