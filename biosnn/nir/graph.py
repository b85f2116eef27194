"""Graphs of NIR, flattened and checked: nodes by their path, edges, and shapes of what flows."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from typing import Any

import attrs
import numpy as np

from biosnn.code_gate import check_name
from biosnn.errors import ParameterError, printable
from biosnn.nir.files import library
from biosnn.validation import describe

#: Most nodes, deepest nesting of subgraphs, and most elements of a signal or parameter.
MAX_NODES, MAX_DEPTH, MAX_ELEMENTS = 10_000, 16, 2**28

#: Type -> its parameters; those have one value per element of the signal.
STATEFUL = {
    "I": ("r",),
    "LI": ("tau", "r", "v_leak"),
    "IF": ("r", "v_threshold", "v_reset"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    "Threshold": ("threshold",),
}
RESETTING = ("IF", "LIF", "CubaLIF")
STATELESS = (
    "Affine", "Linear", "Scale", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten", "Delay",
)  # fmt: skip
#: Names that networks use themselves.
_RESERVED = ("protocol", "protocol_watch", "intensity", "n_samples")
PASS = "pass"  # the inputs and outputs of subgraphs


def refusal(path: str, parameter: str, got: Any, wanted: str, remedy: str = "") -> ParameterError:
    """An error that names the node of a graph."""
    return ParameterError(f"nodes[{printable(path)!r}]", parameter, got, wanted, remedy)


def numbers(path: str, node: Any, field: str) -> np.ndarray:
    """A parameter of a node in double precision, checked to be finite numbers.

    Raises
    ------
    ParameterError
        If it is none, or too large.
    """
    given = getattr(node, field)
    kind = f"{type(node).__name__}.{field}"
    try:
        array = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
        if array.dtype.kind not in "iuf":
            raise TypeError
    except (TypeError, ValueError):
        raise refusal(path, kind, describe(given), "an array of numbers") from None
    if array.size > MAX_ELEMENTS:
        got = f"shape {array.shape}"
        raise refusal(path, kind, got, f"at most {MAX_ELEMENTS} numbers")
    if not array.size:
        raise refusal(path, kind, f"shape {array.shape}", "one number or more")
    array = array.astype(np.float64)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        at = tuple(int(k) for k in bad[0])
        raise refusal(path, kind, f"{array[at]} at {at}", "finite")
    return array


def shape_of(path: str, kind: str, given: Any) -> tuple[int, ...]:
    """A shape in a node, as whole numbers > 0.

    Raises
    ------
    ParameterError
        If it is none.
    """
    try:
        array = np.atleast_1d(np.asarray(given))
        fits = array.dtype.kind in "iu" and array.ndim == 1 and array.size and (array > 0).all()
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise refusal(path, kind, describe(given), "a shape of whole numbers > 0")
    shape = tuple(int(k) for k in array)
    if np.prod([float(k) for k in shape]) > MAX_ELEMENTS:
        raise refusal(path, kind, shape, f"at most {MAX_ELEMENTS} elements")
    return shape


def without_batch(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without leading dimensions of 1, but for the last dimension."""
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape


