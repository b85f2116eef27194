"""Networks of scripts on the device cuda, emulated on the CPU, beside the device cpp."""

import shutil

import numpy as np
import pytest
from cuda_emulation.nvcc import emulated_nvcc
from test_script_samples import FACTORS, FILM, lifted, network

import biosnn
from biosnn import gpu

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to emulate CUDA with"),
    pytest.mark.skipif(
        gpu.brian2cuda_version() is None,
        reason="brian2cuda is not installed: nothing writes CUDA code",
    ),
]


def traced():
    """The script with one traced variable, as a GPU records it."""
    return lifted(network())


@pytest.fixture(scope="module")
def both():
    options = {"math": "strict", "architecture": "sm_90", "snapshots": {"stdp.w": 2}}
    with emulated_nvcc():
        return [biosnn.compile(traced(), device, **options) for device in ("cpp", "cuda")]


def test_a_script_gives_the_same_on_a_gpu(both):
    shown = {"film": FILM, "intensity": FACTORS}
    cpp, cuda = (runnable.run(shown, learn=True, seed=3, progress=False) for runnable in both)
    assert sorted(set(cpp[0].shown)) == [1, 2, 3]
    np.testing.assert_array_equal(cuda[0].shown, cpp[0].shown)
    np.testing.assert_array_equal(cuda[0].counts("cells"), cpp[0].counts("cells"))
    one, other = (found[0].spikes["spikes"] for found in (cpp, cuda))
    assert len(one.i) > 60
    for part in ("i", "sample", "attempt"):
        np.testing.assert_array_equal(getattr(other, part), getattr(one, part))
    np.testing.assert_allclose(other.t, one.t, atol=1e-12)
    for name in ("stdp.w", "cells.theta"):
        np.testing.assert_allclose(cuda[1][name], cpp[1][name], rtol=1e-9, atol=1e-12)
    assert np.abs(cuda[1]["stdp.w"] - both[1].initial_state()["stdp.w"]).max() > 0.01
    np.testing.assert_allclose(cuda[0].snapshots["stdp.w"], cpp[0].snapshots["stdp.w"], rtol=1e-9)
    traces = [found[0].traces["trace.v"] for found in (cpp, cuda)]
    np.testing.assert_allclose(traces[1].time, traces[0].time, atol=1e-12)
    np.testing.assert_allclose(traces[1].values, traces[0].values, rtol=1e-9, atol=1e-12)
    again, _ = both[1].run(shown, learn=True, seed=3, chunk_size=2, progress=False)
    assert again.counts("cells").tobytes() == cuda[0].counts("cells").tobytes()
