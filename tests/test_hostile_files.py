"""Files from strangers (S1, S7, S8): nothing in them is run, and none goes beyond its limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms, second

from biosnn import models, storage
from biosnn.errors import BiosnnError, ParameterError, StorageError, printable
from biosnn.networks import (
    DistanceDependent,
    FixedProbability,
    NetworkModel,
    Population,
    Presentation,
    Projection,
)
from validation import _hostile, untrusted

FILES = _hostile.model_files()


@pytest.mark.parametrize("kind", FILES)
def test_a_hostile_model_is_refused_in_words(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.biosnn"
    path.write_bytes(FILES[kind])
    with _hostile.watched(), pytest.raises(StorageError) as caught:
        storage.load_model(path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 700 + len(str(path))
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_file_without_harm_is_read(tmp_path: Path) -> None:
    """What the hostile files change is accepted as it was: the refusals are of the changes."""
    path = tmp_path / "model.biosnn"
    path.write_bytes(_hostile.saved(json.loads(_hostile.WHOLE)))
    assert storage.load_model(path).network.populations["out"].n == 2


def test_the_watch_sees_processes_and_files(tmp_path: Path) -> None:
    import subprocess
    import sys

    with _hostile.watched(tmp_path):
        (tmp_path / "allowed").touch()
        with pytest.raises(_hostile.TouchedError, match="open"):
            (tmp_path.parent / "outside").open("w")
        with pytest.raises(_hostile.TouchedError, match="Popen"):
            subprocess.run([sys.executable, "-c", ""], check=True)


def test_a_fuzz_of_the_gate_and_the_readers(tmp_path: Path) -> None:
    found = untrusted.fuzz(untrusted.SHORT_CASES, tmp_path)
    for kind, figures in found.items():
        assert figures["cases"]["ok"], kind
    assert found["equations"]["passed"] > 0
    assert found["declarations"]["passed"] > 0


# --- what declarations of strangers say, and what memory and time it may take


def _pair(n: int = 3, duration: Any = 10 * ms, **joined: Any) -> NetworkModel:
    """Two populations, one of which has no variable: its size takes nothing in a file."""
    silent = models.neuron(name="silent", equations="", threshold="rand() < 0.1", parameters={})
    given = {"pre": "a", "post": "a", "pairs": "one_to_one", "transmit": "", **joined}
    return NetworkModel(
        name="pair",
        dt=1 * ms,
        inputs={},
        populations={"a": Population(model=silent, n=n), "b": Population(model=models.lif(), n=2)},
        projections={"join": Projection(**given)},
        presentation=Presentation(duration=duration),
        output="b",
    )


#: S8: refused when they are declared, without taking what they say.
DECLARED: dict[str, tuple[Callable[[], Any], str]] = {
    "pairs to try": (
        lambda: _pair(2**31 - 1, pairs=FixedProbability(p=0.0), weights=[1.0, 2.0]),
        "pairs must be a pattern that tries at most",
    ),
    "a grid": (
        lambda: _pair(pairs=DistanceDependent(pre=(10**9, 10**9), post=(3,), sigma=1.0)),
        "DistanceDependent.post must be in 2 dimensions",
    ),
    "a grid of another size": (
        lambda: _pair(pairs=DistanceDependent(pre=(10**9, 10**9), post=(3, 1), sigma=1.0)),
        "1000000000000000000 positions",
    ),
    "a grid of many dimensions": (
        lambda: DistanceDependent(pre=(1,) * 40, post=(1,) * 40, sigma=1.0),
        "DistanceDependent.pre must be the shape of a grid",
    ),
    "steps": (lambda: _pair(duration=1e12 * ms), "Presentation.duration must be at most"),
    "a delay": (lambda: _pair(delay=1e300 * second), "delay must be below a presentation"),
    "pairs of texts": (lambda: _pair(pairs=(["a"], ["b"])), "pairs must be whole numbers"),
}


@pytest.mark.parametrize("case", DECLARED)
def test_sizes_that_cannot_be_are_refused_where_they_are_declared(case: str) -> None:
    declare, words = DECLARED[case]
    with pytest.raises(ParameterError) as caught:
        declare()
    assert words in str(caught.value)


def test_a_long_row_is_drawn_in_parts_and_gives_the_same_pairs() -> None:
    """The connections of a seed are those of one draw per row, as they always were."""
    n = 2**20 + 7
    _, found = FixedProbability(p=0.5, seed=3).pairs(1, n)
    np.testing.assert_array_equal(found, np.flatnonzero(np.random.default_rng(3).random(n) < 0.5))
    assert found.size > n // 3


CONTENT: dict[str, tuple[Any, str]] = {
    "preprocessing": (3, "its preprocessing must be a table, got 3"),
    "provenance": (["x"], "its provenance must be a table"),
    "shapes": (None, "its shapes must be a table, got None"),
    "observed": ("out.nothing", "TrainedModel.observed must be one of out's"),
}


@pytest.mark.parametrize("name", CONTENT)
def test_what_stands_beside_the_network_is_checked(name: str, tmp_path: Path) -> None:
    value, words = CONTENT[name]
    path = tmp_path / "model.biosnn"
    path.write_bytes(_hostile.saved(json.loads(_hostile.WHOLE), **{name: value}))
    with pytest.raises(StorageError) as caught:
        storage.load_model(path)
    assert words in str(caught.value)


def test_a_reset_of_no_names_is_refused(tmp_path: Path) -> None:
    data = json.loads(_hostile.WHOLE)
    data["presentation"]["reset"] = {"in": 3}
    path = tmp_path / "model.biosnn"
    path.write_bytes(_hostile.saved(data))
    with pytest.raises(StorageError, match=r"Presentation\.reset\['in'\] must be a tuple"):
        storage.load_model(path)


def test_variables_that_neurons_share_are_stored(tmp_path: Path) -> None:
    """One value for a population is one value in its file (C1)."""
    model = models.neuron(name="m", equations="v : 1\ns : 1 (shared)", initial={"s": 2.0})
    network = NetworkModel(
        name="shared",
        dt=1 * ms,
        inputs={},
        populations={"a": Population(model=model, n=3)},
        presentation=Presentation(duration=10 * ms),
        output="a",
    )
    path = storage.save_state(network.initial_state(), tmp_path / "s.biosnn", network)
    assert storage.load_state(path, network)["a.s"].tolist() == [2.0]


def test_no_text_of_a_file_controls_a_terminal(tmp_path: Path) -> None:
    data = json.loads(_hostile.WHOLE)
    data["name"], data["dt"] = "\x1b[2J\x1b]0;title\x07", None
    path = tmp_path / "model.biosnn"
    path.write_bytes(_hostile.saved(data))
    with pytest.raises(BiosnnError) as caught:
        storage.load_model(path)
    assert printable(caught.value).isprintable()
    assert printable("\x1b[2J é\u202e\udc80") == r"\x1b[2J é\u202e\udc80"
