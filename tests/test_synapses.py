"""Synapse models: units that follow the strength, composition, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Equations, Hz, Mohm, cm, ms, mV, nA, nS, uA, volt

from biosnn import encoding, models, simulation
from biosnn.declaration import from_data, to_data
from biosnn.errors import ParameterError
from biosnn.models import NeuronModel, SynapseModel
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

QIF = models.neuron(
    equations="dv/dt = (v*(v - 1) + I)/tau_m : 1\nI : 1",
    threshold="v > 2",
    reset="v = 0",
    method="euler",
    parameters={"tau_m": 10 * ms},
    name="QIF",
)
CURRENTS = ("exponential_current", "alpha_current", "difference_of_exponentials_current")
CONDUCTANCES = (
    "exponential_conductance",
    "alpha_conductance",
    "difference_of_exponentials_conductance",
    "ampa",
    "gaba_a",
)


def made(name: str, **values: Any) -> SynapseModel:
    return models.SYNAPSES[name][0](**values)


def network(cell: NeuronModel, weights: float = 1.0, **projection: Any) -> NetworkModel:
    """One regular input of 100 Hz and one cell that receives it through ``syn``."""
    return NetworkModel(
        name="one_synapse",
        dt=1 * ms,
        inputs={"x": Input(features=1)},
        populations={
            "inp": Population(model=encoding.regular(max_rate=100 * Hz), n=1, drives={"x": "x"}),
            "out": Population(model=cell, n=1),
        },
        projections={
            "p": Projection(pre="inp", post="out", synapse="syn", weights=weights, **projection)
        },
        presentation=Presentation(duration=50 * ms),
        output="out",
    )


@pytest.mark.parametrize("name", models.SYNAPSES)
def test_texts_are_whole(name: str) -> None:
    """Every parameter is used, has a meaning, and the model survives being stored."""
    factory, text = models.SYNAPSES[name]
    model = factory()
    assert "doi:10." in text.REFERENCE
    used = " ".join(str(part) for part in vars(text).values() if isinstance(part, str))
    for parameter, (default, _, meaning) in text.PARAMETERS.items():
        assert meaning
        assert parameter in used
        assert factory(**{parameter: default}) is not None
    assert to_data(from_data(to_data(model))) == to_data(model)


@pytest.mark.parametrize("name", CURRENTS)
@pytest.mark.parametrize("I_max", [2 * nA, 0.5, 3 * mV, 1 * uA / cm**2], ids=str)
def test_units_follow_the_strength_of_a_current(name: str, I_max: Any) -> None:
    model = made(name, I_max=I_max)
    wanted = I_max.dim if hasattr(I_max, "dim") else volt.dim**0
    known = Equations(model.companion.equations)
    assert {known[variable].dim for variable in known.names} == {wanted}


@pytest.mark.parametrize("name", [*CURRENTS, *CONDUCTANCES, "delta", "gap_junction"])
def test_they_act_on_a_neuron_without_units(name: str) -> None:
    """The same models work on dimensionless potentials and inputs of a user's own neuron."""
    values: dict[str, Any] = {"I_max": 3.0} if name in CURRENTS else {"g_max": 3.0, "E": 2.0}
    if name == "delta":
        values = {"J": 1.5}
    if name == "gap_junction":
        values = {"g_max": 0.5, "v_unit": 1}
    cell = QIF.with_synapses(syn=made(name, **values))
    if name == "gap_junction":
        assert Equations(cell.equations)["I_syn"].dim == volt.dim**0
        return
    recording, _ = simulation.compile(network(cell), "runtime", traces={"out.v": [0]}).run([[1.0]])
    assert recording.traces["out.v"].values.max() > 0.5


def test_a_refractory_neuron_misses_a_delta() -> None:
    cell = models.lif(t_ref=1000 * ms).with_synapses(syn=models.delta(J=20 * mV))
    recording, _ = simulation.compile(network(cell), "runtime", spikes=("inp",)).run([[1.0]])
    assert len(recording.spikes["inp"].t) == 5
    assert recording.counts("out")[0, 0] == 1


