"""The short form of the validation that every entry of the library runs alike on both devices."""

import pytest

from biosnn import encoding, models
from validation import any_device
from validation._combined import rules


@pytest.fixture(scope="module")
def figures():
    return any_device.validate(short=True)


@pytest.mark.slow
def test_everything_takes_part(figures) -> None:
    shown = {key for part in figures.values() for key in part["spikes"]}
    assert {f"neuron_{name}" for name in models.LIBRARY} <= shown
    assert {f"synapse_{name}" for name in models.SYNAPSES} <= shown
    played = {name for name, (_, factory) in encoding.ENCODERS.items() if factory} - {"direct"}
    assert {f"encoder_{name}" for name in played} | {"shown_by_direct"} <= shown
    assert len(figures["everything_else"]["weights"]) == len(rules())


@pytest.mark.slow
@pytest.mark.parametrize("part", ["spikes", "weights"])
def test_devices_agree(figures, part) -> None:
    checks = {key: check for figure in figures.values() for key, check in figure[part].items()}
    failed = {key: check for key, check in checks.items() if not check["ok"]}
    assert checks
    assert not failed


@pytest.mark.slow
def test_states_agree(figures) -> None:
    for network in figures.values():
        assert network["state"]["ok"], network["state"]
