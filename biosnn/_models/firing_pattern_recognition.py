"""By which numbers the published firing patterns are recognised.

A criterion takes spike times [n_spikes], the times [n_times] at which the potential was sampled and
the potential [n_times], in ms and mV, and says whether they show its pattern. The bounds are
ours; what has to be seen is in the papers' words.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

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
        A key of ``biosnn.equations.adex.PATTERNS``, ``"silent"`` or ``"none of these"``.
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
