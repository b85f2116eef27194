"""The balanced networks of Brette et al. 2007 beside an implementation in plain Brian2.

The reference is written from the tables of the paper's appendix B with Brian2's own objects: other
units (conductances relative to the leak, currents as potentials), another integrator where there
is one, connections and initial values that Brian2 draws. The paper gives no rates as numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    SpikeMonitor,
    Synapses,
    defaultclock,
    ms,
    mV,
    prefs,
)
from numpy.typing import NDArray

from biosnn import networks, simulation
from biosnn.networks import NetworkModel
from experiments.balanced_networks import KINDS, activity
from validation._checks import check

Trains = dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]

DT = 0.1 * ms
#: Largest difference of rates, relative, and of CVs.
RATE_BOUND = 0.10
CV_BOUND = 0.15
#: Share of the first 50 ms' spikes that must be the same where everything is.
SAME_BOUND = 0.99

_LIF = """
dv/dt = (drive - (v - E_L))/(20*ms) : volt (unless refractory)
dg_exc/dt = -g_exc/(5*ms) : {unit}
dg_inh/dt = -g_inh/(10*ms) : {unit}
"""
_RELATIVE = "drive = g_exc*(0*mV - v) + g_inh*(-80*mV - v) : volt"
_HH = """
dv/dt = (10*(-60*mV - v) + 10*(g_exc*(0*mV - v) + g_inh*(-80*mV - v))
    - 20000*m**3*h*(v - 50*mV) - 6000*n**4*(v + 90*mV))/(200*ms) : volt
