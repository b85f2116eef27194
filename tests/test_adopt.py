"""``biosnn adopt``: what of a script comes along, and why the rest does not."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from biosnn.cli import app
from biosnn.cli.adopt import judge_script

pytestmark = pytest.mark.usefixtures("numpy_target")

WHOLE = """\
from brian2 import *
tau = 10*ms
cells = NeuronGroup(3, 'dv/dt = (2 - v)/tau : 1', threshold='v > 1', reset='v = 0',
                    method='exact', name='cells')
synapses = Synapses(cells, cells, on_pre='v += 0.1', name='synapses')
synapses.connect('i != j')
spikes = SpikeMonitor(cells, name='spikes')
run(50*ms)
print(spikes.num_spikes, 'spikes')
"""
PARTS = """\
from brian2 import *
tau = 10*ms
cells = NeuronGroup(3, 'dv/dt = -v/tau : 1', threshold='v > 1', reset='v = 0', name='cells')
stiff = NeuronGroup(3, 'dv/dt = -v/tau : 1', method='gsl_rkf45', name='stiff')
values = StateMonitor(stiff, 'v', record=True, name='values')
spikes = SpikeMonitor(cells, name='spikes')
@network_operation(dt=1*ms)
def kick():
    cells.v += 0.5
net = Network(cells, values, stiff, spikes, kick)
net.run(20*ms)
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "script.py"
        path.write_text(text)
        return path

    return write


def call(*arguments: Any) -> Any:
    return CliRunner().invoke(app, ["adopt", *map(str, arguments)])


def test_all_of_a_script_comes_along(write) -> None:
    done = call(write(WHOLE))
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "script.py:8: run(50. * msecond)"
    told = [line.split() for line in lines[1:4]]
    assert told == [
        ["comes", "along", "NeuronGroup", "cells", "(script.py:3)"],
        ["comes", "along", "Synapses", "synapses", "(script.py:5)"],
        ["comes", "along", "SpikeMonitor", "spikes", "(script.py:7)"],
    ]
    assert "spikes\n" in done.stderr  # of the script itself


def test_the_changed_script_does_what_the_script_did(write, tmp_path: Path) -> None:
    text = WHOLE.replace("run(50*ms)", "run(30*ms)\nrun(20*ms, report=None)")
    text = text.replace("tau =", "set_device('cpp_standalone')\ntau =")
    done = call(write(text), "--write", tmp_path / "brought.py")
    assert done.exit_code == 0, done.output
    brought = (tmp_path / "brought.py").read_text()
    changed = list(difflib.unified_diff(text.splitlines(), brought.splitlines(), n=0))[2:]
    assert [line for line in changed if line[0] in "+-"] == [
        "-set_device('cpp_standalone')",
        "+from biosnn import run",
    ]
    assert "Lines that change: 2" in done.stdout
    results = {}
    for script in (text.replace("set_device('cpp_standalone')", ""), brought):
        names: dict[str, Any] = {}
        exec(script.replace("20*ms, report=None", "20*ms"), names)
        results[script] = names["spikes"]
    plain, ours = results.values()
    assert len(plain.i) > 15
    np.testing.assert_array_equal(ours.i, plain.i)
    np.testing.assert_array_equal(ours.t, plain.t)
    assert call(write(text), "--write", tmp_path / "brought.py").exit_code == 2


def test_calls_that_change_keep_their_arguments(write, tmp_path: Path) -> None:
    text = """\
import brian2 as b2
from brian2 import ms
def go():
    cells = b2.NeuronGroup(1, 'v : 1')
    cells.run_regularly('v += third(1)')
    net = b2.Network(cells)
    net.run(
        3*ms, profile=True, namespace={'third': third},
    ); net.add(b2.SpikeMonitor(b2.PoissonGroup(1, 1*b2.Hz)))
    b2.run(1*ms, 'text', 2*b2.second)
@b2.check_units(x=1, result=1)
def third(x):
    return x/3
other = b2.NeuronGroup(1, 'v : 1')
other.run_regularly('v += 1')
go()
"""
    found, _ = judge_script(write(text), first=True)
    (change,) = [judged.change for judged in found]
    assert change is not None
    assert (change.line, len(change.old), change.size) == (7, 3, 3)
    (line,) = change.new
    assert line.startswith("    biosnn.run(3 * ms, namespace={'third': third}, network=net, ")
    assert line.endswith('device="runtime"); net.add(b2.SpikeMonitor(b2.PoissonGroup(1, 1*b2.Hz)))')
    status = {on.device: (on.status, on.reason) for on in found[0].devices}
    assert status["runtime"] == ("comes along", "")
    assert status["cpp"][0] == "refused"
    assert "third.implementation" in status["cpp"][1]
    done = call(write(text), "--first")
    assert done.exit_code == 0
    assert "refused on the device cpp: third.implementation" in done.stdout
    assert "script.py:3\n    + import biosnn\n" in done.stdout


