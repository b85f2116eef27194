"""A second solver for a model's equations: their text as Python, integrated by SciPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import brian2
import numpy as np
from brian2 import Equations
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_UNITS
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.special import exprel

from biosnn.models import NeuronModel

Floats = NDArray[np.float64]
RightHandSide = Callable[[float, Floats], Floats]


def right_hand_side(
    model: NeuronModel, values: Mapping[str, float]
) -> tuple[RightHandSide, list[str], Floats]:
    """A model's equations in SI units.

    Parameters
    ----------
    model : NeuronModel
        The model.
    values : mapping
        Values of variables without an equation of their own; the others are as at first.

    Returns
    -------
    function, list of str, array
        d(state)/dt of (time, state), the names of the state's parts, and the initial state.
    """
    equations = Equations(model.equations)
    texts = {name: text.code for name, text in equations.get_substituted_expressions({})}
    names = sorted(texts)
    codes = [compile(texts[name].strip(), name, "eval") for name in names]
    scope: dict[str, Any] = {
        **{name: float(unit) for name, unit in DEFAULT_UNITS.items()},
        **{key: float(np.asarray(value)) for key, value in model.constants.items()},
        **{
            name: float(np.asarray(model.initial_value(name))) for name in equations.parameter_names
        },
        **values,
        **{name: function.pyfunc for name, function in DEFAULT_FUNCTIONS.items()},
        **{"exprel": exprel, "int": int, "pi": np.pi},
    }

    def rates(t: float, state: Floats) -> Floats:
        local = dict(zip(names, state, strict=True), t=t)
        return np.array([eval(code, scope, local) for code in codes])

    first = [float(np.asarray(model.initial_value(name))) for name in names]
    return rates, names, np.array(first)


def reference(model: NeuronModel, values: Mapping[str, float], times: Any) -> Floats:
    """The potential in SI units at the times (array, time), to about 12 digits.

    ``values`` are of variables with or without an equation.
    """
    rates, names, first = right_hand_side(model, values)
    for number, name in enumerate(names):
        first[number] = values.get(name, first[number])
    t = np.asarray(times / brian2.second, dtype=float)
    solution = solve_ivp(
        rates, (0, t[-1]), first, method="DOP853", t_eval=t, rtol=1e-12, atol=1e-15
    )
    return solution.y[names.index("v")]
