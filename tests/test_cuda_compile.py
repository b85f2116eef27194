"""nvcc compiles what is written: a small network always, large ones with ``make test-cuda``."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from brian2 import ms

from biosnn import gpu, networks, simulation
from biosnn.devices.base.artifact import open_artifact
from biosnn.errors import DeviceError
from biosnn.networks import NetworkModel
from validation._combined import add_rules, combined, rules

pytestmark = pytest.mark.slow
#: What ``make test-cuda`` sets: compile all of them.
ALL = os.environ.get("BIOSNN_TEST_CUDA") == "all"
NETWORKS: dict[str, Callable[[], NetworkModel]] = {
    "small": lambda: networks.winner_take_all(20, 9),
    "mnist_400": lambda: networks.winner_take_all(784, 400),
    "coba_hh": lambda: networks.balanced_network("COBAHH"),
    "every_rule": lambda: combined(1, 5 * ms, (add_rules,), 0.5 * ms)[0],
}


@pytest.fixture(scope="module")
def compiler() -> str:
    """Release of the nvcc that is here; where something is missing, it says what."""
    try:
        return gpu.tools().release
    except DeviceError as error:
        pytest.skip(f"nothing compiles CUDA code here: {error}")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Callable[[str], Path]:
    if gpu.brian2cuda_version() is None:
        pytest.skip("brian2cuda is not installed: nothing writes CUDA code")
    folders: dict[str, Path] = {}

    def write(name: str) -> Path:
        if name not in folders:
            if name == "every_rule" and not ALL:
                pytest.skip("test_cuda_code.py has every rule written")
            folder = tmp_path_factory.mktemp(name) / "network"
            folders[name] = gpu.write(NETWORKS[name](), folder, architecture="sm_90")
        return folders[name]

    return write


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_written(written, name) -> None:
    folder, network = written(name), NETWORKS[name]()
    pieces = {path.stem for path in (folder / "source" / "code_objects").glob("*.cu")}
    for key, population in network.populations.items():
        if population.model.threshold is not None:
            assert f"{key}_spike_thresholder_codeobject" in pieces
    text = "".join(path.read_text() for path in (folder / "source").glob("part_*.cu"))
    assert all(f"namespace in_{piece} {{" in text for piece in pieces)
    if name == "every_rule":
        assert len(network.plastic_projections) == len(rules())


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_compile(compiler, written, capsys, name) -> None:
    if not (ALL or name == "small"):
        pytest.skip("make test-cuda compiles it")
    folder = written(name)
    started = time.perf_counter()
    assert gpu.compile_program(folder) == folder
    seconds = time.perf_counter() - started
    manifest = open_artifact(folder).manifest
    assert manifest["compiler"] == f"nvcc {compiler}"
    assert manifest["files"]["main"]["bytes"] > 100_000
    assert not list((folder / "source").glob("*.o"))
    with capsys.disabled():
        size = manifest["files"]["main"]["bytes"] / 2**20
        print(f"\n{name}: compiled in {seconds:.0f} s, {size:.1f} MiB")


def test_without_a_gpu_a_program_says_so(compiler, written) -> None:
    with contextlib.suppress(DeviceError):
        pytest.skip(f"there is one: {gpu.list_gpus()[0]}")
    if not (written("small") / "main").exists():
        gpu.compile_program(written("small"))
    runnable = simulation.load(written("small"))
    assert runnable.device == "cuda"
    with pytest.raises(DeviceError, match=r"GPU|driver"):
        runnable.run(np.ones((2, 20)), progress=False)
