"""One network of everything: each neuron, synapse, rule and encoder of the library."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
from brian2 import Equations, Hz, Mohm, ms, mV

from biosnn import encoding, models, plasticity
from biosnn.models import Companion, Event, NeuronModel
from biosnn.networks import (
    FixedProbability,
    Input,
    NetworkModel,
    Population,
    Presentation,
    Projection,
)
from biosnn.plasticity import PlasticityRule

DT = 0.1 * ms
FRAME = 5 * ms
N_SOURCES, N = 6, 4
#: Input of the fastest neuron of the library, times what its entry says makes it fire.
STRONG = 2.0
#: Weights at which synapses of default strength visibly move the spikes of ``_host()``.
WEIGHTS = {"delta": 2.0, "gaba_a": 0.5}
_CURRENT, _CONDUCTANCE = 0.2, 10.0
_MODULATOR = "critic.r"
_TEACH = Event(condition="teach > 0")


@attrs.define
class Parts:
    """What a network is made of, and the samples that make it fire."""

    n: int
    duration: Any
    inputs: dict[str, Input] = attrs.Factory(dict)
    populations: dict[str, Population] = attrs.Factory(dict)
    projections: dict[str, Projection] = attrs.Factory(dict)
    samples: dict[str, Any] = attrs.Factory(dict)
    #: Populations that shall fire; (population, another one) whose spikes shall differ.
    firing: list[str] = attrs.Factory(list)
    differing: list[tuple[str, str]] = attrs.Factory(list)

    def events(self, key: str, first: float, apart: float) -> None:
        """Address events for N units: every so many ms, each unit later than the one before."""
        self.inputs[key] = Input(features=N, kind="events")
        sample, unit, number = (k.ravel() for k in np.mgrid[: self.n, :N, :3])
        time = (first + 0.5 * unit + apart * number + 0.2 * sample) * 1e-3
        shown = time < float(self.duration)
        self.samples[key] = (sample[shown], unit[shown], time[shown])

    def held(self, key: str, model: NeuronModel, variable: str, values: Any) -> None:
        """A population in which an input holds a variable; in each sample a bit stronger."""
        values = np.asarray(values, dtype=float)
        self.inputs[f"{key}_in"] = Input(features=len(values))
        self.samples[f"{key}_in"] = np.outer(1 + 0.1 * np.arange(self.n), values)
        drives = {variable: f"{key}_in"}
        self.populations[key] = Population(model=model, n=len(values), drives=drives)


def add_sources(parts: Parts) -> None:
    """Regular spikes for everything that needs presynaptic ones, and a reward."""
    rates = np.linspace(0.4, 1.0, N_SOURCES)
    parts.held("source", encoding.regular(max_rate=250 * Hz, phase=0.3), "x", rates)
    parts.firing.append("source")
    critic = models.neuron(equations="r : 1", name="Critic")
    parts.held("critic", critic, "r", [1.0])


def add_neurons(parts: Parts) -> None:
    """Every neuron of the library, driven by an input or, where it has none, by spikes."""
    for name, (factory, source) in models.LIBRARY.items():
        key, model = f"neuron_{name}", factory()
        variable, value = source.DRIVE
        if variable in Equations(model.equations).parameter_names:
            strength = STRONG * float(np.asarray(value)) * np.linspace(0.7, 1.0, N)
            parts.held(key, model, variable, strength)
        else:
            parts.populations[key] = Population(model=model, n=N)
            parts.projections[f"to_{key}"] = Projection(
                pre="source", post=key, transmit=f"{variable}_post += w", weights=1.5
            )
        parts.firing.append(key)
    grown = plasticity.adaptive_threshold(models.lif(), theta_plus=1 * mV, tau_theta=50 * ms)
    parts.held("neuron_adaptive_threshold", grown, "I", np.linspace(28e-9, 40e-9, N))
    parts.firing.append("neuron_adaptive_threshold")


def _host() -> NeuronModel:
    # Exact integration has no closed form where a rule filters v with the same time constant.
    return models.lif(R=200 * Mohm, tau_m=12 * ms, t_ref=1 * ms)


def add_synapses(parts: Parts) -> None:
    """Every synapse on neurons that fire without it, beside the same neurons without it."""
    background = np.linspace(90e-12, 250e-12, N)
    parts.held("synapse_none", _host(), "I", background)
    parts.firing.append("synapse_none")
    rng = np.random.default_rng(5)
    # Some without delay, some with one, some with one per synapse.
    delays = (0 * ms, 1.5 * ms, 0.5 * rng.integers(0, 6, N_SOURCES * N) * ms)
    for number, (name, (factory, _)) in enumerate(models.SYNAPSES.items()):
        made, key = factory(), f"synapse_{name}"
        short_term = made if isinstance(made, Companion) else None
        synapse = models.exponential_current() if short_term is not None else made
        variable = "I_ext" if synapse.current else "I"
        parts.held(key, _host().with_synapses(s=synapse), variable, background)
        usual = _CURRENT if "I_max" in synapse.transmit else _CONDUCTANCE
        junction = not synapse.transmit
        parts.projections[f"to_{key}"] = Projection(
            pre=key if junction else "source",
            post=key,
            synapse="s",
            weights=WEIGHTS.get(name, usual),
            delay=0 * ms if junction else delays[number % len(delays)],
            pairs="all_but_self" if junction else "all",
            short_term=short_term,
        )
        parts.firing.append(key)
        parts.differing.append((key, "synapse_none"))
    sparse = models.exponential_current()
    parts.held("synapse_sparse", _host().with_synapses(s=sparse), "I_ext", background)
    parts.projections["to_synapse_sparse"] = Projection(
        pre="source", post="synapse_sparse", synapse="s", weights=0.3, pairs=FixedProbability(p=0.5)
    )
    parts.differing.append(("synapse_sparse", "synapse_none"))


def rules() -> dict[str, PlasticityRule]:
    """Every rule of the library with its own defaults."""
    found = {}
    for name in plasticity.__all__:
        factory = getattr(plasticity, name)
        if inspect.isclass(factory):
            continue
        signature = inspect.signature(factory)
        if signature.return_annotation not in ("PlasticityRule", PlasticityRule):
            continue
        if any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values()):
            found[name] = factory(plasticity.pair_stdp(), plasticity.heterosynaptic_decay())
            continue
        given = {"modulator": _MODULATOR} if "modulator" in signature.parameters else {}
        needed = {p.name for p in signature.parameters.values() if p.default is p.empty}
        if needed <= given.keys() | {"parameters"}:  # what is left is for rules of one's own
            found[name] = factory(**given)
    return found


def add_rules(parts: Parts) -> None:
    """Every rule between the sources and neurons of its own that fire."""
    for number, (name, rule) in enumerate(rules().items()):
        # A prediction of reward is a plain number.
        plain = name == "reward_prediction"
        key = f"post_{name}"
        model = models.competitive_unit(theta_0=0.9) if plain else _host()
        events = {part.event for part in rule.statements if part.side == "post"}
        if any("L_post" in part.code for part in rule.statements):
            model = plasticity.spike_error(model)
        if "teach" in events:
            model = attrs.evolve(
                model.extended("teach : 1"), events={**model.events, "teach": _TEACH}
            )
        current = np.linspace(0.2, 0.5, N) if plain else np.linspace(90e-12, 200e-12, N)
        parts.held(key, model, "I", current)
        if "teach" in events:
            parts.events("teach", first=3.0, apart=9.0)
            population = parts.populations[key]
            drives = {**population.drives, "teach": "teach"}
            parts.populations[key] = attrs.evolve(population, drives=drives)
        parts.projections[f"rule_{name}"] = Projection(
            pre="source",
            post=key,
            transmit="v_post += w*J",
            parameters={"J": 0.01 if plain else 0.2 * mV},
            weights=0.3 + 0.01 * np.arange(N_SOURCES * N),
            rule=rule,
            delay=(0 * ms, 1 * ms)[number % 2],
        )
        parts.firing.append(key)


def add_encoders(parts: Parts) -> None:
    """Every input population."""
    values = np.linspace(0.2, 1.0, N)
    for name, (_, factory) in encoding.ENCODERS.items():
        if factory is None:
            continue
        key, model = f"encoder_{name}", factory()
        if name == "address_events":
            parts.events(f"{key}_in", first=1.0, apart=7.0)
            parts.populations[key] = Population(model=model, n=N, drives={"x": f"{key}_in"})
        elif name == "delta":
            parts.inputs[f"{key}_in"] = Input(features=N, kind="sequence", frame=FRAME)
            steps = np.arange(int(parts.duration / FRAME + 1e-6))
            frames = np.abs(np.sin(np.outer(1 + steps, 1 + np.arange(N))))
            parts.samples[f"{key}_in"] = np.stack([frames * (1 + k) for k in range(parts.n)])
            parts.populations[key] = Population(model=model, n=N, drives={"x": f"{key}_in"})
        elif name == "rank_order":
            parts.held(key, model, "x", np.arange(1, N + 1))
            parts.samples[f"{key}_in"] = np.tile(np.arange(1, N + 1), (parts.n, 1))
        else:
            parts.held(key, model, "x", values)
            parts.samples[f"{key}_in"] = np.minimum(parts.samples[f"{key}_in"], 1.0)
        if model.threshold is not None:
            parts.firing.append(key)
            continue
        event = next(iter(model.events))
        shown = f"shown_by_{name}"
        parts.populations[shown] = Population(model=models.competitive_unit(), n=N)
        parts.projections[f"to_{shown}"] = Projection(
            pre=key, post=shown, transmit="I_post += w*x_pre", weights=40.0, on_event=event
        )
        parts.firing.append(shown)


GROUPS = (add_neurons, add_synapses, add_rules, add_encoders)


def combined(
    n: int, duration: Any, groups: Sequence[Callable[[Parts], None]] = GROUPS, dt: Any = DT
) -> tuple[NetworkModel, Parts]:
    """The network and its parts.

    Parameters
    ----------
    n : int
        Number of samples.
    duration : Quantity
        Of a sample.
    groups : sequence of callable
        What it consists of besides the sources.
    dt : Quantity
        Time step; conductance-based neurons need the default.
    """
    parts = Parts(n, duration)
    add_sources(parts)
    for add in groups:
        add(parts)
    network = NetworkModel(
        name="combined",
        dt=dt,
        inputs=parts.inputs,
        populations=parts.populations,
        projections=parts.projections,
        presentation=Presentation(duration=duration, rest=5 * ms, reset="all"),
        output="source",
    )
    return network, parts