def test_equal_time_constants_do_not_divide_by_zero() -> None:
    """Brian2's exact method has a pole there; elsewhere it is used."""
    assert models.lif().with_synapses(syn=models.exponential_current()).method == "exact"
    synapse = models.exponential_current(tau_syn=10 * ms, I_max=5 * nA)
    cell = models.lif(tau_m=10 * ms).with_synapses(syn=synapse)
    assert cell.method == "exponential_euler"
    recording, _ = simulation.compile(network(cell), "runtime", traces={"out.v": [0]}).run([[1.0]])
    v = recording.traces["out.v"].values[0]
    assert np.isfinite(v).all()
    assert v.max() > -64e-3


def test_several_receptors_and_two_plastic_projections() -> None:
    """Names never clash: two synapses of one kind, and two short-term plasticities of one cell."""
    cell = models.lif(R=100 * Mohm).with_synapses(
        fast=models.ampa(g_max=2 * nS), slow=models.nmda(), inh=models.gaba_a()
    )
    known = Equations(cell.equations).names
    assert {"g_fast", "g_slow", "B_slow", "I_inh", "I_ext"} <= set(known)
    depressing = models.tsodyks_markram(U=0.5, tau_rec=200 * ms)
    facilitating = models.tsodyks_markram(U=0.1, tau_rec=50 * ms, tau_facil=300 * ms)
    base = network(cell.with_synapses(syn=models.delta()))
    projections = {
        key: Projection(pre="inp", post="out", synapse=key, weights=1.0, short_term=plasticity)
        for key, plasticity in (("fast", depressing), ("slow", facilitating))
    }
    both = NetworkModel(
        name="both",
        dt=base.dt,
        inputs=base.inputs,
        populations=base.populations,
        projections=projections,
        presentation=base.presentation,
        output="out",
    )
    _, state = simulation.compile(both, "runtime").run([[1.0]])
    assert state["inp.fast_stp_x"][0] < 0.6
    assert 0.1 < state["inp.slow_stp_u"][0] < 0.5
    assert "inp.fast_stp_u" not in set(state)


def test_expressions_are_recorded_but_not_stored() -> None:
    cell = models.lif(R=100 * Mohm).with_synapses(syn=models.ampa())
    recording, _ = simulation.compile(
        network(cell), "runtime", traces={"out.I_syn": [0], "out.g_syn": [0], "out.v": [0]}
    ).run([[1.0]])
    g, v, current = (recording.traces[f"out.{key}"].values for key in ("g_syn", "v", "I_syn"))
    assert g.max() > 1e-9
    np.testing.assert_allclose(current, g * (0 - v), rtol=1e-12)
    for more in ({"per_sample": ["out.I_syn"]}, {"snapshots": {"out.I_syn": 1}}):
        with pytest.raises(ParameterError, match="I_syn"):
            simulation.compile(network(cell), "runtime", **more)


BAD = [
    (lambda: models.ampa(tau=2 * ms), "AMPA.tau must be one of"),
    (lambda: models.ampa(tau_syn=2.0), "AMPA.tau_syn must be a quantity in s"),
    (lambda: models.ampa(E=2 * ms), "AMPA.E must be a quantity in V"),
    (lambda: models.ampa(g_max=-1 * nS), "AMPA.g_max"),
    (lambda: models.exponential_current(I_max="1"), "ExponentialCurrent.I_max"),
    (lambda: models.nmda(tau_rise=100 * ms), "alpha_conductance"),
    (lambda: models.difference_of_exponentials_current(tau_rise=5 * ms), "Use alpha_current"),
    (lambda: models.tsodyks_markram(U=0.0), "TsodyksMarkram.U"),
    (lambda: models.tsodyks_markram(tau_facil=-1 * ms), "TsodyksMarkram.tau_facil"),
    (lambda: models.lif().with_synapses(a=models.ampa(g_max=1.0)), "a current in the unit of I"),
    (lambda: QIF.with_synapses(a=models.ampa()), "Choose the unit"),
    (lambda: models.lif().with_synapses(a=models.gap_junction(v_unit=1)), "unit of I"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message for _, message in BAD])
def test_what_cannot_be_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def test_conductances_in_units_of_the_leak() -> None:
    """A neuron whose input is a voltage takes conductances that are numbers."""
    cell = models.neuron(
        equations="dv/dt = (E_L - v + I)/tau_m : volt\nI : volt",
        method="exponential_euler",
        parameters={"E_L": -60 * mV, "tau_m": 20 * ms},
        initial={"v": "E_L"},
    ).with_synapses(exc=models.exponential_conductance(g_max=0.6))
    assert Equations(cell.equations)["g_exc"].dim == volt.dim**0
