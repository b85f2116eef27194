"""Graphs of NIR as networks."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from biosnn._models.event_timing import SPIKE_SLOTS
from biosnn.errors import ParameterError
from biosnn.models import SLOTS
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.nir.conventions import Convention, convention_of
from biosnn.nir.files import read
from biosnn.nir.graph import (
    RESETTING,
    STATEFUL,
    FlatGraph,
    flat,
    free_name,
    numbers,
    refusal,
    shape_of,
    spread,
    units_of,
    without_batch,
)
from biosnn.nir.linear_maps import Signal, applied
from biosnn.nir.neurons import SENT, Place, neuron_model, readout_model, source_model
from biosnn.validation import check_choice, check_whole

#: Slots in which layers can be computed before the four in which spikes can be tested.
_EARLY = ("after_start", "before_groups", "groups", "after_groups", "before_thresholds")
_KINDS = ("sequence", "events", "static")


def from_nir(
    graph: Any,
    *,
    steps: int,
    dt: Any = None,
    convention: str | Convention = "nir",
    reset: str | None = None,
    inputs: str | Mapping[str, str] = "sequence",
    name: str = "nir",
) -> NetworkModel:
    """Make a network of a NIR graph.

    Stateful nodes become populations and inputs become populations that play samples, under names
    that :func:`population_names` tells; what lies between them becomes projections.

    Parameters
    ----------
    graph : nir.NIRGraph, str or Path
        The graph, or its HDF5 file.
    steps : int
        Time steps for which a sample is shown.
    dt : Quantity, optional
        Time step; NIR stores none. Default: that of the convention, if its exporter has one.
    convention : {"nir", "snntorch", "norse", "sinabs", "spikingjelly"} or Convention
        How equations become time steps: those of NIR, or as a framework computes them.
    reset : {"v_reset", "subtract"}, optional
        To ``v_reset``, or by subtraction of the threshold, which NIR cannot say. Default: that of
        the convention.
    inputs : {"sequence", "events", "static"} or dict
        What samples are: values ``[n, T, features]`` with a frame for each time step, spikes
        ``(sample, unit, time)``, or values ``[n, features]`` that are held. A dict says it for each
        input node.
    name : str
        Name of the network.

    Returns
    -------
    NetworkModel
        Signals of any shape are flat, in C order. Samples begin anew (``reset="all"``).

    Raises
    ------
    ParameterError
        Naming the node, the parameter, its value and a remedy, where the graph cannot be simulated.
    StorageError
        If the file cannot be read.

    Notes
    -----
    Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9.
    """
    how = convention_of(convention)
    if reset is not None:
        check_choice("from_nir", "reset", reset, ("v_reset", "subtract"))
        how = attrs.evolve(how, reset=reset)
    step, steps = how.step(dt), check_whole("from_nir", "steps", steps, 1)
    given = _graph(graph)
    if how.reset is None and given.of(*RESETTING):
        remedy = 'Its layers subtract unless they were told otherwise: reset="subtract"'
        wanted = f"given: what layers of {how.name} do, which NIR files do not say"
        raise ParameterError("from_nir", "reset", None, wanted, remedy)
    kinds = _kinds_of_inputs(given, inputs)
    arriving = _Flow(given, float(step)).arriving()
    readouts = {p: s for p, s in arriving.items() if given.kinds[p] == "Output"}
    readouts = {path: s for path, s in readouts.items() if _shown_by(s, given) is None}
    places = _places(given, {p: s for p, s in arriving.items() if p in readouts or
                             given.kinds[p] in STATEFUL})  # fmt: skip
    populations: dict[str, Population] = {}
    for path in given.of("Input"):
        size = int(np.prod(_input_shape(path, given.nodes[path])))
        key = given.names[path]
        model = source_model(kinds[path])
        populations[units_of(key)] = Population(model=model, n=size, drives={"x": key})
    for path, signal in arriving.items():
        size, kind = len(signal.constant), given.kinds[path]
        if kind in STATEFUL:
            values = _values(path, given.nodes[path], kind, signal.shape)
            _check_stable(path, kind, values, step, how)
            to_itself = any(source == path for source, _ in signal.terms)
            model = neuron_model(
                kind, values, signal.constant, float(step), how, places[path], to_itself
            )
        elif path in readouts:
            model = readout_model(signal.constant, places[path])
        else:
            continue
        populations[given.names[path]] = Population(model=model, n=size)
    projections: dict[str, Projection] = {}
    for path, signal in arriving.items():
        if path in places:
            projections |= _projections(
                given,
                path,
                signal,
                places,
                kinds,
                step,
                {*given.names.values(), *populations, *projections},
            )
    first = given.of("Output")[0]
    shown = first if first in readouts else _shown_by(arriving[first], given)
    assert shown is not None
    return NetworkModel(
        name=name,
        dt=step,
        inputs={
            given.names[path]: Input(
                features=populations[units_of(given.names[path])].n,
                kind=kinds[path],
                frame=step if kinds[path] == "sequence" else None,
            )
            for path in given.of("Input")
        },
        populations=populations,
        projections=projections,
        presentation=Presentation(duration=steps * step),
        output=given.names[shown],
    )


def population_names(graph: Any) -> dict[str, str]:
    """Under which names a network has the nodes of a graph.

    Parameters
    ----------
    graph : nir.NIRGraph, str or Path
        As for :func:`from_nir`.

    Returns
    -------
    dict of str to str
        Path of a node (``"layer"``, or ``"subgraph.layer"``) -> population. An input node is also
        the name of the network's input. Output nodes that show a single stateful node have the name
        of its population; all others are populations whose ``v`` is what arrives.
    """
    given = _graph(graph)
    found = dict(given.names)
    for path in given.of("Output"):
        source = path
        while source in given.of("Output", "pass") and len(given.into[source]) == 1:
            source = given.into[source][0]
        if given.kinds[source] in STATEFUL:
            found[path] = given.names[source]
    return found


def _graph(graph: Any) -> FlatGraph:
    return flat(read(Path(graph)) if isinstance(graph, str | os.PathLike) else graph)


def _kinds_of_inputs(graph: FlatGraph, given: Any) -> dict[str, str]:
    paths = graph.of("Input")
    if not isinstance(given, Mapping):
        check_choice("from_nir", "inputs", given, _KINDS)
        return {path: str(given) for path in paths}
    for path, kind in given.items():
        check_choice("from_nir", "inputs", path, paths)
        check_choice("from_nir", f"inputs[{path!r}]", kind, _KINDS)
    return {path: str(given.get(path, "sequence")) for path in paths}


def _input_shape(path: str, node: Any) -> tuple[int, ...]:
    given = node.input_type.get("input") if isinstance(node.input_type, Mapping) else None
    return shape_of(path, "Input.input_type", given)


def _values(path: str, node: Any, kind: str, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Parameters of a stateful node, one per neuron."""
    found = {}
    for field in STATEFUL[kind]:
        values = numbers(path, node, field)
        try:
            whole = spread(values, shape)
        except ValueError:
            got = f"shape {values.shape} for a signal of shape {shape}"
            raise refusal(path, f"{kind}.{field}", got, "of the signal's shape") from None
        if field.startswith("tau") and (whole <= 0).any():
            got = f"{whole[whole <= 0][0]:g}"
            raise refusal(path, f"{kind}.{field}", got, "> 0 s", "A layer without leak is IF or I")
        found[field] = whole
    return found


