"""Parts that share no cluster."""

import pytest
import torch

from proteins.splits import split_by_cluster


def clusters(size=300, kinds=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [f"c{i}" for i in torch.randint(0, kinds, (size,), generator=generator).tolist()]


@pytest.mark.parametrize("fractions", [(1.0,), (0.9, 0.1), (0.6, 0.3, 0.1)])
@pytest.mark.parametrize("seed", range(5))
def test_parts_cover_all_and_share_no_cluster(fractions, seed):
    names = clusters()
    parts = split_by_cluster(names, fractions, torch.Generator().manual_seed(seed))
    assert torch.cat(parts).sort().values.tolist() == list(range(300))
    kinds = [{names[i] for i in part.tolist()} for part in parts]
    assert len(set.union(*kinds)) == sum(len(one) for one in kinds)
    largest = max(names.count(name) for name in set(names))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - 300 * fraction) <= largest


def test_the_split_belongs_to_the_clusters_not_to_the_order():
    names = clusters()
    order = torch.randperm(300, generator=torch.Generator().manual_seed(1)).tolist()
    shuffled = [names[i] for i in order]
    first, second = (
        {each[i] for i in split_by_cluster(each, (0.8, 0.2), torch.Generator().manual_seed(2))[1]}
        for each in (names, shuffled)
    )
    assert first == second
    other = split_by_cluster(names, (0.8, 0.2), torch.Generator().manual_seed(3))[1]
    assert {names[i] for i in other} != first


def test_wrong_fractions_and_too_few_clusters_are_named():
    generator = torch.Generator().manual_seed(0)
    for fractions in ((0.5, 0.4), (1.5, -0.5), ()):
        with pytest.raises(ValueError, match="positive fractions that sum to 1"):
            split_by_cluster(clusters(), fractions, generator)
    with pytest.raises(ValueError, match="a cluster for each of 2 parts, but the 1 clusters of 4"):
        split_by_cluster(["a"] * 4, (0.5, 0.5), generator)
    with pytest.raises(ValueError, match="the 0 clusters of 0 chains"):
        split_by_cluster([], (0.5, 0.5), generator)
