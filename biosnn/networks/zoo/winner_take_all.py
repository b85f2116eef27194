"""Ready networks: winner-take-all learning and Diehl & Cook (2015)."""

from __future__ import annotations

from typing import Any

import attrs
from brian2 import Hz, ms

from biosnn import encoding as encoders
from biosnn import models, plasticity
from biosnn.models import Event, NeuronModel, Operation, Schedule, Uniform
from biosnn.networks.network import NetworkModel
from biosnn.networks.projection import Normalisation, Projection
from biosnn.networks.structure import Input, Population, Presentation
from biosnn.validation import check_choice, check_value, check_whole

_COMPETITIONS = ("argmax", "pool", "none")


def _input_model(encoding: str, max_rate: Any, cutoff: float) -> NeuronModel:
    check_choice(
        "winner_take_all", "encoding", encoding, ("poisson", "regular", "bernoulli", "direct")
    )
    if encoding == "direct":
        return encoders.direct(cutoff=cutoff)
    return getattr(encoders, encoding)(max_rate=max_rate)


def _competitor(competition: str, inhibition: float, homeostasis: Schedule | float) -> NeuronModel:
    """The competitive unit with its competition through a pool and its homeostasis."""
    unit = models.competitive_unit()
    if competition == "none":
        return unit
    plastic = {"when": "after_resets", "plastic": True}
    unit = unit.extended(
        "m : 1 (linked)\nwins : 1 (linked)\nspiked : 1",
        Operation(code="theta += step_size", on="spike", **plastic),
        Operation(code="theta -= step_size/N*wins", on="step", **plastic),
        links={"m": "pool.m", "wins": "pool.wins"},
    )
    if competition == "argmax":
        winner_takes_all = Operation(code="v *= int(wins < 1)", on="step", when="resets", order=1)
        changes: dict[str, Any] = {
            "threshold": "v > theta and v - theta >= m",
            "events": {"candidate": Event(condition="v > theta", when="before_thresholds")},
        }
    else:
        winner_takes_all = Operation(
            code="v -= inhibition*(wins - spiked)\nspiked = 0", on="step", when="resets", order=1
        )
        changes = {"reset": "v = 0\nspiked = 1"}
    given = {} if competition == "argmax" else {"inhibition": inhibition}
    return attrs.evolve(
        unit,
        parameters={**unit.parameters, "step_size": homeostasis, **given},
        operations=(*unit.operations, winner_takes_all),
        **changes,
    )


