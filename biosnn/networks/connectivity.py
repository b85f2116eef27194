"""Patterns of connectivity: which neurons of two populations are connected."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from biosnn.declaration import declared, is_declared
from biosnn.errors import ParameterError
from biosnn.validation import check_numbers, check_whole, choice, describe, number, whole

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]

#: Numbers that are drawn at once.
AT_ONCE = 2**20
_DIMENSIONS = 32  # most of an array


class Pattern:
    """A rule that says which pairs are connected; the same pairs whenever it is asked.

    A pattern of your own is a class that has :meth:`pairs`; a network that is declared with it
    holds the index arrays that it gives.

    Patterns that are drawn have a ``seed``. Without one, each projection of a network draws pairs
    of its own, from the network's seed and the projection's name; outside networks it is 0.
    """

    #: Whether a number is drawn for each pair, connected or not.
    tries_all = False

    def pairs(self, n_pre: int, n_post: int) -> tuple[np.ndarray, np.ndarray]:
        """Index arrays (i, j) of the connected pairs, in any order, without a memory."""
        raise NotImplementedError

    def check(self, where: str, n_pre: int, n_post: int) -> None:
        """Check, at little cost, that it fits between two populations.

        Raises
        ------
        ParameterError
            If it does not.
        """

    def expected(self, n_pre: int, n_post: int) -> int:
        """About how many pairs are connected, without drawing them; 0 if that is not known."""
        return 0

    def tried(self, n_pre: int, n_post: int) -> int:
        """For how many pairs a number is drawn or a condition is evaluated."""
        return n_pre * n_post if self.tries_all else 0

    def seeded(self, seed: int) -> Pattern:
        """Return a copy that draws from a seed."""
        return attrs.evolve(self, seed=seed)  # pyright: ignore[reportCallIssue]

    @property
    def without_seed(self) -> bool:
        """Whether its pairs are drawn, from a seed that it does not say itself."""
        return is_declared(self) and getattr(self, "seed", 0) is None

    def indices(self, n_pre: int, n_post: int, seed: int | None = None) -> Pairs:
        """Index arrays (i, j) of the connected pairs, in the order (pre, post); read-only.

        The latest ones are kept, because building a network asks for them several times.

        Parameters
        ----------
        n_pre, n_post : int
            Sizes of the populations.
        seed : int, optional
            What is drawn from if the pattern has no seed itself.
        """
        return _indices(self, n_pre, n_post, seed if self.without_seed else None)


@functools.lru_cache(maxsize=16)
def _indices(pattern: Pattern, n_pre: int, n_post: int, seed: int | None) -> Pairs:
    if seed is not None:
        pattern = pattern.seeded(seed)
    i, j = (np.asarray(part, dtype=np.int64) for part in pattern.pairs(n_pre, n_post))
    order = np.lexsort((j, i))
    found = i[order], j[order]
    for part in found:
        part.flags.writeable = False
    return found


def pairs_of_word(word: str, n_pre: int, n_post: int) -> tuple[np.ndarray, np.ndarray]:
    """Index arrays (i, j) of ``"all"``, ``"one_to_one"`` or ``"all_but_self"``."""
    if word == "one_to_one":
        k = np.arange(min(n_pre, n_post))
        return k, k
    i, j = (k.ravel() for k in np.mgrid[:n_pre, :n_post])
    keep = i != j if word == "all_but_self" else slice(None)
    return i[keep], j[keep]


def seed_of(network: int, projection: str) -> int:
    """What a projection draws its pairs from: the network's seed and its own name."""
    words = np.random.SeedSequence([network, zlib.crc32(projection.encode())])
    return int(words.generate_state(1, np.uint64)[0])


#: Validator of a seed, which may be left to the network.
SEED = attrs.validators.optional(whole(0))


def _pair_of(obj: str, name: str, value: Any, least: int) -> tuple[int, int]:
    """A whole number for both directions, or one for each."""
    both = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(both) != 2:
        raise ParameterError(obj, name, repr(value), "one whole number or two")
    for part in both:
        check_whole(obj, name, part, least)
    return both


