"""Translate declarations to torch modules, and spikes in torch to samples for Brian2."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import NeuronGroup, ms
from torch import Tensor

from biosnn.devices.base.free_objects import neurons_of
from biosnn.errors import ParameterError
from biosnn.models import NeuronModel
from biosnn.networks import NetworkModel
from biosnn.program.script import LiftedNetwork
from biosnn.surrogate.nn.layer import SpikingLayer
from biosnn.surrogate.nn.network import SurrogateNetwork
from biosnn.validation import check_value


def to_torch(model: Any, **options: Any) -> SurrogateNetwork | SpikingLayer:
    """Make a differentiable torch module of equations.

    Parameters
    ----------
    model : NetworkModel, NeuronModel, brian2.NeuronGroup or LiftedNetwork
        A whole network, which takes batches of samples, or neurons as a layer: also those of a
        script that has one group of them (:func:`biosnn.from_brian2`).
    **options
        As for :class:`SurrogateNetwork` or :class:`SpikingLayer`.

    Returns
    -------
    SurrogateNetwork or SpikingLayer

    Raises
    ------
    ParameterError
        If it is none of them, an option is out of its bound, or an equation has no counterpart
        in torch; the message names it.

    Examples
    --------
    >>> from biosnn import networks, surrogate
    >>> module = surrogate.to_torch(networks.feedforward((784, 10), steps=100))  # doctest: +SKIP
    >>> loss = torch.nn.functional.cross_entropy(module.counts(spikes), labels)  # doctest: +SKIP
    >>> recording, _ = biosnn.compile(module.network).run(  # doctest: +SKIP
    ...     surrogate.address_events(spikes, dt=1 * ms), state=module.state()
    ... )
    """
    if isinstance(model, NetworkModel):
        return SurrogateNetwork(model, **options)
    if isinstance(model, LiftedNetwork):
        return SpikingLayer(neurons_of(model.program), **options)
    if isinstance(model, NeuronModel | NeuronGroup):
        return SpikingLayer(model, **options)
    wanted = "a NetworkModel, a NeuronModel, a brian2.NeuronGroup or a LiftedNetwork"
    raise ParameterError("surrogate.to_torch", "model", repr(model), wanted)


def address_events(spikes: Tensor | np.ndarray, dt: Any) -> dict[str, Any]:
    """Spikes of a batch as the address events that a compiled network takes.

    Parameters
    ----------
    spikes : Tensor or array, shape (T, N, units)
        1 where a unit fires, else 0.
    dt : Quantity
        Time step.

    Returns
    -------
    dict
        ``"events"``: arrays ``(sample, unit, time)`` sorted by sample and time, times in
        seconds since the onset; ``"n_samples"``: N.

    Raises
    ------
    ParameterError
        If `spikes` have another shape or other values, or `dt` is no time.
    """
    check_value("address_events", "dt", dt, ms, "> 0")
    array = spikes.detach().cpu().numpy() if isinstance(spikes, Tensor) else np.asarray(spikes)
    if array.ndim != 3:
        raise ParameterError("address_events", "spikes", array.shape, "of shape (T, N, units)")
    if not ((array == 0) | (array == 1)).all():
        bad = array[(array != 0) & (array != 1)].ravel()[0]
        remedy = "Draw spikes from rates with poisson_batch"
        raise ParameterError("address_events", "spikes", bad, "0 or 1", remedy)
    sample, step, unit = np.nonzero(array.transpose(1, 0, 2))
    return {"events": (sample, unit, step * float(dt)), "n_samples": array.shape[1]}
