"""The same neurons in Brian2 and as a torch module, compared spike for spike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import torch
from brian2 import (
    Clock,
    Equations,
    NeuronGroup,
    Quantity,
    SpikeMonitor,
    StateMonitor,
    TimedArray,
    get_unit,
    ms,
)
from brian2 import Network as BrianNetwork
from numpy.typing import NDArray

from biosnn.models import LIBRARY, random_calls
from biosnn.surrogate import SpikingLayer
from validation._simulate import numpy_target

Floats = NDArray[np.float64]
N_NEURONS = 20
#: Weakest and strongest input of these neurons, times what makes the one of the library fire.
WEAKEST, STRONGEST = 0.4, 2.0


@attrs.frozen(eq=False, kw_only=True)
class Pair:
    """What both have done.

    Parameters
    ----------
    theirs, ours : dict of str to array [n_steps, n]
        ``"spike"`` (0 or 1; none without a threshold), and variables at the end of every step.
    layer : SpikingLayer
        The module.
    """

    theirs: dict[str, Floats]
    ours: dict[str, Floats]
    layer: SpikingLayer

    @property
    def n_spikes(self) -> int:
        """Spikes in Brian2."""
        return int(self.theirs["spike"].sum())

    @property
    def n_elsewhere(self) -> int:
        """Spikes that only one of both has in a step."""
        return int((self.theirs["spike"] != self.ours["spike"]).sum())

    @property
    def same_spikes(self) -> bool:
        """Whether every spike is in its step."""
        return self.n_elsewhere == 0

    def difference(self, variable: str = "v") -> float:
        """Largest difference of a variable, in SI units; what both call infinite is equal."""
        one, other = self.theirs[variable], self.ours[variable]
        with np.errstate(invalid="ignore"):
            same = (one == other) | (np.isnan(one) & np.isnan(other))
            return float(np.where(same, 0.0, np.abs(one - other)).max())


def compare(
    group: NeuronGroup,
    values: Floats | None,
    n_steps: int,
    *,
    drive: str = "I",
    record: Sequence[str] = ("v",),
    **settings: Any,
) -> Pair:
    """Run a Brian2 group by Brian2's NumPy target and as a layer in double precision.

    Parameters
    ----------
    group : NeuronGroup
        In its initial state.
    values : array [n] or [n_steps, n], optional
        What the drive is set to, in SI units: once and for all, or in every step. Without them
        the drive stays what it is.
    n_steps : int
        How many time steps.
    drive : str
        The variable that they set.
    record : sequence of str
        Variables to compare.
    **settings
        Of the layer.
    """
    n = len(group)
    one = Quantity(1.0, dim=group.variables[drive].dim)
    layer = SpikingLayer(group, drive=drive, gain=one, step_mode="multi", **settings)
    if values is None:
        values = np.array(group.variables[drive].get_value())
    given = np.broadcast_to(values, (n_steps, n))
    monitors: list[Any] = [StateMonitor(group, tuple(record), record=True, when="end")]
    spiking = "spike" in group.events
    if spiking:
        monitors.append(SpikeMonitor(group))
    if np.ndim(values) == 1:
        group.variables[drive].get_value()[:] = values
    else:
        dim = group.variables[drive].dim
        group.namespace["driven_"] = TimedArray(given * get_unit(dim), dt=group.clock.dt)
        group.run_regularly(f"{drive} = driven_(t, i)", dt=group.clock.dt, when="start", order=-9)
    with numpy_target():
        BrianNetwork(group.contained_objects, group, *monitors).run(
            n_steps * group.clock.dt, namespace={}
        )
    theirs = {name: np.array(getattr(monitors[0], f"{name}_")).T for name in record}
    if spiking:
        theirs["spike"] = np.zeros((n_steps, n))
        steps = np.rint(np.array(monitors[1].t_) / float(group.clock.dt_)).astype(int)
        theirs["spike"][steps, np.array(monitors[1].i)] = 1.0
    found: dict[str, list[Floats]] = {name: [] for name in record}

    def note(module: Any) -> None:
        for name, steps in found.items():
            steps.append(module.memory[name].detach().numpy()[0].copy())

    handle = layer.register_step_hook(note)
    with torch.no_grad():
        spikes = layer(torch.as_tensor(given.copy())[:, None])
    handle.remove()
    ours = {name: np.array(steps, dtype=float) for name, steps in found.items()}
    if spiking:
        ours["spike"] = spikes[:, 0].numpy()
    return Pair(theirs=theirs, ours=ours, layer=layer)


def library_neuron(
    name: str,
    duration: Quantity,
    *,
    dt: Quantity = 0.1 * ms,
    method: str | None = None,
    scale: float = 1.0,
) -> Pair:
    """A neuron of the library with 20 constant inputs, from weak to strong.

    A threshold that draws random numbers gets the same ones on both sides.

    Parameters
    ----------
    name : str
        Of ``biosnn.models.LIBRARY``.
    duration, dt : Quantity
        How long, and the time step.
    method : str, optional
        Integration method; the neuron's own without it.
    scale : float
        Factor of all inputs: ``1 + 2**-52`` shows what a rounding error grows to.
    """
    factory, source = LIBRARY[name]
    model, (drive, value) = factory(), source.DRIVE
    model = model if method is None else attrs.evolve(model, method=method)
    n_steps = round(float(duration / dt))
    group = model.group(N_NEURONS, clock=Clock(dt=dt))
    if random_calls(model.threshold or ""):
        drawn = np.random.default_rng(0).random((n_steps + 1, N_NEURONS))
        group.namespace["drawn"] = TimedArray(drawn, dt=dt)
        group.events["spike"] = group.events["spike"].replace("rand()", "drawn(t, i)")
    values = np.linspace(WEAKEST, STRONGEST, N_NEURONS) * float(np.asarray(value)) * scale
    held = drive in Equations(model.equations).parameter_names
    return compare(group, values if held else np.tile(values, (n_steps, 1)), n_steps, drive=drive)


def is_fast(name: str) -> bool:
    """Whether a neuron of the library has channels that need a shorter time step than others."""
    return bool(0.2 * ms > getattr(LIBRARY[name][1], "STEP", 1 * ms))
