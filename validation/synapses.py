"""Every synapse against its closed form: currents under voltage clamp, potentials, plasticity.

``validate`` is the whole of it. Every check is a dict with its value, the bound and ``ok``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from brian2 import Hz, Mohm, ms, mV, nS, pA, second
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from biosnn import encoding, models, simulation
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.recording import Recording
from validation._checks import check

Floats = NDArray[np.float64]

DT = 0.1 * ms
DURATION = 100 * ms
SPIKES_MS = (5.0, 45.0, 48.3)
WEIGHT = 1.5
VOLTAGES_MV = (-80.0, -60.0, -40.0, -20.0, 10.0, 40.0)
CELL: dict[str, Any] = {"tau_m": 10 * ms, "E_L": -65 * mV, "V_th": -50 * mV, "R": 100 * Mohm}
BOUND = 1e-3

STRENGTHS: dict[str, dict[str, Any]] = {
    "delta": {"J": 1 * mV},
    "exponential_current": {"I_max": 20 * pA},
    "alpha_current": {"I_max": 20 * pA},
    "difference_of_exponentials_current": {"I_max": 20 * pA},
}
CONDUCTANCES = tuple(
    name
    for name, (_, source) in models.SYNAPSES.items()
    if "(E - v)" in getattr(source, "CURRENT", "")
)
#: Where the method that ``with_synapses`` chooses by itself is exact for the potential, too.
EXACT = ("delta", "exponential_current")


def synapse(name: str) -> models.SynapseModel:
    """A synapse of the library in the strength that is used here."""
    return models.SYNAPSES[name][0](**STRENGTHS.get(name, {}))


# --- closed forms, in SI units


def _constants(name: str) -> dict[str, float]:
    made = synapse(name)
    return {
        k: float(np.asarray(v)) for k, v in {**made.companion.parameters, **made.parameters}.items()
    }


def kernel(name: str) -> Callable[[Floats], Floats]:
    """Current or conductance after a spike, with the peak 1."""
    p = _constants(name)
    if name.startswith("alpha"):
        return lambda t: t / p["tau_syn"] * np.exp(1 - t / p["tau_syn"])
    if "tau_syn" in p:
        return lambda t: np.exp(-t / p["tau_syn"])
    rise, decay = p["tau_rise"], p["tau_decay"]
    peak = rise * decay / (decay - rise) * np.log(decay / rise)
    top = np.exp(-peak / decay) - np.exp(-peak / rise)
    return lambda t: (np.exp(-t / decay) - np.exp(-t / rise)) / top


def time_to_peak(name: str) -> float:
    """Time from a spike to the peak of the current or conductance, in s."""
    p = _constants(name)
    if name.startswith("alpha"):
        return p["tau_syn"]
    if "tau_rise" not in p:
        return 0.0
    rise, decay = p["tau_rise"], p["tau_decay"]
    return rise * decay / (decay - rise) * np.log(decay / rise)


def psp_of_current(name: str) -> Callable[[Floats], Floats]:
    """Potential above rest after a spike, in V, for synapses that are no conductances."""
    p = _constants(name)
    tau_m, r = (float(np.asarray(CELL[key])) for key in ("tau_m", "R"))
    if name == "delta":
        return lambda t: p["J"] * np.exp(-t / tau_m)

    def of_exponential(tau: float) -> Callable[[Floats], Floats]:
        return lambda t: tau / (tau_m - tau) * (np.exp(-t / tau_m) - np.exp(-t / tau))

    scale = r * p["I_max"]
    if name == "exponential_current":
        return lambda t: scale * of_exponential(p["tau_syn"])(t)
    if name == "alpha_current":
        tau = p["tau_syn"]
        rate = 1 / tau - 1 / tau_m
        return lambda t: (
            scale
            * np.e
            / (tau * tau_m * rate**2)
            * np.exp(-t / tau_m)
            * (1 - np.exp(-rate * t) * (1 + rate * t))
        )
    rise, decay = p["tau_rise"], p["tau_decay"]
    top = kernel(name)(np.array([1e-3]))[0] / (np.exp(-1e-3 / decay) - np.exp(-1e-3 / rise))
    return lambda t: scale * top * (of_exponential(decay)(t) - of_exponential(rise)(t))


def mg_block(v: Floats) -> Floats:
    """Jahr & Stevens 1990, eq. 4a, at 1 mM magnesium; ``v`` in V."""
    return 1 / (1 + np.exp(-0.062 * 1e3 * v) * 1.0 / 3.57)


def summed(course: Callable[[Floats], Floats], t: Floats, spikes: Floats) -> Floats:
    """The course of one spike, added up over all of them."""
    return sum(np.where(t >= s, course(np.maximum(t - s, 0)), 0.0) for s in spikes)


def psp_of_conductance(name: str, t: Floats, spikes: Floats) -> Floats:
    """Potential above rest, in V, by SciPy's integrator from the closed form of the conductance."""
    p, shape = _constants(name), kernel(name)
    tau_m, r, rest = (float(np.asarray(CELL[key])) for key in ("tau_m", "R", "E_L"))

    def slope(time: float, y: Floats, known: Floats) -> Floats:
        g = WEIGHT * p["g_max"] * sum(shape(time - s) for s in known)
        block = mg_block(y) if name == "nmda" else 1.0
        return (rest - y + r * g * block * (p["E"] - y)) / tau_m

    potential, start = np.full_like(t, rest), np.array([rest])
    for k, first in enumerate(spikes):
        last = spikes[k + 1] if k + 1 < len(spikes) else t[-1]
        inside = (t >= first - 1e-9) & (t <= last + 1e-9)
        found = solve_ivp(
            slope,
            (first, last + 1e-9),
            start,
            t_eval=np.clip(t[inside], first, last),
            args=(spikes[: k + 1],),
            rtol=1e-9,
            atol=1e-13,
            max_step=1e-3,
        )
        potential[inside], start = found.y[0], found.y[:, -1]
    return potential - rest