def _check_stable(
    path: str, kind: str, values: Mapping[str, np.ndarray], step: Any, how: Convention
) -> None:
    """Refuse time constants that the time step cannot follow, most likely for a wrong ``dt``."""
    least = 0.5 * float(step) if how.integration == "euler" else 1e-6 * float(step)
    for field, array in values.items():
        if field.startswith("tau") and (array < least).any():
            got = f"{array[array < least][0]:g} s with dt {step}"
            wanted = f">= {least:g} s, as {how.integration} integration needs it"
            raise refusal(path, f"{kind}.{field}", got, wanted, "Is dt that of the exporter?")


class _Flow:
    """What arrives at every node.

    Parameters
    ----------
    graph : FlatGraph
        The graph.
    dt : float
        Time step in seconds.
    """

    def __init__(self, graph: FlatGraph, dt: float):
        self._graph, self._dt = graph, dt
        self._sent: dict[str, Signal] = {}

    def arriving(self) -> dict[str, Signal]:
        """Stateful node or output -> what arrives there.

        Raises
        ------
        ParameterError
            If shapes do not fit, or nodes without state form a loop.
        """
        graph = self._graph
        ready = deque(graph.of("Input"))
        for path in graph.of("Input"):
            self._sent[path] = Signal.of(path, _input_shape(path, graph.nodes[path]))
        self._pass_on(ready)
        for path in graph.of(*STATEFUL):  # that no input reaches
            if path not in self._sent:
                self._begin(path, _own_shape(path, graph.nodes[path], graph.kinds[path]))
                self._pass_on(deque([path]))
        for path in graph.nodes:
            if path not in self._sent and graph.kinds[path] != "Output":
                got = "a loop of nodes without state"
                raise refusal(path, "edges", got, "a graph with a stateful node in every loop")
        found = {p: self._sum(p) for p in graph.nodes if graph.kinds[p] in (*STATEFUL, "Output")}
        for path in graph.of(*STATEFUL):
            if found[path].shape != self._sent[path].shape:
                got = f"a signal of shape {found[path].shape}"
                raise refusal(path, graph.kinds[path], got, f"given {self._sent[path].shape}")
        for path in graph.of("Output"):
            _check_output(path, graph.nodes[path], found[path].shape)
        return found

    def _begin(self, path: str, shape: tuple[int, ...]) -> None:
        self._sent[path] = Signal.of(path, shape)

    def _pass_on(self, ready: deque[str]) -> None:
        graph = self._graph
        while ready:
            for path in graph.out_of[ready.popleft()]:
                kind = graph.kinds[path]
                if path in self._sent or kind == "Output":
                    continue
                if kind in STATEFUL:  # the first signal that arrives has its shape
                    known = next(s for s in graph.into[path] if s in self._sent)
                    self._begin(path, self._sent[known].shape)
                elif all(source in self._sent for source in graph.into[path]):
                    signal, node = self._sum(path), graph.nodes[path]
                    if kind != "pass":
                        signal = applied(path, kind, node, signal, self._dt)
                    self._sent[path] = signal
                else:
                    continue
                ready.append(path)

    def _sum(self, path: str) -> Signal:
        signals = [self._sent[source] for source in self._graph.into[path]]
        total = signals[0]
        for source, signal in zip(self._graph.into[path][1:], signals[1:], strict=True):
            if signal.shape != total.shape:
                got = f"signals of shapes {total.shape} and, from {source!r}, {signal.shape}"
                raise refusal(path, "edges", got, "signals of one shape, which are added")
            total = total.plus(signal)
        return total


