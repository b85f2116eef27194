"""A readout that learns labels by gradient descent while the network runs."""

from __future__ import annotations

from typing import Any

from brian2 import Hz, ms

from biosnn import encoding as encoders
from biosnn import plasticity
from biosnn.models import Event, NeuronModel, Normal, Operation, Schedule
from biosnn.networks.network import NetworkModel
from biosnn.networks.projection import Projection
from biosnn.networks.structure import Input, Population, Presentation
from biosnn.validation import check_choice, check_value, check_whole

_NAME = "online_readout"
_ENCODINGS = ("poisson", "bernoulli", "regular", "address_events")


def _readout(cell: str, loss: str, tau_m: Any, tau_out: Any, gain: float) -> NeuronModel:
    """A cell that scores in every step, and knows by how much its score is wrong."""
    equations = "dv/dt = -v/tau_m : 1\ny : 1\nscore : 1\nsteps : 1\ntarget : 1\nL : 1"
    parameters: dict[str, Any] = {"tau_m": tau_m}
    output, share, error = "y = v", "", "L = target - y"
    operations: list[Operation] = [Operation(code="score = 0\nsteps = 0", on="onset")]
    more: dict[str, Any] = {}
    if cell == "lif":
        equations += "\ndr/dt = -r/tau_out : 1"
        parameters |= {"tau_out": tau_out, "gain": gain, "V_th": 1.0}
        more = {"threshold": "v > V_th", "reset": "v -= V_th"}
        operations.append(Operation(code="r += 1", on="spike", when="before_synapses"))
        output = "y = gain*r"
    if loss == "softmax":
        equations += "\nshare : 1\ntotal : 1 (linked)"
        share = "\nshare = exp(clip(y, -500, 500))"  # finite, and so is the sum
        more |= {
            "links": {"total": "sum.total"},
            "events": {"compared": Event(condition="share >= 0")},  # in every step
        }
        error = "L = target - share/total"
    average = "steps += 1\nscore += (y - score)/steps"
    operations += [
        Operation(code=f"{output}\n{average}{share}", when="before_synapses", order=1),
        Operation(code=error, when="before_synapses", order=3),
    ]
    name = "SpikingOnlineReadout" if cell == "lif" else "LeakyOnlineReadout"
    return NeuronModel(
        name=name, equations=equations, parameters=parameters, operations=operations, **more
    )