@declared
@attrs.frozen(eq=False, kw_only=True)
class FixedProbability(Pattern):
    """Each pair is connected with the same probability, independently of all others.

    Parameters
    ----------
    p : float
        Probability, in [0, 1].
    seed : int, optional
        Seed of the draw, whatever the network's is. Default: drawn for each projection, see
        :class:`Pattern`.
    to_self : bool
        Whether neuron k may be connected to neuron k.
    """

    tries_all = True

    p: float = attrs.field(validator=number(1.0, "in [0, 1]"))
    seed: int | None = attrs.field(default=None, validator=SEED)
    to_self: bool = True

    def expected(self, n_pre: int, n_post: int) -> int:
        """See :class:`Pattern`."""
        return round(self.p * n_pre * n_post)

    def pairs(self, n_pre: int, n_post: int) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`Pattern`."""
        rng = np.random.default_rng(self.seed or 0)
        rows = [_drawn(rng, n_post, self.p) for _ in range(n_pre)]
        i = np.repeat(np.arange(n_pre), [len(row) for row in rows])
        j = np.concatenate(rows)
        keep = slice(None) if self.to_self else i != j
        return i[keep], j[keep]


@declared
@attrs.frozen(eq=False, kw_only=True)
class FixedInDegree(Pattern):
    """Each postsynaptic neuron receives the same number of connections, from random neurons.

    Parameters
    ----------
    k : int
        Number of connections that arrive at a neuron, >= 1.
    seed : int, optional
        Seed of the draw, whatever the network's is. Default: drawn for each projection, see
        :class:`Pattern`.
    replacement : bool
        Whether a pair may be connected several times.
    to_self : bool
        Whether neuron k may be connected to neuron k.
    """

    k: int = attrs.field(validator=whole(1))
    seed: int | None = attrs.field(default=None, validator=SEED)
    replacement: bool = False
    to_self: bool = True

    def check(self, where: str, n_pre: int, n_post: int) -> None:
        """See :class:`Pattern`."""
        most = n_pre if self.to_self else n_pre - 1
        if most < 1 or (not self.replacement and self.k > most):
            wanted = f"at most the number of presynaptic neurons ({most})"
            remedy = "Use replacement=True to connect pairs several times"
            raise ParameterError(f"{where}.pairs", "k", self.k, wanted, remedy)

    def expected(self, n_pre: int, n_post: int) -> int:
        """See :class:`Pattern`."""
        return self.k * n_post

    def pairs(self, n_pre: int, n_post: int) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`Pattern`."""
        self.check("FixedInDegree", n_pre, n_post)
        rng = np.random.default_rng(self.seed or 0)
        columns = []
        for post in range(n_post):
            without = not self.to_self and post < n_pre
            chosen = rng.choice(n_pre - without, self.k, replace=self.replacement, shuffle=False)
            # What is left out is stepped over.
            columns.append(chosen + (without & (chosen >= post)))
        return np.concatenate(columns), np.repeat(np.arange(n_post), self.k)


def _drawn(rng: np.random.Generator, n: int, p: float) -> NDArray[np.int64]:
    """Which of n are chosen, each with probability p; a long row is drawn in parts."""
    parts = [
        first + np.flatnonzero(rng.random(min(AT_ONCE, n - first)) < p)
        for first in range(0, n, AT_ONCE)
    ]
    return np.concatenate(parts)


_PROFILES = {
    "gaussian": lambda d, sigma: np.exp(-0.5 * (d / sigma) ** 2),
    "exponential": lambda d, sigma: np.exp(-d / sigma),
    "disc": lambda d, sigma: (d <= sigma).astype(float),
}


