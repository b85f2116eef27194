"""Delta modulation: ON and OFF spikes for changes in a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import ms
from numpy.typing import ArrayLike, NDArray

from biosnn._encoding.checks import as_shown, check_numbers
from biosnn._encoding.population import input_population
from biosnn.models import NeuronModel, Operation
from biosnn.validation import check_steps, check_value

_SOURCE = (
    "Petro, Kasabov & Kiss (2020), Selection and optimization of temporal spike encoding methods "
    "for spiking neural networks, doi:10.1109/TNNLS.2019.2906158 (step-forward encoding)"
)
# Steps that single precision makes a little too small still count.
_ALMOST = 1 - 1e-5


def on_off(sequences: ArrayLike) -> NDArray[np.float32]:
    """Put a sequence and its negative side by side, as :func:`delta` plays them.

    Parameters
    ----------
    sequences : array_like, shape (n, frames, features)
        Finite values of any sign.

    Returns
    -------
    numpy.ndarray of float32, shape (n, frames, 2*features)
        The first half drives ON units, which fire when a value rises, the second half OFF units.
    """
    values = check_numbers("on_off", sequences, ("n", "frames", "features"))
    return np.concatenate([values, -values], axis=-1).astype(np.float32)


def delta(*, threshold: float = 0.1, start: float | None = None) -> NeuronModel:
    """Input population: delta modulation, a spike whenever a value has risen by a threshold.

    A unit holds a reference; in a time step in which ``x`` is a ``threshold`` or more above it,
    the unit fires and the reference goes up by ``threshold``; where ``x`` is as much below it,
    the reference goes down without a spike. Fed with :func:`on_off`, the first half of the
    units are the ON and the second half the OFF channels of a sequence
    (``Input(kind="sequence")``). After the last frame that is given a network sees zeros, so
    give a frame for the whole presentation.

    Parameters
    ----------
    threshold : float
        Step of the reference, in units of the values, > 0.
    start : float, optional
        The reference at the onset of ON units, and its negative that of OFF units; default: the
        first frame's value, which makes no spike then.

    Returns
    -------
    NeuronModel
        With the variables ``x``, which an input sets, and ``level``, the reference.

    Notes
    -----
    The step-forward encoding of Petro et al. (2020), doi:10.1109/TNNLS.2019.2906158, with one
    reference step per time step; the principle is that of the event cameras of Lichtsteiner
    et al. (2008), doi:10.1109/JSSC.2007.914337.
    """
    check_value("delta", "threshold", threshold, 1.0, "> 0")
    parameters = {"threshold": float(threshold)}
    begin = "intensity*x"
    if start is not None:
        check_value("delta", "start", start, 1.0)
        parameters["start"] = float(start)
        begin = "start*(1 - 2*int(i >= N/2))"
    return input_population(
        "DeltaInput",
        _SOURCE,
        ("t_sample", "intensity"),
        "level : 1",
        threshold=f"intensity*x - level >= threshold*{_ALMOST} and t_sample + 0.5*dt < active_for",
        reset="level += threshold",
        parameters=parameters,
        operations=(
            Operation(code=f"level = {begin}", on="onset"),
            Operation(
                code=f"level -= threshold*int(level - intensity*x >= threshold*{_ALMOST})",
                on="step",
            ),
        ),
        double=("x", "level"),
    )


def delta_spikes(
    sequences: ArrayLike,
    *,
    threshold: float = 0.1,
    frame: Any = 1 * ms,
    dt: Any = 1 * ms,
    start: float | None = None,
) -> NDArray[np.bool_]:
    """Delta-modulated spike trains of sequences, as :func:`delta` plays them.

    Parameters
    ----------
    sequences : array_like, shape (n, frames, features)
        Finite values of any sign, without unit.
    threshold : float
        Step of the reference, in units of the values, > 0.
    frame, dt : Quantity
        How long a frame is shown, a multiple of ``dt``, and the time step. In each time step
        the reference follows by one threshold at most.
    start : float, optional
        The reference at the beginning; default: the first frame's value.

    Returns
    -------
    numpy.ndarray of bool, shape (n, frames*frame/dt, 2*features)
        ON units (the value has risen by ``threshold``), then OFF units (it has fallen).

    Notes
    -----
    Petro et al. (2020), doi:10.1109/TNNLS.2019.2906158; Lichtsteiner et al. (2008),
    doi:10.1109/JSSC.2007.914337. :func:`decode_delta` is the inverse.
    """
    check_value("delta_spikes", "threshold", threshold, 1.0, "> 0")
    if start is not None:
        check_value("delta_spikes", "start", start, 1.0)
    held = check_steps("delta_spikes", "frame", frame, dt, 1)
    values = as_shown(check_numbers("delta_spikes", sequences, ("n", "frames", "features")))
    n, frames, features = values.shape
    spikes = np.zeros((n, frames * held, 2 * features), dtype=bool)
    level = values[:, 0].copy() if start is None else np.full((n, features), float(start))
    least = float(threshold) * _ALMOST
    for step in range(frames * held):
        above = values[:, step // held] - level
        spikes[:, step, :features] = above >= least
        spikes[:, step, features:] = above <= -least
        level += threshold * (above >= least)
        level -= threshold * (above <= -least)
    return spikes