# --- simulations


def clamp_of(name: str) -> str:
    """The population under voltage clamp that receives a conductance."""
    return "clamp_alpha" if name.startswith("alpha") else "clamp"


def clamped_and_free(free: Sequence[str], method: str | None) -> NetworkModel:
    """Cells under voltage clamp and LIF neurons, which all receive the same spikes.

    Parameters
    ----------
    free : sequence of str
        Synapses that a LIF neuron receives.
    method : str or None
        Integration method where the one that ``with_synapses`` chooses is not exact: None for
        that one all the same.
    """
    clamp = models.neuron(
        equations="v : volt\nI : amp",
        initial={"v": np.array(VOLTAGES_MV) * mV},
        name="VoltageClamp",
    )
    populations = {"inp": Population(model=encoding.address_events(), n=1, drives={"x": "spikes"})}
    for key, own in (("clamp", None), ("clamp_alpha", method)):
        received = {name: synapse(name) for name in CONDUCTANCES if clamp_of(name) == key}
        cell = clamp.with_synapses(**received, method=own)
        populations[key] = Population(model=cell, n=len(VOLTAGES_MV))
    projections = {
        f"to_{name}": Projection(pre="inp", post=clamp_of(name), synapse=name, weights=WEIGHT)
        for name in CONDUCTANCES
    }
    for name in free:
        own = None if name in EXACT else method
        cell = models.lif(**CELL).with_synapses(syn=synapse(name), method=own)
        populations[name] = Population(model=cell, n=1)
        projections[f"psp_{name}"] = Projection(pre="inp", post=name, synapse="syn", weights=WEIGHT)
    return NetworkModel(
        name="synapses",
        dt=DT,
        inputs={"spikes": Input(features=1, kind="events")},
        populations=populations,
        projections=projections,
        presentation=Presentation(duration=DURATION),
        output="inp",
    )


def show(device: str, free: Sequence[str], method: str | None) -> Recording:
    """Play the spikes."""
    traces: dict[str, Any] = {
        f"{clamp_of(name)}.I_{name}": range(len(VOLTAGES_MV)) for name in CONDUCTANCES
    }
    traces |= {f"{name}.v": [0] for name in free}
    traces |= {f"{name}.I": [0] for name in STRENGTHS if name != "delta"}
    network = clamped_and_free(free, method)
    runnable = simulation.compile(network, device, spikes=("inp",), traces=traces)
    times = np.array(SPIKES_MS) * 1e-3
    events = (np.zeros(len(times), int), np.zeros(len(times), int), times)
    recording, _ = runnable.run({"spikes": events, "n_samples": 1}, progress=False)
    return recording


def _course(
    measured: Floats, expected: Floats, t: Floats, first: float, peak_at: float | None = None
) -> dict[str, Any]:
    """Largest error relative to the peak, and height and time of the first peak."""
    window = (t >= first - 1e-9) & (t < SPIKES_MS[1] * 1e-3 + 1e-9)
    highest = np.abs(expected[window]).max()
    m = np.abs(measured[window])
    assert m.max() > 0.5 * highest, "nothing arrived"
    since = t[window][m.argmax()] - first
    if peak_at is None or first + peak_at > t[window][-1]:
        peak_at = t[window][np.abs(expected[window]).argmax()] - first
    return {
        "course": check(np.abs(measured - expected).max() / np.abs(expected).max(), BOUND),
        "peak": check(abs(m.max() / highest - 1), BOUND),
        "time_to_peak_ms": check(1e3 * abs(since - peak_at), float(DT / ms)),
    }


