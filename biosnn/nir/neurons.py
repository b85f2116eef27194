"""Stateful nodes as neuron models: one update per time step, from inputs to potential."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from biosnn.models import Event, NeuronModel, Operation
from biosnn.nir.conventions import Convention

#: Event of what sends a value in every time step, and of neurons whose spikes are tested later.
SENT = "sent"
_REFERENCE = (
    "Pedersen et al. 2024, Neuromorphic intermediate representation, Nat. Commun. 15:8122, "
    "doi:10.1038/s41467-024-52259-9"
)


@attrs.frozen(eq=False, kw_only=True)
class Place:
    """When a node is computed within a time step.

    Parameters
    ----------
    slot : str
        Slot of Brian2's schedule in which it is updated and sends.
    spikes : str
        Slot in which its spikes are tested; the same one, or a later one.
    """

    slot: str
    spikes: str

    @property
    def event(self) -> str:
        """The event that sends a spike."""
        return "spike" if self.slot == self.spikes else SENT


def _late(code: str, new: str, how: Convention, swallows: bool) -> str:
    """An update that begins with the reset of the last time step, or ends with it."""
    late = f"late = int(v {how.fires} V_th)"
    if how.reset == "subtract":
        return f"{late}\n{code}\nv = v - late*V_th"
    reset = f"v = v + late*({new} - v)"
    return f"{late}\n{code}\n{reset}" if swallows else f"{late}\n{reset}\n{code}"


class _Text:
    """Statements and constants of a model that is being written."""

    def __init__(self) -> None:
        self.variables = {"v": "v : 1", "I_syn": "I_syn : 1"}
        self.parameters: dict[str, float] = {}
        self.initial: dict[str, Any] = {"v": 0.0, "I_syn": 0.0}

    def constant(self, name: str, values: np.ndarray) -> str:
        """Name of a constant: a parameter, or a variable where neurons differ."""
        values = np.asarray(values, dtype=float)
        if (values == values[0]).all():
            self.parameters[name] = float(values[0])
        else:
            self.variables[name] = f"{name} : 1 (constant)"
            self.initial[name] = values.copy()
        return name

    def begins(self, variable: str, values: np.ndarray) -> None:
        """Set the initial value of a variable."""
        same = (values == values[0]).all()
        self.initial[variable] = float(values[0]) if same else values.copy()

    def input(self, bias: np.ndarray) -> str:
        """What arrives in a time step."""
        return f"I_syn + {self.constant('bias', bias)}" if bias.any() else "I_syn"


def neuron_model(
    kind: str,
    given: dict[str, np.ndarray],
    bias: np.ndarray,
    dt: float,
    how: Convention,
    at: Place,
    to_itself: bool,
) -> NeuronModel:
    """The model of a stateful node.

    Parameters
    ----------
    kind : str
        Type of the node.
    given : dict
        Its parameters, one per neuron.
    bias : numpy.ndarray
        Constant input of each neuron.
    dt : float
        Time step in seconds.
    how : Convention
        How equations become time steps.
    at : Place
        When it is computed.
    to_itself : bool
        Whether its neurons project to themselves.
    """
    text = _Text()
    updates = {
        "I": _integrator,
        "IF": _integrator,
        "LI": _leaky,
        "LIF": _leaky,
        "CubaLI": _current_based,
        "CubaLIF": _current_based,
        "Threshold": _heaviside,
    }
    code = updates[kind](text, given, bias, dt, how)
    more: dict[str, Any] = {}
    limit = given.get("v_threshold", given.get("threshold"))
    if limit is not None:
        more["threshold"] = f"v {how.fires} {text.constant('V_th', limit)}"
        more |= {"spike_when": at.spikes, "reset": ""}
        if kind != "Threshold":
            new = "v - V_th" if how.reset == "subtract" else text.constant("V_r", given["v_reset"])
            if how.reset_delay:
                loses_input = kind == "CubaLIF" or to_itself
                code = _late(code, new, how, swallows=loses_input)
            else:
                more["reset"] = f"v = {new}"
        if at.event == SENT:
            more["events"] = {SENT: Event(condition=more["threshold"], when=at.slot)}
    else:
        more["events"] = {SENT: Event(condition="v > 0 or v < 0", when=at.slot)}
    begins = {"v_leak": given.get("v_leak"), "v_reset": given.get("v_reset")}.get(how.start)
    if begins is None and how.start == "v_reset":
        begins = given.get("v_leak")
    if begins is not None:
        text.begins("v", begins)
    return NeuronModel(
        name=f"NIR{kind}",
        equations="\n".join(text.variables.values()),
        operations=(Operation(code=code, on="step", when=at.slot, order=-2),),
        parameters=text.parameters,
        initial=text.initial,
        transient=tuple(name for name in ("v", "syn", "I_syn") if name in text.variables),
        reference=_REFERENCE,
        **more,
    )


def _integrator(
    text: _Text, given: dict[str, np.ndarray], bias: np.ndarray, dt: float, how: Convention
) -> str:
    """``dv/dt = R*I``: both ways of integration are one."""
    gain = text.constant("gain", given["r"] * dt)
    return f"v = v + {gain}*({text.input(bias)})\nI_syn = 0"


def _leaky(
    text: _Text, given: dict[str, np.ndarray], bias: np.ndarray, dt: float, how: Convention
) -> str:
    """``tau*dv/dt = v_leak - v + R*I``."""
    tau, r, rest = given["tau"], given["r"], given["v_leak"]
    if how.integration == "euler":
        share = text.constant("share", dt / tau)
        r_in, leak = text.constant("R", r), text.constant("v_leak", rest)
        return f"v = v + {share}*(({leak} - v) + {r_in}*({text.input(bias)}))\nI_syn = 0"
    lost = -np.expm1(-dt / tau)
    left, gain = text.constant("decay", np.exp(-dt / tau)), text.constant("gain", lost * r)
    code = f"v = {left}*v + {gain}*({text.input(bias)})"
    if rest.any():
        code += f" + {text.constant('leak', lost * rest)}"
    return f"{code}\nI_syn = 0"


def _current_based(
    text: _Text, given: dict[str, np.ndarray], bias: np.ndarray, dt: float, how: Convention
) -> str:
    """``tau_syn*dI/dt = -I + w_in*S`` and ``tau_mem*dv/dt = v_leak - v + R*I``."""
    text.variables["syn"] = "syn : 1"
    text.initial["syn"] = 0.0
    tau_s, tau_m, r = given["tau_syn"], given["tau_mem"], given["r"]
    rest, w = given["v_leak"], given["w_in"]
    if how.integration == "euler":
        into = text.constant("w_in", w)
        share, x = text.constant("share_syn", dt / tau_s), f"{into}*({text.input(bias)})"
        synapse = f"syn = syn + {share}*({x} - syn)"
        if how.synapse == "jump":
            synapse = f"syn = syn - {share}*syn + {x}"
        leak, r_in = text.constant("v_leak", rest), text.constant("R", r)
        membrane = f"v = v + {text.constant('share', dt / tau_m)}*(({leak} - v) + {r_in}*syn)"
        both = (synapse, membrane) if how.current == "updated" else (membrane, synapse)
        return "\n".join((*both, "I_syn = 0"))
    left_s, left_m = np.exp(-dt / tau_s), np.exp(-dt / tau_m)
    lost_s, lost_m = -np.expm1(-dt / tau_s), -np.expm1(-dt / tau_m)
    passed = r * current_passed(tau_s, tau_m, dt)
    code = [
        f"x = {text.input(bias)}",
        f"v = {text.constant('decay', left_m)}*v + {text.constant('passed', passed)}*syn"
        f" + {text.constant('gain', (lost_m * r - passed) * w)}*x",
        f"syn = {text.constant('decay_syn', left_s)}*syn"
        f" + {text.constant('gain_syn', lost_s * w)}*x",
        "I_syn = 0",
    ]
    if rest.any():
        code[1] += f" + {text.constant('leak', lost_m * rest)}"
    return "\n".join(code)


def current_passed(tau_s: np.ndarray, tau_m: np.ndarray, dt: float) -> np.ndarray:
    """What a current of 1 that decays with ``tau_s`` adds to a membrane within a time step.

    ``(exp(-dt/tau_s) - exp(-dt/tau_m))/(1 - tau_m/tau_s)``, and its limit for equal time constants.
    """
    difference = dt / tau_m - dt / tau_s
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(difference == 0, 1.0, np.expm1(difference) / difference)
    return dt / tau_m * np.exp(-dt / tau_m) * ratio


def _heaviside(
    text: _Text, given: dict[str, np.ndarray], bias: np.ndarray, dt: float, how: Convention
) -> str:
    """A step function of what arrives: there is no state, and nothing is reset."""
    return f"v = {text.input(bias)}\nI_syn = 0"


def source_model(kind: str) -> NeuronModel:
    """An input: what it shows is sent in the same time step.

    Parameters
    ----------
    kind : {"static", "sequence", "events"}
        Kind of the input.
    """
    spiking: dict[str, Any] = {"threshold": "x > 0", "reset": ""} if kind == "events" else {}
    return NeuronModel(
        name="NIRInput",
        equations="x : 1",
        events={SENT: Event(condition="x > 0 or x < 0", when="start")},
        reference=_REFERENCE,
        **spiking,
    )


def readout_model(constant: np.ndarray, at: Place) -> NeuronModel:
    """An output that is no stateful node: ``v`` is what arrives in a time step."""
    text = _Text()
    code = f"v = {text.input(constant)}\nI_syn = 0"
    return NeuronModel(
        name="NIROutput",
        equations="\n".join(text.variables.values()),
        operations=(Operation(code=code, on="step", when=at.slot, order=-2),),
        parameters=text.parameters,
        initial=text.initial,
        transient=("v", "I_syn"),
        reference=_REFERENCE,
    )
