"""Input without a code: graded currents, and given spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Quantity, ms
from numpy.typing import ArrayLike, NDArray

from biosnn._encoding.checks import intensities, steps_of
from biosnn._encoding.population import input_population
from biosnn.models import Event, NeuronModel, Operation
from biosnn.validation import check_value

_SOURCE = (
    "Rueckauer, Lungu, Hu, Pfeiffer & Liu (2017), Conversion of continuous-valued deep networks to "
    "efficient event-driven networks for image classification, doi:10.3389/fnins.2017.00682"
)
_EVENT_SOURCE = (
    "Boahen (2000), Point-to-point connectivity between neuromorphic chips using address events, "
    "doi:10.1109/82.842110"
)


def direct(*, cutoff: float = 0.0) -> NeuronModel:
    """Input population that shows its graded value ``x`` once per presentation.

    The event ``present`` happens at the onset for all units with ``x > cutoff``; projections
    with ``on_event="present"`` pass on ``x_pre`` as a current that is held during the sample.

    Parameters
    ----------
    cutoff : float
        Values up to it are taken as no input.

    Returns
    -------
    NeuronModel
        With the variable ``x``, which an input sets.

    Notes
    -----
    Rueckauer et al. (2017), doi:10.3389/fnins.2017.00682: analog input to the first layer.
    """
    check_value("direct", "cutoff", cutoff, 1.0, ">= 0")
    return input_population(
        "DirectInput",
        _SOURCE,
        ("intensity",),
        parameters={"cutoff": cutoff},
        events={"present": Event(condition="x > cutoff", every="presentation")},
        operations=(Operation(code="x *= intensity", on="input"),),
    )


def address_events() -> NeuronModel:
    """Input population that plays given spikes ``(sample, unit, time)``.

    Returns
    -------
    NeuronModel
        With the variable ``x``, which an input of ``kind="events"`` sets.

    Notes
    -----
    The address-event representation: Boahen (2000), doi:10.1109/82.842110.
    """
    return input_population("AddressEventInput", _EVENT_SOURCE, (), threshold="x > 0", reset="")


def direct_current(
    samples: ArrayLike, *, amplitude: Any, duration: Any, dt: Any = 1 * ms
) -> NDArray[np.float64]:
    """Constant input currents for static samples.

    Parameters
    ----------
    samples : array_like, shape (n, features)
        Intensities: floats from 0 to 1, or bytes (uint8, 0 to 255).
    amplitude : Quantity or float
        Current, or any other quantity, at ``x = 1``.
    duration, dt : Quantity
        Length of the currents and of a time step.

    Returns
    -------
    numpy.ndarray of float64, shape (n, T, features)
        SI values of ``amplitude*x``.

    Notes
    -----
    Rueckauer et al. (2017), doi:10.3389/fnins.2017.00682: analog input to the first layer.
    """
    like = amplitude if isinstance(amplitude, Quantity) else 1.0
    check_value("direct_current", "amplitude", amplitude, like)
    values = intensities(samples, "direct_current", ("n", "features"))
    n_steps, _ = steps_of("direct_current", duration, dt)
    currents = float(np.asarray(amplitude)) * values.astype(np.float64)
    return np.repeat(currents[:, None, :], n_steps, axis=1)
