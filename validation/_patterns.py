"""The published firing patterns of AdEx and of Izhikevich's model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import numpy as np
from brian2 import Quantity, ms, mV, nS

from biosnn import models
from experiments._firing_patterns import FiringPattern, adex_patterns, izhikevich_patterns
from validation._simulate import Floats, Run, simulate

#: So many of the 20 patterns have to be shown.
LEAST_OF_IZHIKEVICH = 16


def play(patterns: Iterable[FiringPattern], dt: Any = None) -> dict[str, Run]:
    """Each pattern's neuron under its current; those that can share a group do.

    Parameters
    ----------
    patterns : iterable of FiringPattern
        What to play.
    dt : Quantity, optional
        Time step of all; that of each pattern without it.
    """
    groups: dict[Any, list[FiringPattern]] = {}
    for pattern in patterns:
        step = pattern.dt if dt is None else dt
        groups.setdefault((float(step / ms), pattern.model.equations), []).append(pattern)
    found = {}
    for (step, _), members in groups.items():
        duration = max(pattern.duration for pattern in members)
        times = np.arange(round(float(duration / ms) / step) + 1) * step * ms
        run = simulate(
            models.per_neuron([pattern.model for pattern in members]),
            len(members),
            times[-1] + step * ms,
            dt=step * ms,
            current=Quantity([pattern.current(times) for pattern in members]).T,
        )
        for k, pattern in enumerate(members):
            end = float(pattern.duration / ms) + step / 2
            found[pattern.name] = Run(
                spikes=[run.spikes[k][run.spikes[k] < end]],
                t=run.t[run.t < end],
                v=run.v[k : k + 1, run.t < end],
            )
    return found


def recognised(patterns: dict[str, FiringPattern], runs: dict[str, Run]) -> dict[str, Any]:
    """Pattern -> whether it was shown, its spikes, and which other criteria its run meets."""
    found = {}
    for name, run in runs.items():
        shown = {
            other: pattern.shown_by(run.spikes[0] * ms, run.t * ms, run.v[0] * mV)
            for other, pattern in patterns.items()
        }
        found[name] = {
            "ok": shown.pop(name),
            "spikes": len(run.spikes[0]),
            "first_spikes_ms": run.spikes[0][:8].tolist(),
            "also_meets": [other for other, meets in shown.items() if meets],
        }
    return found


def figure_script(pattern: FiringPattern) -> Floats:
    """Spike times in ms by the recursion of the script that made the figure, in plain numbers.

    The potential takes an Euler step, then recovery with the new potential; what is above 30 mV
    is reset (Izhikevich 2004, ModelDB 39948, figure1.m).
    """
    model, dt = pattern.model, float(pattern.dt / ms)
    a, b, k_1 = (float(model.parameters[key] * ms) for key in ("a", "b", "k_1"))
    d, k_0 = (float(model.parameters[key] / (mV / ms)) for key in ("d", "k_0"))
    c = float(model.parameters["c"] / mV)
    v, u = float(model.initial["v"] / mV), float(model.initial["u"] / (mV / ms))
    steps = np.arange(round(float(pattern.duration / ms) / dt) + 1)
    spikes = []
    for step, current in zip(steps, pattern.current(steps * dt * ms) / (mV / ms), strict=True):
        v += dt * (0.04 * v * v + k_1 * v + k_0 - u + float(current))
        u += dt * (a * b * (v + 65) if pattern.name == "accommodation" else a * (b * v - u))
        if v > 30:
            spikes.append(step * dt)
            v, u = c, u + d
    return np.array(spikes)


def izhikevich(short: bool) -> dict[str, Any]:
    """Izhikevich 2004: how many of the 20 patterns are shown, and with the script's spikes."""
    patterns = izhikevich_patterns()
    runs = play(patterns.values())
    found = recognised(patterns, runs)
    for name, figures in found.items():
        script, ours = figure_script(patterns[name]), runs[name].spikes[0]
        figures["equals_script"] = bool(
            script.shape == ours.shape and np.allclose(script, ours, atol=1e-6)
        )
    shown = sum(figures["ok"] for figures in found.values())
    result = {
        "ok": shown >= LEAST_OF_IZHIKEVICH,
        "shown": shown,
        "of": len(patterns),
        "bound": LEAST_OF_IZHIKEVICH,
        "equal_to_script": sum(figures["equals_script"] for figures in found.values()),
        "patterns": found,
    }
    if not short:
        # How much of it is in the equations, and how much in the script's time steps?
        fine = recognised(patterns, play(patterns.values(), dt=0.01 * ms))
        result["shown_with_steps_of_0.01_ms"] = sum(figures["ok"] for figures in fine.values())
        result["not_shown_with_steps_of_0.01_ms"] = [k for k, v in fine.items() if not v["ok"]]
    return result


def adex(short: bool) -> dict[str, Any]:
    """Naud et al. 2008: the eight patterns; only irregular spiking depends on its beginning.

    Each neuron has a twin whose coupling ``a`` differs by 1e-6 of a nanosiemens. Two trains are
    told apart by the largest difference of spike times in their second half.
    """
    patterns = adex_patterns()
    dt = (0.1 if short else 0.02) * ms
    twins = {
        f"{name} (twin)": attrs.evolve(
            pattern,
            name=f"{name} (twin)",
            model=pattern.model.with_parameters(a=pattern.model.parameters["a"] + 1e-6 * nS),
        )
        for name, pattern in patterns.items()
    }
    runs = play([*patterns.values(), *twins.values()], dt=dt)
    found = recognised(patterns, {name: runs[name] for name in patterns})
    for name, figures in found.items():
        one, other = runs[name].spikes[0], runs[f"{name} (twin)"].spikes[0]
        late = slice(len(one) // 2, None)
        apart = np.inf if len(one) != len(other) else np.abs(one[late] - other[late]).max()
        figures["twins_apart_ms"] = float(apart)
        chaotic = bool(apart > 5.0)
        figures["ok"] = figures["ok"] and chaotic == (name == "irregular spiking")
    shown = sum(figures["ok"] for figures in found.values())
    return {"ok": shown == len(patterns), "shown": shown, "of": len(patterns), "patterns": found}
