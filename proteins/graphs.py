"""Chains as torch-geometric graphs, and batches of unequal length with padding.

A chain is a ``Data`` whose nodes are residues; it has no edges, for networks that want neighbours
find them in the noisy state. ``Batch`` joins chains end to end, which suits such networks, and
``to_dense_batch`` pads them to one length, which suits attention.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch_geometric.data import Batch as GraphBatch
from torch_geometric.data import Data
from torch_geometric.utils import to_dense_batch

from seqflow.objectives import Batch

from .datasets import Chains

FIELDS = ("coordinates", "mask", "positions", "residue_types")


def chain_graph(chains: Chains, i: int) -> Data:
    """Chain i; node attributes are ``FIELDS``."""
    rows = chains.rows(i)
    values = {name: getattr(chains, name)[rows] for name in FIELDS}
    return Data(num_nodes=rows.stop - rows.start, **values)


def join_graphs(graphs: Sequence[Data]) -> GraphBatch:
    """The graphs as one, with ``batch`` (the chain of each residue) and ``ptr``."""
    return GraphBatch.from_data_list(list(graphs))


def dense_batch(joined: GraphBatch, length: int | None = None) -> Batch:
    """Every field padded with zeros to ``length``, by default the longest chain.

    Returns:
        ``coordinates`` (B, L, 4, 3), ``mask`` (B, L; False in the padding too), ``positions``
        (B, L) and ``residue_types`` (B, L).

    Raises:
        ValueError: for a chain longer than ``length``.
    """
    longest = int(joined.ptr.diff().max())
    if length is not None and longest > length:
        raise ValueError(f"expected chains of at most {length} residues, got one of {longest}")
    size = longest if length is None else length
    return {
        name: to_dense_batch(joined[name], joined.batch, max_num_nodes=size)[0] for name in FIELDS
    }


def padded(chains: Chains, index: Tensor | None = None, length: int | None = None) -> Batch:
    """The chains at ``index``, by default all, as one padded batch; see `dense_batch`."""
    chosen = range(len(chains)) if index is None else index.tolist()
    return dense_batch(join_graphs([chain_graph(chains, i) for i in chosen]), length)
