"""Published firing patterns: a model, the current that evokes its pattern, and a criterion.

A criterion takes spike times [n_spikes], the times [n_times] at which the potential was sampled and
the potential [n_times], in ms and mV, and says whether they show its pattern. The bounds are
ours; what has to be seen is in the papers' words.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import numpy as np
from brian2 import Quantity, ms, mV, pA
from numpy.typing import ArrayLike, NDArray

from biosnn import models
from biosnn.equations.neurons import adex as adex_data
from biosnn.models import NeuronModel

Floats = NDArray[np.float64]
Criterion = Callable[[Floats, Floats, Floats], bool]

#: Spikes of a burst are closer than this, and bursts further apart than that (ms; Izhikevich).
_WITHIN_BURST, _BETWEEN_BURSTS = 12.0, 20.0


# --- AdEx (Naud et al. 2008)


def _periodic(intervals: Floats, most: int = 6, tolerance: float = 0.05) -> bool:
    """Whether a sequence repeats itself after at most so many intervals."""
    for lag in range(1, min(most, len(intervals) // 2) + 1):
        change = np.abs(intervals[lag:] - intervals[:-lag])
        if np.all(change < tolerance * intervals[lag:]):
            return True
    return False


def adex_class(spikes: Floats, duration: float, tau_m: float) -> str:
    """Name the firing pattern of an answer to a step of current at time 0.

    Intervals of the second half of the step ("late") tell the steady state, the first ones
    how it is reached:

    - no spike in the second half: transient spiking
    - late intervals differ by a factor of 3 or more, and repeat themselves with a period of at
      most 6 intervals (within 5 %): (delayed) regular bursting; else: irregular spiking
    - an interval is followed by one at least 3 times as long: initial burst
    - late intervals at least 1.5 times as long as the first: adaptation
    - late intervals at most 0.75 of the first, and delayed: delayed accelerating
    - late intervals within 25 % of the first: tonic spiking

    A pattern is delayed if the first spike comes later than 1.5 membrane time constants.

    Parameters
    ----------
    spikes : array [n_spikes]
        Spike times in ms.
    duration, tau_m : float
        Length of the step and membrane time constant in ms.

    Returns
    -------
    str
        The name of a pattern of Naud et al. 2008, Table 1, ``"silent"`` or ``"none of these"``.
    """
    if not len(spikes):
        return "silent"
    second_half = spikes[spikes > duration / 2]
    if not len(second_half):
        return "transient spiking"
    if len(second_half) < 3:
        return "none of these"
    intervals, late = np.diff(spikes), np.diff(second_half)
    delayed = spikes[0] > 1.5 * tau_m
    settled = late.mean() / intervals[0]
    if late.max() >= 3 * late.min():
        bursting = "delayed regular bursting" if delayed else "regular bursting"
        return bursting if _periodic(late) else "irregular spiking"
    if (intervals[1:] >= 3 * intervals[:-1]).any():
        return "initial burst"
    if settled >= 1.5:
        return "adaptation"
    if settled <= 0.75 and delayed:
        return "delayed accelerating"
    return "tonic spiking" if abs(settled - 1) < 0.25 else "none of these"


def adex_criterion(name: str, duration: float, tau_m: float) -> Criterion:
    """Whether :func:`adex_class` gives this name."""
    return partial(_is_of_class, name, duration, tau_m)


def _is_of_class(
    name: str, duration: float, tau_m: float, spikes: Floats, t: Floats, v: Floats
) -> bool:
    return adex_class(spikes, duration, tau_m) == name


# --- Izhikevich (2004); the numbers in ms are the edges of the currents


def _bursts(spikes: Floats) -> list[Floats]:
    """Spikes in groups, parted where two are further apart than a burst's spikes."""
    return np.split(spikes, np.flatnonzero(np.diff(spikes) > _BETWEEN_BURSTS) + 1)


def _only_between(spikes: Floats, start: float, stop: float, least: int = 1) -> bool:
    """Whether there are so many spikes or more, none of them outside."""
    return len(spikes) >= least and bool(spikes[0] > start and spikes[-1] < stop)


