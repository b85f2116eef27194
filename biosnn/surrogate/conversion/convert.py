"""Convert trained ReLU networks to networks of integrate-and-fire neurons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from brian2 import ms
from torch import Tensor, nn

from biosnn.errors import ParameterError
from biosnn.models import NeuronModel, Operation, neuron
from biosnn.surrogate.conversion.relu_networks import normalised
from biosnn.surrogate.nn.containers import Sequential
from biosnn.surrogate.nn.helpers import in_step_mode, reset
from biosnn.surrogate.nn.layer import SpikingLayer
from biosnn.surrogate.nn.state_tracking import stateless
from biosnn.validation import check_choice, check_value, check_whole

ENCODINGS = ("direct", "poisson")
_SOFT_RESET = "Rueckauer et al. 2017, doi:10.3389/fnins.2017.00682, eq. 4"


def rate_neuron(initial: float = 0.0) -> NeuronModel:
    """Integrate-and-fire neuron without units, whose rate is a ReLU of its input.

    In every step it adds ``I`` to ``v``, and a spike takes the threshold away from it (soft
    reset), so that no charge is lost. Under a constant ``I`` in [0, 1], n steps give
    ``floor(initial + n*I)`` spikes.

    Parameters
    ----------
    initial : float
        ``v`` before the first step, in [0, 1).

    Raises
    ------
    ParameterError
        If `initial` is out of its bound.
    """
    initial = float(check_value("rate_neuron", "initial", initial, 1.0, ">= 0"))
    if initial >= 1:
        raise ParameterError("rate_neuron", "initial", initial, "in [0, 1), below the threshold")
    return neuron(
        name="RateIF",
        equations="v : 1\nI : 1",
        operations=[Operation(code="v += I", when="groups")],
        threshold="v >= V_th",
        reset="v -= V_th",
        parameters={"V_th": 1.0},
        initial={"v": initial},
        reference=_SOFT_RESET,
    )


def accumulator() -> NeuronModel:
    """A potential without threshold that sums its input ``I``: the readout."""
    return neuron(
        name="Accumulator",
        equations="v : 1\nI : 1",
        operations=[Operation(code="v += I", when="groups")],
        reference="Diehl et al. 2015, doi:10.1109/IJCNN.2015.7280696",
    )


def convert(
    ann: nn.Module,
    data: Any,
    *,
    normalisation: str | float | None = "max",
    channelwise: bool = False,
    initial: float = 0.0,
    dt: Any = 1 * ms,
) -> Sequential:
    """Convert a trained ReLU network into integrate-and-fire neurons.

    Each ReLU becomes a layer of :func:`rate_neuron`. BatchNorm is folded into the weights before
    it, and weights are scaled layer by layer such that the activations on the data, which become
    the rates, are at most one spike per step. The last layer sums its input: after T steps its
    ``v/T`` is an estimate of the network's output. Biases flow in every step, and so does the
    input: analog values ("direct"), or spikes whose probabilities they are (Poisson).

    Parameters
    ----------
    ann : torch.nn.Module
        A chain of `Linear`, `Conv1d` to `Conv3d`, `BatchNorm` (behind one of these), `ReLU`,
        average pooling, `Flatten`, `Dropout` and `Identity`: a ``torch.nn.Sequential``, nested or
        not, or any module whose ``forward`` calls such layers one after the other. It is taken
        as in evaluation and stays as it is.
    data : Tensor or iterable
        Inputs ``[N, *]``, or batches of them, each alone or first in a tuple, as a DataLoader
        gives. Take them from the training set. They need not be all of it.
    normalisation : "max", float or None
        What becomes one spike per step: the largest activation of a layer, or a percentile of
        its activations, zeros included, in (0, 100]. Higher activations saturate, the others
        are told apart in fewer steps. None leaves the weights as they are.
    channelwise : bool
        Whether each channel (each unit of a `Linear`) has its own scale.
    initial : float
        Membrane potential before the first step in thresholds. 0.5 rounds rates to the nearest
        number of spikes, where 0 rounds them down.
    dt : Quantity
        Time step of the neurons when they go back into Brian2; it changes no result here.

    Returns
    -------
    Sequential
        In single-step mode: an input ``[N, *]`` gives the summed output ``[N, n_outputs]``.

    Raises
    ------
    ParameterError
        If a layer has no conversion (max pooling, another activation, a branch), stands where it
        has none, or another argument is out of its bound.

    References
    ----------
    Diehl, Neil, Binas, Cook, Liu & Pfeiffer 2015, IJCNN, doi:10.1109/IJCNN.2015.7280696 (maximum
    of the activations on training data). Rueckauer, Lungu, Hu, Pfeiffer & Liu 2017, Front.
    Neurosci. 11:682, doi:10.3389/fnins.2017.00682 (percentile, BatchNorm, biases, soft reset,
    analog input). Han, Srinivasan & Roy 2020, CVPR, doi:10.1109/CVPR42600.2020.01357 (soft
    reset). Kim, Park, Na & Yoon 2020, AAAI, doi:10.1609/aaai.v34i07.6787 (by channel). Bu, Ding,
    Yu & Huang 2022, AAAI, doi:10.1609/aaai.v36i1.19874 (initial potential of half a threshold).

    Examples
    --------
    >>> snn = surrogate.convert(ann, train_images, normalisation=99.9)  # doctest: +SKIP
    >>> surrogate.accuracy_over_time(snn, (images, labels), 64)  # doctest: +SKIP
    """
    chain, scale = normalised(ann, data, _percentile(normalisation), channelwise)
    model = rate_neuron(initial)
    layers = [
        SpikingLayer(model, dt=dt, width=1.0) if isinstance(layer, nn.ReLU) else layer
        for layer in chain
    ]
    return Sequential(*layers, SpikingLayer(accumulator(), dt=dt, gain=scale, output="v"))


def _percentile(normalisation: Any) -> float | None:
    if normalisation is None or isinstance(normalisation, str):
        check_choice("convert", "normalisation", normalisation, ("max", None))  # type: ignore[arg-type]
        return None if normalisation is None else 100.0
    found = float(check_value("convert", "normalisation", normalisation, 1.0, "> 0"))
    if found > 100:
        wanted = '"max", None, or a percentile in (0, 100]'
        raise ParameterError("convert", "normalisation", normalisation, wanted)
    return found


def outputs_over_time(
    snn: Sequential,
    x: Tensor,
    steps: int,
    *,
    encoding: str = "direct",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Estimates of a network's output after each step.

    Parameters
    ----------
    snn : Sequential
        What `convert` returned. Its state is forgotten before and after.
    x : Tensor
        ``[N, *]``: the input of every step, or the probabilities of its spikes.
    steps : int
        Number of time steps T.
    encoding : {"direct", "poisson"}
        Analog input, or spikes that are drawn anew in every step.
    generator : torch.Generator, optional
        Of the draws, on the device of `x`.

    Returns
    -------
    Tensor
        ``[T, N, n_outputs]``: the summed output divided by the number of steps so far.

    Raises
    ------
    ParameterError
        If an argument is out of its bound.
    """
    check_whole("outputs_over_time", "steps", steps, 1)
    check_choice("outputs_over_time", "encoding", encoding, ENCODINGS)
    if encoding == "poisson" and not bool(((x >= 0) & (x <= 1)).all()):
        got = f"values from {float(x.min()):g} to {float(x.max()):g}"
        remedy = "Scale the inputs, and train on what was scaled"
        raise ParameterError("outputs_over_time", "x", got, "probabilities in [0, 1]", remedy)
    reset(snn)
    with torch.no_grad(), in_step_mode(snn, "single"):
        sums = torch.stack(list(_run(snn, x, steps, encoding, generator)))
    reset(snn)
    counts = torch.arange(1, steps + 1, dtype=sums.dtype, device=sums.device)
    return sums / counts.view(-1, *[1] * (sums.dim() - 1))


