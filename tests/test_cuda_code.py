"""CUDA code as it is written: of entries of the library in one program, and of a small network.

Daily some entries of every kind, in ``make test-all`` all of them; ``test_cuda_device.py`` runs
such programs on the CPU.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import pytest
from brian2 import ms

from biosnn import encoding, gpu, models, networks, simulation
from biosnn.devices.base.artifact import open_sources
from biosnn.errors import DeviceError, ParameterError, StorageError
from biosnn.networks import Input, NetworkModel, Population, Presentation
from validation._combined import combined, rules

NEEDED = pytest.mark.skipif(
    gpu.brian2cuda_version() is None, reason="brian2cuda is not installed: nothing writes CUDA code"
)
pytestmark = pytest.mark.slow
#: What Brian2CUDA writes into every piece, whatever its types: helpers, and talk of occupancy.
_HELPERS = re.compile(
    r"_higher_type|_brian_atomic|occupancy|max_threads_per_sm|float _brian_\w+\(float"
)
_FLOAT = re.compile(r"\bfloat\b|\b\d+\.?\d*(?:e[-+]?\d+)?f\b")
_DOUBLE_LITERAL = re.compile(r"(?<![\w.])\d+\.\d*(?:e[-+]?\d+)?(?![\w.])")


def small(**changes) -> NetworkModel:
    declared = {
        "name": "small",
        "dt": 1 * ms,
        "inputs": {"current": Input(features=3)},
        "populations": {"lif": Population(model=models.lif(), n=3, drives={"I": "current"})},
        "presentation": Presentation(duration=10 * ms),
        "output": "lif",
    }
    return NetworkModel(**{**declared, **changes})


#: Daily entries of the library, by the names of their populations.
SOME = (
    *("neuron_lif", "neuron_adex", "neuron_escape_rate", "neuron_diehl_cook_excitatory"),
    "neuron_discrete_leaky",
    *("synapse_exponential_current", "synapse_gap_junction", "synapse_nmda", "synapse_sparse"),
    *("post_pair_stdp", "post_voltage_stdp", "post_mstdpet"),
    *("encoder_poisson", "encoder_delta", "encoder_direct", "shown_by_direct"),
)


def some_of(network: NetworkModel) -> NetworkModel:
    """A network with the populations of ``SOME``, and with what belongs to them."""
    kept = {k: p for k, p in network.populations.items() if k in ("source", "critic", *SOME)}
    driving = {name for population in kept.values() for name in population.drives.values()}
    return attrs.evolve(
        network,
        populations=kept,
        projections={
            k: p for k, p in network.projections.items() if {p.pre, p.post} <= kept.keys()
        },
        inputs={k: spec for k, spec in network.inputs.items() if k in driving},
    )


@pytest.fixture(scope="module", params=["some", pytest.param("all", marks=pytest.mark.nightly)])
def everything(request) -> NetworkModel:
    """Entries of every kind of the library, or all of them."""
    whole = combined(1, 5 * ms)[0]
    return whole if request.param == "all" else some_of(whole)


def spiking(network: NetworkModel) -> list[str]:
    return [key for key, p in network.populations.items() if p.model.threshold is not None]


@pytest.fixture(scope="module")
def library(tmp_path_factory, everything) -> Path:
    """Everything, in double precision."""
    folder = tmp_path_factory.mktemp("library") / "network"
    return gpu.write(everything, folder, spikes=spiking(everything), math="strict")


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    """The 400-neuron network for MNIST, in single precision."""
    folder = tmp_path_factory.mktemp("digits") / "Digits400"
    network = networks.winner_take_all(784, 400)
    return gpu.write(
        network, folder, spikes=["exc"], precision="single", architecture="8.6", n_parallel=2
    )


@pytest.fixture(scope="module")
def names(library) -> set[str]:
    """Pieces of code of the library's program."""
    return {path.stem for path in (library / "source" / "code_objects").glob("*.cu")}


def parts(folder: Path) -> str:
    return "\n".join(p.read_text() for p in sorted((folder / "source").glob("part_*.cu")))