def _own_shape(path: str, node: Any, kind: str) -> tuple[int, ...]:
    return np.shape(numbers(path, node, STATEFUL[kind][0])) or (1,)


def _check_output(path: str, node: Any, shape: tuple[int, ...]) -> None:
    given = node.output_type.get("output") if isinstance(node.output_type, Mapping) else None
    if given is None:
        return
    if without_batch(shape_of(path, "Output.output_type", given)) != without_batch(shape):
        raise refusal(path, "Output.output_type", given, f"of the signal's shape {shape}")


def _shown_by(signal: Signal, graph: FlatGraph) -> str | None:
    """The stateful node that a signal is, if it is one as it is."""
    if len(signal.terms) != 1 or signal.constant.any():
        return None
    ((source, delay), matrix), size = next(iter(signal.terms.items())), len(signal.constant)
    rows, columns = matrix.nonzero()
    alone = matrix.shape == (size, size) and len(rows) == size and (rows == columns).all()
    same = alone and (matrix.data == 1).all()
    return source if same and not delay and graph.kinds[source] in STATEFUL else None


def _places(graph: FlatGraph, arriving: Mapping[str, Signal]) -> dict[str, Place]:
    """When each node is computed within a time step: behind those whose signals it gets.

    What closes a loop does not count; it arrives in the next step.
    """
    before = {
        path: [source for source, delay in signal.terms if not delay and source in arriving]
        for path, signal in arriving.items()
    }
    behind: dict[str, list[str]] = {path: [] for path in arriving}
    for path, sources in before.items():
        for source in sources:
            behind[source].append(path)
    finished: list[str] = []
    state: dict[str, int] = {}  # 1: on the way from the input, 2: done
    closing: set[tuple[str, str]] = set()
    fed = [p for p, s in arriving.items() if any(k in graph.of("Input") for k, _ in s.terms)]
    for root in (*fed, *arriving):
        if root in state:
            continue
        state[root] = 1
        stack = [(root, iter(behind[root]))]
        while stack:
            path, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                state[path] = 2
                finished.append(path)
                stack.pop()
            elif following not in state:
                state[following] = 1
                stack.append((following, iter(behind[following])))
            elif state[following] == 1:
                closing.add((path, following))
    depth: dict[str, int] = {}
    for path in reversed(finished):
        sources = [s for s in before[path] if (s, path) not in closing]
        depth[path] = 1 + max((depth[s] for s in sources), default=-1)
    slots = _slots(1 + max(depth.values(), default=0))
    return {path: slots[level] for path, level in depth.items()}


