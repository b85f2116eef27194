"""Brian2 groups such as users write, of what the library's neurons do not use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from brian2 import Clock, Function, Hz, NeuronGroup, TimedArray, ms, mV

from validation._surrogate import N_NEURONS

DT = 0.1 * ms
#: What the neurons get.
INPUTS = np.linspace(0.5, 2.5, N_NEURONS)
Made = tuple[NeuronGroup, dict[str, Any]]
#: Name -> a function that makes the group and the settings of its comparison.
USERS: dict[str, Callable[[], Made]] = {}


def user(make: Callable[[], Made]) -> None:
    """Enter a function under its name."""
    USERS[make.__name__] = make


def neurons(
    equations: str, threshold: str, reset: str, method: str = "euler", **more: Any
) -> NeuronGroup:
    """A plain group with an input ``I`` and a time constant."""
    names = {"tau": 10 * ms, **more.pop("names", {})}
    return NeuronGroup(
        N_NEURONS,
        f"{equations}\nI : 1",
        threshold=threshold,
        reset=reset,
        method=method,
        clock=Clock(dt=DT),
        namespace=names,
        **more,
    )


@user
def threshold_of_two_conditions() -> Made:
    equations = "dv/dt = (I - v)/tau : 1\ndu/dt = (v - u)/(5*ms) : 1"
    return neurons(equations, "v > 0.8 and u > 0.3", "v = 0"), {"record": ("v", "u")}


@user
def threshold_of_or_and_not() -> Made:
    equations = "dv/dt = (I - v)/tau : 1\ndu/dt = (v - u)/(5*ms) : 1"
    threshold = "(v >= 1 or u > 0.6) and not (v > 1.5)"
    return neurons(equations, threshold, "v = 0\nu -= 0.2", "exact"), {}


@user
def timed_array_per_neuron() -> Made:
    values = np.random.default_rng(0).uniform(0, 3, (400, N_NEURONS))
    names = {"given": TimedArray(values, dt=0.5 * ms)}
    group = neurons("dv/dt = (0.2*I + given(t, i) - v)/tau : 1", "v > 1", "v = 0", names=names)
    return group, {}


@user
def timed_array_for_all() -> Made:
    names = {"given": TimedArray(np.random.default_rng(0).uniform(0, 3, 40), dt=5 * ms)}
    equations = "dv/dt = (0.2*I + given(t) - v)/tau : 1"
    return neurons(equations, "v > 1", "v = 0", "exact", names=names), {}


@user
def subexpressions() -> Made:
    equations = """
    dv/dt = (total - v)/tau : 1
    total = 2*I*gate : 1
    gate = 1/(1 + exp(-3*v)) : 1
    fires = v > 1 + 0.1*v**2 : boolean
    """
    return neurons(equations, "fires", "v = 0", "rk4"), {}


@user
def subexpressions_constant_over_a_step() -> Made:
    equations = """
    dv/dt = (total - v)/tau : 1
    total = I*(1 + 0.5*sin(2*pi*50*Hz*t)) + 0.1*v**2 : 1 (constant over dt)
    """
    return neurons(equations, "v > 1", "v = 0", "rk4", names={"Hz": Hz}), {}


@user
def refractory_while_a_condition_holds() -> Made:
    equations = "dv/dt = (I - v)/tau : 1 (unless refractory)\ndu/dt = -u/(20*ms) : 1"
    group = neurons(equations, "v > 1", "v = 0; u += 1", refractory="u > 0.5")
    return group, {"record": ("v", "u")}


@user
def refractory_since_the_last_spike() -> Made:
    equations = "dv/dt = (I - v)/tau : 1 (unless refractory)"
    condition = "(t - lastspike) <= 3*ms and v < 0.9"
    return neurons(equations, "v > 1", "v = 0", "exact", refractory=condition), {}


@user
def refractory_for_a_time_that_changes() -> Made:
    equations = """
    dv/dt = (I - v)/tau : 1 (unless refractory)
    dpause/dt = (2*ms - pause)/(30*ms) : second
    """
    group = neurons(equations, "v > 1", "v = 0; pause += 3*ms", refractory="pause")
    return group, {"record": ("v", "pause")}


@user
def refractory_for_a_time_of_each_neuron() -> Made:
    equations = "dv/dt = (I - v)/tau : 1 (unless refractory)"
    period = "1*ms + i*0.5*ms"
    return neurons(equations, "v > 1", "v = 0", "exponential_euler", refractory=period), {}


@user
def parameters_of_each_neuron() -> Made:
    group = neurons(
        "dv/dt = (I - v)/tau_own : 1\ntau_own : second (constant)\nv_t : 1",
        "v > v_t",
        "v = 0.1*i/N",
        "exact",
    )
    group.tau_own = np.linspace(5, 30, N_NEURONS) * ms
    group.v_t = np.linspace(0.5, 1, N_NEURONS)
    group.v = "0.01*i"
    return group, {}


@user
def soft_reset_in_volts() -> Made:
    group = neurons(
        "dv/dt = (E_L - v + 8*mV*I)/tau : volt",
        "v >= V_th",
        "v -= V_th - E_L",
        "exact",
        names={"E_L": -65 * mV, "V_th": -57 * mV, "mV": mV},
    )
    group.v = -65 * mV
    return group, {}


@user
def resets_that_use_each_other() -> Made:
    equations = "dv/dt = (I - v)/tau : 1\ndu/dt = -u/(20*ms) : 1"
    reset = "before = v\nv = 0.5*u\nu += 0.2*before\nu = u*(1 - 0.1*v)"
    return neurons(equations, "v > 1 + u", reset), {"record": ("v", "u")}


@user
def regular_statements() -> Made:
    group = neurons("dv/dt = (I - v)/tau : 1\na : 1", "v > 1", "v = 0")
    group.run_regularly("a = 0.9*a + v\nv += 0.001*a", dt=DT)
    return group, {"record": ("v", "a")}


@user
def events_of_its_own() -> Made:
    equations = "dv/dt = (I + 0.01*n_low - v)/tau : 1\nn_low : 1"
    group = neurons(equations, "v > 1", "v = 0", events={"low": "v > 0.5 and v < 0.52"})
    group.run_on_event("low", "n_low += 1\nv += 0.02")
    return group, {"record": ("v", "n_low")}


@user
def shared_whole_and_truth_values() -> Made:
    group = neurons(
        """
        dv/dt = (I - v + 0.1*int(up) + 0.01*(k % 3) + x)/tau : 1
        k : integer
        x : 1
        up : boolean
        scale : 1 (shared)
        """,
        "v > scale + k**2*0.001",
        "v = 0.03*k; up = not up; k = (k + 1) % 7; x = k/30",
    )
    group.scale, group.k, group.up = 0.9, "i % 3", "i > 10"
    group.run_regularly("scale = 0.9 + 0.1*sin(2*pi*20*Hz*t)", dt=DT)
    group.namespace["Hz"] = Hz
    return group, {"record": ("v", "k", "up", "x", "scale")}


@user
def function_with_a_counterpart() -> Made:
    squashed = Function(lambda x: np.tanh(x) ** 2, arg_units=[1], return_unit=1)
    equations = "dv/dt = (2*I*squashed(v + 1) - v)/tau : 1"
    group = neurons(equations, "v > 1", "v = 0", names={"squashed": squashed})
    return group, {"functions": {"squashed": lambda x: torch.tanh(x) ** 2}}


@user
def function_of_what_has_no_gradient() -> Made:
    tuned = Function(lambda x: 1 + np.cos(x), arg_units=[1], return_unit=1)
    group = neurons(
        "dv/dt = (I*tuned(0.1*i) - v)/tau : 1", "v > 1", "v = 0", names={"tuned": tuned}
    )
    return group, {}


@user
def many_functions() -> Made:
    equations = """
    dv/dt = (I + 0.1*sin(v) + 0.1*exp(-abs(v)) + 0.1*sqrt(v**2 + 1) + 0.1*tanh(v)
             + log(1 + v**2) - clip(v, 0, 2) - 0.1*exprel(v))/tau : 1
    """
    return neurons(equations, "v > 1", "v = 0", "rk2"), {}
