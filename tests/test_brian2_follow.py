"""Scripts with loops of simulations: biosnn follows them, and what differs is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from brian2 import ms

from biosnn.errors import ParameterError
from validation._follow import Change, Follower, changed_text, follow, in_python_3, working_copy

pytestmark = pytest.mark.usefixtures("numpy_target")

#: Learns from three pictures, and normalises and shows again as scripts for MNIST do.
LEARNER = """\
from brian2 import *
import numpy as np
np.random.seed(3)
images = np.random.rand(3, 10)*300
pixels = PoissonGroup(10, 0*Hz)
cells = NeuronGroup(4, '''dv/dt = -v/(20*ms) : 1 (unless refractory)
                          dtheta/dt = -theta/(1*second) : 1''',
                    threshold='v > 1 + theta', reset='v = 0; theta += 0.05', refractory=2*ms,
                    method='exact', name='cells')
synapses = Synapses(pixels, cells, '''w : 1
                    dpre/dt = -pre/(20*ms) : 1 (event-driven)''',
                    on_pre='v_post += w; pre = 1', on_post='w = clip(w + 0.02*pre, 0, 1)',
                    name='synapses')
synapses.connect()
synapses.w = '0.3*rand()'
synapses.delay = 'rand()*5*ms'
spikes = SpikeMonitor(cells)
counts = SpikeMonitor(cells, record=False)
net = Network(pixels, cells, synapses, spikes, counts)
net.run(0*ms)
shown = 0
while shown < 3:
    w = np.reshape(synapses.w, (10, 4))
    synapses.w = (w * (2/w.sum(axis=0))).ravel()
    before = counts.count[:].sum()
    pixels.rates = images[shown]*Hz
    net.run(30*ms)
    pixels.rates = 0*Hz
    net.run(10*ms)
    shown += 1
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "learner.py"
    path.write_text(LEARNER)
    return path


def test_a_loop_of_simulations_is_followed(script: Path) -> None:
    follower = Follower(lambda simulation: simulation.namespace.get("shown", 0) == 2)
    assert follow(script, follower).status == "stopped"
    assert follower.runs == 4
    assert follower.spikes > 20
    assert follower.values_set == 4, "rates for two images and two rests, and weights once between"
    assert follower.moved()["synapses.w"] > 0.02
    assert follower.moved()["cells.theta"] > 0.02
    assert follower.differences == []
    assert follower.runs_that_differ == 0


def test_what_differs_is_found(script: Path) -> None:
    """A biosnn that goes on from other weights than the script's."""

    class Wrong(Follower):
        def __call__(self, simulation) -> None:
            super().__call__(simulation)
            if self.runs == 3:
                self._state = self._state.updated({"cells.theta": 0.5})

    wrong = Wrong(lambda _: False)
    follow(script, wrong)
    assert wrong.runs == 6
    assert wrong.runs_that_differ == 3
    assert "cells.theta" in wrong.differences


def test_long_simulations_are_shortened(script: Path) -> None:
    follower = Follower(lambda _: follower.runs == 1, longest=5 * ms)
    follow(script, follower)
    assert follower.runs == 1
    assert follower.runs_that_differ == 0


def test_scripts_that_fail_are_told(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import brian2\nraise KeyError('lost')\n")
    with pytest.raises(ParameterError, match="lost"):
        follow(path, Follower(lambda _: False))


def test_lines_are_changed_once_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "old.py"
    path.write_text("n = 3\nm = 3\n")
    change = Change("n = 3", "n = 4", "more")
    assert changed_text(path, (change,)) == "n = 4\nm = 3\n"
    assert change.lines == 1
    with pytest.raises(ParameterError, match="once"):
        changed_text(path, (Change("= 3", "= 4", "more"),))
    old = "for k in xrange(3):\n    print 'k', k\nprinted = 1"
    assert in_python_3(old) == ("for k in range(3):\n    print('k', k)\nprinted = 1\n", 2)


def test_a_working_copy_leaves_the_checkout_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "kept.txt").write_text("1")
    (tmp_path / "written.txt").write_text("2")
    before = Path.cwd()
    with working_copy(tmp_path, own=("written.txt",), absent=("no_such_package",)) as folder:
        assert (folder / "data" / "kept.txt").read_text() == "1"
        Path("written.txt").write_text("3")
        __import__("no_such_package")
    assert Path.cwd() == before
    assert (tmp_path / "written.txt").read_text() == "2"
    with pytest.raises(ImportError):
        __import__("no_such_package")
