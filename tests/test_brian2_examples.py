"""What compares scripts with themselves: it finds equal what is equal, and wrong what is wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Quantity

from biosnn.devices.runtime.script import ScriptEnd, Simulation
from biosnn.errors import ParameterError
from validation import _scripts, brian2_examples
from validation._scripts import Result, compare_script

pytestmark = pytest.mark.usefixtures("numpy_target", "whole_simulations")

CELLS = """\
from brian2 import *
tau = 10*ms
cells = NeuronGroup(3, 'dv/dt = (2 - v)/tau : 1', threshold='v > 1', reset='v = 0', method='exact')
cells.v = 'i*0.3'
spikes = SpikeMonitor(cells, name='spikes')
values = StateMonitor(cells, 'v', record=True, name='values')
"""
RANDOM = """\
from brian2 import *
inputs = PoissonGroup(50, 40*Hz)
cells = NeuronGroup(5, 'dv/dt = -v/(10*ms) : 1', threshold='v > 1', reset='v = 0', method='exact')
synapses = Synapses(inputs, cells, on_pre='v += 0.2')
synapses.connect()
spikes = SpikeMonitor(cells, name='spikes')
run(500*ms)
"""


@pytest.fixture
def whole_simulations(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, nothing is shortened."""
    monkeypatch.setattr(_scripts, "BUDGET", 1e6)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(text))
        return path

    return write


def changed(change: Callable[[Result], Any]) -> _scripts.Bring:
    """What lifts simulations, and gets something wrong."""

    def bring(simulation: Simulation) -> Callable[[Quantity, int], Result]:
        run = _scripts.bring(simulation)

        def wrong(duration: Quantity, number: int) -> Result:
            found = run(duration, number)
            change(found)
            return found

        return wrong

    return bring


def test_equal_simulations_are_equal(write) -> None:
    found = compare_script(write(CELLS + "run(50*ms)\ntau = 5*ms\nrun(30*ms)\n"))
    assert found["verdict"] == "equal", found
    first, second = found["simulations"]
    assert (first["line"], second["line"]) == (7, 9)
    assert (first["duration_s"], second["duration_s"]) == (0.05, 0.03)
    assert first["events"] > 15
    assert second["events"] > 15
    assert found["end"] == "the script finished"


def test_a_refusal_gives_its_reason(write) -> None:
    script = CELLS + "@network_operation\ndef kick():\n    cells.v = 0\nrun(50*ms)\n"
    found = compare_script(write(script))
    assert found["verdict"] == "refused"
    assert "networkoperation" in found["reason"]
    assert "script.py" in found["reason"]


def one_step_later(found: Result) -> None:
    found["spikes.t"][3] += 1e-4


def last_digit(found: Result) -> None:
    found["values.v"][1, 100] *= 1 + 1e-15


def another_value(found: Result) -> None:
    found["values.v"][1, 100] *= 1 + 1e-6


def lost_spike(found: Result) -> None:
    for name in ("spikes.i", "spikes.t"):
        found[name] = found[name][:-1]


@pytest.mark.parametrize(
    ("change", "verdict", "told"),
    [
        (one_step_later, "wrong", "spikes.t differs first at 3"),
        (lost_spike, "wrong", "spikes."),
        (another_value, "wrong", "values.v differs first at 600"),
        (last_digit, "equal to 1e-9", "last digits"),
        (lambda found: found.pop("values.v"), "wrong", "values.v was not recorded"),
    ],
)
def test_wrong_results_are_found(write, change, verdict, told) -> None:
    found = compare_script(write(CELLS + "run(50*ms)\n"), bring=changed(change))
    assert found["verdict"] == verdict, found
    assert told in found["reason"]


def test_random_simulations_are_compared_by_what_varies(write) -> None:
    found = compare_script(write(RANDOM))
    assert found["verdict"] in ("equal", "statistically equal"), found
    assert found["simulations"][0]["events"] > 50


def test_wrong_rates_are_found(write) -> None:
    def a_quarter_less(found: Result) -> None:
        keep = np.arange(len(found["spikes.i"])) % 4 > 0
        for name in ("spikes.i", "spikes.t"):
            found[name] = found[name][keep]

    found = compare_script(write(RANDOM), bring=changed(a_quarter_less))
    assert found["verdict"] == "wrong", found
    assert "in Brian2" in found["reason"]


def test_silent_simulations_prove_nothing(write) -> None:
    silent = CELLS.replace("2 - v", "0 - v").replace("i*0.3", "0*i")
    assert compare_script(write(silent + "run(50*ms)\n"))["verdict"] == "nothing happened"


