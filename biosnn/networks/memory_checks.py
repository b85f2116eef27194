"""How much memory the synapses of a network need, before any are made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from biosnn.errors import ParameterError
from biosnn.networks.connectivity import Pattern
from biosnn.validation import LARGEST

if TYPE_CHECKING:
    from biosnn.networks.network import NetworkModel

#: Bytes of a variable of a synapse, and of its two indices.
_VALUE, _INDICES = 8, 8
#: Most pairs for each of which a number is drawn: some ten minutes.
_TRIED = 10**11


def check_memory(network: NetworkModel, key: str) -> None:
    """Check that the synapses of a projection can be numbered and fit into the memory.

    Raises
    ------
    ParameterError
        Saying how many there are and how many bytes they need.
    """
    projection = network.projections[key]
    n_pre, n_post = (network.populations[side].n for side in (projection.pre, projection.post))
    if isinstance(projection.pairs, Pattern):
        n = projection.pairs.expected(n_pre, n_post)
        tried = n_pre * n_post if projection.pairs.tries_all else 0
    elif isinstance(projection.pairs, str):
        n, tried = projection.size(n_pre, n_post), 0
    else:
        return  # the arrays are there
    values = (projection.weights is not None) + len(projection.variables)
    bytes_needed = n * (_INDICES + _VALUE * values)
    got = f"about {n:,} synapses from {n_pre:,} to {n_post:,} neurons"
    remedy = "Connect fewer, e.g. with pairs=FixedInDegree(...), or make populations smaller"
    where = f"projections[{key!r}]"
    if tried > _TRIED:
        wanted = f"a pattern that tries at most {_TRIED:,} pairs"
        raise ParameterError(where, "pairs", f"one that tries {tried:,}", wanted, remedy)
    if n > LARGEST:
        wanted = f"at most {LARGEST:,} synapses, which Brian2 can number"
        raise ParameterError(where, "pairs", got, wanted, remedy)
    if bytes_needed > physical_memory():
        wanted = f"small enough for this machine's {physical_memory() / 2**30:.1f} GiB"
        got += f", {bytes_needed / 2**30:.1f} GiB"
        raise ParameterError(where, "pairs", got, wanted, remedy)


def physical_memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