def _run(
    snn: Sequential, x: Tensor, steps: int, encoding: str, generator: torch.Generator | None
) -> Iterator[Tensor]:
    """The summed output after each step."""
    if encoding == "direct":  # layers before the first neurons see the same in every step
        same = [stateless(layer) for layer in snn]
        first = same.index(False) if False in same else len(same)
        x, snn = snn[:first](x), snn[first:]
    for _ in range(steps):
        if encoding == "poisson":
            chance = torch.rand(x.shape, dtype=x.dtype, device=x.device, generator=generator)
            yield snn((chance < x).to(x.dtype))
        else:
            yield snn(x)


def accuracy_over_time(
    snn: Sequential,
    data: tuple[Tensor, Tensor] | Iterable[tuple[Tensor, Tensor]],
    steps: int,
    *,
    encoding: str = "direct",
    seed: int = 0,
    batch_size: int = 200,
) -> np.ndarray:
    """Share of inputs whose class has the largest output, after each step.

    Parameters
    ----------
    snn : Sequential
        What `convert` returned.
    data : tuple of Tensor, or iterable
        Inputs ``[N, *]`` and classes ``[N]``, or batches of both, such as a DataLoader gives.
    steps : int
        Number of time steps T.
    encoding : {"direct", "poisson"}
        As in `outputs_over_time`.
    seed : int
        Of Poisson spikes.
    batch_size : int
        How many inputs of a tensor are run at once.

    Returns
    -------
    ndarray
        ``[T]``, fractions.

    Raises
    ------
    ParameterError
        If there are no data, inputs and classes differ in number, or an argument is out of its
        bound.
    """
    check_whole("accuracy_over_time", "steps", steps, 1)
    hits, n = torch.zeros(steps, dtype=torch.int64), 0
    generator: torch.Generator | None = None
    weights = next(snn.parameters())
    for x, classes in _pairs(data, batch_size):
        x = x.to(weights)
        generator = generator or torch.Generator(x.device).manual_seed(seed)
        found = outputs_over_time(snn, x, steps, encoding=encoding, generator=generator)
        hits += (found.argmax(-1) == classes.to(x.device)).sum(1).cpu()
        n += len(x)
    if not n:
        raise ParameterError("accuracy_over_time", "data", "none", "inputs with their classes")
    return hits.double().numpy() / n


def _pairs(data: Any, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    whole = isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], Tensor)
    for x, classes in [data] if whole else data:
        if len(x) != len(classes):
            got = f"{len(x)} inputs and {len(classes)} classes"
            raise ParameterError("accuracy_over_time", "data", got, "one class for each input")
        yield from zip(x.split(batch_size), classes.split(batch_size), strict=True)