def spread(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A parameter as one value for each element of a signal, flat.

    A single one stands for all, and a batch of 1 is dropped, as some exporters leave both.

    Raises
    ------
    ValueError
        If it has another shape.
    """
    while values.ndim > len(shape) and values.shape[0] == 1:
        values = values[0]
    return np.broadcast_to(values, shape).ravel()


@attrs.frozen(eq=False, kw_only=True)
class FlatGraph:
    """A graph without subgraphs.

    Parameters
    ----------
    nodes : dict of str to object
        Path (``"outer.inner"``) -> node of ``nir``.
    kinds : dict of str to str
        Path -> type of the node, or ``"pass"`` for the inputs and outputs of subgraphs.
    edges : tuple of (str, str)
        Between paths.
    """

    nodes: Mapping[str, Any]
    kinds: Mapping[str, str]
    edges: tuple[tuple[str, str], ...]

    def of(self, *kinds: str) -> list[str]:
        """Paths of the nodes of these types, in their order."""
        return [path for path, kind in self.kinds.items() if kind in kinds]

    @property
    def ends(self) -> list[str]:
        """Inputs and stateful nodes: where signals begin."""
        return self.of("Input", *STATEFUL)

    @functools.cached_property
    def into(self) -> dict[str, list[str]]:
        """Path -> where its edges come from."""
        found: dict[str, list[str]] = {path: [] for path in self.nodes}
        for source, target in self.edges:
            found[target].append(source)
        return found

    @functools.cached_property
    def out_of(self) -> dict[str, list[str]]:
        """Path -> where its edges lead."""
        found: dict[str, list[str]] = {path: [] for path in self.nodes}
        for source, target in self.edges:
            found[source].append(target)
        return found

    @functools.cached_property
    def names(self) -> dict[str, str]:
        """Input, stateful node or output -> a name of its own that code can have."""
        found: dict[str, str] = {}
        for path in self.of("Input", *STATEFUL, "Output"):
            found[path] = free_name(path, {*found.values(), *map(units_of, found.values())})
        return found


def units_of(name: str) -> str:
    """Name of the population that plays an input."""
    return f"{name}_units"


def free_name(text: str, taken: Collection[str]) -> str:
    """A name like a text that code can have and nothing else has."""
    text = "".join(c if c.isascii() and c.isalnum() else "_" for c in text).strip("_")[:48]
    for name in (text, f"node_{text}"):
        try:
            check_name("from_nir", "name", name)
        except ParameterError:
            continue
        if name not in _RESERVED and not {name, units_of(name)} & set(taken):
            return name
    number = 2
    while {f"node_{text}_{number}", units_of(f"node_{text}_{number}")} & set(taken):
        number += 1
    return f"node_{text}_{number}"


def flat(graph: Any) -> FlatGraph:
    """Flatten a graph and check its structure.

    Raises
    ------
    ParameterError
        Naming the node or edge that cannot be, and what to do.
    """
    nir = library()
    if not isinstance(graph, nir.NIRGraph):
        raise ParameterError("from_nir", "graph", describe(graph), "a nir.NIRGraph or a path")
    types = {getattr(nir, kind): kind for kind in (*STATEFUL, *STATELESS, "Input", "Output")}
    nodes: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    edges: list[tuple[str, str]] = []

    def gather(part: Any, prefix: str, depth: int) -> tuple[list[str], list[str]]:
        if depth > MAX_DEPTH:
            raise refusal(prefix, "NIRGraph", f"depth {depth}", f"nested at most {MAX_DEPTH} deep")
        if not isinstance(part.nodes, Mapping):
            raise refusal(prefix or "graph", "nodes", describe(part.nodes), "a dict")
        ports: dict[str, tuple[list[str], list[str]]] = {}
        for key, node in part.nodes.items():
            path = f"{prefix}{key}"
            if isinstance(node, nir.NIRGraph):
                ports[str(key)] = gather(node, f"{path}.", depth + 1)
                continue
            kind = types.get(type(node))
            if kind is None:
                wanted = f"of a type that is known ({', '.join((*STATEFUL, *STATELESS))})"
                raise refusal(path, "type", type(node).__name__, wanted, "Replace the node")
            if path in nodes:
                raise refusal(path, "name", repr(printable(path)), "a name used once")
            inner = prefix and kind in ("Input", "Output")
            nodes[path], kinds[path] = node, PASS if inner else kind
            ports[str(key)] = [path], [path]
            if len(nodes) > MAX_NODES:
                raise ParameterError("from_nir", "graph", len(nodes), f"of <= {MAX_NODES} nodes")
        if not isinstance(part.edges, list | tuple):
            raise refusal(prefix or "graph", "edges", describe(part.edges), "a list")
        for edge in part.edges:
            edges.append(_edge(edge, ports, prefix))
        names = {role: [f"{prefix}{k}" for k, n in part.nodes.items() if type(n) is cls]
                 for role, cls in (("in", nir.Input), ("out", nir.Output))}  # fmt: skip
        return names["in"], names["out"]

    gather(graph, "", 0)
    if len(set(edges)) != len(edges):
        twice = next(edge for k, edge in enumerate(edges) if edge in edges[:k])
        raise ParameterError("from_nir", "edges", printable(twice), "without duplicates")
    found = FlatGraph(nodes=nodes, kinds=kinds, edges=tuple(edges))
    _check_connected(found)
    return found


def _edge(edge: Any, ports: Mapping[str, Any], prefix: str) -> tuple[str, str]:
    where = f"graph {printable(prefix.rstrip('.'))!r}" if prefix else "from_nir"
    pair = isinstance(edge, tuple | list) and len(edge) == 2
    if not pair or not all(isinstance(name, str) for name in edge):
        raise ParameterError(where, "edges", describe(edge), "pairs of names of nodes")
    ends = []
    for name, side, role in ((edge[0], 1, "output"), (edge[1], 0, "input")):
        if name not in ports:
            got = f"{printable(edge)}"
            raise ParameterError(where, "edges", got, f"between nodes; there is no {name!r}")
        found = ports[name][side]
        if len(found) != 1:
            got = f"{len(found)} {role}s"
            wanted = f"a subgraph with one {role}, as an edge names none of them"
            raise refusal(f"{prefix}{name}", "NIRGraph", got, wanted, "Split the subgraph")
        ends.append(found[0])
    return ends[0], ends[1]


def _check_connected(graph: FlatGraph) -> None:
    for kind in ("Input", "Output"):
        if not graph.of(kind):
            remedy = f"Add a nir.{kind} node and its edge"
            raise ParameterError("from_nir", "graph", f"no {kind} node", "one or more", remedy)
    for path, kind in graph.kinds.items():
        if kind != "Input" and not graph.into[path]:
            raise refusal(path, "edges", "no edge to it", "connected", "Add the edge, or drop it")
        if kind == "Input" and not graph.out_of[path]:
            raise refusal(path, "edges", "no edge from it", "connected", "Add the edge, or drop it")
        if kind == "Input" and graph.into[path]:
            raise refusal(path, "edges", f"from {graph.into[path][0]!r}", "none into an Input")
        if kind == "Output" and graph.out_of[path]:
            raise refusal(path, "edges", f"to {graph.out_of[path][0]!r}", "none out of an Output")
