"""Published firing patterns: a model, the current that evokes its pattern, and how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from brian2 import Quantity, ms, mV, pA
from brian2.units.fundamentalunits import DIMENSIONLESS, get_dimensions
from numpy.typing import ArrayLike

from biosnn._models.firing_pattern_recognition import IZHIKEVICH_2004, Criterion, adex_criterion
from biosnn._models.neuron_library import adex, izhikevich
from biosnn._models.neuron_model import NeuronModel
from biosnn._models.parameters import Schedule
from biosnn.equations import adex as adex_source
from biosnn.errors import ParameterError
from biosnn.validation import check_instance, check_members


@attrs.frozen(eq=False, kw_only=True)
class FiringPattern:
    """A neuron's answer to a current: what there is to show, and how to evoke it.

    Parameters
    ----------
    name : str
        What the authors call the pattern.
    model : NeuronModel
        The neuron, with its initial values.
    pieces : tuple of (float, float, float, float)
        The current: from and to which time in ms (both excluded), and its value at either end,
        between which it is linear.
    background : float
        The current at all other times.
    unit : Quantity
        Unit of the current.
    duration : Quantity
        How long the authors show it.
    dt : Quantity
        The authors' time step, or one that is short enough.
    criterion : function
        What :meth:`shown_by` asks.
    """

    name: str
    model: NeuronModel
    pieces: tuple[tuple[float, float, float, float], ...]
    background: float = 0.0
    unit: Any
    duration: Any
    dt: Any
    criterion: Criterion

    def shown_by(self, spikes: ArrayLike, t: ArrayLike, v: ArrayLike) -> bool:
        """Whether a recording shows the pattern.

        Parameters
        ----------
        spikes : array [n_spikes], time
            When the neuron fired, in order.
        t : array [n_times], time
            When the potential was sampled, over the whole duration.
        v : array [n_times], voltage
            The potential.

        Returns
        -------
        bool
            By the numbers of ``biosnn/_models/firing_pattern_recognition.py``.
        """
        fired, times, potential = (
            np.asarray(value / unit, dtype=float)
            for value, unit in ((spikes, ms), (t, ms), (v, mV))
        )
        return bool(len(fired) and self.criterion(fired, times, potential))

    def current(self, t: ArrayLike) -> Quantity:
        """The current at the times ``t`` (array of any shape, time)."""
        times = np.asarray(t / ms, dtype=float)
        values = np.full(times.shape, float(self.background))
        for start, stop, first, last in self.pieces:
            inside = (times > start + 1e-9) & (times < stop - 1e-9)
            slope = (last - first) / (stop - start)
            values[inside] = first + slope * (times[inside] - start)
        return values * self.unit


def adex_patterns() -> dict[str, FiringPattern]:
    """The eight firing patterns of the AdEx model (Naud et al. 2008, Table 1).

    Returns
    -------
    dict of str to FiringPattern
        In the order of the table; each current is a step at the beginning.
    """
    length = 1000.0
    found = {}
    for name, values in adex_source.PATTERNS.items():
        current = float(values["I"] / pA)
        found[name] = FiringPattern(
            name=name,
            model=adex(pattern=name),
            pieces=((-1.0, length, current, current),),
            unit=pA,
            duration=length * ms,
            dt=0.05 * ms,
            criterion=adex_criterion(name, length, float(values["C"] / values["g_L"] / ms)),
        )
    return found


#: name, a, b, c, d, initial v, time step, duration, background current, and pieces of the
#: current (see FiringPattern), in ms and mV (Izhikevich 2004, Fig. 1; ModelDB 39948, figure1.m).
_IZHIKEVICH_2004 = (
    ("tonic spiking", 0.02, 0.2, -65, 6, -70, 0.25, 100, 0, ((10, 101, 14, 14),)),
    ("phasic spiking", 0.02, 0.25, -65, 6, -64, 0.25, 200, 0, ((20, 201, 0.5, 0.5),)),
    ("tonic bursting", 0.02, 0.2, -50, 2, -70, 0.25, 220, 0, ((22, 221, 15, 15),)),
    ("phasic bursting", 0.02, 0.25, -55, 0.05, -64, 0.2, 200, 0, ((20, 201, 0.6, 0.6),)),
    ("mixed mode", 0.02, 0.2, -55, 4, -70, 0.25, 160, 0, ((16, 161, 10, 10),)),
    ("spike frequency adaptation", 0.01, 0.2, -65, 8, -70, 0.25, 85, 0, ((8.5, 86, 30, 30),)),
    ("class 1 excitable", 0.02, -0.1, -55, 6, -60, 0.25, 300, 0, ((30, 301, 0, 0.075 * 271),)),
    ("class 2 excitable", 0.2, 0.26, -65, 0, -64, 0.25, 300, -0.5,
     ((30, 301, -0.5, -0.5 + 0.015 * 271),)),
    ("spike latency", 0.02, 0.2, -65, 6, -70, 0.2, 100, 0, ((10, 13, 7.04, 7.04),)),
    ("subthreshold oscillations", 0.05, 0.26, -60, 0, -62, 0.25, 200, 0, ((20, 25, 2, 2),)),
    ("resonator", 0.1, 0.26, -60, -1, -62, 0.25, 400, 0,
     tuple((start, start + 4, 0.65, 0.65) for start in (40, 60, 280, 320))),
    ("integrator", 0.02, -0.1, -55, 6, -60, 0.25, 100, 0,
     tuple((start, start + 2, 9, 9) for start in (100 / 11, 100 / 11 + 5, 70, 80))),
    ("rebound spike", 0.03, 0.25, -60, 4, -64, 0.2, 200, 0, ((20, 25, -15, -15),)),
    ("rebound burst", 0.03, 0.25, -52, 0, -64, 0.2, 200, 0, ((20, 25, -15, -15),)),
    ("threshold variability", 0.03, 0.25, -60, 4, -64, 0.25, 100, 0,
     ((10, 15, 1, 1), (70, 75, -6, -6), (80, 85, 1, 1))),
    ("bistability", 0.1, 0.26, -60, 0, -61, 0.25, 300, 0.24,
     ((37.5, 42.5, 1.24, 1.24), (216, 221, 1.24, 1.24))),
    ("depolarising after-potential", 1, 0.2, -60, -21, -70, 0.1, 50, 0, ((9, 11, 20, 20),)),
    ("accommodation", 0.02, 1, -55, 4, -65, 0.5, 400, 0,
     ((-1e-6, 200, 0, 8), (300 - 1e-6, 312.5, 0, 4))),
    ("inhibition-induced spiking", -0.02, -1, -60, 8, -63.8, 0.5, 350, 80,
     ((50 - 1e-6, 250 + 1e-6, 75, 75),)),
    ("inhibition-induced bursting", -0.026, -1, -45, -2, -63.8, 0.5, 350, 80,
     ((50 - 1e-6, 250 + 1e-6, 75, 75),)),
)  # fmt: skip

#: The patterns G and L have another quadratic: 0.04 v**2 + 4.1 v + 108.
_OTHER_QUADRATIC = ("class 1 excitable", "integrator")


def izhikevich_patterns() -> dict[str, FiringPattern]:
    """The 20 firing patterns of Izhikevich 2004, Fig. 1, in its order (A to T).

    The constants are those of the script that made the figure (ModelDB 39948). For accommodation
    (R) that script has another equation of recovery, ``du/dt = a*b*(v + 65 mV)``, and so has the
    model here. Some patterns exist at the script's time steps only: with 0.01 ms, class 2
    excitability, bistability, the after-potential and both kinds of firing that inhibition
    induces are lost.

    Returns
    -------
    dict of str to FiringPattern
        ``dt`` is the script's.

    References
    ----------
    Izhikevich 2004, IEEE Trans. Neural Netw. 15:1063, doi:10.1109/TNN.2004.832719
    """
    found = {}
    for name, a, b, c, d, v, dt, duration, background, pieces in _IZHIKEVICH_2004:
        quadratic = {"k_1": 4.1 / ms, "k_0": 108 * mV / ms} if name in _OTHER_QUADRATIC else {}
        model = izhikevich(a=a / ms, b=b / ms, c=c * mV, d=d * mV / ms, **quadratic)
        u = b * v
        if name == "accommodation":
            recovery = model.equations.replace("a*(b*v - u)", "a*b*(v + 65*mV)")
            model, u = attrs.evolve(model, equations=recovery), -16
        found[name] = FiringPattern(
            name=name,
            model=attrs.evolve(model, initial={**model.initial, "v": v * mV, "u": u * mV / ms}),
            pieces=pieces,
            background=background,
            unit=mV / ms,
            duration=duration * ms,
            dt=dt * ms,
            criterion=IZHIKEVICH_2004[name],
        )
    return found


def per_neuron(models: Sequence[NeuronModel], *, name: str = "") -> NeuronModel:
    """One model for neurons whose parameters and initial values differ.

    Parameters
    ----------
    models : sequence of NeuronModel
        One per neuron; all with the same equations, conditions, statements and method.
    name : str, optional
        The new model's name; that of the first model without it.

    Returns
    -------
    NeuronModel
        For a population of exactly ``len(models)`` neurons: the parameters that differ are
        variables with one value per neuron.

    Raises
    ------
    ParameterError
        If there is no model, or if models differ in more than their numbers.
    """
    check_instance("per_neuron", "name", name, str)
    what = name or "per_neuron"
    check_members(what, "models", models, NeuronModel)
    if not models:
        raise ParameterError(what, "models", "none", "at least one model")
    first = models[0]
    for field in ("equations", "threshold", "reset", "refractory", "method", "operations"):
        if any(getattr(model, field) != getattr(first, field) for model in models):
            raise ParameterError(
                what, "models", f"models with different {field}", f"models with the same {field}"
            )
    lines, initial = [], dict(first.initial)
    parameters = dict(first.parameters)
    for key, value in first.parameters.items():
        values = [model.parameters[key] for model in models]
        if any(isinstance(one, Schedule) for one in values):
            raise ParameterError(what, key, "a Schedule", "a number for each neuron")
        if any(one != value for one in values):
            lines.append(f"{key} : {_base_unit(value)} (constant)")
            initial[key] = _array(values)
            del parameters[key]
    for variable in first.initial:
        initial[variable] = _array([model.initial_value(variable) for model in models])
    return attrs.evolve(
        first,
        name=name or first.name,
        equations="\n".join([first.equations, *lines]),
        parameters=parameters,
        initial=initial,
    )


def _base_unit(value: Any) -> str:
    """A quantity's unit as a product of powers of base units, as equations have it."""
    dim = get_dimensions(value)
    return "1" if dim is DIMENSIONLESS else repr(dim)


def _array(values: Sequence[Any]) -> Quantity:
    dim = get_dimensions(values[0])
    return Quantity([float(np.asarray(value)) for value in values], dim=dim)
