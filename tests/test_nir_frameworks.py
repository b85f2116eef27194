"""Networks of other frameworks, read from NIR: the spikes that those frameworks recorded."""

from __future__ import annotations

import pytest

pytest.importorskip("nir")

from validation import nir as frameworks

#: A recorded network of each framework, its nodes, and what else it shows.
CHOSEN = {
    "snntorch-1": ("snntorch", {"Affine", "LIF", "Linear"}),  # two layers that feed back
    "snntorch-8": ("snntorch", {"Affine", "CubaLIF"}),  # a recurrent CubaLIF, reset one step late
    "norse-3": ("norse", {"Affine", "CubaLIF", "LI", "LIF"}),
    "sinabs-5": ("sinabs", {"Affine", "Conv2d", "Flatten", "IF", "LIF", "SumPool2d"}),
    "spikingjelly-6": (
        "spikingjelly",
        {"Affine", "AvgPool2d", "Conv2d", "CubaLIF", "Flatten", "LIF", "Linear"},
    ),
    "spikingjelly-r2": ("spikingjelly", {"Affine", "CubaLIF", "LIF", "Linear"}),
}
LOOPS = ("snntorch-1", "snntorch-8", "spikingjelly-r2")


@pytest.mark.parametrize("name", CHOSEN)
def test_spikes_are_those_of_the_framework(name):
    framework, nodes = CHOSEN[name]
    one = frameworks.recordings(framework)[name]
    assert set(one.about["nodes"]) - {"Input", "Output"} == nodes
    net, _ = one.network()
    loops = [p for p in net.projections.values() if p.pre == p.post]
    assert bool(loops) == (name in LOOPS)
    for layer in frameworks.replay(one, "runtime").values():
        if "error" in layer:
            assert layer["error"] < frameworks.LI_ERROR
        else:
            assert layer["spikes"] > 20
            assert layer["equal"] == 1


@pytest.mark.parametrize("framework", frameworks.FRAMEWORKS)
def test_spikes_differ_where_a_graph_is_read_otherwise(framework):
    one = frameworks.recordings(framework)[frameworks.CONTROL.format(framework)]
    layers = frameworks.replay(one, "runtime", **frameworks.WRONG[framework]).values()
    assert min(layer["equal"] for layer in layers if "equal" in layer) < 0.9


def test_recordings_are_thirty_graphs_with_versions_and_loops():
    found = {name: frameworks.recordings(name) for name in frameworks.FRAMEWORKS}
    assert sum(len(one) for one in found.values()) >= 30
    layers = {len(one.about["recorded"]) for kept in found.values() for one in kept.values()}
    assert layers == {1, 2, 3, 4}
    for framework in found:
        assert {framework, "nir", "nirtorch", "torch"} <= set(frameworks.versions(framework))
