"""Declarations as data: round trips, fingerprints, and what must not come in or out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
from brian2 import Hz, ms, mV, nA
from brian2.units.fundamentalunits import Quantity, have_same_dimensions
from patience import HANG

from biosnn import declaration, encoding, models, networks, plasticity
from biosnn.declaration import declared, fingerprint, from_data, to_data
from biosnn.errors import ParameterError, StorageError
from biosnn.models import Normal, Schedule, Uniform
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from biosnn.recording import Trace as RecordedTrace

Make = Callable[..., Any]

RULES: dict[str, Make] = {
    "pair_stdp": plasticity.pair_stdp,
    "power_law": plasticity.diehl_cook_power_law,
    "triplet": plasticity.diehl_cook_triplet,
    "instar": plasticity.instar,
    "instar_on_traces": lambda **kw: plasticity.instar(tau_pre=20 * ms, **kw),
    "resume": plasticity.resume,
}
ENCODERS: dict[str, Make] = {
    "poisson": encoding.poisson,
    "regular": encoding.regular,
    "bernoulli": encoding.bernoulli,
    "direct": encoding.direct,
}


def pair(**changes: Any) -> NetworkModel:
    """A small network that uses what the ready ones leave out."""
    fields = {
        "name": "pair",
        "dt": 0.5 * ms,
        "inputs": {
            "spikes": Input(features=3, kind="events"),
            "frames": Input(features=3, kind="sequence", frame=5 * ms, optional=True),
        },
        "populations": {
            "source": Population(model=encoding.address_events(), n=3, drives={"x": "spikes"}),
            "dense": Population(model=encoding.poisson(), n=3, drives={"x": "frames"}),
            "cells": Population(
                model=models.neuron(
                    equations="dv/dt = (E_L - v)/tau_m : volt\nu : 1",
                    threshold="v > V_th",
                    reset="v = E_L",
                    parameters={"tau_m": 10 * ms, "E_L": -65 * mV, "V_th": -50 * mV},
                    initial={"v": Normal(mean=-65 * mV, sd=2 * mV)},
                    events={"late": models.Event(condition="v > E_L", every="presentation")},
                    operations=[models.Operation(code="v = E_L", on="late")],
                ),
                n=2,
            ),
        },
        "projections": {
            "listed": Projection(
                pre="source",
                post="cells",
                transmit="v_post += w*mV",
                weights=np.array([1.0, 0.25]),
                pairs=(np.array([0, 2]), np.array([1, 0])),
                rule=plasticity.pair_stdp(A_plus=Schedule(start=0.1, stop=0.01)),
            ),
        },
        "presentation": Presentation(duration=20 * ms, reset={"cells": ("u",)}),
        "output": "cells",
    }
    return NetworkModel(**{**fields, **changes})


NETWORKS: dict[str, Make] = {
    "diehl_cook_triplet": lambda: networks.diehl_cook_2015(9, 4),
    "diehl_cook_power_law": lambda: networks.diehl_cook_2015(9, 4, rule="power_law"),
    "wta_poisson": lambda: networks.winner_take_all(9, 4),
    "wta_regular": lambda: networks.winner_take_all(9, 4, encoding="regular"),
    "wta_bernoulli": lambda: networks.winner_take_all(9, 4, encoding="bernoulli"),
    "wta_direct": lambda: networks.winner_take_all(9, 4, encoding="direct", n_classes=3),
    "wta_pool": lambda: networks.winner_take_all(9, 4, competition="pool", n_classes=3),
    "wta_none": lambda: networks.winner_take_all(9, 4, competition="none"),
    "pair": pair,
}
SPECS: dict[str, Make] = {
    **{f"model-{name}": make for name, (make, _) in models.LIBRARY.items()},
    **{f"rule-{name}": make for name, make in RULES.items()},
    **{f"encoder-{name}": make for name, make in ENCODERS.items()},
    **{f"network-{name}": make for name, make in NETWORKS.items()},
}


def through_json(value: Any) -> Any:
    """What a value is after it was written to and read from a file."""
    return from_data(json.loads(json.dumps(to_data(value))))


def assert_same(ours: Any, theirs: Any, where: str = "") -> None:
    """Compare two declarations field by field: types of specs, units, values."""
    if attrs.has(type(ours)):
        assert type(ours) is type(theirs), where
        for field in attrs.fields(type(ours)):
            same = getattr(ours, field.name), getattr(theirs, field.name)
            assert_same(*same, f"{where}.{field.name}")
    elif isinstance(ours, dict):
        assert list(ours) == list(theirs), where
        for key in ours:
            assert_same(ours[key], theirs[key], f"{where}[{key!r}]")
    elif isinstance(ours, tuple | list):
        assert len(ours) == len(theirs), where
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(one, other, f"{where}[{number}]")
    elif isinstance(ours, Quantity):
        assert isinstance(theirs, Quantity), where
        assert have_same_dimensions(ours, theirs), where
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs), where)
    elif isinstance(ours, np.ndarray):
        assert ours.dtype == theirs.dtype, where
        np.testing.assert_array_equal(ours, theirs, where)
    else:
        assert type(ours) is type(theirs), where
        assert ours == theirs, where


@pytest.mark.parametrize("name", SPECS)
def test_round_trip(name: str) -> None:
    spec = SPECS[name]()
    again = through_json(spec)
    assert_same(spec, again, name)
    assert fingerprint(again) == fingerprint(spec)
    assert again is not spec


@pytest.mark.parametrize("name", NETWORKS)
def test_loaded_networks_start_from_the_same_state(name: str) -> None:
    network = NETWORKS[name]()
    state, again = network.initial_state(seed=4), through_json(network).initial_state(seed=4)
    assert len(state) > 2
    assert state.checksum() == again.checksum()


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        0.1 + 0.2,
        "v > V_th",
        3 * mV,
        np.array([1.0, 2.0]) * nA,
        np.arange(6, dtype=np.int32).reshape(2, 3),
        np.array([0.1, 0.2], dtype=np.float32),
        {"a": (1, {"b": 2 * Hz})},
        Uniform(low=-1 * mV, high=1 * mV),
    ],
    ids=lambda value: type(value).__name__,
)
def test_round_trip_of_values(value: Any) -> None:
    again = through_json(value)
    assert_same(value, again)


def test_numpy_scalars_become_numbers() -> None:
    assert to_data(np.float64(0.25)) == 0.25
    assert type(to_data(np.int64(3))) is int
    assert type(to_data(np.bool_(True))) is bool


# Fingerprints


def parameters_of(spec: Any) -> dict[str, Any]:
    return {k: v for k, v in spec.parameters.items() if not isinstance(v, Schedule)}


@pytest.mark.parametrize(
    "name", [name for name in SPECS if name.startswith(("model", "rule", "encoder"))]
)
def test_fingerprint_depends_on_every_parameter(name: str) -> None:
    spec = SPECS[name]()
    values = parameters_of(spec)
    assert values
    found = {fingerprint(spec)}
    for key, value in values.items():
        # The smallest change that a double can hold counts.
        other = np.nextafter(float(np.asarray(value)), np.inf)
        other = Quantity(other, dim=value.dim) if isinstance(value, Quantity) else float(other)
        changed = attrs.evolve(spec, parameters={**spec.parameters, key: other})
        found.add(fingerprint(changed))
    assert len(found) == 1 + len(values)


def test_fingerprint_depends_on_units_and_on_names() -> None:
    assert fingerprint(1 * mV) != fingerprint(1e-3 * nA) != fingerprint(1e-3)
    assert fingerprint(1 * mV) == fingerprint(1000 * (1e-3 * mV))
    assert fingerprint({"a": 1, "b": 2}) != fingerprint({"a": 2, "b": 1})
    # Populations and projections run in the order in which they are declared.
    assert fingerprint({"a": 1, "b": 2}) != fingerprint({"b": 2, "a": 1})
    assert fingerprint("a", "b") != fingerprint("ab")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"dt": 0.25 * ms},
        {"presentation": Presentation(duration=20 * ms, rest=5 * ms, reset={"cells": ("u",)})},
        {"presentation": Presentation(duration=20 * ms, reset={"cells": ()})},
        {"output": "dense"},
        {"projections": {}},
    ],
    ids=["name", "dt", "rest", "reset", "output", "projections"],
)
def test_fingerprint_depends_on_every_field_of_a_network(change: dict[str, Any]) -> None:
    assert pair(**change).fingerprint != pair().fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"weights": np.array([1.0, 0.26])},
        {"weights": None, "rule": None, "transmit": "v_post += mV"},
        {"pairs": (np.array([0, 2]), np.array([1, 1]))},
        {"transmit": "v_post += 2*w*mV"},
        {"order": 0},
        {"rule": plasticity.pair_stdp(A_plus=Schedule(start=0.1, stop=0.02))},
        {"rule": plasticity.pair_stdp(A_plus=Schedule(start=0.1, stop=0.01), pairing="nearest")},
    ],
    ids=["weights", "no_weights", "pairs", "transmit", "order", "schedule", "pairing"],
)
def test_fingerprint_depends_on_every_field_of_a_projection(change: dict[str, Any]) -> None:
    changed = attrs.evolve(pair().projections["listed"], **change)
    assert pair(projections={"listed": changed}).fingerprint != pair().fingerprint


_SCRIPT = """
import sys
from biosnn import models, networks, plasticity
from biosnn.declaration import fingerprint
print(networks.diehl_cook_2015(9, 4).fingerprint, networks.winner_take_all(9, 4).fingerprint)
print(fingerprint(models.lif()), fingerprint(plasticity.pair_stdp()))
"""


def test_fingerprint_is_the_same_in_another_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG,
    )
    assert done.stdout.split() == [
        networks.diehl_cook_2015(9, 4).fingerprint,
        networks.winner_take_all(9, 4).fingerprint,
        fingerprint(models.lif()),
        fingerprint(plasticity.pair_stdp()),
    ]


# What must not come in or out


class Foreign:
    """Not a declaration."""


@attrs.frozen
class ForeignAttrs:
    x: int = 1


#: A foreign class that has the name of a spec.
Impostor = attrs.make_class("NeuronModel", ["name"])


@pytest.mark.parametrize(
    "value",
    [
        lambda x: x,
        np.sin,
        len,
        Foreign(),
        Foreign,
        models.NeuronModel,
        ForeignAttrs(),
        Impostor("lif"),
        RecordedTrace(np.zeros(1), np.zeros((1, 1)), np.zeros(1), "V"),
        {1, 2},
        1j,
        b"bytes",
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_only_declarations_go_out(value: Any) -> None:
    for nested in (value, [value], {"key": (1, value)}):
        with pytest.raises(StorageError, match=r"a declaration cannot hold .* of type"):
            to_data(nested)
    with pytest.raises(StorageError):
        fingerprint(value)


@pytest.mark.parametrize("name", ["Popen", "os.system", "Foreign", "ForeignAttrs", "Quantity", ""])
def test_only_declarations_come_in(name: str) -> None:
    data = {"$spec": name, "x": 1}
    for nested in (data, [data], {"key": [1, data]}):
        with pytest.raises(StorageError, match=f"unknown kind of declaration '{name}'"):
            from_data(nested)


def test_unknown_fields_are_refused() -> None:
    data = {**to_data(models.lif()), "hook": "import os"}
    with pytest.raises(StorageError, match=r"NeuronModel has no field \['hook'\]"):
        from_data(data)


def test_missing_fields_are_refused() -> None:
    data = to_data(Uniform(low=0.0, high=1.0))
    del data["high"]
    with pytest.raises(StorageError, match=r"Uniform lacks the field \['high'\]"):
        from_data(data)


@pytest.mark.parametrize(
    "data",
    [
        {"$quantity": 1.0},
        {"$quantity": "one", "dim": [0] * 7},
        {"$quantity": 1.0, "dim": [0, 1]},
        {"$array": [1, 2]},
        {"$array": [[1], [1, 2]], "dtype": "float64"},
        {"$array": [1], "dtype": "nonsense"},
    ],
)
def test_damaged_quantities_and_arrays_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(StorageError, match="damaged"):
        from_data(data)


def test_loading_checks_values_like_any_other_door() -> None:
    """A file with an impossible number does not become a model."""
    data = to_data(models.Trace(name="x", tau=20 * ms))
    data["tau"]["$quantity"] = -1.0
    with pytest.raises(ParameterError, match=r"Trace\.tau must be > 0 s, got -1"):
        from_data(data)


def test_registering_a_class_opens_both_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declaration, "_REGISTRY", {})
    made = attrs.make_class("OnlyHere", ["x"], frozen=True)
    with pytest.raises(StorageError):
        to_data(made(x=1 * mV))
    assert declared(made) is made
    assert through_json(made(x=1 * mV)).x == 1 * mV


def test_powers_of_units_are_plain_numbers() -> None:
    value = 3.0 / mV**2
    assert from_data(json.loads(json.dumps(to_data(value)))) == value
    assert fingerprint(value) == fingerprint(3e6 / (1000 * mV) ** 2)
