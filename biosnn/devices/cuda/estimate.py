"""Which device a network is faster on, estimated from its declaration and from measurements.

A GPU's time step costs some microseconds for every piece of code that runs in it, whatever the
number of neurons; a CPU's step costs nanoseconds for every neuron. So small networks belong on the
CPU, and networks beyond a certain size, or many samples at once, on the GPU.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from biosnn.models import NeuronModel
    from biosnn.networks import NetworkModel

#: us per piece of code that runs in every step, on an H100: 39.6 us for 5 pieces, 186 us for 18 and
#: 3418 us for 352 in strict double precision (record 2026-11-22-cuda, whose own counts of pieces
#: include those that run once per sample or never).
CUDA_PIECE = 10.0
#: On one core (record 2026-11-22-gpu-cpp, fastest rounds, as the machine was busy; within a factor
#: of two of each of its 15 networks): us per piece of code and step; ns per neuron and step,
#: and per call of a function such as exp in its equations; ns per synapse and step, of networks in
#: which a hundredth of the inputs or fewer fire in a step.
CPP_PIECE, CPP_NEURON, CPP_FUNCTION, CPP_SYNAPSE = 0.03, 3.5, 60.0, 0.01
#: How many times slower than the GPU the CPU must be for the GPU to be chosen: the estimate leaves
#: out what a GPU's step takes for its neurons, which has not been measured.
MARGIN = 2.0

_FUNCTION = re.compile(r"\b(?:exp|expm1|exprel|log|tanh|sin|cos|sqrt|rand|randn)\(|\*\*")


@attrs.frozen(kw_only=True)
class Estimate:
    """How long a time step takes on both devices.

    Parameters
    ----------
    device : {"cpp", "cuda"}
        The faster one; ``cuda`` only if it wins by ``MARGIN``.
    cpp_us, cuda_us : float
        Microseconds per time step, in which each of ``n_parallel`` samples advances.
    pieces : int
        Pieces of code that run in every time step.
    reason : str
        The same as a sentence.
    """

    device: str
    cpp_us: float
    cuda_us: float
    pieces: int
    reason: str


def estimate(network: NetworkModel, n_parallel: int = 1) -> Estimate:
    """Estimate how long a time step takes on one core, and on a GPU such as an H100.

    Parameters
    ----------
    network : NetworkModel
        The declaration.
    n_parallel : int
        Samples at once, or networks in an ensemble.

    Returns
    -------
    Estimate
        Left out are the GPU's work per neuron and, on both devices, what recording takes.
    """
    pieces = count_pieces(network)
    cpp = CPP_PIECE * pieces + n_parallel * _size_us(network)
    cuda = CUDA_PIECE * pieces
    wins = cpp > MARGIN * cuda
    neurons = n_parallel * sum(population.n for population in network.populations.values())
    reason = (
        f"a step of {neurons} neurons is estimated to take {cpp:.3g} us on cpp and {cuda:.3g} us "
        f"on cuda ({pieces} pieces of code)"
    )
    if not wins:
        reason += f"; cuda is chosen where it is more than {MARGIN:g} times faster"
    return Estimate(
        device="cuda" if wins else "cpp", cpp_us=cpp, cuda_us=cuda, pieces=pieces, reason=reason
    )


def _size_us(network: NetworkModel) -> float:
    """Microseconds that one core takes for the neurons and synapses of a network in one step."""
    total = CPP_SYNAPSE * sum(map(network.n_synapses, network.projections))
    for key, population in network.populations.items():
        if (found := functions(_complete(network, key))) is not None:
            total += population.n * (CPP_NEURON + CPP_FUNCTION * found)
    return total / 1000


def functions(model: NeuronModel) -> int | None:
    """Calls of functions per neuron and step; None if nothing happens in a step."""
    conditions = [event for event in model.events.values() if isinstance(event, str)]
    conditions += [
        event.condition
        for event in model.events.values()
        if not isinstance(event, str) and event.every == "step"
    ]
    codes = [operation.code for operation in model.operations if operation.on == "step"]
    texts = [model.equations, model.threshold or "", *conditions, *codes]
    if not (_updated(model) or model.threshold or conditions or codes):
        return None
    return sum(len(_FUNCTION.findall(text)) for text in texts)


def count_pieces(network: NetworkModel) -> int:
    """Count the pieces of code that run in every time step of a network.

    These are the state update, the threshold and the reset of a population, its other events and
    operations, and per projection its transmission, the statements of its rule and its summed
    variables. Where synapses are lists, a queue of spikes comes with each.
    """
    pieces = 1  # the protocol's counters
    output = network.populations[network.output].model
    pieces += output.threshold is not None  # its spikes are counted
    pieces += sum(port.kind == "events" for port in network.inputs.values())
    for key in network.populations:
        model = _complete(network, key)
        pieces += _updated(model)
        pieces += (model.threshold is not None) + bool(model.reset)
        pieces += sum(
            isinstance(event, str) or event.every == "step" for event in model.events.values()
        )
        pieces += sum(operation.on not in ("onset", "input") for operation in model.operations)
    pieces += sum(_projection(network, key) for key in network.projections)
    if network.presentation.watch is not None:
        pieces += 2
    return pieces


def _complete(network: NetworkModel, key: str) -> NeuronModel:
    return network.populations[key].model.with_traces(network.companions(key))


def _updated(model: NeuronModel) -> bool:
    from brian2 import Equations

    return bool(Equations(model.equations).diff_eq_names) or model.refractory is not None


def _projection(network: NetworkModel, key: str) -> int:
    from brian2 import Equations

    from biosnn.program.synapses import pattern

    projection = network.resolved(key)
    per_pathway = 1 if pattern(network, key) else 2
    pieces = 0
    event = network.populations[projection.pre].model.events.get(projection.on_event)
    once = not isinstance(event, str | None) and event.every == "presentation"
    if projection.transmit and not once:
        pieces += per_pathway
    updated = {
        name for name, e in Equations(projection.equations).items() if "event-driven" not in e.flags
    } & Equations(projection.equations).diff_eq_names
    pieces += sum("summed" in e.flags for e in Equations(projection.equations).values())
    if projection.rule is not None:
        rule = projection.rule.prefixed(key)
        own = Equations(rule.equations)
        updated |= {n for n in own.diff_eq_names if "event-driven" not in own[n].flags}
        for part in rule.statements:
            if not part.at_end:
                pieces += 1 if part.event == "step" else per_pathway
    return pieces + bool(updated)
