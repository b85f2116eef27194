"""Which device a network is faster on, estimated from its declaration and from measurements.

A GPU's time step costs some microseconds for every piece of code that runs in it, whatever the
number of neurons; a CPU's step costs nanoseconds for every neuron. So small networks belong on the
CPU, and networks beyond a certain size, or many samples at once, on the GPU.
"""

from __future__ import annotations

import ast

import attrs
from brian2.utils.stringtools import deindent

from biosnn.models import parsed
from biosnn.program.program import STEP, Program

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

_SLOW = frozenset({
    "exp", "expm1", "exprel", "log", "tanh", "sin", "cos", "sqrt",
    "counter_uniform", "counter_normal", "counter_poisson",
})  # fmt: skip


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


def estimate(program: Program, n_parallel: int = 1) -> Estimate:
    """Estimate how long a time step takes on one core, and on a GPU such as an H100.

    Parameters
    ----------
    program : Program
        Of one network, or of several replicas.
    n_parallel : int
        Samples at once, or networks in an ensemble.

    Returns
    -------
    Estimate
        Left out are the GPU's work per neuron and, on both devices, what recording takes.
    """
    pieces = count_pieces(program)
    cpp = CPP_PIECE * pieces + n_parallel * _size_us(program)
    cuda = CUDA_PIECE * pieces
    wins = cpp > MARGIN * cuda
    neurons = n_parallel * sum(g.n for g in program.groups.values() if g.name != program.protocol)
    reason = (
        f"a step of {neurons} neurons is estimated to take {cpp:.3g} us on cpp and {cuda:.3g} us "
        f"on cuda ({pieces} pieces of code)"
    )
    if not wins:
        reason += f"; cuda is chosen where it is more than {MARGIN:g} times faster"
    return Estimate(
        device="cuda" if wins else "cpp", cpp_us=cpp, cuda_us=cuda, pieces=pieces, reason=reason
    )


def count_pieces(program: Program) -> int:
    """Count the pieces of code that run in every time step.

    Where synapses are lists, a queue of spikes comes with each pathway.
    """
    pieces = 0
    for kernel in program.kernels:
        if kernel.clock == STEP:
            made = program.connections.get(kernel.owner)
            listed = kernel.kind == "pathway" and made is not None and not made.numbered
            pieces += 2 if listed else 1
    return pieces


def functions(program: Program, key: str) -> int | None:
    """Calls of functions per neuron and step; None if nothing happens in a step."""
    texts = []
    for kernel in program.of(key, "state_update", "threshold", "statements"):
        if kernel.clock == STEP and kernel.kind == "state_update":
            equations = parsed(key, program.groups[key].equations)
            texts += [e.expr.code for e in equations.values() if e.expr is not None]
        elif kernel.clock == STEP:
            texts.append(kernel.code)
    return sum(map(_calls, texts)) if texts else None


def _calls(code: str) -> int:
    """Calls of functions that take long, and powers, in Brian2 code."""
    nodes = list(ast.walk(ast.parse(deindent(code).strip())))
    called = [n.func.id for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    return sum(name in _SLOW for name in called) + sum(isinstance(n, ast.Pow) for n in nodes)


def _size_us(program: Program) -> float:
    """Microseconds that one core takes for the neurons and synapses of a network in one step."""
    synapses = program.replicas.n * sum(made.size for made in program.connections.values())
    total = CPP_SYNAPSE * synapses
    for key, group in program.groups.items():
        if (found := functions(program, key)) is not None and key != program.protocol:
            total += group.n * (CPP_NEURON + CPP_FUNCTION * found)
    return total / 1000
