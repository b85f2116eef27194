"""Stateless nodes as sparse matrices, and what they make of the signals of many sources."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array, eye_array, kron

from biosnn.nir.graph import numbers, refusal, shape_of, spread

#: Most entries of a matrix, and so most synapses of a projection.
MAX_ENTRIES = 100_000_000


@attrs.frozen(eq=False, kw_only=True)
class Signal:
    """What flows along an edge: a linear map of what sources send, and a constant.

    Parameters
    ----------
    shape : tuple of int
        Of the signal; matrices have a row for each element, in C order.
    terms : dict of (str, int) to sparse array
        Source and delay in time steps -> matrix (elements, elements of the source).
    constant : numpy.ndarray
        What is added to it, flat.
    """

    shape: tuple[int, ...]
    terms: dict[tuple[str, int], Any]
    constant: np.ndarray

    @classmethod
    def of(cls, source: str, shape: tuple[int, ...]) -> Signal:
        """What a source sends."""
        size = int(np.prod(shape))
        whole = csr_array(eye_array(size))
        return cls(shape=shape, terms={(source, 0): whole}, constant=np.zeros(size))

    def plus(self, other: Signal) -> Signal:
        """The sum of two signals of one shape."""
        terms = dict(self.terms)
        for key, matrix in other.terms.items():
            terms[key] = terms[key] + matrix if key in terms else matrix
        return attrs.evolve(self, terms=terms, constant=self.constant + other.constant)

    def through(self, matrix: Any, shape: tuple[int, ...], bias: Any = 0.0) -> Signal:
        """Behind a linear map and an addition."""
        return Signal(
            shape=shape,
            terms={key: csr_array(matrix @ term) for key, term in self.terms.items()},
            constant=matrix @ self.constant + bias,
        )

    def delayed(self, path: str, steps: np.ndarray) -> Signal:
        """Behind delays of whole steps, one per element."""
        late = (steps > 0) & (self.constant != 0)
        if late.any():
            got = f"a constant {self.constant[late][0]:g} in front of it"
            remedy = "Put the node with the bias behind the delay"
            raise refusal(path, "Delay.delay", got, "behind nodes without bias", remedy)
        terms: dict[tuple[str, int], Any] = {}
        for (source, before), term in self.terms.items():
            for delay in np.unique(steps):
                rows = csr_array(diags_array((steps == delay).astype(float)) @ term)
                key = source, before + int(delay)
                terms[key] = terms[key] + rows if key in terms else rows
        return attrs.evolve(self, terms=terms)


def applied(path: str, kind: str, node: Any, signal: Signal, dt: float) -> Signal:
    """A signal behind a stateless node.

    Parameters
    ----------
    path, kind, node
        The node.
    signal : Signal
        What arrives.
    dt : float
        Time step in seconds, for delays.

    Raises
    ------
    ParameterError
        If shapes do not fit, or a parameter cannot be.
    """
    return _APPLY[kind](path, node, signal, dt)


def _linear(path: str, node: Any, signal: Signal, dt: float) -> Signal:
    weight, kind = numbers(path, node, "weight"), type(node).__name__
    if weight.ndim < 2:
        raise refusal(path, f"{kind}.weight", f"shape {weight.shape}", "2 or more dimensions")
    wanted = (*weight.shape[:-2], weight.shape[-1])
    signal = _unbatched(signal, len(wanted))
    _check_shape(path, kind, signal.shape, wanted)
    shape = (*weight.shape[:-2], weight.shape[-2])
    _check_entries(path, kind, weight.size)
    blocks = weight.reshape(-1, *weight.shape[-2:])
    n, rows, columns = blocks.shape
    block, i, j = np.nonzero(blocks)
    size = n * rows, n * columns
    matrix = csr_array(
        coo_array((blocks[block, i, j], (block * rows + i, block * columns + j)), shape=size)
    )
    bias: Any = 0.0
    if kind == "Affine":
        bias = _broadcast(path, "Affine.bias", numbers(path, node, "bias"), shape)
    return signal.through(matrix, shape, bias)


def _scale(path: str, node: Any, signal: Signal, dt: float) -> Signal:
    scale = _broadcast(path, "Scale.scale", numbers(path, node, "scale"), signal.shape)
    return signal.through(diags_array(scale), signal.shape)


def _flatten(path: str, node: Any, signal: Signal, dt: float) -> Signal:
    given = node.input_type.get("input") if isinstance(node.input_type, dict) else None
    if given is not None:
        _check_shape(path, "Flatten", signal.shape, shape_of(path, "Flatten.input_type", given))
    rank, ends = len(signal.shape), []
    for field in ("start_dim", "end_dim"):
        value = _whole(path, node, field, 1, least=-rank)[0]
        if not -rank <= value < rank + (field == "start_dim"):
            wanted = f"a dimension of the signal's {signal.shape}"
            raise refusal(path, f"Flatten.{field}", value, wanted)
        ends.append(value % rank if value < rank else rank - 1)
    start, end = ends
    if start > end:
        got = f"{node.start_dim} with end_dim {node.end_dim}"
        raise refusal(path, "Flatten.start_dim", got, "not behind end_dim")
    middle = int(np.prod(signal.shape[start : end + 1]))
    return attrs.evolve(signal, shape=(*signal.shape[:start], middle, *signal.shape[end + 1 :]))


def _delay(path: str, node: Any, signal: Signal, dt: float) -> Signal:
    delay = _broadcast(path, "Delay.delay", numbers(path, node, "delay"), signal.shape)
    steps = delay / dt
    whole = np.rint(steps)
    bad = (delay < 0) | (np.abs(steps - whole) > 1e-6 * np.maximum(1, whole)) | (whole > 2**20)
    if bad.any():
        got, wanted = f"{delay[bad][0]:g} s", f"a multiple >= 0 of the time step, {dt:g} s"
        raise refusal(path, "Delay.delay", got, wanted, "Choose dt so that it divides the delays")
    return signal.delayed(path, whole.astype(np.int64))


def _conv1d(path: str, node: Any, signal: Signal, dt: float) -> Signal:
    weight = numbers(path, node, "weight")
    if weight.ndim != 3:
        raise refusal(path, "Conv1d.weight", f"shape {weight.shape}", "(C_out, C_in, N)")
    return _convolved(path, node, signal, weight[:, :, None, :])


def _conv2d(path: str, node: Any, signal: Signal, dt: float) -> Signal:
    weight = numbers(path, node, "weight")
    if weight.ndim != 4:
        raise refusal(path, "Conv2d.weight", f"shape {weight.shape}", "(C_out, C_in, H, W)")
    return _convolved(path, node, signal, weight)


def _convolved(path: str, node: Any, signal: Signal, weight: np.ndarray) -> Signal:
    """A convolution, that of one dimension with a height of 1."""
    kind = type(node).__name__
    flat = kind == "Conv1d"
    rank, n = (2, 1) if flat else (3, 2)
    signal = _unbatched(signal, rank)
    if len(signal.shape) != rank:
        wanted = "a signal (C, N)" if flat else "a signal (C, H, W)"
        raise refusal(path, f"{kind}.weight", f"a signal of shape {signal.shape}", wanted)
    if node.input_shape is not None:
        stated = shape_of(path, f"{kind}.input_shape", node.input_shape)
        _check_shape(path, kind, signal.shape[1:], stated)
    groups = _whole(path, node, "groups", 1, 1)[0]
    c_out, per_group, *kernel = weight.shape
    if signal.shape[0] != groups * per_group or c_out % groups:
        got = f"{weight.shape} with groups {groups} for a signal of {signal.shape[0]} channels"
        raise refusal(path, f"{kind}.weight", got, "(C_out, C_in/groups, ...)")
    stride = _whole(path, node, "stride", n, 1)
    dilation = _whole(path, node, "dilation", n, 1)
    if flat:
        stride, dilation = (1, *stride), (1, *dilation)
    padding = _padding(path, node, kernel, stride, dilation, n)
    image = (1, signal.shape[1]) if flat else signal.shape[1:]
    size = _output_size(path, kind, image, kernel, stride, padding, dilation)
    _check_entries(path, kind, weight.size * int(np.prod(size)))
    matrix = _matrix(weight, groups, image, size, stride, padding, dilation)
    shape = (c_out, size[1]) if flat else (c_out, *size)
    bias = _broadcast(path, f"{kind}.bias", _per_channel(path, node, c_out, rank), shape)
    return signal.through(matrix, shape, bias)


def _per_channel(path: str, node: Any, channels: int, rank: int) -> np.ndarray:
    if node.bias is None:
        return np.zeros((1,) * rank)
    bias = numbers(path, node, "bias")
    if bias.shape != (channels,):
        wanted = f"of shape ({channels},), one per channel"
        raise refusal(path, f"{type(node).__name__}.bias", f"shape {bias.shape}", wanted)
    return bias.reshape(channels, *(1,) * (rank - 1))


def _padding(
    path: str, node: Any, kernel: Any, stride: Any, dilation: Any, n: int
) -> tuple[tuple[int, int], ...]:
    """Zeros before and behind each of two dimensions; one-dimensional nodes have none across."""
    given, kind = node.padding, type(node).__name__
    if isinstance(given, bytes):
        given = given.decode("utf8", "replace")
    if isinstance(given, str):
        if given == "valid":
            return (0, 0), (0, 0)
        if given != "same":
            raise refusal(path, f"{kind}.padding", repr(given), '"same", "valid" or numbers')
        if any(s != 1 for s in stride):
            got = f'"same" with stride {node.stride}'
            raise refusal(path, f"{kind}.padding", got, '"same" with a stride of 1 only')
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((t // 2, t - t // 2) for t in total)
    padding = _whole(path, node, "padding", n, 0)
    return tuple((p, p) for p in ((0, *padding) if n == 1 else padding))


def _sum_pool(path: str, node: Any, signal: Signal, dt: float) -> Signal:
    return _pooled(path, node, signal, mean=False)


def _avg_pool(path: str, node: Any, signal: Signal, dt: float) -> Signal:
    return _pooled(path, node, signal, mean=True)


def _pooled(path: str, node: Any, signal: Signal, *, mean: bool) -> Signal:
    """Pooling: padding counts as zeros, in the mean as well."""
    kind, signal = type(node).__name__, _unbatched(signal, 3)
    if len(signal.shape) != 3:
        got = f"a signal of shape {signal.shape}"
        raise refusal(path, f"{kind}.kernel_size", got, "a signal (C, H, W)")
    kernel = _whole(path, node, "kernel_size", 2, 1)
    stride = _whole(path, node, "stride", 2, 1)
    padding = tuple((p, p) for p in _whole(path, node, "padding", 2, 0))
    channels, *image = signal.shape
    size = _output_size(path, kind, image, kernel, stride, padding, (1, 1))
    _check_entries(path, kind, channels * int(np.prod(size)) * int(np.prod(kernel)))
    weight = np.full((1, 1, *kernel), 1 / np.prod(kernel) if mean else 1.0)
    one = _matrix(weight, 1, image, size, stride, padding, (1, 1))
    matrix = csr_array(kron(eye_array(channels), one))
    return signal.through(matrix, (channels, *size))


def _output_size(
    path: str, kind: str, image: Any, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[int, ...]:
    size = tuple(
        (n + sum(p) - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(image, kernel, stride, padding, dilation, strict=True)
    )
    if min(size) < 1:
        got = f"a kernel {tuple(kernel)} for an image {tuple(image)}"
        raise refusal(path, f"{kind}.kernel", got, "one that fits into the padded image")
    return size


def _matrix(
    weight: np.ndarray, groups: int, image: Any, size: Any, stride: Any, padding: Any, dilation: Any
) -> Any:
    """The sparse matrix of a convolution of two dimensions."""
    c_out, per_group, *kernel = weight.shape
    places = []  # of each dimension: place in the kernel, output, and input
    for n, m, k, s, p, d in zip(image, size, kernel, stride, padding, dilation, strict=True):
        tap, out = np.divmod(np.arange(k * m), m)
        source = out * s - p[0] + tap * d
        inside = (source >= 0) & (source < n)
        places.append((tap[inside], out[inside], source[inside]))
    (ky, oy, iy), (kx, ox, ix) = places
    out = np.arange(c_out)[:, None, None, None]
    inner = np.arange(per_group)[None, :, None, None]
    ky, oy, iy = (k[None, None, :, None] for k in (ky, oy, iy))
    kx, ox, ix = (k[None, None, None, :] for k in (kx, ox, ix))
    channel = out // (c_out // groups) * per_group + inner
    rows, columns, values = np.broadcast_arrays(
        (out * size[0] + oy) * size[1] + ox,
        (channel * image[0] + iy) * image[1] + ix,
        weight[out, inner, ky, kx],
    )
    shape = c_out * int(np.prod(size)), groups * per_group * int(np.prod(image))
    return csr_array(coo_array((values.ravel(), (rows.ravel(), columns.ravel())), shape=shape))


def _unbatched(signal: Signal, rank: int) -> Signal:
    """A signal without a leading dimension of 1, the batch that some exporters leave in shapes."""
    if len(signal.shape) == rank + 1 and signal.shape[0] == 1:
        return attrs.evolve(signal, shape=signal.shape[1:])
    return signal


def _whole(path: str, node: Any, field: str, n: int, least: int) -> tuple[int, ...]:
    """A whole number, or one for each of ``n`` dimensions."""
    given, name = getattr(node, field), f"{type(node).__name__}.{field}"
    array = np.asarray(given)
    if array.dtype.kind not in "iu" or array.size not in (1, n) or array.ndim > 1:
        wanted = "a whole number" if n == 1 else f"{n} whole numbers"
        raise refusal(path, name, repr(given)[:80], wanted)
    if (array < least).any() or (array > 2**31).any():
        raise refusal(path, name, repr(given)[:80], f"from {least} to 2**31")
    return tuple(int(k) for k in np.broadcast_to(array, (n,)))


def _check_shape(path: str, kind: str, got: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if tuple(got) != tuple(wanted):
        remedy = "Put a Flatten node in front" if np.prod(got) == np.prod(wanted) else ""
        raise refusal(path, kind, f"a signal of shape {tuple(got)}", f"given {wanted}", remedy)


def _check_entries(path: str, kind: str, n: int) -> None:
    if n > MAX_ENTRIES:
        wanted = f"a map with at most {MAX_ENTRIES} entries, of which each is a synapse"
        raise refusal(path, kind, f"{n} entries", wanted)


def _broadcast(path: str, kind: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """One value per element of a signal, flat; a single one stands for all."""
    try:
        return spread(values, shape)
    except ValueError:
        wanted = f"of the signal's shape {shape}, or one value"
        raise refusal(path, kind, f"shape {values.shape}", wanted) from None


_APPLY = {
    "Affine": _linear,
    "Linear": _linear,
    "Scale": _scale,
    "Conv1d": _conv1d,
    "Conv2d": _conv2d,
    "SumPool2d": _sum_pool,
    "AvgPool2d": _avg_pool,
    "Flatten": _flatten,
    "Delay": _delay,
}
