"""Patterns of connectivity: which neurons of two populations are connected."""

from __future__ import annotations

import attrs
import numpy as np

from biosnn.declaration import declared
from biosnn.models import check_value


class Pattern:
    """A rule that says which pairs are connected; the same pairs whenever it is asked."""

    def indices(self, n_pre: int, n_post: int) -> tuple[np.ndarray, np.ndarray]:
        """Index arrays (i, j) of the connected pairs, in the order (pre, post)."""
        raise NotImplementedError


@declared
@attrs.frozen(eq=False, kw_only=True)
class FixedProbability(Pattern):
    """Each pair is connected with the same probability, independently of all others.

    Parameters
    ----------
    p : float
        Probability, in [0, 1].
    seed : int
        Seed of the draw; it belongs to the declaration.
    to_self : bool
        Whether neuron k may be connected to neuron k.
    """

    p: float
    seed: int = 0
    to_self: bool = True

    def __attrs_post_init__(self) -> None:
        check_value("FixedProbability", "p", self.p, 1.0, "in [0, 1]")

    def indices(self, n_pre: int, n_post: int) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`Pattern`."""
        rng = np.random.default_rng(self.seed)
        rows = [np.flatnonzero(rng.random(n_post) < self.p) for _ in range(n_pre)]
        i = np.repeat(np.arange(n_pre), [len(row) for row in rows])
        j = np.concatenate(rows)
        keep = slice(None) if self.to_self else i != j
        return i[keep], j[keep]