dg_exc/dt = -g_exc/(5*ms) : 1
dg_inh/dt = -g_inh/(10*ms) : 1
dm/dt = a_m*(1 - m) - b_m*m : 1
dn/dt = a_n*(1 - n) - b_n*n : 1
dh/dt = a_h*(1 - h) - b_h*h : 1
x = (v + 63*mV)/mV : 1
a_m = 0.32*4/exprel((13 - x)/4)/ms : Hz
b_m = 0.28*5/exprel((x - 40)/5)/ms : Hz
a_h = 0.128*exp((17 - x)/18)/ms : Hz
b_h = 4/(1 + exp((40 - x)/5))/ms : Hz
a_n = 0.032*5/exprel((15 - x)/5)/ms : Hz
b_n = 0.5*exp((10 - x)/40)/ms : Hz
"""


@contextmanager
def _numpy_target() -> Iterator[None]:
    """Plain Brian2 objects run as NumPy code meanwhile."""
    before, prefs.codegen.target = prefs.codegen.target, "numpy"
    try:
        yield
    finally:
        prefs.codegen.target = before


@_numpy_target()
def reference(kind: str, like: NetworkModel, number: int, *, method: str) -> Trains:
    """Spikes of the network in plain Brian2, one run of a presentation's length.

    Parameters
    ----------
    kind : {"COBA", "CUBA", "COBAHH"}
        Which one.
    like : NetworkModel
        The library's, for sizes, length, connections and initial values.
    number : int
        Seed of the initial values.
    method : str
        Integration method.
    """
    defaultclock.dt = DT
    relative = kind != "CUBA"
    equations = _HH if kind == "COBAHH" else _LIF.format(unit="1" if relative else "volt")
    if kind != "COBAHH":
        equations += _RELATIVE if relative else "drive = g_exc + g_inh : volt"
    firing: dict[str, Any] = {"threshold": "v > -50*mV", "reset": "v = -60*mV"}
    firing["refractory"] = 5 * ms
    if kind == "COBAHH":
        firing = {"threshold": "v > -20*mV", "refractory": "v > -20*mV"}
    # A weight of 1 of the library's: 1 nS of 10 nS, or 1 pA into 100 Mohm.
    unit = 0.1 if relative else 0.1 * mV
    groups, monitors, objects = {}, {}, []
    state = like.initial_state(number)
    for key, population in like.populations.items():
        group = NeuronGroup(
            population.n, equations, method=method, namespace={"E_L": _rest(kind)}, **firing
        )
        group.v = state[f"{key}.v"] * 1e3 * mV
        if relative:
            group.g_exc, group.g_inh = (state[f"{key}.g_{s}"] * 1e8 for s in ("exc", "inh"))
        for gate in "mhn" if kind == "COBAHH" else "":
            setattr(group, gate, state[f"{key}.{gate}"])
        groups[key], monitors[key] = group, SpikeMonitor(group)
        objects += [group, monitors[key]]
    weights = {"exc": 6.0, "inh": 67.0} if relative else {"exc": 16.2, "inh": -90.0}
    for name, projection in like.projections.items():
        pre, post = projection.pre, projection.post
        synapses = Synapses(
            groups[pre], groups[post], on_pre=f"g_{pre}_post += jump", name=f"reference_{name}",
            namespace={"jump": weights[pre] * unit},
        )  # fmt: skip
        i, j = like.indices(name)
        synapses.connect(i=i, j=j)
        objects.append(synapses)
    Network(*objects).run(like.presentation.duration)
    return {key: (np.asarray(m.i), np.asarray(m.t / ms) * 1e-3) for key, m in monitors.items()}


def _rest(kind: str) -> Any:
    return -49 * mV if kind == "CUBA" else -60 * mV


def library(network: NetworkModel, device: str, number: int) -> Trains:
    """Spikes of the same network in the library."""
    runnable = simulation.compile(network, device, spikes=tuple(network.populations))
    recording, _ = runnable.run({"n_samples": 1}, seed=number, progress=False)
    return {key: (part.i, part.t) for key, part in recording.spikes.items()}


def _summary(network: NetworkModel, trains: Trains, start: float) -> dict[str, Any]:
    stop = float(network.presentation.duration / ms) * 1e-3
    return {
        key: {
            what: value
            for what, value in activity(*trains[key], population.n, start, stop).items()
            if what not in ("rates", "cvs")
        }
        for key, population in network.populations.items()
    }


def compared(kind: str, network: NetworkModel, start: float) -> dict[str, Any]:
    """Rates and irregularity in the library and in the reference."""
    method = {"COBA": "rk2", "CUBA": "exact", "COBAHH": "exponential_euler"}[kind]
    own = _summary(network, library(network, "cpp", 1), start)
    # Other initial values, but the same connections: rates differ by several percent between
    # networks of 4,000 cells whose connections are drawn anew.
    other = _summary(network, reference(kind, network, 2, method=method), start)
    found: dict[str, Any] = {"library": own, "reference": other}
    for key in network.populations:
        assert own[key]["rate_Hz"] > 1, f"{kind}: {key} is silent"
        rate = own[key]["rate_Hz"] / other[key]["rate_Hz"] - 1
        cv = own[key]["cv"] - other[key]["cv"]
        found[key] = {
            "rate_difference": check(rate, RATE_BOUND, abs(rate) <= RATE_BOUND),
            "cv_difference": check(cv, CV_BOUND, abs(cv) <= CV_BOUND),
        }
    return found


def same_spikes(kind: str, network: NetworkModel, device: str) -> dict[str, Any]:
    """The same connections and initial values: the first spikes must be the same ones."""
    own = library(network, device, 3)
    other = reference(kind, network, 3, method="exponential_euler")
    found = {}
    for key in network.populations:
        sets = []
        for i, t in (own[key], other[key]):
            early = t < 0.05
            sets.append(
                set(zip(i[early].tolist(), np.round(t[early] / 1e-4).tolist(), strict=True))
            )
        assert min(map(len, sets)) > 10, f"{kind}: {key} is silent"
        share = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        found[key] = {
            "same_spikes": check(share, SAME_BOUND, share >= SAME_BOUND),
            "spikes": len(sets[0]),
        }
    return found


def validate(*, short: bool) -> dict[str, Any]:
    """Compare the three networks with plain Brian2.

    Parameters
    ----------
    short : bool
        Only 1,000 cells of COBA and CUBA for 60 ms on ``runtime``, from the same initial values
        with the same connections. Otherwise also 4,000 cells for 1 s after 200 ms, on ``cpp``
        (COBAHH: 0.5 s).

    Returns
    -------
    dict
        Network -> populations -> figures and checks.
    """
    found: dict[str, Any] = {}
    for kind in KINDS[:2] if short else KINDS:
        small = networks.balanced_network(kind, 1000, duration=60 * ms, dt=DT)
        found[kind] = {"same_network": same_spikes(kind, small, "runtime")}
        if not short:
            duration = 700 * ms if kind == "COBAHH" else 1200 * ms
            whole = networks.balanced_network(kind, duration=duration, dt=DT)
            found[kind]["rates"] = compared(kind, whole, 0.2)
    return found
