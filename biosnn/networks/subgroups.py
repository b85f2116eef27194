"""Parts of populations as the ends of projections."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from biosnn.declaration import declared
from biosnn.errors import ParameterError
from biosnn.networks.connectivity import Pattern, pairs_of_word
from biosnn.validation import LARGEST, check_choice, describe, instance, integer, sequence, whole

_WORDS = ("all", "one_to_one", "all_but_self")


@declared
@attrs.frozen(eq=False)
class Subgroup:
    """Neurons ``start`` to ``stop - 1`` of a population, as Brian2's ``group[start:stop]``.

    Parameters
    ----------
    population : str
        Name of the population.
    start : int
        The first of its neurons.
    stop : int, optional
        The one behind the last. Default: all from `start` on.

    Examples
    --------
    >>> from biosnn.networks import Projection, Subgroup
    >>> p = Projection(pre=Subgroup("exc", 0, 800), post="inh", transmit="v_post += w", weights=0.1)
    >>> print(p.pre)
    exc[0:800]
    """

    population: str = attrs.field(validator=instance(str))
    start: int = attrs.field(default=0, converter=integer, validator=whole(0, LARGEST))
    stop: int | None = attrs.field(
        default=None,
        converter=integer,
        validator=attrs.validators.optional(whole(0, LARGEST)),
    )

    def __attrs_post_init__(self) -> None:
        if self.stop is not None and self.stop <= self.start:
            raise ParameterError("Subgroup", "stop", self.stop, f"> start ({self.start})")

    def __str__(self) -> str:
        return f"{self.population}[{self.start}:{'' if self.stop is None else self.stop}]"

    def bounds(self, n: int) -> tuple[int, int]:
        """First neuron and the one behind the last, in a population of `n`."""
        return self.start, n if self.stop is None else self.stop


@declared
@attrs.frozen(eq=False, kw_only=True)
class BetweenSubgroups(Pattern):
    """A pattern between parts of two populations; its pairs count in the whole populations.

    Networks make it of projections whose ends are a :class:`Subgroup`.

    Parameters
    ----------
    pairs_within : {"all", "one_to_one", "all_but_self"} or Pattern
        Which neurons of the parts are connected; indices count from the first of each part.
    pre, post : tuple of int
        First neuron of each part, and the one behind the last.
    """

    pairs_within: Any
    pre: Any = attrs.field(converter=sequence)
    post: Any = attrs.field(converter=sequence)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.pairs_within, Pattern):
            check_choice("BetweenSubgroups", "pairs_within", self.pairs_within, _WORDS)
        for side in ("pre", "post"):
            bounds = getattr(self, side)
            numbers = isinstance(bounds, tuple) and all(isinstance(k, int) for k in bounds)
            if not numbers or len(bounds) != 2 or not 0 <= bounds[0] < bounds[1] <= LARGEST:
                wanted = f"whole numbers (start, stop) with 0 <= start < stop <= {LARGEST}"
                raise ParameterError("BetweenSubgroups", side, describe(bounds), wanted)

    @property
    def _sizes(self) -> tuple[int, int]:
        return self.pre[1] - self.pre[0], self.post[1] - self.post[0]

    @property
    def without_seed(self) -> bool:
        """See :class:`Pattern`."""
        return isinstance(self.pairs_within, Pattern) and self.pairs_within.without_seed

    def seeded(self, seed: int) -> BetweenSubgroups:
        """See :class:`Pattern`."""
        return attrs.evolve(self, pairs_within=self.pairs_within.seeded(seed))

    def check(self, where: str, n_pre: int, n_post: int) -> None:
        """See :class:`Pattern`."""
        for side, n in (("pre", n_pre), ("post", n_post)):
            start, stop = getattr(self, side)
            if stop > n:
                wanted = f"within the population's {n} neurons"
                raise ParameterError(where, side, f"neurons {start} to {stop - 1}", wanted)
        pre, post = self._sizes
        if isinstance(self.pairs_within, Pattern):
            self.pairs_within.check(where, pre, post)
        elif self.pairs_within == "one_to_one" and pre != post:
            got, wanted = f"'one_to_one' from {pre} to {post} neurons", "between parts of one size"
            raise ParameterError(where, "pairs", got, wanted)

    def tried(self, n_pre: int, n_post: int) -> int:
        """See :class:`Pattern`."""
        inner = self.pairs_within
        return inner.tried(*self._sizes) if isinstance(inner, Pattern) else 0

    def expected(self, n_pre: int, n_post: int) -> int:
        """See :class:`Pattern`."""
        if isinstance(self.pairs_within, Pattern):
            return self.pairs_within.expected(*self._sizes)
        pre, post = self._sizes
        return min(pre, post) if self.pairs_within == "one_to_one" else pre * post

    def pairs(self, n_pre: int, n_post: int) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`Pattern`."""
        self.check("BetweenSubgroups", n_pre, n_post)
        if isinstance(self.pairs_within, Pattern):
            i, j = self.pairs_within.pairs(*self._sizes)
        else:
            i, j = pairs_of_word(self.pairs_within, *self._sizes)
        return i + self.pre[0], j + self.post[0]