@declared
@attrs.frozen(eq=False, kw_only=True)
class DistanceDependent(Pattern):
    """Pairs are connected with a probability that depends on their distance.

    Parameters
    ----------
    pre, post : tuple of int or array_like
        Where the neurons are: the shape of a regular grid, such as ``(20, 30)``, whose cells fill
        the extent and whose last index runs fastest; or positions, shape (n, dimensions).
    sigma : float
        Width of the profile, in the unit of positions and extent, > 0.
    profile : {"gaussian", "exponential", "disc"}
        ``p_max*exp(-d**2/(2*sigma**2))``, ``p_max*exp(-d/sigma)``, or ``p_max`` up to ``sigma``.
    p_max : float
        Probability at distance 0, in (0, 1].
    cutoff : float
        Pairs further apart are never connected.
    extent : tuple of float, optional
        Size of the space in every direction. Default: 1 in each.
    wrap : bool
        Whether the space closes on itself (a ring, a torus).
    seed : int, optional
        Seed of the draw, whatever the network's is. Default: drawn for each projection, see
        :class:`Pattern`.
    to_self : bool
        Whether neuron k may be connected to neuron k.
    """

    tries_all = True

    pre: Any
    post: Any
    sigma: float = attrs.field(validator=number(1.0, "> 0"))
    profile: str = attrs.field(default="gaussian", validator=choice(*_PROFILES))
    p_max: float = attrs.field(default=1.0, validator=number(1.0, "in (0, 1]"))
    cutoff: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(number(1.0, "> 0"))
    )
    extent: Sequence[float] | None = None
    wrap: bool = False
    seed: int | None = attrs.field(default=None, validator=SEED)
    to_self: bool = True

    def __attrs_post_init__(self) -> None:
        dimensions = {side: self._placed(side)[1] for side in ("pre", "post")}
        if dimensions["pre"] != dimensions["post"]:
            wanted = f"in {dimensions['pre']} dimensions, as those of pre"
            got = f"positions in {dimensions['post']}"
            raise ParameterError("DistanceDependent", "post", got, wanted)

    def _extent(self, dimensions: int) -> np.ndarray:
        given = np.ones(dimensions) if self.extent is None else self.extent
        extent = check_numbers("DistanceDependent", "extent", given)
        if extent.shape != (dimensions,) or not (np.isfinite(extent) & (extent > 0)).all():
            wanted = f"{dimensions} finite sizes > 0"
            raise ParameterError("DistanceDependent", "extent", self.extent, wanted)
        return extent

    def _placed(self, side: str) -> tuple[int, int]:
        """Number of neurons of a side, and of dimensions of the space; no grid is made."""
        given = np.asarray(getattr(self, side))
        if given.dtype.kind not in "iuf":
            given = np.empty(0)
        grid = given.ndim == 1 and given.dtype.kind in "iu" and 0 < given.size <= _DIMENSIONS
        if grid and given.min() > 0:
            n, dimensions = int(math.prod(given.tolist())), given.size
        elif given.ndim == 2 and given.size and np.isfinite(given.astype(float)).all():
            n, dimensions = len(given), given.shape[-1]
        else:
            wanted = "the shape of a grid (whole numbers > 0) or finite positions (n, dimensions)"
            raise ParameterError("DistanceDependent", side, f"shape {given.shape}", wanted)
        self._extent(dimensions)
        return n, dimensions

    def positions(self, side: str) -> NDArray[np.float64]:
        """Positions of the neurons of a side ("pre" or "post"), shape (n, dimensions)."""
        _, dimensions = self._placed(side)
        given = np.asarray(getattr(self, side))
        if given.ndim == 2:
            return given.astype(float)
        steps = [(np.arange(n) + 0.5) / n for n in given]
        grid = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1)
        return grid.reshape(-1, dimensions) * self._extent(dimensions)

    def check(self, where: str, n_pre: int, n_post: int) -> None:
        """See :class:`Pattern`."""
        for side, n in (("pre", n_pre), ("post", n_post)):
            placed, _ = self._placed(side)
            if placed != n:
                raise ParameterError(f"{where}.pairs", side, f"{placed} positions", f"{n} of them")

    def pairs(self, n_pre: int, n_post: int) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`Pattern`."""
        self.check("DistanceDependent", n_pre, n_post)
        pre, post = self.positions("pre"), self.positions("post")
        extent = self._extent(pre.shape[1])
        rng = np.random.default_rng(self.seed or 0)
        rows = []
        for k, place in enumerate(pre):
            apart = np.abs(post - place)
            if self.wrap:
                apart %= extent
                apart = np.minimum(apart, extent - apart)
            distance = np.sqrt((apart**2).sum(axis=1))
            p = self.p_max * _PROFILES[self.profile](distance, self.sigma)
            if self.cutoff is not None:
                p[distance > self.cutoff] = 0
            if not self.to_self and k < n_post:
                p[k] = 0
            rows.append(np.flatnonzero(rng.random(n_post) < p))
        return np.repeat(np.arange(n_pre), [len(row) for row in rows]), np.concatenate(rows)


@declared
@attrs.frozen(eq=False, kw_only=True)
class Convolution(Pattern):
    """The receptive fields of a convolutional layer: one synapse per unit and kernel element.

    Units are numbered as the elements of an array (channels, height, width), the last index
    fastest. The operation is the cross-correlation that deep-learning libraries call convolution.
    Weights are laid out from kernels by :meth:`weights`; every synapse has a weight of its own.

    Parameters
    ----------
    in_shape : tuple of int
        Channels, height and width of the presynaptic population.
    kernel : int or tuple of int
        Height and width of the receptive field.
    out_channels : int
        Channels of the postsynaptic population.
    stride, padding : int or tuple of int
        Steps between receptive fields, and how far they reach beyond the border, where there
        are no units.
    """

    in_shape: Sequence[int]
    kernel: Any
    out_channels: int = attrs.field(default=1, validator=whole(1))
    stride: Any = 1
    padding: Any = 0

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.in_shape, tuple | list) or len(self.in_shape) != 3:
            wanted = "(channels, height, width)"
            raise ParameterError("Convolution", "in_shape", describe(self.in_shape), wanted)
        for size in self.in_shape:
            check_whole("Convolution", "in_shape", size, 1)
        for name, least in (("kernel", 1), ("stride", 1), ("padding", 0)):
            _pair_of("Convolution", name, getattr(self, name), least)
        if min(self.out_shape) < 1:
            wanted = "small enough to fit into the padded input"
            raise ParameterError("Convolution", "kernel", self.kernel, wanted)

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the postsynaptic population."""
        fields = zip(
            self.in_shape[1:],
            *(_pair_of("Convolution", n, getattr(self, n), 0) for n in _FIELD),
            strict=True,
        )
        height, width = ((n + 2 * pad - k) // step + 1 for n, k, step, pad in fields)
        return self.out_channels, height, width

    def check(self, where: str, n_pre: int, n_post: int) -> None:
        """See :class:`Pattern`."""
        sides = (("in_shape", self.in_shape, n_pre), ("out_shape", self.out_shape, n_post))
        for name, shape, n in sides:
            if np.prod(shape) != n:
                got = f"{tuple(shape)}, {np.prod(shape)} units"
                raise ParameterError(f"{where}.pairs", name, got, f"of {n} units")

    def _layout(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pre, post and kernel element of every synapse."""
        channels, height, width = self.in_shape
        kernel, stride, padding = (_pair_of("Convolution", n, getattr(self, n), 0) for n in _FIELD)
        sizes = (*self.out_shape, channels, *kernel)
        o, y, x, c, ky, kx = (part.ravel() for part in np.indices(sizes))
        row, column = y * stride[0] + ky - padding[0], x * stride[1] + kx - padding[1]
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        pre = np.ravel_multi_index((c, row, column), tuple(self.in_shape), mode="clip")
        post = np.ravel_multi_index((o, y, x), self.out_shape)
        element = np.ravel_multi_index((o, c, ky, kx), (self.out_channels, channels, *kernel))
        return pre[inside], post[inside], element[inside]

    def expected(self, n_pre: int, n_post: int) -> int:
        """See :class:`Pattern`."""
        kernel = _pair_of("Convolution", "kernel", self.kernel, 1)
        return math.prod((*self.out_shape, self.in_shape[0], *kernel))

    def pairs(self, n_pre: int, n_post: int) -> tuple[np.ndarray, np.ndarray]:
        """See :class:`Pattern`."""
        self.check("Convolution", n_pre, n_post)
        pre, post, _ = self._layout()
        return pre, post

    def weights(self, kernels: ArrayLike) -> NDArray[np.float64]:
        """Lay kernels onto the synapses.

        Parameters
        ----------
        kernels : array_like
            Shape (out_channels, in_channels, kernel height, kernel width).

        Returns
        -------
        numpy.ndarray
            One weight per synapse in the order (pre, post), for ``Projection(weights=...)``.

        Raises
        ------
        ParameterError
            If the kernels have another shape.
        """
        given = np.asarray(kernels, dtype=float)
        shape = (
            self.out_channels,
            self.in_shape[0],
            *_pair_of("Convolution", "kernel", self.kernel, 1),
        )
        if given.shape != shape:
            raise ParameterError(
                "Convolution.weights", "kernels", f"shape {given.shape}", f"{shape}"
            )
        pre, post, element = self._layout()
        return given.ravel()[element[np.lexsort((post, pre))]]


_FIELD = ("kernel", "stride", "padding")