def winner_take_all(
    n_inputs: int,
    n_neurons: int,
    *,
    encoding: str = "poisson",
    competition: str = "argmax",
    duration: Any = None,
    max_rate: Any = 128 * Hz,
    cutoff: float = 0.03,
    eta: Schedule | float | None = None,
    gain: float | None = None,
    tau_pre: Any = 100 * ms,
    tau_m: Any = 1000 * ms,
    theta: float | None = None,
    homeostasis: Schedule | float | None = None,
    inhibition: float = 1000.0,
    weight_norm: float = 14.0,
    n_classes: int | None = None,
    dt: Any = 1 * ms,
) -> NetworkModel:
    """Competitive learning: an input layer, a winner-take-all layer, optionally a spiking readout.

    The weights learn by the instar rule, on spike traces (a postsynaptically gated STDP) or, with
    direct current, on the graded input. Each winner raises its own threshold and lowers all
    by the same total, so that every unit wins its share.

    Parameters
    ----------
    n_inputs, n_neurons : int
        Sizes of the layers.
    encoding : {"poisson", "regular", "bernoulli", "direct"}
        How samples are played.
    competition : {"argmax", "pool", "none"}
        One winner per step that resets all; a shared inhibitory pool that subtracts
        ``inhibition`` per spike of another unit; or none, as for reading latencies.
    duration : Quantity, optional
        Presentation time of a sample; 100 ms for spikes and 24 ms for direct current.
    max_rate : Quantity
        Rate at ``x = 1``, for spikes.
    cutoff : float
        Smallest value that is shown, for direct current.
    eta : Schedule or float, optional
        Learning rate: 0.3 to 0.01 for spikes, 0.4 to 0.005 for direct current.
    gain : float, optional
        Factor on the presynaptic activity: 0.15 on traces, 1 on graded input.
    tau_pre : Quantity
        Time constant of the presynaptic trace, for spikes.
    tau_m : Quantity
        Membrane time constant.
    theta : float, optional
        Initial threshold: 300 for spikes, 600 for direct current.
    homeostasis : Schedule or float, optional
        Step of the threshold's adaptation: 3 to 0.2 for spikes, 5 to 0.3 for direct current.
    inhibition : float
        Strength of the pool.
    weight_norm : float
        Euclidean norm of the initial weights of a unit.
    n_classes : int, optional
        With it, a population ``readout`` of this many LIF neurons learns the labels (input
        ``label``, one-hot) by a local delta rule.
    dt : Quantity
        Time step.

    Returns
    -------
    NetworkModel
        Populations ``inp``, ``exc`` (the output), ``pool``, ``readout``; projections
        ``inp_exc``, ``exc_readout``; inputs ``image``, ``label``.
    """
    for name, value in (("n_inputs", n_inputs), ("n_neurons", n_neurons)):
        check_whole("winner_take_all", name, value, 1)
    check_value("winner_take_all", "weight_norm", weight_norm, 1.0, "> 0")
    check_choice("winner_take_all", "competition", competition, _COMPETITIONS)
    source = _input_model(encoding, max_rate, cutoff)
    graded = encoding == "direct"
    check_value("winner_take_all", "tau_m", tau_m, ms, "> 0")
    check_value("winner_take_all", "inhibition", inhibition, 1.0, ">= 0")
    if duration is None:
        duration = 24 * ms if graded else 100 * ms
    if eta is None:
        eta = Schedule(start=0.4, stop=0.005) if graded else Schedule(start=0.3, stop=0.01)
    if homeostasis is None:
        homeostasis = Schedule(start=5.0, stop=0.3) if graded else Schedule(start=3.0, stop=0.2)
    if gain is None:
        gain = 1.0 if graded else 0.15
    if theta is None:
        theta = 600.0 if graded else 300.0
    unit = _competitor(competition, inhibition, homeostasis)
    unit = unit.with_parameters(tau_m=tau_m, theta_0=theta)
    if graded:
        unit = unit.extended("", Operation(code="I = 0", on="onset"))
    populations = {
        "inp": Population(model=source, n=n_inputs, drives={"x": "image"}),
        "exc": Population(model=unit, n=n_neurons),
    }
    projections = {
        "inp_exc": Projection(
            pre="inp",
            post="exc",
            transmit="I_post += w*x_pre" if graded else "v_post += w",
            on_event="present" if graded else "spike",
            weights=Uniform(low=0.0, high=1.0),
            normalise=Normalisation(total=weight_norm, p=2, online=False),
            rule=plasticity.instar(eta=eta, gain=gain, tau_pre=None if graded else tau_pre),
        )
    }
    if competition != "none":
        populations["pool"] = Population(
            model=NeuronModel(
                name="Pool",
                equations="m : 1\nwins : 1",
                operations=(Operation(code="m = 0\nwins = 0", on="step"),),
            ),
            n=1,
        )
        projections["exc_pool"] = Projection(pre="exc", post="pool", transmit="wins_post += 1")
    if competition == "argmax":
        projections["exc_rank"] = Projection(
            pre="exc",
            post="pool",
            transmit="m_post = clip(m_post, v_pre - theta_pre, 1e+30)",
            on_event="candidate",
            when="before_thresholds",
            order=1,
            order_free=True,
        )
    inputs = {"image": Input(features=n_inputs)}
    if n_classes is not None:
        inputs["label"] = Input(features=n_classes, optional=True)
        populations["readout"] = Population(
            model=spiking_readout(), n=n_classes, drives={"target": "label"}
        )
        projections["exc_readout"] = Projection(
            pre="exc",
            post="readout",
            transmit="I_syn_post += w",
            weights=0.0,
            rule=plasticity.resume(
                eta=Schedule(start=0.2, stop=0.02), tau_pre=50 * ms, w_min=-20.0, w_max=20.0
            ),
        )
    return NetworkModel(
        name=f"winner_take_all_{encoding}",
        dt=dt,
        inputs=inputs,
        populations=populations,
        projections=projections,
        presentation=Presentation(duration=duration, reset="all"),
        output="exc",
    )


def spiking_readout(
    *, tau_m: Any = 20 * ms, tau_syn: Any = 20 * ms, rate: Any = 160 * Hz
) -> NeuronModel:
    """LIF neurons that learn labels: their event ``teach`` is the desired spike train.

    Parameters
    ----------
    tau_m, tau_syn : Quantity
        Time constants of the membrane and of the synaptic current.
    rate : Quantity
        Rate at which the neuron of the right class shall fire.

    Returns
    -------
    NeuronModel
        Dimensionless, threshold 1; the variable ``target`` (0 or 1) is set by an input.
    """
    name = "spiking_readout"
    check_value(name, "rate", rate, Hz, "> 0")
    return models.neuron(
        name="SpikingReadout",
        equations="""
        dv/dt = (I_syn - v)/tau_m : 1
        dI_syn/dt = -I_syn/tau_syn : 1
        target : 1
        t_teach : second
        t_sample : second (linked)
        """,
        threshold="v > 1",
        reset="v = 0",
        method="exponential_euler",
        parameters={
            "tau_m": check_value(name, "tau_m", tau_m, ms, "> 0"),
            "tau_syn": check_value(name, "tau_syn", tau_syn, ms, "> 0"),
            "rate": rate,
        },
        events={"teach": "t_sample + dt >= t_teach"},
        operations=(
            Operation(code="t_teach = (1 + 1e9*int(target < 0.5))/rate", on="input"),
            Operation(code="t_teach += 1/rate", on="teach", when="after_resets"),
        ),
        links={"t_sample": "protocol.t_sample"},
    )


