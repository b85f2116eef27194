"""Scripts of users: what runs them, and hands over each of their simulations."""

from __future__ import annotations

import os
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import brian2
import numpy as np
import pytest
from brian2 import (
    BrianObject,
    Network,
    NeuronGroup,
    SpikeMonitor,
    defaultclock,
    get_device,
    magic_network,
    ms,
    prefs,
)
from brian2.devices import device_module as brian2_device

from biosnn.devices.runtime.script import ScriptEnd, Simulation, StopScript, run_script
from biosnn.errors import DataError, ParameterError

pytestmark = pytest.mark.usefixtures("numpy_target")

CELLS = """\
from brian2 import *
defaultclock.dt = 0.5*ms
tau = 10*ms
cells = NeuronGroup(3, 'dv/dt = (2 - v)/tau : 1', threshold='v > 1', reset='v = 0', method='exact')
cells.v = 'i*0.3'
spikes = SpikeMonitor(cells)
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str, name: str = "script.py") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


def seen(script: Path, *, go_on: bool = True, **options: Any) -> tuple[list[Simulation], ScriptEnd]:
    found: list[Simulation] = []

    def on_simulation(simulation: Simulation) -> None:
        found.append(simulation)
        if not go_on:
            raise StopScript
        simulation.simulate()

    return found, run_script(script, on_simulation, **options)


def test_a_run_is_handed_over_before_it_starts(write) -> None:
    script = write(CELLS + "run(100*ms)\nassert spikes.num_spikes > 20\n")
    counts = []

    def on_simulation(simulation: Simulation) -> None:
        monitor = next(o for o in simulation.objects if isinstance(o, SpikeMonitor))
        assert {type(o) for o in simulation.objects} > {NeuronGroup, SpikeMonitor}
        assert simulation.duration == 100 * ms
        assert simulation.namespace["tau"] == 10 * ms
        assert (simulation.place.file, simulation.place.line) == (str(script), 7)
        assert str(simulation.place) == "script.py:7"
        assert simulation.place_of(simulation.namespace["cells"]).line == 4
        assert simulation.place_of(monitor).line == 6
        counts.append(monitor.num_spikes)
        simulation.simulate()
        counts.append(monitor.num_spikes)

    assert run_script(script, on_simulation) == ScriptEnd(status="finished")
    assert counts[0] == 0
    assert counts[1] > 20


def test_a_script_can_be_stopped_at_its_first_run(write) -> None:
    script = write(CELLS + "run(100*ms)\nopen('went on', 'w')\nrun(1*ms)\n")
    found, end = seen(script, go_on=False)
    assert len(found) == 1
    assert (end.status, end.place.line) == ("stopped", 7)
    assert not (script.parent / "went on").exists()


def test_what_catches_everything_is_stopped_at_the_next_run(write) -> None:
    script = write(CELLS + "try:\n    run(1*ms)\nexcept:\n    pass\nrun(1*ms)\nraise ValueError\n")
    found, end = seen(script, go_on=False)
    assert len(found) == 1
    assert (end.status, end.place.line) == ("stopped", 11)


def test_several_runs_with_changed_values(write) -> None:
    """The second one starts where the first one ended, with what the script has changed."""
    script = write(
        CELLS + "run(10*ms)\ntau = 5*ms\ncells.v = 0.25\nrun(20*ms, namespace={'tau': tau})\n"
    )
    values = []

    def on_simulation(simulation: Simulation) -> None:
        cells = next(o for o in simulation.objects if isinstance(o, NeuronGroup))
        given = float(simulation.duration / ms), float(simulation.namespace["tau"] / ms)
        values.append((*given, float(simulation.network.t / ms), float(cells.v[0])))
        simulation.simulate()

    assert run_script(script, on_simulation).status == "finished"
    assert values == [(10, 10, 0, 0), (20, 5, 10, 0.25)]


def test_networks_in_functions_and_the_main_block(write) -> None:
    script = write(
        """
        from brian2 import *
        def main(rate):
            gain = 3*Hz
            cells = NeuronGroup(2, 'dv/dt = gain : 1', threshold='v > 1', reset='v = 0')
            net = Network(cells)
            net.run(rate)
            return cells.v[0]
        if __name__ == "__main__":
            assert abs(main(100*ms) - 0.3) < 1e-6
        """
    )
    found, end = seen(script)
    assert end.status == "finished"
    assert found[0].namespace["gain"] == 3 * brian2.Hz
    assert found[0].place.line == 7
    assert found[0].network is not magic_network


def test_arguments_folder_and_modules_are_those_of_python(write) -> None:
    write("rate = 3\n", "my_constants.py")
    script = write(
        """
        import os, sys
        from my_constants import rate
        from brian2 import *
        import matplotlib
        import matplotlib.pyplot as plt
        assert sys.argv == [__file__, '--fast', '3'], sys.argv
        assert matplotlib.get_backend().lower() == 'agg'
        plt.plot([1, 2])
        plt.show()
        cells = NeuronGroup(rate, 'v : 1')
        folder = os.getcwd()
        run(1*ms)
        """
    )
    before = list(sys.argv), list(sys.path), os.environ.get("MPLBACKEND")
    found, end = seen(script, arguments=["--fast", "3"])
    assert end == ScriptEnd(status="finished")
    assert found[0].namespace["folder"] == os.getcwd()
    assert (list(sys.argv), list(sys.path), os.environ.get("MPLBACKEND")) == before
    assert "my_constants" not in sys.modules


def test_simulations_may_be_made_shorter_and_again(write) -> None:
    script = write(CELLS + "run(10000*second)\nassert 20 < spikes.num_spikes < 100\n")

    def on_simulation(simulation: Simulation) -> None:
        Network.store(simulation.network)
        simulation.simulate(50 * ms)
        simulation.network.objects = set(simulation.objects)
        Network.restore(simulation.network)
        simulation.simulate(100 * ms)

    assert run_script(script, on_simulation).status == "finished"


def test_what_is_run_while_a_simulation_is_handed_over_is_left_alone(write) -> None:
    script = write(CELLS + "run(1*ms)\n")
    times = []

    def on_simulation(simulation: Simulation) -> None:
        times.append(simulation.network.t)
        own = NeuronGroup(1, "dv/dt = 100*Hz : 1")
        Network(own).run(10 * ms)
        assert abs(own.v[0] - 1) < 1e-6

    assert run_script(script, on_simulation).status == "finished"
    assert times == [0 * ms]


def test_other_devices_are_set_aside(write) -> None:
    script = write(
        "from brian2 import *\nset_device('cpp_standalone', build_on_run=False)\n"
        + CELLS
        + "run(10*ms)\nrun(90*ms)\ndevice.build(directory=None)\nassert spikes.num_spikes > 20\n"
    )
    device, devices = get_device(), list(brian2_device.previous_devices)
    found, end = seen(script)
    assert end.status == "finished"
    assert len(found) == 2
    assert [(place.line, name) for place, name in end.set_aside] == [(2, "cpp_standalone")]
    assert get_device() is device
    assert brian2_device.previous_devices == devices


def test_brian2_is_as_before(write) -> None:
    cells = NeuronGroup(1, "dv/dt = 10*Hz : 1")
    brian2.run(10 * ms)
    before = (
        prefs.codegen.target,
        prefs.core.default_float_dtype,
        defaultclock.dt,
        magic_network.t,
        magic_network.id,
        BrianObject._scope_current_key,
        Network.run,
        *vars(BrianObject.__instancefollower__),
        brian2_device._do_set_device,
    )
    state = np.random.get_state()[1].tolist()
    script = write(
        """
        from brian2 import *
        prefs.codegen.target = 'numpy'
        prefs.core.default_float_dtype = float32
        start_scope()
        defaultclock.dt = 3*ms
        seed(3)
        magic_network.schedule = ['start', 'groups', 'thresholds', 'synapses', 'resets', 'end']
        set_device('cpp_standalone')
        cells = NeuronGroup(1, 'dv/dt = 10*Hz : 1')
        run(30*ms)
        raise KeyError('gone')
        """
    )
    found, end = seen(script)
    assert end.status == "failed"
    assert before == (
        prefs.codegen.target,
        prefs.core.default_float_dtype,
        defaultclock.dt,
        magic_network.t,
        magic_network.id,
        BrianObject._scope_current_key,
        Network.run,
        *vars(BrianObject.__instancefollower__),
        brian2_device._do_set_device,
    )
    assert np.random.get_state()[1].tolist() == state
    assert "resets" in magic_network.schedule
    assert magic_network.schedule[1] == "groups"
    brian2.run(10 * ms)  # goes on
    assert abs(cells.v[0] - 0.2) < 1e-6
    assert len(found) == 1


def test_another_device_comes_back(write) -> None:
    script = write(CELLS + "run(1*ms)\n")
    brian2.set_device("cpp_standalone", build_on_run=False, directory=None)
    try:
        device = get_device()
        found, _ = seen(script)
        assert found
        assert get_device() is device
        assert not device.build_on_run
        assert device.build_options == {"directory": None}
    finally:
        brian2_device.reset_device()


@pytest.mark.parametrize(
    ("tail", "error", "line"),
    [
        ("x = 1/0\n", "ZeroDivisionError: division by zero", 7),
        ("def f():\n    raise RuntimeError('two\\nlines')\nf()\n", "RuntimeError: two lines", 8),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3", 8),
        ("cells.w = 3\n", "", 7),
        ("if True\n", "SyntaxError: expected ':'", 7),
        ("wrong = NeuronGroup(1, 'dv/dt = nothing : 1')\nrun(1*ms)\n", "", 8),
    ],
)
def test_errors_of_the_script_are_told_with_their_line(write, tail, error, line) -> None:
    _, end = seen(write(CELLS + tail))
    assert end.status == "failed"
    assert end.error.endswith(error)
    assert end.error
    assert end.place.line == line
    assert f"script.py:{line}" in str(end)


def test_leaving_without_an_error_is_no_failure(write) -> None:
    assert seen(write(CELLS + "run(1*ms)\nimport sys\nsys.exit()\n"))[1].status == "finished"


def test_errors_of_what_is_handed_simulations_are_raised(write) -> None:
    script = write(CELLS + "try:\n    run(1*ms)\nexcept Exception:\n    pass\n")

    def on_simulation(simulation: Simulation) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run_script(script, on_simulation)


@pytest.mark.parametrize(
    "tail",
    [
        "while True:\n    pass\n",
        "while True:\n    try:\n        while True:\n            pass\n    except:\n        break\n"
        "while True:\n    pass\n",
        "cells.run_regularly('v = v')\nrun(1e6*second)\n",
    ],
    ids=["a loop", "a loop that catches everything once", "a simulation"],
)
def test_scripts_without_an_end_run_out_of_time(write, tail) -> None:
    found, end = seen(write(CELLS + tail), timeout=1.0)
    assert end.status == "timed out"
    assert end.place.line > 6
    assert len(found) == tail.count("run(")


def test_bad_arguments(write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.py"):
        seen(tmp_path / "absent.py")
    with pytest.raises(ParameterError, match="timeout must be > 0 s"):
        seen(write(CELLS), timeout=-1)
    raised = []

    def elsewhere() -> None:
        with pytest.raises(ParameterError, match="outside the main thread") as caught:
            seen(write(CELLS), timeout=1)
        raised.append(caught.value)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert raised
