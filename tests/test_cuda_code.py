"""CUDA code of the whole library: every neuron, synapse, rule and encoder, in one program."""

import json
from pathlib import Path

import numpy as np
import pytest
from brian2 import ms

from biosnn import encoding, gpu, models
from biosnn.errors import DataError, DeviceError, ParameterError
from biosnn.networks import Input, NetworkModel, Population, Presentation
from validation._combined import combined, rules

NEEDED = pytest.mark.skipif(
    gpu.brian2cuda_version() is None, reason="brian2cuda is not installed: nothing writes CUDA code"
)
N = 3


def small(**changes) -> NetworkModel:
    declared = {
        "name": "small",
        "dt": 1 * ms,
        "inputs": {"current": Input(features=N)},
        "populations": {"lif": Population(model=models.lif(), n=N, drives={"I": "current"})},
        "presentation": Presentation(duration=10 * ms),
        "output": "lif",
    }
    return NetworkModel(**{**declared, **changes})


SAMPLES = {"current": np.full((2, N), 4e-8)}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, Path]:
    """Projects, all from one child process: one of the library, one that is refused."""
    folder = tmp_path_factory.mktemp("cuda")
    network, parts = combined(1, 5 * ms)
    library = gpu.project(network, folder / "library", parts.samples, learn=True, math="strict")
    old = gpu.project(small(), folder / "old", SAMPLES, compute_capability="3.5")
    with pytest.raises(DeviceError, match=r"cannot write small.*3\.5.*not supported"):
        gpu.generate(library, old)
    assert not library.refused()
    return {"library": library.folder, "old": old.folder}


@pytest.fixture(scope="module")
def names(written) -> set[str]:
    """Pieces of code of the library's program."""
    return {path.stem for path in (written["library"] / "project/code_objects").glob("*.cu")}


@NEEDED
@pytest.mark.parametrize("name", models.LIBRARY)
def test_neurons_are_written(names, name) -> None:
    key = f"neuron_{name}"
    assert {f"{key}_stateupdater_codeobject", f"{key}_spike_thresholder_codeobject"} <= names


@NEEDED
@pytest.mark.parametrize("name", models.SYNAPSES)
def test_synapses_are_written(names, name) -> None:
    key = f"to_synapse_{name}"
    summed = {piece for piece in names if piece.startswith(f"{key}_summed_variable")}
    assert f"{key}_transmit_codeobject" in names or summed


@NEEDED
@pytest.mark.parametrize("name", rules())
def test_rules_are_written(names, name) -> None:
    pieces = {piece for piece in names if piece.startswith(f"rule_{name}_learn_")}
    kernels = {piece for piece in pieces if not piece.endswith("push_spikes")}
    assert len(kernels) == len(rules()[name].statements)


@NEEDED
@pytest.mark.parametrize("name", [name for name, pair in encoding.ENCODERS.items() if pair[1]])
def test_encoders_are_written(names, name) -> None:
    events = [piece for piece in names if piece.startswith(f"encoder_{name}_")]
    assert any(piece.endswith("_thresholder_codeobject") for piece in events)
    assert f"encoder_{name}_load_x_codeobject" in names


@NEEDED
def test_the_program_is_whole(written) -> None:
    project = written["library"] / "project"
    parts = [path.read_text() for path in sorted(project.glob("part_*.cu"))]
    pieces = json.loads((written["library"] / "manifest.json").read_text())["code_objects"]
    assert pieces > 400
    assert len(parts) > 5
    text = "\n".join(parts)
    assert "__host__ __device__ static inline double counter_uniform" in text
    # Whether a uniform delay has passed is asked of the network's own clock.
    assert "if (step_clock.timestep[0] >= to_synapse_exponential_current_transmit_delay)" in text
    assert "defaultclock." not in text
    main = (project / "main.cu").read_text()
    end = main[main.index("network.run(") :]
    assert "_run_rule_synaptic_scaling_learn_0_codeobject();" in end
    makefile = (project / "makefile").read_text()
    assert "-std=c++17 -arch=sm_90" in makefile
    assert all(path.stem in makefile for path in project.glob("part_*.cu"))


@NEEDED
def test_results_need_a_run(written) -> None:
    network, parts = combined(1, 5 * ms)
    project = gpu.project(network, written["library"], parts.samples)
    with pytest.raises(DeviceError, match="run the program first"):
        project.results()


def test_what_a_gpu_cannot_do_is_refused(tmp_path) -> None:
    watched = Presentation(duration=10 * ms, watch="lif", min_spikes=1)
    with pytest.raises(ParameterError, match="None on a GPU, where every sample is shown once"):
        gpu.project(small(presentation=watched), tmp_path, SAMPLES)


def test_settings_are_checked(tmp_path) -> None:
    for name, value in (
        ("precision", "half"),
        ("math", "loose"),
        ("compute_capability", "hopper"),
        ("spikes", ["inp"]),
        ("learn", ["inp_lif"]),
    ):
        with pytest.raises(ParameterError, match=name):
            gpu.project(small(), tmp_path, SAMPLES, **{name: value})


def test_samples_are_checked(tmp_path) -> None:
    for samples, said in (
        ({}, "missing"),
        ({"current": np.zeros((2, N + 1))}, "shape"),
        ({"current": np.zeros((2, N)), "intensity": np.ones((3, 1))}, "samples"),
        ({"voltage": np.zeros((2, N))}, "no input 'voltage'"),
    ):
        with pytest.raises(DataError, match=said):
            gpu.project(small(), tmp_path, samples)
