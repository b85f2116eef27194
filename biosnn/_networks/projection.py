"""Declarations of projections: synapses from one population to another."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from biosnn.declaration import declared
from biosnn.errors import ParameterError
from biosnn.models import NeuronModel, Normal, Uniform, check_value
from biosnn.plasticity import PlasticityRule
from biosnn.state import Draw, normalised


@declared
@attrs.frozen(eq=False, kw_only=True)
class Normalisation:
    """Normalisation of the weights that arrive at a neuron.

    Parameters
    ----------
    total : float
        The norm that each column gets, > 0.
    p : {1, 2}
        Sum of weights, or Euclidean norm.
    online : bool
        Also at the end of every learned presentation, for the neurons that fired in it; else
        only for the initial weights.
    """

    total: float
    p: int = 1
    online: bool = True

    def __attrs_post_init__(self) -> None:
        check_value("Normalisation", "total", self.total, 1.0, "> 0")
        if self.p not in (1, 2):
            raise ParameterError("Normalisation", "p", self.p, "1 or 2")

    def apply(self, weights: np.ndarray) -> np.ndarray:
        """Normalise the columns of a matrix [pre, post]; zero columns stay."""
        return normalised(weights, self.total, self.p)


@declared
@attrs.frozen(eq=False, kw_only=True)
class Projection:
    """Synapses from one population to another.

    Parameters
    ----------
    pre, post : str
        Names of populations.
    transmit : str
        What a presynaptic event does to the target, e.g. ``"g_e_post += w"``.
    weights : float, Uniform, Normal, array_like or None
        Initial weights (dimensionless); ``None`` for synapses without a weight.
    rule : PlasticityRule, optional
        How the weights learn.
    normalise : Normalisation, optional
        Normalisation of the columns of a full projection.
    pairs : {"all", "one_to_one", "all_but_self"} or (array, array)
        Which pairs are connected, or index arrays ``(i, j)`` in the order (pre, post).
    on_event : str
        The presynaptic event that transmits.
    when : str
        Slot of Brian2's schedule in which it transmits.
    order : int
        Order within that slot.
    order_free : bool
        States that the result of ``transmit`` does not depend on the order of the synapses
        though Brian2 cannot see it (a maximum, say); its warning is left out then.
    """

    pre: str
    post: str
    transmit: str = ""
    weights: Any = None
    rule: PlasticityRule | None = None
    normalise: Normalisation | None = None
    pairs: Any = "all"
    on_event: str = "spike"
    when: str = "synapses"
    order: int = -1
    order_free: bool = False

    def __attrs_post_init__(self) -> None:
        where = f"Projection({self.pre}->{self.post})"
        known = ("all", "one_to_one", "all_but_self")
        if isinstance(self.pairs, str) and self.pairs not in known:
            raise ParameterError(
                where,
                "pairs",
                repr(self.pairs),
                '"all", "one_to_one", "all_but_self" or index arrays (i, j)',
            )
        if self.rule is not None and self.weights is None:
            raise ParameterError(where, "weights", None, "given where there is a rule")
        if self.normalise is not None and self.pairs != "all":
            raise ParameterError(where, "normalise", "a Normalisation", 'used with pairs="all"')

    def indices(self, n_pre: int, n_post: int) -> tuple[np.ndarray, np.ndarray]:
        """Index arrays (i, j) of the synapses, in the order (pre, post)."""
        if not isinstance(self.pairs, str):
            i, j = (np.asarray(k, dtype=np.int64) for k in self.pairs)
            order = np.lexsort((j, i))
            return i[order], j[order]
        if self.pairs == "one_to_one":
            k = np.arange(min(n_pre, n_post))
            return k, k
        i, j = (k.ravel() for k in np.mgrid[:n_pre, :n_post])
        keep = i != j if self.pairs == "all_but_self" else slice(None)
        return i[keep], j[keep]

    def initial_weights(self, n_pre: int, n_post: int) -> np.ndarray | Draw:
        """Initial weights, flat, in the order (pre, post), or how they are drawn."""
        size = n_pre * n_post if self.pairs == "all" else len(self.indices(n_pre, n_post)[0])
        if isinstance(self.weights, Uniform | Normal):
            drawn = self.weights.draw(size)
            if self.normalise is None:
                return drawn
            norm = {"total": self.normalise.total, "p": self.normalise.p}
            return attrs.evolve(drawn, shape=(n_pre, n_post), **norm)
        flat = np.broadcast_to(np.asarray(self.weights, dtype=float).ravel(), (size,)).copy()
        if not isinstance(self.pairs, str):  # given in the order of the pairs
            flat = flat[np.lexsort((self.pairs[1], self.pairs[0]))]
        if self.normalise is None:
            return flat
        return self.normalise.apply(flat.reshape(n_pre, n_post)).ravel()

    def check(self, key: str, pre: NeuronModel, post: NeuronModel, n_pre: int, n_post: int) -> None:
        """Check that it fits between two populations.

        Raises
        ------
        ParameterError
            If the event, an index or a weight cannot be.
        """
        where = f"projections[{key!r}]"
        events = {*pre.events, *(["spike"] if pre.threshold is not None else [])}
        if self.transmit and self.on_event not in events:
            among = f"an event of {self.pre} ({', '.join(sorted(events)) or 'it has none'})"
            raise ParameterError(where, "on_event", repr(self.on_event), among)
        if not isinstance(self.pairs, str):
            self._check_pairs(where, n_pre, n_post)
        if self.weights is None or isinstance(self.weights, Uniform | Normal):
            return
        weights = np.asarray(self.weights, dtype=float)
        size = n_pre * n_post if self.pairs == "all" else len(self.indices(n_pre, n_post)[0])
        if weights.size not in (1, size):
            raise ParameterError(where, "weights", f"{weights.size} values", f"one, or {size}")
        if not np.isfinite(weights).all():
            bad = weights[~np.isfinite(weights)][0]
            raise ParameterError(where, "weights", bad, "finite")

    def _check_pairs(self, where: str, n_pre: int, n_post: int) -> None:
        arrays = [np.asarray(part) for part in self.pairs]
        shapes = [part.shape for part in arrays]
        if len(arrays) != 2 or shapes[0] != shapes[1] or len(shapes[0]) != 1:
            raise ParameterError(where, "pairs", shapes, "two index arrays (i, j) of one length")
        for part, n, side in zip(arrays, (n_pre, n_post), ("pre", "post"), strict=True):
            if part.size and (part.dtype.kind not in "iu" or part.min() < 0 or part.max() >= n):
                bad = part[(part < 0) | (part >= n)][:1].tolist() or f"dtype {part.dtype}"
                wanted = f"{side}synaptic indices from 0 to {n - 1}"
                raise ParameterError(where, "pairs", bad, wanted)
