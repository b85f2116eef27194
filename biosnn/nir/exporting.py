"""Networks as graphs of NIR, with trained weights and thresholds."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Mapping
from typing import Any

import attrs
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from biosnn.errors import ParameterError
from biosnn.models import SLOTS, Event
from biosnn.networks import NetworkModel, Projection
from biosnn.networks.conditions import evaluated
from biosnn.nir.conventions import Convention, convention_of
from biosnn.nir.files import library
from biosnn.nir.neurons import current_passed
from biosnn.nir.one_step import AffineStep, Numbers, names_in, statements, stored_in
from biosnn.state import State
from biosnn.validation import check_choice, check_instance, check_members, sequence

#: How far numbers may be from those that a node of NIR can say.
_CLOSE = 1e-6


def to_nir(
    network: NetworkModel,
    state: State | None = None,
    *,
    convention: str | Convention = "nir",
    dt: Any = None,
    reset: str | None = None,
    leave_out: Collection[str] = (),
) -> Any:
    """Make a NIR graph of a network, with the weights of a state.

    Populations of leaky or perfect integrators become LIF, IF, CubaLIF, LI, I or CubaLI nodes,
    projections Linear nodes. Populations that only an input drives, encoders of any kind, become
    Input nodes: the graph takes their spikes, or the values of graded ones. Learning is off, so
    thresholds that adapt are written as the numbers that they have in the state, and traces
    are left out.

    Parameters
    ----------
    network : NetworkModel
        The declaration; of a module of :mod:`biosnn.surrogate` its ``network``.
    state : State, optional
        What a run returned, or ``module.state()``. Default: that before the first sample.
    convention : {"nir", "snntorch", "norse", "sinabs", "spikingjelly"} or Convention
        For which reader numbers are written: time constants and gains are such that its time step
        computes that of the network. With ``gain="one"`` or ``"r"`` weights take the gain.
    dt : Quantity, optional
        Time step with which the graph is read. Default: that of the convention, else the
        network's.
    reset : {"v_reset", "subtract"}, optional
        ``"subtract"`` for a network that subtracts its threshold: NIR cannot say that, so whoever
        reads the graph has to (``v_reset`` is written as 0).
    leave_out : collection of str
        Populations that do not come along, such as a pool of inhibition, with their projections and
        the operations that read them.

    Returns
    -------
    nir.NIRGraph
        Nodes are named after populations and projections; ``metadata`` says the time step and the
        convention.

    Raises
    ------
    ParameterError
        Naming the population or projection that NIR cannot express, why, and a remedy.

    Warns
    -----
    UserWarning
        Naming a projection that adds to ``v`` before a reset that sets ``v``: what arrives in the
        step of a spike is lost in the network and counts in the reader.

    Notes
    -----
    Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9. A projection of the usual slots acts one
    step after the spike in Brian2, and in the same step in other frameworks: trains of deeper
    layers are then one step earlier for each layer.
    """
    check_instance("to_nir", "network", network, NetworkModel)
    check_instance("to_nir", "state", state, State, optional=True)
    if reset is not None:
        check_choice("to_nir", "reset", reset, ("v_reset", "subtract"))
    left_out = sequence(leave_out)
    check_members("to_nir", "leave_out", left_out, str)
    for key in left_out:
        check_choice("to_nir", "leave_out", key, network.populations)
    how, values = convention_of(convention), network.initial_state()
    if state is not None:
        values = values.transferred(state)
    read_with = how.step(network.dt if dt is None and how.dt is None else dt)
    return _Export(network, values, how, float(read_with), reset, left_out).graph()


class _Export:
    def __init__(
        self,
        network: NetworkModel,
        values: State,
        how: Convention,
        dt: float,
        reset: str | None,
        left_out: Collection[str],
    ):
        self._network, self._values, self._how = network, values, how
        self._reset, self._left_out, self._dt = reset, left_out, dt
        self._bias: dict[str, np.ndarray] = {}
        self._scale: dict[str, np.ndarray] = {}
        self._overwritten: set[str] = set()  # populations whose reset sets v
        self._projections: dict[str, Projection] = {}
        for key, given in network.projections.items():
            if {given.pre, given.post} & set(left_out):
                continue
            model = network.populations[given.post].model
            whole = attrs.evolve(given, delay=0 * network.dt).resolved(key, model, network.dt)
            if whole.transmit or whole.equations:
                self._projections[key] = attrs.evolve(whole, delay=given.delay)
        self._sources = {
            key
            for key, population in network.populations.items()
            if population.drives and not any(p.post == key for p in self._projections.values())
        } - set(left_out)

    def graph(self) -> Any:
        nir, network = library(), self._network
        nodes: dict[str, Any] = {}
        edges: list[tuple[str, str]] = []
        kept = [key for key in network.populations if key not in self._left_out]
        if network.output in self._left_out or network.output in self._sources:
            got = f"{network.output!r}, the network's output"
            raise ParameterError("to_nir", "leave_out", got, "other populations")
        into = {key: {n: p for n, p in self._projections.items() if p.post == key} for key in kept}
        for key in kept:
            if key in self._sources:
                nodes[key] = nir.Input(np.array([network.populations[key].n]))
            else:
                nodes[key] = self._node(nir, key, into[key].values())
        cycles = self._cycles(kept)
        for name, projection in self._projections.items():
            last = projection.pre
            matrix, bias = self._matrix(name, projection), self._bias.pop(projection.post, None)
            matrix = matrix * self._scale[projection.post][:, None]
            biased = bias is not None and bias.any()
            nodes[name] = nir.Affine(matrix, bias) if biased else nir.Linear(matrix)
            delay = self._delay(name, projection, cycles)
            if delay:
                n, late = network.populations[projection.pre].n, self._free(f"{name}_delay", nodes)
                nodes[late] = nir.Delay(np.full(n, delay * self._dt))
                edges.append((last, late))
                last = late
            edges += [(last, name), (name, projection.post)]
        unread = sorted(self._sources - {source for source, _ in edges})
        if unread:
            remedy = f"leave_out=({unread[0]!r},)"
            raise ParameterError("to_nir", "network", f"{unread[0]!r}, unread", "read", remedy)
        output = self._free("output", nodes)
        nodes[output] = nir.Output(np.array([network.populations[network.output].n]))
        edges.append((network.output, output))
        says = {"dt": self._dt, "convention": self._how.name, "writer": "biosnn"}
        # Types are checked on reading: graphs may have populations that nothing reads.
        return nir.NIRGraph(nodes=nodes, edges=edges, metadata=says, type_check=False)

    def _free(self, name: str, nodes: Collection[str]) -> str:
        """A name like this one that no population, projection or node has."""
        while name in {*self._network.populations, *self._network.projections, *nodes}:
            name = f"network_{name}"
        return name

    def _cycles(self, kept: list[str]) -> dict[str, int]:
        """Population -> number of its strongly connected part."""
        at = {key: k for k, key in enumerate(kept)}
        pairs = [(at[p.pre], at[p.post]) for p in self._projections.values()]
        i, j = np.array(pairs, dtype=int).reshape(-1, 2).T
        graph = coo_array((np.ones(len(i)), (i, j)), shape=(len(kept), len(kept)))
        labels = connected_components(graph, directed=True, connection="strong")[1]
        return {key: int(labels[k]) for key, k in at.items()}

    def _numbers(self, key: str) -> Numbers:
        population = self._network.populations[key]
        model = population.begun
        values = {
            name: np.broadcast_to(np.asarray(self._values[f"{key}.{name}"]), (population.n,))
            for name in model.variables
        }
        return Numbers(key, model, values, population.n, float(self._network.dt), self._left_out)

    # --- projections

    def _refused(self, name: str, field: str, got: Any, wanted: str, remedy: str = "") -> Any:
        return ParameterError(f"projections[{name!r}]", field, got, wanted, remedy)

    def _target(self, name: str, projection: Projection) -> tuple[str, str]:
        """The variable that a projection adds to, and what it adds."""
        found = statements(projection.transmit)
        match found:
            case [ast.AugAssign(target=ast.Name(id=target), op=op, value=value)] if isinstance(
                op, ast.Add | ast.Sub
            ):
                sign = "" if isinstance(op, ast.Add) else "-"
                if target.endswith("_post"):
                    return target.removesuffix("_post"), f"{sign}({ast.unparse(value)})"
        wanted = 'of the form "x_post += ...": a weighted sum of spikes'
        raise self._refused(name, "transmit", repr(projection.transmit), wanted)

    def _matrix(self, name: str, projection: Projection) -> np.ndarray:
        """What a spike of each presynaptic neuron adds, (post, pre)."""
        network = self._network
        if projection.short_term is not None or projection.equations:
            field = "short_term" if projection.short_term is not None else "equations"
            raise self._refused(name, field, "given", "absent: synapses of NIR have weights only")
        sent, (_, text) = self._graded(name, projection), self._target(name, projection)
        i, j = network.indices(name)
        w = np.ones(len(i))
        if projection.weights is not None:
            w = np.ravel(np.asarray(self._values[f"{name}.w"]))
        known = {k: float(np.asarray(v)) for k, v in projection.parameters.items()}
        added = [self._added(name, text, {**known, "w": value, **dict.fromkeys(sent, one)})
                 for value, one in ((w, 1.0), (2 * w, 1.0), (w, 2.0), (w, -1.0))]  # fmt: skip
        factors = [1, 1 if projection.weights is None else 2, *((2, -1) if sent else (1, 1))]
        if not all(
            np.allclose(found, factor * added[0], atol=0)
            for found, factor in zip(added, factors, strict=True)
        ):
            wanted = "linear in w and in what is sent"
            raise self._refused(name, "transmit", repr(projection.transmit), wanted)
        shape = network.populations[projection.post].n, network.populations[projection.pre].n
        return coo_array((np.broadcast_to(added[0], i.shape), (j, i)), shape=shape).toarray()

    def _added(self, name: str, text: str, known: Mapping[str, Any]) -> Any:
        unknown = names_in(text) - set(known) - {"exp"}
        if unknown:
            wanted = "of w, parameters and what is sent"
            raise self._refused(name, "transmit", f"{sorted(unknown)[0]!r}", wanted)
        return evaluated(text, known)

    def _graded(self, name: str, projection: Projection) -> set[str]:
        """Names of the values that a projection sends; none if these are spikes."""
        model = self._network.populations[projection.pre].begun
        read = names_in(projection.transmit)
        found = {f"{v}_pre" for v in model.variables} & read
        event = model.events.get(projection.on_event)
        if projection.on_event == "spike" or self._like_spikes(model, event):
            if found:
                got = f"{sorted(found)[0]!r} at a spike"
                raise self._refused(name, "transmit", got, "a weight: spikes of NIR are 0 or 1")
            return found
        if projection.pre not in self._sources and found != {"v_pre"}:
            got = f"{projection.on_event!r}, which is neither a spike nor sends v"
            raise self._refused(name, "on_event", got, "'spike'")
        if len(found) > 1:
            got = ", ".join(sorted(found))
            raise self._refused(name, "transmit", got, "one variable that is sent")
        return found

    @staticmethod
    def _like_spikes(model: Any, event: Any) -> bool:
        """Whether an event has the condition of a spike."""
        if event is None:
            return False
        return (event.condition if isinstance(event, Event) else event) == model.threshold

    def _delay(self, name: str, projection: Projection, cycles: Mapping[str, int]) -> int:
        steps = np.unique(projection.delay_steps(self._network.dt))
        if len(steps) != 1:
            got, wanted = f"{len(steps)} delays", "one delay for all its synapses"
            raise self._refused(name, "delay", got, wanted, "Use a projection for each delay")
        delay = int(steps[0])
        if cycles[projection.pre] == cycles[projection.post] and delay:
            # A loop takes a step by itself; a Delay node is all that its edge takes.
            return delay + self._late(projection)
        return delay

    def _late(self, projection: Projection) -> bool:
        """Whether what is sent finds the target updated already in the same time step."""
        model = self._network.populations[projection.post].begun
        updates = [SLOTS.index(o.when) for o in model.operations if o.on == "step"]
        updates += [SLOTS.index("groups")] * bool(model.method and "d" in model.equations)
        return SLOTS.index(projection.when) >= max(updates, default=0)

    # --- populations

    def _node(self, nir: Any, key: str, arriving: Any) -> Any:
        numbers, driven = self._numbers(key), self._network.populations[key].drives
        if driven:
            got = f"an input to {sorted(driven)[0]!r} besides projections"
            remedy = "Let a population of its own play the input, and project to this one"
            raise numbers.refused("drives", got, "absent, as nodes have one input", remedy)
        targets = {self._target(name, p)[0] for name, p in self._projections.items()
                   if p.post == key}  # fmt: skip
        if "v" not in numbers.model.variables:
            wanted = "with the potential v"
            raise numbers.refused("model", repr(numbers.model.name), wanted)
        if len(targets) != 1:
            got = ", ".join(sorted(targets)) or "no projection to it"
            wanted = "reached by projections to one variable, as nodes have one input"
            raise numbers.refused("model", got, wanted)
        target = targets.pop()
        step = numbers.step({"v", target})
        given = self._parameters(numbers, step, target)
        bias = given.pop("bias")
        self._scale[key] = self._scaled(given)
        self._bias[key] = bias * self._scale[key]
        spiking = self._spikes(numbers, given)
        self._check_begin(numbers, given, step)
        if target == "v" and key in self._overwritten:
            self._warn_of_lost_spikes(key)
        kind = ("CubaLI" if "tau_syn" in given else "LI" if "tau" in given else "I") + spiking
        return getattr(nir, kind)(**{name: np.array(value) for name, value in given.items()})

    def _warn_of_lost_spikes(self, key: str) -> None:
        """Warn that what arrives in the step of a spike is lost here, and counts in the reader."""
        tested = SLOTS.index(self._network.populations[key].model.spike_when)
        lost = [
            name
            for name, p in self._projections.items()
            if p.post == key and tested <= SLOTS.index(p.when) <= SLOTS.index("resets")
        ]
        if lost:
            warnings.warn(
                f"to_nir: projections[{lost[0]!r}] adds to v between the threshold and the reset "
                f"of {key!r}: what arrives in the step in which a neuron fires is lost here, and "
                "counts in whoever reads the graph, so spikes will differ. They are equal with "
                'when="after_resets", or with synapses that add to a current',
                stacklevel=4,
            )

    def _check_begin(
        self, numbers: Numbers, given: Mapping[str, np.ndarray], step: AffineStep
    ) -> None:
        """Check that potentials begin where the reader has them begin, and currents at 0."""
        for name in step.variables:
            first = self._begin(numbers, name)
            if name != "v" and step.of("v", name).any() and first.any():
                got = f"{name} begins at {np.ravel(first)[0]:g}"
                remedy = f"Leave it out of the population's initial values, or set {name} to 0"
                raise numbers.refused("initial", got, "0, where currents of nodes begin", remedy)
        begin, rest = self._begin(numbers, "v"), given.get("v_leak", np.zeros(1))
        starts = {"v_leak": rest, "zero": np.zeros(1), "v_reset": given.get("v_reset", rest)}
        expected = starts[self._how.start]
        if not np.allclose(begin, expected, rtol=_CLOSE, atol=_CLOSE):
            got = f"v begins at {np.ravel(begin)[0]:g}"
            wanted = f"{np.ravel(expected)[0]:g}, where {self._how.name!r} begins"
            remedy = "Set initial={'v': ...} of the population, or choose another convention"
            raise numbers.refused("initial", got, wanted, remedy)

    def _scaled(self, given: dict[str, np.ndarray]) -> np.ndarray:
        """Give a node the gains that the reader takes; what weights to it are multiplied by."""
        if self._how.gain == "any":
            return np.ones(1)
        before = given["r"] * given.get("w_in", 1.0)
        leak = given.get("tau_mem", given.get("tau"))
        given["r"] = np.ones_like(given["r"])
        if self._how.gain == "one" or leak is None:
            given["r"] = given["r"] / self._dt * (1.0 if leak is None else leak)
        if "w_in" in given:
            whole = self._how.gain == "one" and self._how.synapse == "filter"
            one = np.ones_like(before)
            given["w_in"] = given["tau_syn"] / self._dt if whole else one
        return before / (given["r"] * given.get("w_in", 1.0))

    def _parameters(self, numbers: Numbers, step: AffineStep, target: str) -> dict[str, np.ndarray]:
        """Parameters of the node whose step a map is."""
        decay, v = step.of("v", "v"), step.variables.index("v")
        stays, gain = step.of(target, target), step.of("v", target)
        others = [n for n in step.variables if n not in ("v", target) and step.of("v", n).any()]
        shift = step.constant[:, v]
        if target == "v":
            return self._leaky(numbers, decay, decay, shift)
        if not others and not stays.any():  # what arrives is used up in a step
            return self._leaky(numbers, decay, gain, shift)
        if not others and (stays == 1).all() and self._held(numbers.key):
            return self._leaky(numbers, decay, gain, shift)
        if not others:  # a current that decays, to which spikes add
            into = step.constant[:, step.variables.index(target)]
            return self._current_based(numbers, decay, stays, gain, stays, gain, shift, into)
        if len(others) == 1 and not stays.any():
            syn = others[0]
            of_syn, jump = step.of(syn, syn), step.of(syn, target)
            into = step.constant[:, step.variables.index(syn)]
            return self._current_based(
                numbers, decay, of_syn, step.of("v", syn), jump, gain, shift, into
            )
        got = f"v that follows {', '.join([target, *others])}"
        raise numbers.refused("model", got, "a membrane with at most one synaptic current")

    def _held(self, key: str) -> bool:
        """Whether what arrives at a population is what an input holds during a sample."""
        arriving = [p for p in self._projections.values() if p.post == key]
        events = [self._network.populations[p.pre].begun.events.get(p.on_event) for p in arriving]
        return all(isinstance(e, Event) and e.every == "presentation" for e in events)

    def _tau(self, numbers: Numbers, decay: np.ndarray, what: str) -> np.ndarray:
        """Time constant of a decay per step, as the reader computes it."""
        if not ((decay > 0) & (decay < 1)).all():
            got = f"{decay[(decay <= 0) | (decay >= 1)][0]:g} of {what} left by a time step"
            raise numbers.refused("model", got, "between 0 and 1, for all neurons or for none")
        if self._how.integration == "euler":
            return self._dt / (1 - decay)
        return -self._dt / np.log(decay)

    def _leaky(
        self, numbers: Numbers, decay: np.ndarray, gain: np.ndarray, shift: np.ndarray
    ) -> dict[str, np.ndarray]:
        if np.allclose(decay, 1, rtol=0, atol=1e-12):
            return {"r": gain / self._dt, "bias": shift / gain if shift.any() else 0 * shift}
        given = {"tau": self._tau(numbers, decay, "v"), "r": gain / (1 - decay)}
        if self._how.start == "v_leak":  # the reader begins where v rests without input
            rest = np.broadcast_to(self._begin(numbers, "v"), (numbers.n,))
            return {**given, "v_leak": rest, "bias": _close_to_0(shift / gain - rest / given["r"])}
        return {**given, "v_leak": shift / (1 - decay), "bias": np.zeros(numbers.n)}

    def _begin(self, numbers: Numbers, name: str) -> np.ndarray:
        """Value of a variable at the beginning of the first sample."""
        first = self._network.initial_state()
        known = {key: first[f"{numbers.key}.{key}"] for key in numbers.model.variables}
        return numbers.begun(known)[name]

    def _current_based(
        self,
        numbers: Numbers,
        decay: np.ndarray,
        left: np.ndarray,
        passed: np.ndarray,
        jump: np.ndarray,
        gain: np.ndarray,
        shift: np.ndarray,
        into_current: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """``v`` gets ``passed`` of the current and ``gain`` of the input, the current ``jump``."""
        how, dt = self._how, self._dt
        tau_s, tau_m = self._tau(numbers, left, "the current"), self._tau(numbers, decay, "v")
        if how.integration == "euler":
            w = jump if how.synapse == "jump" else jump / (1 - left)
            updated = how.current == "updated"
            r = passed / (1 - decay) / (left if updated else 1)
            expected = passed / left * jump if updated else np.zeros_like(gain)
        else:
            w = jump / (1 - left)
            of_one = current_passed(tau_s, tau_m, dt)
            r = passed / of_one
            expected = ((1 - decay) * r - passed) * w
        if not np.allclose(expected, gain, rtol=_CLOSE, atol=0):
            got = f"an input that adds {gain[0]:g} to v where {expected[0]:g} can be said"
            wanted = f"a synaptic current that {how.name!r} can compute"
            remedy = 'Neurons that see a jump of their current at once: convention="spikingjelly"'
            raise numbers.refused("model", got, wanted, remedy)
        bias = into_current / jump
        rest = _close_to_0((shift - gain * bias) / (1 - decay))
        given = {"tau_syn": tau_s, "tau_mem": tau_m, "r": r, "w_in": w}
        return {**given, "v_leak": rest, "bias": bias}

    def _spikes(self, numbers: Numbers, given: dict[str, np.ndarray]) -> str:
        """Add threshold and reset; what the name of the node ends with."""
        model = numbers.model
        if model.threshold is None:
            return ""
        condition = ast.parse(model.threshold.strip(), mode="eval").body
        match condition:
            case ast.Compare(
                left=ast.Name(id="v"), ops=[ast.Gt() | ast.GtE() as op], comparators=[limit]
            ):
                fires = ">" if isinstance(op, ast.Gt) else ">="
            case _:
                remedy = "Competition needs a network without it, with the same state"
                wanted = '"v > V_th" or "v >= V_th"'
                raise numbers.refused("model.threshold", repr(model.threshold), wanted, remedy)
        moving = numbers.changing_in(ast.unparse(limit))
        if moving:
            got = f"{model.threshold!r}, of which {moving[0]} changes"
            raise numbers.refused("model.threshold", got, "a constant of each neuron")
        threshold = numbers.value(ast.unparse(limit), "model.threshold", {})
        given["v_threshold"] = threshold
        given["v_reset"] = self._after_spike(numbers, threshold)
        if fires != self._how.fires and self._how.name != "nir":
            got, wanted = repr(model.threshold), f"with {self._how.fires!r} for {self._how.name}"
            remedy = 'Choose another convention, or "nir", which leaves this to the reader'
            raise numbers.refused("model.threshold", got, wanted, remedy)
        return "F"

    def _after_spike(self, numbers: Numbers, threshold: np.ndarray) -> np.ndarray:
        model = numbers.model
        codes = [model.reset or ""]
        codes += [o.code for o in numbers.operations if o.on == "spike"]
        found: np.ndarray | None = None
        for statement in [s for code in codes for s in statements(code)]:
            text = ast.unparse(statement)
            match statement:
                case ast.Assign(targets=[ast.Name(id="v")], value=value):
                    found = self._constant(numbers, value)
                    self._overwritten.add(numbers.key)
                    if self._reset == "subtract":
                        remedy = "Leave reset out"
                        wanted = f"None for populations[{numbers.key!r}], which sets v"
                        raise ParameterError("to_nir", "reset", "'subtract'", wanted, remedy)
                case ast.AugAssign(target=ast.Name(id="v"), op=ast.Sub(), value=value):
                    lost = self._constant(numbers, value)
                    if not np.allclose(lost, threshold):
                        raise numbers.refused("model.reset", repr(text), "v = ... or v -= V_th")
                    if self._reset != "subtract":
                        remedy = 'If the reader subtracts, say so: to_nir(..., reset="subtract")'
                        wanted = "v = ...: NIR cannot say that a reset subtracts"
                        raise numbers.refused("model.reset", repr(text), wanted, remedy)
                    found = np.zeros(numbers.n)
                case _ if stored_in(text) & {"v", *numbers.driven}:
                    raise numbers.refused("model.reset", repr(text), "v = ... or v -= V_th")
        if found is None:
            raise numbers.refused("model.reset", repr(model.reset), "v = ... or v -= V_th")
        return found

    @staticmethod
    def _constant(numbers: Numbers, value: ast.expr) -> np.ndarray:
        text = ast.unparse(value)
        moving = numbers.changing_in(text)
        if moving:
            got = f"{text!r}, of which {moving[0]} changes"
            raise numbers.refused("model.reset", got, "to a constant of each neuron")
        return numbers.value(text, "model.reset", {})


def _close_to_0(values: np.ndarray) -> np.ndarray:
    """Values without what is left by rounding."""
    return np.where(np.abs(values) < 1e-12, 0.0, values)