def _is_burst(spikes: Floats) -> bool:
    return len(spikes) >= 3 and bool(np.diff(spikes).max() < _WITHIN_BURST)


def _equal(values: Floats, tolerance: float = 0.05) -> bool:
    return bool(np.ptp(values) <= tolerance * values.mean())


def _tonic(spikes: Floats, t: Floats, v: Floats) -> bool:
    """Fires as long as the current lasts, in equal intervals from the third one on."""
    return (
        _only_between(spikes, 10, 101, 5)
        and _equal(np.diff(spikes)[2:])
        and t[-1] - spikes[-1] < np.diff(spikes)[-1]
    )


def _phasic(spikes: Floats, t: Floats, v: Floats) -> bool:
    """One spike at the onset, nothing afterwards."""
    return len(spikes) == 1 and _only_between(spikes, 20, 60)


def _tonic_bursting(spikes: Floats, t: Floats, v: Floats) -> bool:
    """Bursts of three or more spikes, again and again."""
    bursts = _bursts(spikes)
    return len(bursts) >= 3 and all(_is_burst(burst) for burst in bursts[:-1])


def _phasic_bursting(spikes: Floats, t: Floats, v: Floats) -> bool:
    """One burst at the onset, nothing afterwards."""
    return _is_burst(spikes) and _only_between(spikes, 20, 100)


def _mixed_mode(spikes: Floats, t: Floats, v: Floats) -> bool:
    """A burst at the onset, then single spikes in equal intervals."""
    bursts = _bursts(spikes)
    single = [len(burst) == 1 for burst in bursts[1:]]
    return _is_burst(bursts[0]) and len(single) >= 3 and all(single) and _equal(np.diff(spikes)[3:])


def _adapting(spikes: Floats, t: Floats, v: Floats) -> bool:
    """Intervals that only grow, to three times the first or more."""
    intervals = np.diff(spikes)
    return (
        len(intervals) >= 4
        and bool((np.diff(intervals) > 0).all())
        and bool(intervals[-1] > 3 * intervals[0])
    )


def _rates_on_a_ramp(spikes: Floats) -> Floats:
    """Rates in Hz, if the intervals never grow by more than the coarse steps' jitter of 1 ms."""
    intervals = np.diff(spikes)
    falling = len(intervals) >= 5 and (np.diff(intervals) <= 1).all()
    return 1000 / intervals if falling else np.empty(0)


def _class_1(spikes: Floats, t: Floats, v: Floats) -> bool:
    """Begins at a low rate (below 30 Hz) and more than doubles it on the ramp."""
    rates = _rates_on_a_ramp(spikes)
    return bool(len(rates) and rates[0] < 30 and rates[-1] > 2 * rates[0])


def _class_2(spikes: Floats, t: Floats, v: Floats) -> bool:
    """Begins at a high rate (above 40 Hz), which changes by less than a factor of two or so."""
    rates = _rates_on_a_ramp(spikes)
    return bool(len(rates) and rates[0] > 40 and rates[-1] < 2.2 * rates[0])


def _latency(spikes: Floats, t: Floats, v: Floats) -> bool:
    """One spike, long after the pulse has ended at 13 ms."""
    return len(spikes) == 1 and _only_between(spikes, 16, 60)


def _peaks(t: Floats, v: Floats, start: float) -> Floats:
    """Heights of the local maxima of the potential after a time."""
    inner = np.flatnonzero((v[1:-1] > v[:-2]) & (v[1:-1] >= v[2:]) & (t[1:-1] > start)) + 1
    return v[inner]


def _oscillations(spikes: Floats, t: Floats, v: Floats) -> bool:
    """One spike, then three or more maxima below threshold, each lower than the one before."""
    if len(spikes) != 1:
        return False
    peaks = _peaks(t, v, spikes[0] + 2)[:4]
    return len(peaks) >= 3 and bool((np.diff(peaks) < 0).all() and peaks[0] < -50)


