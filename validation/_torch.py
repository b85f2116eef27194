"""The same neurons in Brian2 and as a torch module, compared spike for spike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import torch
from brian2 import Network as BrianNetwork
from brian2 import NeuronGroup, SpikeMonitor, StateMonitor, TimedArray, get_unit
from numpy.typing import NDArray

from biosnn.surrogate import SpikingLayer
from validation._simulate import numpy_target

Floats = NDArray[np.float64]


@attrs.frozen(eq=False, kw_only=True)
class Pair:
    """What both have done.

    Parameters
    ----------
    brian2, torch : dict of str to array [n_steps, n]
        ``"spike"`` (0 or 1; none without a threshold), and variables at the end of every step.
    layer : SpikingLayer
        The module.
    """

    brian2: dict[str, Floats]
    torch: dict[str, Floats]
    layer: SpikingLayer

    @property
    def n_spikes(self) -> int:
        """Spikes in Brian2."""
        return int(self.brian2["spike"].sum())

    @property
    def same_spikes(self) -> bool:
        """Whether every spike is in its step."""
        return bool(np.array_equal(self.brian2["spike"], self.torch["spike"]))

    def difference(self, variable: str = "v") -> float:
        """Largest difference of a variable, in SI units; what both call infinite is equal."""
        one, other = self.brian2[variable], self.torch[variable]
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
    layer = SpikingLayer(group, drive=drive, step_mode="multi", **settings)
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
    brian2 = {name: np.array(getattr(monitors[0], f"{name}_")).T for name in record}
    if spiking:
        brian2["spike"] = np.zeros((n_steps, n))
        steps = np.rint(np.array(monitors[1].t_) / float(group.clock.dt_)).astype(int)
        brian2["spike"][steps, np.array(monitors[1].i)] = 1.0
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
    return Pair(brian2=brian2, torch=ours, layer=layer)