def test_errors_that_are_no_refusals_are_errors(write) -> None:
    def broken(simulation: Simulation) -> Any:
        raise KeyError("lost")

    found = compare_script(write(CELLS + "run(50*ms)\n"), bring=broken)
    assert found["verdict"] == "error"
    assert "KeyError" in found["reason"]


def test_long_simulations_are_made_shorter(write, monkeypatch) -> None:
    monkeypatch.setattr(_scripts, "BUDGET", 0.2)
    found = compare_script(write(CELLS + "run(1e6*second)\n"))
    (simulation,) = found["simulations"]
    factor = simulation["shortened by"]
    assert factor > 1000
    assert abs(simulation["duration_s"] * factor - 1e6) < 1e-3 * 1e6
    assert found["verdict"] == "equal", found


def test_what_begins_late_is_simulated_longer(write, monkeypatch) -> None:
    monkeypatch.setattr(_scripts, "BUDGET", 0.1)
    monkeypatch.setattr(_scripts, "LONGER", 100)
    late = CELLS.replace("(2 - v)", "2*int(t > 100*ms)").replace("exact", "euler")
    (simulation,) = compare_script(write(late + "run(100*second)\n"))["simulations"]
    assert simulation["verdict"] == "equal"
    assert simulation["events"] > 0
    assert 0.1 < simulation["duration_s"] <= 100


def test_work_of_pools_and_many_runs(write) -> None:
    script = write(
        """
        import multiprocessing
        from brian2 import *
        def simulate(tau):
            cells = NeuronGroup(1, 'dv/dt = (1 - v)/tau : 1', method='exact')
            values = StateMonitor(cells, 'v', record=0)
            run(10*ms)
            return values.v[0, -1]
        if __name__ == "__main__":
            with multiprocessing.Pool(2) as pool:
                print(pool.map(simulate, arange(1, 10)*ms))
        """
    )
    found = compare_script(script)
    assert found["verdict"] == "equal", found
    assert len(found["simulations"]) == _scripts.MOST
    assert found["end"].startswith("the script stopped")


def test_a_script_that_simulates_nothing_is_not_run(write) -> None:
    assert compare_script(write("print(1)\n"))["reason"] == "no simulation in this process"
    found = compare_script(write("import no_such_package_as_this\n"))
    assert found["verdict"] == "not run"
    assert "no_such_package_as_this" in found["reason"]


def test_the_worst_verdict_is_that_of_the_script() -> None:
    found = [{"verdict": v, "reason": v} for v in ("equal", "wrong", "refused")]
    assert _scripts.judged(found, ScriptEnd(status="finished"))["verdict"] == "wrong"


def test_statistics_find_what_differs_and_nothing_else() -> None:
    """Of 200 comparisons of equal things about 200 * LEVEL may be found wrong."""
    rng = np.random.default_rng(1)

    def result(rate: float) -> Result:
        steps = np.sort(rng.integers(0, 1000, rng.poisson(rate)))
        return {"m.t": steps, "m.i": rng.integers(0, 10, len(steps)), "s.v": rng.normal(size=50)}

    def verdict(rate: float) -> str:
        sides = [[result(r) for _ in range(_scripts.SEEDS)] for r in (1000, rate)]
        return _scripts.compared_by_statistics(*sides)[0]

    same = [verdict(1000) for _ in range(200)]
    assert same.count("wrong") <= 2
    assert [verdict(1250) for _ in range(20)] == ["wrong"] * 20


def test_scope_of_the_examples(tmp_path: Path) -> None:
    reasons = {
        name: brian2_examples.why_out_of_scope(name)
        for name in ("CUBA.py", "compartmental/rall.py", "frompapers/Brette_2012/params.py")
    }
    assert not reasons["CUBA.py"]
    assert "spatial" in reasons["compartmental/rall.py"]
    assert "module" in reasons["frompapers/Brette_2012/params.py"]
    with pytest.raises(ParameterError, match="CHECKOUT must be a checkout"):
        brian2_examples.examples_of(tmp_path)
    assert "not_run" in brian2_examples.validate()["examples"]


def test_examples_run_in_processes_of_their_own(write, tmp_path: Path) -> None:
    write(CELLS + "run(50*ms)\n")
    found = brian2_examples.compared(tmp_path, "script.py")
    assert found["verdict"] == "equal", found
    (tmp_path / "ends.py").write_text("import os\nos._exit(3)\n")
    found = brian2_examples.compared(tmp_path, "ends.py")
    assert (found["verdict"], found["reason"]) == ("error", "status 3")