def among(prefix: str, keys: Iterable[str], library: Iterable[str], whole: bool) -> list[str]:
    """Names of the library's entries in a network; all of them, if it is the whole one."""
    found = [name for name in library if f"{prefix}{name}" in keys]
    assert len(found) >= 3
    assert not whole or found == list(library)
    return found


@pytest.fixture
def whole(everything) -> bool:
    return len(everything.populations) > len(SOME) + 2


@NEEDED
def test_neurons_are_written(everything, names, whole) -> None:
    for name in among("neuron_", everything.populations, models.LIBRARY, whole):
        key = f"neuron_{name}"
        integrated = bool(models.parsed(name, models.LIBRARY[name][1].EQUATIONS).diff_eq_names)
        update = f"{key}_{'stateupdater' if integrated else 'operation_0'}_codeobject"
        assert {update, f"{key}_spike_thresholder_codeobject"} <= names


@NEEDED
def test_synapses_are_written(everything, names, whole) -> None:
    for name in among("to_synapse_", everything.projections, models.SYNAPSES, whole):
        key = f"to_synapse_{name}"
        summed = {piece for piece in names if piece.startswith(f"{key}_summed_variable")}
        assert f"{key}_transmit_codeobject" in names or summed


@NEEDED
def test_rules_are_written(everything, names, whole) -> None:
    for name in among("rule_", everything.projections, rules(), whole):
        pieces = {piece for piece in names if piece.startswith(f"rule_{name}_learn_")}
        kernels = {piece for piece in pieces if not piece.endswith("push_spikes")}
        assert len(kernels) == len(rules()[name].statements)


@NEEDED
def test_encoders_are_written(everything, names, whole) -> None:
    encoders = [name for name, pair in encoding.ENCODERS.items() if pair[1]]
    for name in among("encoder_", everything.populations, encoders, whole):
        events = [piece for piece in names if piece.startswith(f"encoder_{name}_")]
        assert any(piece.endswith("_thresholder_codeobject") for piece in events)


@NEEDED
def test_the_program_is_whole(library, names, whole) -> None:
    source = library / "source"
    text, makefile = parts(library), (source / "makefile").read_text()
    assert len(names) > (400 if whole else 60)
    assert text.count("namespace in_") > (400 if whole else 60)
    assert "__host__ __device__ static inline double counter_uniform" in text
    units = {path.stem for path in source.glob("part_*.cu")}
    assert len(units) > (5 if whole else 1)
    assert all(f"{unit}.o" in makefile for unit in units)
    assert '#include "biosnn.cpp"' in (source / "program.cu").read_text()


@NEEDED
def test_flags_are_those_of_cuda_13(library, digits) -> None:
    for folder, architecture, own in (
        (library, "sm_90", "-fmad=false"),
        (digits, "sm_86", "-use_fast_math"),
    ):
        makefile = (folder / "source" / "makefile").read_text()
        assert f"FLAGS = -std=c++17 -w -O3 {own}\n" in makefile
        assert f"ARCH ?= {architecture}\n" in makefile
        assert "-arch=$(ARCH)" in makefile
        assert "c++11" not in makefile


@NEEDED
def test_run_arguments_are_ours(library, digits) -> None:
    """Brian2CUDA's own looks for names in lower case, and finds none that has a capital."""
    for folder in (library, digits):
        main = (folder / "source" / "main.cu").read_text()
        assert "biosnn::configure(argc, argv);" in main
        calls = main.count("set_from_command_line(")
        assert calls == main.count("void set_from_command_line(")
    assert (digits / "source" / "main.cu").read_text().count("biosnn::finish()") == 1


@NEEDED
def test_full_projections_without_delay_have_no_queues(digits, names) -> None:
    pieces = {path.stem for path in (digits / "source" / "code_objects").glob("*.cu")}
    assert {"inp_exc_transmit_codeobject"} <= pieces
    assert not [piece for piece in pieces if "push_spikes" in piece]
    # Where delays have to pass, there are.
    assert "to_synapse_exponential_current_transmit_push_spikes" in names
    assert "spikequeue" not in parts(digits).lower()