def diehl_cook_2015(
    n_inputs: int = 784,
    n_neurons: int = 400,
    *,
    rule: str = "triplet",
    max_rate: Any = 63.75 * Hz,
    w_exc_inh: float = 10.4,
    w_inh_exc: float = 17.0,
    weight_sum: float = 78.0,
    min_spikes: int = 5,
    max_retries: int | None = 8,
    dt: Any = 0.5 * ms,
) -> NetworkModel:
    """The network of Diehl & Cook (2015).

    Poisson inputs project to excitatory cells with adaptive thresholds; each excites its own
    inhibitory cell, which inhibits all other excitatory cells. The uniform inhibition
    is a pool (the count of inhibitory spikes less the own one), which is the same sum as
    the paper's N*(N-1) synapses. Samples are shown for 350 ms with 150 ms of rest; those with
    fewer than five excitatory spikes are shown again at a higher rate, at most
    ``max_retries`` times. There are no axonal delays: the traces live on the neurons.

    Parameters
    ----------
    n_inputs, n_neurons : int
        Number of inputs; number of excitatory cells, and as many inhibitory ones.
    rule : {"triplet", "power_law"}
        The published code's rule or the paper's.
    max_rate : Quantity
        Rate of a white pixel (``x = 1``).
    w_exc_inh, w_inh_exc : float
        Weights between the two populations, in units of the leak conductance.
    weight_sum : float
        Sum of the input weights of an excitatory cell.
    min_spikes : int
        Excitatory spikes that a sample needs.
    max_retries : int or None
        How often it is shown again at most; ``None`` for as often as it takes, as in the paper
        (:class:`Presentation`).
    dt : Quantity
        Time step.

    Returns
    -------
    NetworkModel
        Populations ``inp``, ``exc`` (the output), ``inh``, ``pool``; projections ``inp_exc``,
        ``exc_inh``, ``inh_exc``, ``inh_pool``; input ``image``.

    Notes
    -----
    doi:10.3389/fncom.2015.00099.
    """
    for name, size in (("n_inputs", n_inputs), ("n_neurons", n_neurons)):
        check_whole("diehl_cook_2015", name, size, 1)
    check_value("diehl_cook_2015", "weight_sum", weight_sum, 1.0, "> 0")
    for name, value in (("w_exc_inh", w_exc_inh), ("w_inh_exc", w_inh_exc)):
        check_value("diehl_cook_2015", name, value, 1.0, ">= 0")
    check_choice("diehl_cook_2015", "rule", rule, ("triplet", "power_law"))
    learning = (
        plasticity.diehl_cook_triplet() if rule == "triplet" else plasticity.diehl_cook_power_law()
    )
    excitatory = models.diehl_cook_excitatory_cell().extended(
        "n_inh : 1 (linked)",
        Operation(code="g_i += w_inh_exc*n_inh", when="synapses", order=5),
        links={"n_inh": "pool.n_spikes"},
    )
    excitatory = attrs.evolve(
        excitatory, parameters={**excitatory.parameters, "w_inh_exc": w_inh_exc}
    )
    pool = NeuronModel(
        name="Pool",
        equations="n_spikes : 1",
        operations=(Operation(code="n_spikes = 0", on="step"),),
    )
    return NetworkModel(
        name="diehl_cook_2015",
        dt=dt,
        inputs={"image": Input(features=n_inputs)},
        populations={
            "inp": Population(
                model=encoders.poisson(max_rate=max_rate), n=n_inputs, drives={"x": "image"}
            ),
            "exc": Population(model=excitatory, n=n_neurons),
            "inh": Population(model=models.diehl_cook_inhibitory_cell(), n=n_neurons),
            "pool": Population(model=pool, n=1),
        },
        projections={
            "inp_exc": Projection(
                pre="inp",
                post="exc",
                transmit="g_e_post += w",
                weights=Uniform(low=0.003, high=0.303),
                normalise=Normalisation(total=weight_sum, p=1),
                rule=learning,
            ),
            "exc_inh": Projection(
                pre="exc",
                post="inh",
                transmit="g_e_post += w",
                weights=w_exc_inh,
                pairs="one_to_one",
            ),
            "inh_pool": Projection(pre="inh", post="pool", transmit="n_spikes_post += 1"),
            "inh_exc": Projection(
                pre="inh",
                post="exc",
                transmit="g_i_post -= w",
                weights=w_inh_exc,
                pairs="one_to_one",
            ),
        },
        presentation=Presentation(
            duration=350 * ms,
            rest=150 * ms,
            reset="none",
            watch="exc",
            min_spikes=min_spikes,
            max_retries=max_retries,
            intensity=1.0,
            intensity_step=0.5,
        ),
        output="exc",
    )
