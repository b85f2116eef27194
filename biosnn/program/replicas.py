"""How many copies of a network a program holds, and what they have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs


@attrs.frozen(kw_only=True, eq=False)
class Replicas:
    """How many copies of a network a program holds, and what they have in common.

    Parameters
    ----------
    n : int
        Number of copies.
    shared : bool
        Whether all copies use the weights of one: full projections without delay have one
        matrix then, and the copies share the samples. Otherwise each copy has its own weights
        and shows all samples.
    parameters : dict
        Population, or projection with a rule -> parameter -> its value (SI) in each copy, where
        they differ.
    """

    n: int = 1
    shared: bool = True
    parameters: Mapping[str, Mapping[str, Sequence[float]]] = attrs.Factory(dict)

    @property
    def stride(self) -> int:
        """Samples from one that a copy shows to its next one."""
        return self.n if self.shared else 1