def _slots(layers: int) -> list[Place]:
    early = max(layers - len(SPIKE_SLOTS), 0)
    if early > len(_EARLY):
        most = len(_EARLY) + len(SPIKE_SLOTS)
        got, wanted = f"{layers} stateful nodes in a row", f"at most {most} within a time step"
        remedy = "Put a Delay of one time step between two of them"
        raise ParameterError("from_nir", "graph", got, wanted, remedy)
    found = [Place(slot=slot, spikes="thresholds") for slot in _EARLY[len(_EARLY) - early :]]
    return found + [Place(slot=slot, spikes=slot) for slot in SPIKE_SLOTS][: layers - early]


def _projections(
    graph: FlatGraph,
    path: str,
    signal: Signal,
    places: Mapping[str, Place],
    kinds: Mapping[str, str],
    step: Any,
    taken: Collection[str],
) -> dict[str, Projection]:
    """Projections to a node: one for each source and delay."""
    found = {}
    for (source, delay), matrix in signal.terms.items():
        if not matrix.nnz or not (matrix.data != 0).any():
            continue
        kind, post = graph.kinds[source], graph.names[path]
        spikes = kind in STATEFUL and "threshold" in "".join(STATEFUL[kind])
        graded = not spikes and kinds.get(source) != "events"
        if delay and graded:
            got = f"{delay} time steps behind the values of {source!r}"
            wanted = "behind spikes only"
            raise refusal(path, "Delay.delay", got, wanted, "Delay the samples instead")
        slot = places[source].slot if source in places else "start"
        order = 2
        if delay and source in places and _late(places[source].slot, places[path].slot):
            delay -= 1
        pre = units_of(graph.names[source]) if kind == "Input" else graph.names[source]
        entries = matrix.tocoo()
        full = entries.nnz >= 0.5 * np.prod(matrix.shape)
        key = f"{pre}_{post}" + (f"_{delay}" if delay else "")
        value = {"Input": "x"}.get(kind, "v")
        found[free_name(key, {*taken, *found})] = Projection(
            pre=pre,
            post=post,
            transmit=f"I_syn_post += w*{value}_pre" if graded else "I_syn_post += w",
            on_event=places[source].event if spikes else SENT,
            when=slot,
            order=order,
            delay=delay * step,
            weights=matrix.toarray().T.copy() if full else entries.data.copy(),
            pairs="all" if full else (entries.col.copy(), entries.row.copy()),
        )
    return found


def _late(source: str, target: str) -> bool:
    """Whether what a source sends finds its target computed already in the same time step."""
    return SLOTS.index(source) >= SLOTS.index(target)