def online_readout(
    n_inputs: int,
    n_classes: int,
    *,
    cell: str = "lif",
    loss: str = "softmax",
    encoding: str = "poisson",
    max_rate: Any = 64 * Hz,
    duration: Any = 100 * ms,
    tau_m: Any = 20 * ms,
    tau_out: Any = 20 * ms,
    gain: float = 1.0,
    width: float = 2.0,
    eta: Schedule | float | None = None,
    update: str = "presentation",
    dt: Any = 1 * ms,
) -> NetworkModel:
    """One layer of readout neurons that learns labels by the gradient, online.

    In every step each readout neuron compares its score ``y`` with its target, and the difference
    is its learning signal ``L``. Neurons that fire learn by :func:`biosnn.plasticity.e_prop`, their
    score being ``gain`` times their own filtered spikes; leaky ones, which do not fire, by
    :func:`biosnn.plasticity.delta_rule`, their score being their potential. The class is the
    neuron with the largest mean score. With learning off, labels have no effect.

    Parameters
    ----------
    n_inputs, n_classes : int
        Input units and readout neurons; neuron ``k`` stands for class ``k``.
    cell : {"lif", "leaky"}
        Leaky integrate-and-fire neurons (threshold 1, a spike subtracts it), or leaky
        integrators.
    loss : {"softmax", "squared"}
        What is descended, summed over the steps of a presentation: the cross-entropy of the
        softmax of the scores, with ``L = target - softmax(y)``, or half the squared error, with
        ``L = target - y``.
    encoding : {"poisson", "bernoulli", "regular", "address_events"}
        How samples become spikes; address events are spikes already, of another layer say.
    max_rate : Quantity
        Rate at ``x = 1``; not used by address events.
    duration : Quantity
        Presentation time of a sample.
    tau_m, tau_out : Quantity
        Time constants of the potential, and of the filter of the readout's spikes.
    gain : float
        Factor on the filtered spikes, > 0.
    width : float
        Distance from the threshold at which the pseudo-derivative of a neuron that fires becomes
        zero, > 0. A neuron learns nothing while it is further away.
    eta : Schedule or float, optional
        Learning rate. Default: from 0.1 to 0.01 for neurons that fire, a tenth of it for leaky
        ones.
    update : {"presentation", "step"}
        Whether weights change at the end of a presentation or in every time step.
    dt : Quantity
        Time step.

    Returns
    -------
    NetworkModel
        Populations ``inp``, ``readout`` (the output; variable ``score``) and, for the softmax,
        ``sum``; projection ``inp_readout``, which learns; inputs ``image`` and, optional,
        ``label``, one-hot (n, n_classes). Record ``readout.score`` for evaluation
        (``per_sample=("readout.score",)``).

    Raises
    ------
    ParameterError
        If a choice is unknown, or a number is out of its bounds.

    Notes
    -----
    Bellec et al. 2020, Nat. Commun. 11:3625, doi:10.1038/s41467-020-17236-y, whose readouts are
    leaky and whose neurons below them fire; here the layer that fires is scored itself. As there is
    one layer, the weight change of a presentation is, but for a constant factor, the surrogate
    gradient of the loss with a detached reset.
    """
    check_choice(_NAME, "cell", cell, ("lif", "leaky"))
    check_choice(_NAME, "loss", loss, ("softmax", "squared"))
    check_choice(_NAME, "encoding", encoding, _ENCODINGS)
    check_value(_NAME, "tau_m", tau_m, ms, "> 0")
    check_value(_NAME, "tau_out", tau_out, ms, "> 0")
    for name, size in (("n_inputs", n_inputs), ("n_classes", n_classes)):
        check_whole(_NAME, name, size, 1)
    check_value(_NAME, "width", width, 1.0, "> 0")
    check_value(_NAME, "gain", gain, 1.0, "> 0")
    if encoding == "address_events":
        source, kind = encoders.address_events(), "events"
    else:
        source, kind = getattr(encoders, encoding)(max_rate=max_rate), "static"
    spiking = cell == "lif"
    if eta is None:
        start = 0.1 if spiking else 0.01
        eta = Schedule(start=start, stop=start / 10)
    if spiking:
        rule = plasticity.e_prop(eta=eta, tau_m=tau_m, tau_out=tau_out, width=width, update=update)
    else:
        rule = plasticity.delta_rule(eta=eta, tau_m=tau_m, update=update)
    populations = {
        "inp": Population(model=source, n=n_inputs, drives={"x": "image"}),
        "readout": Population(
            model=_readout(cell, loss, tau_m, tau_out, gain),
            n=n_classes,
            drives={"target": "label"},
        ),
    }
    projections = {
        "inp_readout": Projection(
            pre="inp",
            post="readout",
            transmit="v_post += w",
            # A neuron far below its threshold has no gradient.
            weights=Normal(mean=0.0, sd=1 / n_inputs**0.5) if spiking else 0.0,
            rule=rule,
        )
    }
    if loss == "softmax":
        populations["sum"] = Population(
            model=NeuronModel(
                name="Sum",
                equations="total : 1",
                operations=(Operation(code="total = 0", on="step"),),
            ),
            n=1,
        )
        projections["readout_sum"] = Projection(
            pre="readout",
            post="sum",
            transmit="total_post += share_pre",
            on_event="compared",
            when="before_synapses",
            order=2,
        )
    return NetworkModel(
        name=_NAME,
        dt=dt,
        inputs={
            "image": Input(features=n_inputs, kind=kind),
            "label": Input(features=n_classes, optional=True),
        },
        populations=populations,
        projections=projections,
        presentation=Presentation(duration=duration, reset="all"),
        output="readout",
    )