LINES = {
    "two calls on one line": (
        "net.run(5*ms, profile=True); net.run(15*ms)",
        "biosnn.run(5 * ms, network=net); biosnn.run(15 * ms, network=net)",
    ),
    "two calls over several lines": (
        "net.run(\n  5*ms,\n); net.run(\n  7*ms,\n)",
        "biosnn.run(5 * ms, network=net); biosnn.run(7 * ms, network=net)",
    ),
    "a call in a loop": (
        "for k in (2, 3): net.run(k*ms); x = k",
        "for k in (2, 3): biosnn.run(k * ms, network=net); x = k",
    ),
    "options in a dictionary": (
        "options = {'report': None}; net.run(5*ms, **options)",
        "options = {'report': None}; biosnn.run(5 * ms, **options, network=net)",
    ),
    "a device beside others": (
        "x = 1; set_device('cpp_standalone'); y = 'é'; net.run(5*ms)",
        "x = 1; pass; y = 'é'; biosnn.run(5 * ms, network=net)",
    ),
    "a form feed": ("x = '\f'\n\f\nnet.run(5*ms)", "x = '\f'\n\f\nbiosnn.run(5 * ms, network=net)"),
    "a name that a function imports": (
        "def go():\n    from brian2 import run\n    run(5*ms)\ngo()",
        "def go():\n    from brian2 import run\n    biosnn.run(5 * ms)\ngo()",
    ),
}


@pytest.mark.parametrize("case", LINES)
def test_only_the_calls_on_a_line_change(case: str, write, tmp_path: Path) -> None:
    """The second call of a line stayed as it was, and what stood beside a device was lost."""
    old, new = LINES[case]
    head = WHOLE.partition("run(50")[0]
    head += "net = Network(cells, synapses, spikes)\n" if "net.run" in old else ""
    done = call(write(f"\ufeff{head}{old}\n"), "--write", tmp_path / "brought.py")
    assert done.exit_code == 0, done.output
    brought = (tmp_path / "brought.py").read_text("utf-8-sig")
    assert brought == head.replace("tau", "import biosnn\ntau", 1) + new + "\n"


def test_names_that_are_nothing_are_told(write) -> None:
    done = call(write(WHOLE.replace("tau = 10*ms", "")))
    assert done.exit_code == 1
    assert "refused     NeuronGroup   cells (script.py:3): cells.equations" in done.stdout
    assert "'tau'" in done.stdout


def test_all_that_is_refused_is_told_at_once(write) -> None:
    done = call(write(PARTS), "--json")
    assert done.exit_code == 1
    assert done.stdout.count("\n") == 1
    found = json.loads(done.stdout)
    assert not found["all"]
    (simulation,) = found["simulations"]
    assert simulation["place"]["line"] == 11
    verdicts = {v["name"]: (v["status"], v["place"]["line"]) for v in simulation["verdicts"]}
    assert verdicts == {
        "cells": ("comes along", 3),
        "stiff": ("refused", 4),
        "values": ("not judged", 5),
        "spikes": ("comes along", 6),
        "networkoperation": ("refused", 7),
    }
    reasons = {v["name"]: v["reason"] for v in simulation["verdicts"]}
    assert "gsl" in reasons["stiff"]
    assert "run_regularly" in reasons["networkoperation"]
    assert reasons["values"] == "it needs stiff"
    assert found["end"]["status"] in ("finished", "failed")  # where there is no GSL


def test_the_same_runs_are_told_once(write) -> None:
    loop = WHOLE.replace("run(50*ms)", "for _ in range(4):\n    run(5*ms)\nrun(1*ms)")
    (many, one), _ = judge_script(write(loop))
    assert (many.place.line, many.times, many.duration) == (9, 4, "5. * msecond")
    assert (one.place.line, one.times) == (10, 1)
    assert (many.change, one.change) == (None, None)
    assert "script.py:9: run(5. * msecond), 4 times" in call(write(loop)).stdout


def test_a_script_is_stopped_at_its_first_run_if_asked(write, tmp_path: Path) -> None:
    done = call(write(WHOLE + f"open({str(tmp_path / 'went on')!r}, 'w')\n"), "--first")
    assert done.exit_code == 0
    assert "comes along" in done.stdout
    assert not (tmp_path / "went on").exists()


def test_networks_are_named_as_in_the_script(write) -> None:
    named = WHOLE.replace("run(50*ms)", "net = Network(cells, synapses, spikes)\nnet.run(50*ms)")
    done = call(write(named))
    assert done.exit_code == 0
    assert "+ biosnn.run(50 * ms, network=net)" in done.stdout


def test_errors_of_scripts_and_other_devices_are_told(write) -> None:
    script = "from brian2 import *\nset_device('cpp_standalone')\n" + WHOLE + "1/0\n"
    done = call(write(script))
    assert done.exit_code == 1
    assert "script.py:2: the device 'cpp_standalone' is set aside here" in done.stdout
    assert "the script failed at script.py:12: ZeroDivisionError: division by zero" in done.stdout
    assert "Traceback" not in done.output


def test_scripts_without_a_simulation_and_without_an_end(write) -> None:
    done = call(write("print(1)\n"))
    assert done.exit_code == 1
    assert "no simulation was run" in done.stdout
    # The clock's signal comes when the script has got there, however slow the machine is.
    endless = "import os, signal\nos.kill(os.getpid(), signal.SIGALRM)\nwhile True:\n    pass\n"
    done = call(write(WHOLE + endless), "--timeout", 3600)
    assert done.exit_code == 1
    assert "the script timed out at script.py:1" in done.stdout
    assert "comes along" in done.stdout


def test_flags_go_to_the_script(write) -> None:
    script = write("import sys\nassert sys.argv[1:] == ['--fast', '3', '--json']\n" + WHOLE)
    assert call(script, "--fast", "3", "--", "--json").exit_code == 0


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    done = call(tmp_path / "absent.py")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
