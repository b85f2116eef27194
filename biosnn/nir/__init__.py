"""NIR, the neuromorphic intermediate representation: graphs become networks, networks graphs.

>>> from brian2 import ms
>>> from biosnn import nir
>>> network = nir.from_nir("graph.nir", dt=1 * ms, steps=100)  # doctest: +SKIP
>>> nir.write("trained.nir", nir.to_nir(network, state))  # doctest: +SKIP

The package ``nir`` is an extra: ``pip install "biosnn[nir]"``.
"""

from biosnn.nir.conventions import CONVENTIONS, Convention
from biosnn.nir.exporting import to_nir
from biosnn.nir.files import read, write
from biosnn.nir.importing import from_nir, population_names

__all__ = ["CONVENTIONS", "Convention", "from_nir", "population_names", "read", "to_nir", "write"]