def _resonator(spikes: Floats, t: Floats, v: Floats) -> bool:
    """Silent for pulses 20 ms apart, fires for the pair 40 ms apart."""
    return _only_between(spikes, 320, 360)


def _integrator(spikes: Floats, t: Floats, v: Floats) -> bool:
    """Fires for the pulses 5 ms apart, silent for those 10 ms apart."""
    return _only_between(spikes, 14, 40)


def _rebound_spike(spikes: Floats, t: Floats, v: Floats) -> bool:
    """One spike after an inhibitory pulse that ends at 25 ms."""
    return len(spikes) == 1 and _only_between(spikes, 25, 100)


def _rebound_burst(spikes: Floats, t: Floats, v: Floats) -> bool:
    """One burst after an inhibitory pulse that ends at 25 ms."""
    return _is_burst(spikes) and _only_between(spikes, 25, 140)


def _variable_threshold(spikes: Floats, t: Floats, v: Floats) -> bool:
    """Silent for the pulse at 10 ms, fires for the same pulse after an inhibitory one."""
    return len(spikes) == 1 and _only_between(spikes, 80, 100)


def _bistable(spikes: Floats, t: Floats, v: Floats) -> bool:
    """The pulse at 37.5 ms switches firing on, that at 216 ms switches it off."""
    return _only_between(spikes, 37.5, 225, 4) and _equal(np.diff(spikes))


def _after_potential(spikes: Floats, t: Floats, v: Floats) -> bool:
    """After the one spike's reset the potential rises by 2 mV or more, then falls to rest."""
    if len(spikes) != 1:
        return False
    after = v[t > spikes[0] + 0.2]
    hump = after[: len(after) // 2].max()
    return bool(hump > after[0] + 2 and hump > v[0] + 8 and abs(after[-1] - v[0]) < 3)


def _accommodation(spikes: Floats, t: Floats, v: Floats) -> bool:
    """Silent on the slow ramp to 8, fires on the fast one to 4 (300 to 312.5 ms)."""
    return _only_between(spikes, 300, 320)


def _inhibition_spiking(spikes: Floats, t: Floats, v: Floats) -> bool:
    """Single spikes while the current is lower (50 to 250 ms), and only then."""
    return _only_between(spikes, 50, 250, 3) and all(len(burst) == 1 for burst in _bursts(spikes))


def _inhibition_bursting(spikes: Floats, t: Floats, v: Floats) -> bool:
    """Bursts while the current is lower (50 to 250 ms), and only then."""
    bursts = _bursts(spikes)
    return _only_between(spikes, 50, 250) and len(bursts) >= 2 and all(map(_is_burst, bursts))


#: Pattern -> criterion, in the order of Izhikevich 2004, Fig. 1 (A to T).
IZHIKEVICH_2004: dict[str, Criterion] = {
    "tonic spiking": _tonic,
    "phasic spiking": _phasic,
    "tonic bursting": _tonic_bursting,
    "phasic bursting": _phasic_bursting,
    "mixed mode": _mixed_mode,
    "spike frequency adaptation": _adapting,
    "class 1 excitable": _class_1,
    "class 2 excitable": _class_2,
    "spike latency": _latency,
    "subthreshold oscillations": _oscillations,
    "resonator": _resonator,
    "integrator": _integrator,
    "rebound spike": _rebound_spike,
    "rebound burst": _rebound_burst,
    "threshold variability": _variable_threshold,
    "bistability": _bistable,
    "depolarising after-potential": _after_potential,
    "accommodation": _accommodation,
    "inhibition-induced spiking": _inhibition_spiking,
    "inhibition-induced bursting": _inhibition_bursting,
}


# --- the patterns


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
            By the bounds of the criteria above.
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
    for name, values in adex_data.SETS.items():
        current = float(values["I"] / pA)
        found[name] = FiringPattern(
            name=name,
            model=models.adex(pattern=name),
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
        model = models.izhikevich(a=a / ms, b=b / ms, c=c * mV, d=d * mV / ms, **quadratic)
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
