"""Short form of the validation of reward-modulated rules (``validation/reward.py``)."""

import runpy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "validation" / "reward.py"


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))["validate"](short=True)


def checks(figures: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in figures.items():
        if isinstance(value, Mapping):
            if "ok" in value:
                yield f"{path}{key}", value
            yield from checks(value, f"{path}{key}.")


@pytest.mark.slow
@pytest.mark.parametrize("topic", ["one_synapse", "one_neuron", "florian_2007_xor"])
def test_what_was_published_is_found(figures, topic) -> None:
    found = dict(checks(figures[topic]))
    assert len(found) >= 4
    assert {name: part for name, part in found.items() if not part["ok"]} == {}
