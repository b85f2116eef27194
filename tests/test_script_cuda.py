"""Networks of scripts on the device cuda, emulated on the CPU, beside the device cpp."""

import shutil

import attrs
import numpy as np
import pytest
from brian2 import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
)
from cuda_emulation.nvcc import emulated_nvcc
from test_script_samples import SHOWING, lifted

import biosnn
from biosnn import gpu
from biosnn.errors import ParameterError
from biosnn.program.passes.script_on_gpu import on_gpu

DOUBLE = {"math": "strict", "architecture": "sm_90"}


@pytest.fixture(autouse=True, scope="module")
def _coarse():
    """The emulation takes some 20 ms for a time step."""
    defaultclock.dt = 1 * ms
    yield
    defaultclock.dt = 0.1 * ms


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to emulate CUDA with")
@pytest.mark.skipif(gpu.brian2cuda_version() is None, reason="brian2cuda writes CUDA code")
def test_a_script_gives_the_same_on_a_gpu():
    showing = attrs.evolve(SHOWING, min_spikes=7)
    script, options = lifted(presentation=showing), {**DOUBLE, "snapshots": {"stdp.w": 2}}
    with emulated_nvcc():
        both = [biosnn.compile(script, device, **options) for device in ("cpp", "cuda")]
    film = np.random.default_rng(5).random((4, 4, 3)) * np.array([3.2, 1, 2, 3.2])[:, None, None]
    shown = {"film": film, "intensity": np.array([1, 0.7, 0.9, 1.1])}
    cpp = both[0].run(shown, learn=True, progress=False)
    cuda = both[1].run(shown, learn=True, chunk_size=3, progress=False)
    assert len(set(cpp[0].shown)) > 1
    np.testing.assert_array_equal(cuda[0].shown, cpp[0].shown)
    np.testing.assert_array_equal(cuda[0].counts("cells"), cpp[0].counts("cells"))
    one, other = (found[0].spikes["spikes"] for found in (cpp, cuda))
    assert len(one.i) > 20
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


def poisson(**more):
    """Inputs that draw."""
    pixels = PoissonGroup(40, rates=0 * Hz, name="pixels")
    noisy = NeuronGroup(
        30, "x = randn() : 1 (constant over dt)", threshold="x > 1 + 0*rand()", name="noisy"
    )
    net = Network(pixels, noisy, SpikeMonitor(pixels, name="spikes"))
    options = {
        "inputs": {"image": "pixels"},
        "presentation": biosnn.Presentation(duration=50 * ms, rest=10 * ms),
        "output": ("pixels", "noisy"),
    }
    return biosnn.from_brian2(net, namespace={}, **{**options, **more})


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to emulate CUDA with")
@pytest.mark.skipif(gpu.brian2cuda_version() is None, reason="brian2cuda writes CUDA code")
def test_random_numbers_on_a_gpu_follow_from_seed_and_sample():
    with emulated_nvcc():
        runnable = biosnn.compile(poisson(), "cuda", **DOUBLE)
    image = np.array([np.full(40, 200.0), np.full(40, 20.0), np.full(40, 200.0)])
    whole, _ = runnable.run(image, seed=3, progress=False)
    counts = whole.counts("pixels").sum(axis=1)
    # 40 inputs, 50 steps: 400, 40 and 400 spikes are expected, to four deviations.
    np.testing.assert_allclose(counts, [400, 40, 400], atol=4 * np.sqrt(400 * 0.8))
    assert 10 < counts[1] < 70
    fired = whole.counts("noisy").sum(axis=1)  # P(x > 1) = 0.1587 in 30*60 draws
    np.testing.assert_allclose(fired, 285.6, atol=4 * np.sqrt(285.6 * 0.8413))
    spikes = whole.spikes["spikes"]
    assert spikes.t.max() < 50e-3
    first, third = (np.sort(spikes.of_sample(k).t * 1000 + spikes.of_sample(k).i) for k in (0, 2))
    assert len(first) != len(third) or not np.allclose(first, third)
    parts, _ = runnable.run(image[1:], seed=3, first_sample=1, progress=False)
    np.testing.assert_array_equal(parts.counts("pixels"), whole.counts("pixels")[1:])
    other, _ = runnable.run(image[:1], seed=4, progress=False)
    assert not np.array_equal(other.counts("pixels")[0], whole.counts("pixels")[0])


def cells_of(*more, **options):
    cells = NeuronGroup(3, "dv/dt = -v/(9*ms) : 1\nI : 1", threshold="v > 1", reset="v = 0",
                        method="euler", name="cells")  # fmt: skip
    made = [make(cells) for make in more]
    chosen = {"inputs": {"I": "cells.I"}, "presentation": biosnn.Presentation(duration=5 * ms)}
    return biosnn.from_brian2(Network(cells, *made), namespace={}, **{**chosen, **options})


def delayed(cells):
    made = Synapses(cells, cells, on_pre="v_post += 0.1", name="late")
    made.connect()
    made.delay = "i*ms"
    return made


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (delayed, "late.delay must be one for all synapses"),
        (lambda cells: PopulationRateMonitor(cells, name="rate"), "rate.monitor must be"),
        (lambda cells: StateMonitor(cells[:2], "v", record=True, name="part"), "part.monitor"),
        (lambda cells: SpikeGeneratorGroup(2, [0], [1] * ms, name="given"), "given.group must be"),
        (lambda cells: NeuronGroup(2, "dx/dt = xi/sqrt(ms) : 1", method="euler", name="noisy"),
         "noisy.equations must be rand"),
        (lambda cells: cells.run_regularly("v = 0", dt=1.5 * ms, name="odd"), "odd.dt must be"),
    ],
)  # fmt: skip
def test_what_a_gpu_cannot_run_is_named(make, said):
    with pytest.raises(ParameterError, match=said):
        on_gpu(cells_of(make).program)


def test_a_run_for_a_duration_stays_on_the_cpu():
    alone = cells_of(inputs=None, presentation=None)
    with pytest.raises(ParameterError, match=r"must be shown samples .* on a GPU"):
        on_gpu(alone.program)
