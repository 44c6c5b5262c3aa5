"""Pairs of noise and backbone: files, resuming, the filter, and what training makes of them."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from geometry import SO3
from proteins.chain_builder import build_backbone, ideal_coordinates
from proteins.flow import ROTATION, TRANSLATION
from proteins.frames import backbone_to_frames
from proteins.models import GeneratorSpec, build_generator
from proteins.pair_filter import (
    describe_judgement,
    gate_with,
    judge_pairs,
    judgement_rows,
)
from proteins.pair_generation import GROUP, make_pairs, weights_digest
from proteins.pairs import NOISE_ROTATION, NOISE_TRANSLATION, Pairs, load_pairs, save_pairs
from proteins.plausibility import GATE
from proteins.rectification_settings import PairSettings
from proteins.settings import FlowSettings
from proteins.trunk_settings import PairBiasSettings
from seqflow.sampling import Sampler, time_grid
from seqflow.training import seeded

SIZE = {"channels": 16, "layers": 1, "heads": 2, "points": 2, "pair_channels": 8}


def tiny_generator(seed=0):
    """An untrained network, shaken so that it says something."""
    network = PairBiasSettings(**SIZE)
    with seeded(seed):
        generator = build_generator(
            GeneratorSpec(length="6-9", flow=FlowSettings(), network=network)
        )
        for weight in generator.network.parameters():
            weight.data += 0.05 * torch.randn_like(weight)
    return generator


def some_pairs(lengths, seed=0):
    """Pairs whose ends are random."""
    generator = torch.Generator().manual_seed(seed)
    groups = []
    for length in lengths:
        x = 5 * torch.randn(2, 1, length, 3, generator=generator)
        q = SO3().random_uniform(2, 1, length, generator=generator)
        ends = zip(
            (NOISE_TRANSLATION, TRANSLATION, NOISE_ROTATION, ROTATION), (*x, *q), strict=True
        )
        groups.append(dict(ends))
    return Pairs.empty({"seed": seed}).joined(groups)


def settings(**values):
    return PairSettings(num=20, length="6-9", steps=2, **values)


def test_a_file_gives_back_what_was_put_in(tmp_path):
    pairs = some_pairs([5, 3, 8])
    save_pairs(tmp_path / "pairs.safetensors", pairs)
    again = load_pairs(tmp_path / "pairs.safetensors")
    assert again.lengths.tolist() == [5, 3, 8]
    assert again.origin == {"seed": 0}
    assert all(again.rows[name].equal(pairs.rows[name]) for name in pairs.rows)


def test_pairs_are_chosen_and_padded_whole():
    pairs = some_pairs([5, 3, 8, 1])
    chosen = pairs.select(torch.tensor([3, 1]))
    assert chosen.lengths.tolist() == [1, 3]
    assert chosen.rows[ROTATION].equal(pairs.rows[ROTATION][[16, 5, 6, 7]])
    assert pairs.select(pairs.lengths > 3).lengths.tolist() == [5, 8]
    batch = pairs.padded(torch.tensor([1, 0]), 6)
    assert batch["mask"].sum(-1).tolist() == [3, 5]
    assert batch["positions"][1].tolist() == [0, 1, 2, 3, 4, 0]
    for name in pairs.rows:
        assert batch[name][0, :3].equal(pairs.rows[name][5:8])
        assert not batch[name][0, 3:].any()


def test_no_pairs_are_pairs_too(tmp_path):
    save_pairs(tmp_path / "none.safetensors", Pairs.empty({}))
    none = load_pairs(tmp_path / "none.safetensors")
    assert len(none) == 0
    assert len(none.select(torch.zeros(0, dtype=torch.bool))) == 0
    judgement = judge_pairs(none, GATE)
    assert describe_judgement(judgement) == "kept 0 of 0 pairs (0.0%)"


@pytest.mark.parametrize("field", ["offsets", NOISE_ROTATION, TRANSLATION])
def test_damaged_files_are_refused(tmp_path, field):
    path = tmp_path / "pairs.safetensors"
    save_pairs(path, some_pairs([5, 3]))
    tensors = load_file(path)
    header = {"format": "seqflow-protein-pairs-1", "origin": "{}"}
    for damaged in (tensors[field][:-1].clone(), tensors[field].half()):
        save_file({**tensors, field: damaged}, path, header)
        with pytest.raises(ValueError, match="damaged: its tensors do not fit each other"):
            load_pairs(path)
    save_file(tensors, path, header | {"origin": "{"})
    with pytest.raises(ValueError, match=r"pairs.*damaged: its origin is no JSON"):
        load_pairs(path)
    save_file(tensors, path, {"format": "other"})
    with pytest.raises(ValueError, match="expected the format 'seqflow-protein-pairs-1'"):
        load_pairs(path)
    path.write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="expected a file of pairs"):
        load_pairs(path)


def test_pairs_are_the_ends_of_the_sampler_s_own_walk(tmp_path):
    """x_1 follows from the stored x_0 by the steps of the sampler, to the last bit."""
    generator = tiny_generator()
    pairs = make_pairs(generator, settings(), tmp_path / "p.safetensors", progress=False)
    assert len(pairs) == 2 * GROUP  # 20, rounded up
    length = int(pairs.lengths[0])
    batch = pairs.padded(torch.arange(GROUP), length)
    x_0 = {TRANSLATION: batch[NOISE_TRANSLATION], ROTATION: batch[NOISE_ROTATION]}
    process = generator.flow.sampling_process(torch.ones(length, dtype=torch.bool))

    class Given:
        """The process with a prior that is known."""

        step = staticmethod(process.step)

        def sample_prior(self, shape, **how):
            return {**process.sample_prior(shape, **how), **x_0}

    sampler = Sampler(Given(), generator.network, time_grid(2), 16)
    x_1 = sampler.sample((GROUP, length))
    assert x_1[ROTATION].equal(batch[ROTATION])
    assert x_1[TRANSLATION].equal(batch[TRANSLATION])
    # The noise is that of the prior: centred, and of 10 Angstrom.
    assert batch[NOISE_TRANSLATION].mean(1).abs().max() < 1e-4
    spread = pairs.rows[NOISE_TRANSLATION].square().mean().item()
    # Some 700 numbers: the standard error of their variance is 5% of it.
    free = float(1 - 1 / pairs.lengths.double().mean())
    assert spread == pytest.approx(100 * free, rel=0.25)


def test_pairs_go_on_where_they_stopped(tmp_path):
    generator = tiny_generator()
    path = tmp_path / "half.safetensors"
    few = make_pairs(generator, settings().model_copy(update={"num": 3}), path, progress=False)
    assert len(few) == GROUP
    before = load_pairs(path)
    more = make_pairs(generator, settings(batch_size=3), path, progress=False)
    whole = make_pairs(generator, settings(), tmp_path / "whole.safetensors", progress=False)
    assert more.lengths.equal(whole.lengths)
    for name, x in whole.rows.items():
        # What was there is not touched; the rest is rounded otherwise in another batch.
        assert more.rows[name][: len(before.rows[name])].equal(before.rows[name])
        torch.testing.assert_close(more.rows[name], x, rtol=0, atol=1e-3)
    again = make_pairs(generator, settings().model_copy(update={"num": 3}), path, progress=False)
    assert len(again) == GROUP
    assert len(load_pairs(path)) == 2 * GROUP


@pytest.mark.parametrize(
    ("other", "message"),
    [({"steps": 3}, "steps 2, not 3"), ({"seed": 1}, "seed 0, not 1"), ({}, "weights '")],
)
def test_pairs_of_another_origin_are_not_mixed(tmp_path, other, message):
    path = tmp_path / "pairs.safetensors"
    make_pairs(tiny_generator(), settings(), path, progress=False)
    generator = tiny_generator(seed=0 if other else 1)
    with pytest.raises(ValueError, match=message):
        make_pairs(generator, settings().model_copy(update=other), path, progress=False)


def test_mixed_precision_changes_little(tmp_path):
    generator = tiny_generator()
    plain, mixed = (
        make_pairs(generator, settings(precision=word), tmp_path / word, progress=False)
        for word in ("32-true", "bf16-mixed")
    )
    assert plain.rows[NOISE_ROTATION].equal(mixed.rows[NOISE_ROTATION])
    error = (plain.rows[TRANSLATION] - mixed.rows[TRANSLATION]).abs().max()
    # Two steps, each with an end that is off by the 2^-8 of bfloat16 in some 20 Angstrom.
    assert 0 < error < 1
    length = (mixed.rows[ROTATION].norm(dim=-1) - 1).abs().max()
    assert length < 1e-5


def helices_and_noise():
    """Of four pairs of thirty residues two end in a bundle of helices, two in noise."""
    turn = torch.tensor([-60.0, -45.0]).repeat(30, 1)
    turn[14:16] = torch.tensor([-80.0, 120.0])  # a hinge, or it would be too long
    atoms = build_backbone(ideal_coordinates(*turn.T.deg2rad()))
    q, x = backbone_to_frames(atoms)
    good = {TRANSLATION: x, ROTATION: q, NOISE_TRANSLATION: x, NOISE_ROTATION: q}
    bad = some_pairs([30, 30], seed=1)
    two = {name: each.expand(2, *each.shape) for name, each in good.items()}
    return bad.joined([two])


def test_the_filter_keeps_the_plausible_and_says_why_others_go():
    pairs = helices_and_noise()
    judgement = judge_pairs(pairs, gate_with({}))
    assert judgement.kept.tolist() == [False, False, True, True]
    said = describe_judgement(judgement)
    assert said.startswith("kept 2 of 4 pairs (50.0%); outside the limits: ")
    assert "ca_ca 2 (0 alone)" in said
    rows = judgement_rows(pairs, judgement)
    assert [row["kept"] for row in rows] == [0, 0, 1, 1]
    assert rows[2]["c_n"] == 1


def test_limits_of_one_s_own_replace_those_of_the_gate():
    pairs = helices_and_noise()
    none_pass = judge_pairs(pairs, gate_with({"structured": (0.99, None)}))
    assert not none_pass.kept.any()
    anything = {part.name: (None, None) for part in GATE}
    assert judge_pairs(pairs, gate_with(anything)).kept.all()
    # Only what is named changes.
    assert gate_with({})[0] is not GATE[0]
    assert [(a.low, a.high) for a in gate_with({})] == [(a.low, a.high) for a in GATE]


def test_weights_are_told_apart():
    one, other = tiny_generator(), tiny_generator(seed=1)
    assert weights_digest(one.network) == weights_digest(tiny_generator().network)
    assert weights_digest(one.network) != weights_digest(other.network)