def _clamped(name: str, recording: Recording, spikes: Floats) -> dict[str, Any]:
    """A conductance's current at all voltages: the largest errors."""
    trace = recording.traces[f"{clamp_of(name)}.I_{name}"]
    p, volts = _constants(name), np.array(VOLTAGES_MV) * 1e-3
    block = mg_block(volts) if name == "nmda" else np.ones_like(volts)
    expected = (
        WEIGHT
        * p["g_max"]
        * np.outer(block * (p["E"] - volts), summed(kernel(name), trace.t, spikes))
    )
    each = [
        _course(measured, current, trace.t, spikes[0], time_to_peak(name))
        for measured, current in zip(trace.values, expected, strict=True)
    ]
    rows: dict[str, Any] = {
        "clamped_current": {
            key: max((row[key] for row in each), key=lambda found: found["value"])
            for key in each[0]
        }
    }
    if name == "nmda":
        open_share = trace.values[:, -1] / (p["E"] - volts) / WEIGHT / p["g_max"]
        open_share /= summed(kernel(name), trace.t[-1:], spikes)
        rows["mg_block"] = {
            f"{v:g} mV": {"open": found, **check(abs(found / b - 1), BOUND)}
            for v, found, b in zip(VOLTAGES_MV, open_share.tolist(), block, strict=True)
        }
    return rows


def currents_and_potentials(
    device: str, free: Sequence[str], method: str | None = "rk4"
) -> dict[str, Any]:
    """All time courses against closed forms (parameters: :func:`clamped_and_free`)."""
    recording = show(device, free, method)
    # A spike acts on what the next time step starts from.
    step = float(DT / second)
    spikes = (np.rint(np.sort(recording.spikes["inp"].t) / step) + 1) * step
    assert len(spikes) == len(SPIKES_MS), "the input neuron did not fire as it was told"
    found: dict[str, Any] = {name: _clamped(name, recording, spikes) for name in CONDUCTANCES}
    for name in free:
        trace = recording.traces[f"{name}.v"]
        t, psp = trace.t, trace.values[0] - trace.values[0][0]
        rows = found.setdefault(name, {})
        if name in CONDUCTANCES:
            expected = psp_of_conductance(name, t, spikes)
        else:
            expected = WEIGHT * summed(psp_of_current(name), t, spikes)
        rows["psp"] = _course(psp, expected, t, spikes[0])
        first = psp[t < SPIKES_MS[1] * 1e-3]
        rows["psp_peak_mV"] = float(1e3 * first[np.abs(first).argmax()])
        if name in STRENGTHS and name != "delta":
            current = recording.traces[f"{name}.I"].values[0]
            expected = WEIGHT * _constants(name)["I_max"] * summed(kernel(name), t, spikes)
            rows["current"] = _course(current, expected, t, spikes[0], time_to_peak(name))
    return found


# --- short-term plasticity and gap junctions

STEP = 1 * ms
RATES_HZ = (10.0, 20.0, 50.0, 100.0)
LENGTH = 4000 * ms
SHORT_TERM: dict[str, dict[str, Any]] = {
    "depressing": {"U": 0.5, "tau_rec": 800 * ms},
    "facilitating": {"U": 0.05, "tau_rec": 120 * ms, "tau_facil": 500 * ms},
}
G_COUPLING = 2 * nS
CURRENT = 100 * pA


def plastic_and_coupled() -> NetworkModel:
    """Periodic inputs with short-term plasticity onto integrators; two coupled cells."""
    integrator = models.neuron(equations="v : 1", name="Integrator")
    integrator = integrator.with_synapses(syn=models.delta(J=1.0))
    n = len(RATES_HZ)
    populations = {
        "inp": Population(
            model=encoding.regular(max_rate=100 * Hz, phase=1.0), n=n, drives={"x": "x"}
        ),
        "coupled": Population(
            model=models.lif(**CELL).with_synapses(gap=models.gap_junction(g_max=G_COUPLING)),
            n=2,
            drives={"I_ext": "current"},
        ),
    }
    projections = {
        "gap": Projection(
            pre="coupled", post="coupled", synapse="gap", weights=1.0, pairs="all_but_self"
        )
    }
    for name, values in SHORT_TERM.items():
        populations[f"{name}_sum"] = Population(model=integrator, n=n)
        projections[name] = Projection(
            pre="inp",
            post=f"{name}_sum",
            synapse="syn",
            weights=1.0,
            pairs="one_to_one",
            short_term=models.tsodyks_markram(**values),
        )
    return NetworkModel(
        name="short_term",
        dt=STEP,
        inputs={"x": Input(features=n), "current": Input(features=2)},
        populations=populations,
        projections=projections,
        presentation=Presentation(duration=LENGTH),
        output="inp",
    )


