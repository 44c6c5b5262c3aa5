"""Models on disk: whole or not at all, and every fault has a name."""

import pytest
import torch
import yaml
from torch import nn

from seqflow.checkpoints import (
    CONFIG,
    WEIGHTS,
    bundled_checkpoints,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
)

KIND = {"domain": "dna", "kind": "generator"}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    save_checkpoint(path, **KIND, config={"length": 7}, model=nn.Linear(3, 2))
    return path


def test_round_trip(tmp_path):
    model = nn.Linear(3, 2)
    save_checkpoint(tmp_path / "model", **KIND, config={"length": 7}, model=model)
    checkpoint = load_checkpoint(tmp_path / "model", **KIND)
    assert checkpoint.config == {"length": 7}
    loaded = checkpoint.load_into(nn.Linear(3, 2))
    assert torch.equal(loaded.weight, model.weight)
    assert not loaded.training


def test_a_folder_holds_two_files_and_can_be_replaced(folder):
    save_checkpoint(folder, **KIND, config={"length": 8}, model=nn.Linear(3, 2))
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG, WEIGHTS]
    assert [path.name for path in folder.parent.iterdir()] == ["model"]
    assert load_checkpoint(folder, **KIND).config == {"length": 8}


def change(folder, **values):
    config = yaml.safe_load((folder / CONFIG).read_text()) | values
    (folder / CONFIG).write_text(yaml.safe_dump(config))


@pytest.mark.parametrize(
    ("key", "value"), [("domain", "proteins"), ("kind", "classifier"), ("format", 99)]
)
def test_other_domains_kinds_and_versions_are_refused(folder, key, value):
    change(folder, **{key: value})
    with pytest.raises(ValueError, match=rf"expected {key} .*, got {value!r}"):
        load_checkpoint(folder, **KIND)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfe\x00", "is not YAML"), (b"a: [", "is not YAML"), (b"- 1", "expected a mapping")],
)
def test_damaged_configurations_are_named(folder, content, message):
    (folder / CONFIG).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_checkpoint(folder, **KIND)


def test_missing_and_damaged_weights_are_named(folder):
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-5])
    with pytest.raises(ValueError, match=r"damaged weights: .*model.safetensors cannot be read"):
        load_checkpoint(folder, **KIND)
    (folder / WEIGHTS).unlink()
    with pytest.raises(ValueError, match=r"missing weights: there is no"):
        load_checkpoint(folder, **KIND)
    (folder / CONFIG).unlink()
    with pytest.raises(ValueError, match=r"there is no config.yaml"):
        load_checkpoint(folder, **KIND)


@pytest.mark.parametrize("model", [nn.Linear(4, 2), nn.Linear(3, 2, bias=False)])
def test_weights_that_do_not_fit(folder, model):
    with pytest.raises(ValueError, match=r"do not fit config.yaml"):
        load_checkpoint(folder, **KIND).load_into(model)


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot write the model to"):
        save_checkpoint(tmp_path / "file" / "model", **KIND, config={}, model=nn.Linear(1, 1))


def test_models_are_found_by_path_and_by_name(folder):
    assert find_checkpoint(str(folder), package="dna") == folder
    for name, path in bundled_checkpoints("dna").items():
        assert find_checkpoint(name, package="dna") == path
    with pytest.raises(ValueError, match=r"no model 'nonsense': .* bundled with dna"):
        find_checkpoint("nonsense", package="dna")
