"""A configuration chooses the trunk and sizes it; a trunk's words are its own."""

import pytest
import torch

from proteins.models import (
    TRUNKS,
    GeneratorSpec,
    build_generator,
    build_network,
    load_generator,
    save_generator,
)
from proteins.settings import FlowSettings
from proteins.trunk_settings import IPASettings, KNNSettings, PairBiasSettings
from seqflow.settings import check_settings

SMALL = {
    "pair-bias": {"channels": 12, "layers": 1, "heads": 2, "points": 3, "pair_channels": 8},
    "ipa": {"channels": 12, "layers": 2, "heads": 2, "size": 4, "pair_channels": 8},
    "knn": {"channels": 12, "layers": 1, "heads": 2, "points": 3, "near": 2, "far": 0},
}


def spec(network):
    content = {"length": "8-12", "flow": FlowSettings().model_dump(), "network": network}
    return check_settings(GeneratorSpec, content, where="here")


@pytest.mark.parametrize("trunk", TRUNKS)
def test_every_trunk_is_built_saved_and_loaded(trunk, tmp_path):
    torch.manual_seed(0)
    made = build_generator(spec({"trunk": trunk, **SMALL[trunk]}))
    assert type(made.network) is TRUNKS[trunk]
    save_generator(tmp_path / "model", made)
    loaded = load_generator(str(tmp_path / "model"))
    assert loaded.spec == made.spec
    torch.testing.assert_close(loaded.network.state_dict(), made.network.state_dict())


@pytest.mark.parametrize(
    "settings", [PairBiasSettings(), IPASettings(trunk="ipa"), KNNSettings(trunk="knn")]
)
def test_sizes_are_by_default_those_of_the_class(settings):
    with torch.device("meta"):
        configured, plain = build_network(settings), TRUNKS[settings.trunk]()
    ours, theirs = ({n: p.shape for n, p in m.named_parameters()} for m in (configured, plain))
    assert ours == theirs


def test_a_configuration_without_a_trunk_means_the_default():
    assert spec({"channels": 16}).network == PairBiasSettings(channels=16)
    assert spec({}).network == PairBiasSettings()


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"trunk": "magic"}, "network: expected network.trunk to be pair-bias, ipa or knn"),
        ({"trunk": "ipa", "near": 3}, "network.ipa.near: Extra inputs are not permitted"),
        ({"near": 3}, "network.pair-bias.near: Extra inputs are not permitted"),
        ({"trunk": "knn", "near": -1}, "network.knn.near: .* greater than or equal to 0"),
        ({"trunk": "ipa", "pair_channels": 6}, "network.ipa.pair_channels: .* multiple of 4"),
        ({"trunk": "ipa", "channels": 18}, "4 encoder_heads do not divide the width 18"),
        ({"channels": 16, "heads": 3}, "3 heads do not divide the width 16"),
        (3, "network: expected network.trunk"),
    ],
)
def test_what_a_trunk_cannot_be_is_refused_in_one_line(network, message):
    with pytest.raises(ValueError, match=message) as refusal:
        spec(network)
    assert "\n" not in str(refusal.value)