@NEEDED
def test_no_single_precision_in_double_precision_code(library, whole) -> None:
    lines = [line for line in parts(library).splitlines() if not _HELPERS.search(line)]
    assert sum("const double" in line for line in lines) > (1000 if whole else 200)
    assert sum("1.0*" in line for line in lines) > (50 if whole else 10)  # divisions
    found = [line for line in lines if _FLOAT.search(line) and "%.3f" not in line]
    assert not found


@NEEDED
def test_single_precision_code_has_its_literals(digits) -> None:
    statements = [
        line
        for line in parts(digits).splitlines()
        if re.match(r"\s+(?:const )?float _?\w+ = ", line) and not _HELPERS.search(line)
    ]
    assert len(statements) > 10
    assert any(re.search(r"\d\.\d*f\b", line) for line in statements)
    assert not [line for line in statements if _DOUBLE_LITERAL.search(line)]
    # Times are double, and so is what they are computed with.
    text = parts(digits)
    assert "double active_for = 0.1;" in text
    assert not re.search(r"^\s*(?:const )?double \w+ = .*\d\.?\d*f\b", text, flags=re.MULTILINE)


@NEEDED
def test_manifests_are_complete(library, digits, everything) -> None:
    manifest = open_sources(library).manifest
    assert manifest["device"] == "cuda"
    assert manifest["architecture"] == "sm_90"
    assert manifest["compiler"] == manifest["versions"]["cuda"] == ""
    assert manifest["versions"]["brian2cuda"] == gpu.brian2cuda_version()
    assert set(manifest["plastic"]) == set(everything.plastic_projections)
    assert manifest["declaration"]["name"] == everything.name
    interface = open_sources(library).interface
    assert set(interface.spikes) == set(spiking(everything))
    files = {name for name in manifest["files"] if "/" not in name}
    assert files == {"makefile", "state"}
    assert "source/makefile" in manifest["files"]
    size = sum(variable.bytes for variable in interface.variables)
    assert manifest["files"]["state"]["bytes"] == size
    assert open_sources(digits).interface.replicas == 2
    assert not [name for name in manifest["files"] if "request" in name or "generated.json" in name]
    assert str(library.parent) not in json.dumps(manifest)


@NEEDED
def test_what_is_not_compiled_does_not_run(digits) -> None:
    with pytest.raises(DeviceError, match=r"not compiled: call gpu\.compile"):
        simulation.load(digits)


@NEEDED
def test_what_is_there_or_damaged_is_refused(digits, tmp_path) -> None:
    with pytest.raises(StorageError, match="exists; choose another folder"):
        gpu.write(small(), digits)
    copy = tmp_path / "copy"
    shutil.copytree(digits, copy)
    (copy / "source" / "program.cu").write_text("int main() {}\n")
    with pytest.raises(StorageError, match=r"source/program\.cu does not match"):
        gpu.compile_program(copy)
    with pytest.raises(StorageError, match="is not a compiled network"):
        gpu.compile_program(tmp_path)


@NEEDED
def test_what_brian2cuda_refuses_leaves_nothing(tmp_path) -> None:
    stiff = models.neuron(
        name="Stiff", equations="dv/dt = -v**3/(1*ms) : 1\nx : 1", method="gsl_rkf45"
    )
    network = small(populations={"lif": Population(model=stiff, n=3, drives={"x": "current"})})
    with pytest.raises(DeviceError, match=r"could not write code for 'small'\. It said:.*"):
        gpu.write(network, tmp_path / "folder")
    assert not list(tmp_path.iterdir())


def test_settings_are_checked(tmp_path) -> None:
    wrong: dict[str, Any] = {
        "precision": "half",
        "math": "loose",
        "spikes": ["inp"],
        "n_parallel": 0,
        "traces": {"lif.u": [0]},
    }
    for name, value in wrong.items():
        with pytest.raises(ParameterError, match=name):
            gpu.write(small(), tmp_path / "folder", **{name: value})
    with pytest.raises(ParameterError, match="an architecture such as"):
        gpu.write(small(), tmp_path / "folder", architecture="hopper")
    with pytest.raises(ParameterError, match="jobs"):
        gpu.compile_program(tmp_path, jobs=0)
    assert not list(tmp_path.iterdir())