def tsodyks_markram_map(
    n: int, interval: float, U: float, tau_rec: float, tau_facil: float
) -> Floats:
    """Shares that ``n`` periodic spikes transmit, by the iterated closed form."""
    shares = []
    u, x = 0.0, 1.0
    for k in range(n):
        if k:
            u *= np.exp(-interval / tau_facil) if tau_facil else 0.0
            x = 1 + (x - 1) * np.exp(-interval / tau_rec)
        u += U * (1 - u)
        shares.append(u * x)
        x -= u * x
    return np.array(shares)


def steady_state(
    interval: float, U: float, tau_rec: float, tau_facil: float
) -> tuple[float, float]:
    """``u`` and ``x`` that a spike finds after many periodic ones."""
    facil = np.exp(-interval / tau_facil) if tau_facil else 0.0
    rec = np.exp(-interval / tau_rec)
    u = U / (1 - (1 - U) * facil)
    return u, (1 - rec) / (1 - (1 - u) * rec)


def plasticity_and_gap_junction(device: str) -> dict[str, Any]:
    """Tsodyks-Markram's transient and steady state; the coupling coefficient."""
    traces: dict[str, Any] = {f"{name}_sum.v": range(len(RATES_HZ)) for name in SHORT_TERM}
    traces["coupled.v"] = [0, 1]
    runnable = simulation.compile(plastic_and_coupled(), device, spikes=("inp",), traces=traces)
    inputs = {
        "x": np.array([RATES_HZ]) / 100.0,
        "current": np.array([[float(np.asarray(CURRENT)), 0.0]]),
    }
    recording, state = runnable.run(inputs, progress=False)
    spikes = recording.spikes["inp"]
    found: dict[str, Any] = {}
    for name, values in SHORT_TERM.items():
        p = {"tau_facil": 0.0, **{k: float(np.asarray(v)) for k, v in values.items()}}
        trace = recording.traces[f"{name}_sum.v"]
        rows = found[f"tsodyks_markram_{name}"] = {}
        for k, rate in enumerate(RATES_HZ):
            at = np.round(np.sort(spikes.t[spikes.i == k]) / float(STEP)).astype(int)
            assert len(at) >= 30, "the inputs did not fire"
            courses = np.append(trace.values[k], state[f"{name}_sum.v"][k])
            shares = np.diff(courses[at + 1], prepend=0.0)
            expected = tsodyks_markram_map(len(at), 1 / rate, **p)
            u, x = steady_state(1 / rate, **p)
            since = float(np.asarray(LENGTH)) - at[-1] * float(np.asarray(STEP)) - float(STEP)
            left = 1 + (state[f"inp.{name}_stp_x"][k] - 1) * np.exp(since / p["tau_rec"])
            rows[f"{rate:g} Hz"] = {
                "transient": check(np.abs(shares / expected - 1).max(), 1e-9),
                "steady_state": check(abs(shares[-1] / (u * x) - 1), BOUND),
                "x": check(abs(left / (x * (1 - u)) - 1), BOUND),
                "share": float(shares[-1]),
            }
    v = recording.traces["coupled.v"].values[:, -1] - float(np.asarray(CELL["E_L"]))
    assert v.min() > 1e-4, "the cells were not driven"
    leak, coupling = 1 / float(np.asarray(CELL["R"])), float(np.asarray(G_COUPLING))
    resistance = (leak + coupling) / (leak * (leak + 2 * coupling))
    found["gap_junction"] = {
        "coupling_coefficient": check(abs(v[1] / v[0] / (coupling / (coupling + leak)) - 1), 1e-6),
        "input_resistance": check(abs(v[0] / (float(np.asarray(CURRENT)) * resistance) - 1), 1e-6),
        "measured_coefficient": float(v[1] / v[0]),
    }
    return found


def validate(*, short: bool) -> dict[str, Any]:
    """Hold all synapses against their closed forms.

    Parameters
    ----------
    short : bool
        On ``runtime``, with the potentials of all currents and of NMDA. Otherwise on ``runtime``
        and ``cpp`` with all potentials, and with the methods that ``with_synapses`` chooses by
        itself, whose errors of first order are reported without a bound.

    Returns
    -------
    dict
        Device -> synapse -> checks.
    """
    if short:
        free = (*STRENGTHS, "nmda")
        return {
            "runtime": {
                **currents_and_potentials("runtime", free),
                **plasticity_and_gap_junction("runtime"),
            }
        }
    free = (*STRENGTHS, *CONDUCTANCES)
    found: dict[str, Any] = {
        device: {**currents_and_potentials(device, free), **plasticity_and_gap_junction(device)}
        for device in ("runtime", "cpp")
    }
    by_default = currents_and_potentials("runtime", free, method=None)
    found["errors_of_default_methods"] = {
        name: {
            part: by_default[name][part]["course"]["value"]
            for part in ("clamped_current", "current", "psp")
            if part in by_default[name]
        }
        for name in free
    }
    return found
