"""CUDA programs: what an emulation does not show, and events that are read before their test."""

import re
from pathlib import Path

import numpy as np
import pytest
from brian2 import Hz, ms, mV
from cuda_emulation.nvcc import emulated_nvcc

from biosnn import encoding, gpu, models, simulation
from biosnn.errors import DeviceError
from biosnn.models import Operation
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

pytestmark = pytest.mark.skipif(
    gpu.brian2cuda_version() is None, reason="brian2cuda is not installed: nothing writes CUDA code"
)
N, COPIES = 3, 100


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A program with queues that hold much, and neurons that are source and target at once."""
    driven = Population(model=models.lif(), n=N, drives={"I": "current"})
    scaled = {
        "transmit": "v_post += w*J*v_pre/mV",
        "parameters": {"J": 1 * mV},
        "order_free": True,  # only the text is looked at
    }
    network = NetworkModel(
        name="recurrent",
        dt=1 * ms,
        inputs={"current": Input(features=N)},
        populations={"lif": driven, "other": driven},
        projections={
            "again": Projection(pre="lif", post="lif", weights=0.5, **scaled),
            "across": Projection(pre="lif", post="other", weights=0.5, **scaled),
            "late": Projection(
                pre="lif",
                post="other",
                weights=0.5,
                transmit="v_post += w*mV",
                delay=np.arange(N * N) * 100_000 * ms,
            ),
        },
        presentation=Presentation(duration=1_000_000 * ms),
        output="lif",
    )
    folder = tmp_path_factory.mktemp("written") / "program"
    return gpu.write(network, folder, n_parallel=COPIES) / "source"


def kernel(project: Path, name: str) -> str:
    text = "\n".join(path.read_text() for path in sorted(project.glob("part_*.cu")))
    return text.split(f"namespace in_{name}_codeobject {{")[1].split("\nnamespace in_")[0]


def test_a_heap_of_gigabytes_is_no_negative_number(written) -> None:
    limit = re.search(
        r"size_t limit = (\d+)(\w*) \* 1024 \* 1024;", (written / "main.cu").read_text()
    )
    assert limit is not None
    assert int(limit[1]) * 2**20 > np.iinfo(np.int32).max
    assert limit[2] == "ull"


def test_queues_are_written_before_their_lock_opens(written) -> None:
    text = (written / "brianlib" / "spikequeue.h").read_text()
    release = text.split("void release_semaphore(")[1].split("}")[0]
    assert release.index("__threadfence();") < release.index("*lock = 0;")


def test_lists_of_synapses_are_copied_at_once(written) -> None:
    text = "\n".join(path.read_text() for path in sorted(written.glob("part_*.cu")))
    made = text.split("namespace in_before_run_late_transmit_push_spikes {")[1]
    made = made.split("\nnamespace in_")[0]
    assert made.count("biosnn::put_behind(") == 3
    assert made.count("CUDA_SAFE_CALL(biosnn::put_rest());") == 2
    assert "assert(std::floor(mean_bundle_sizes)" not in made


def test_what_a_thread_reads_no_other_one_changes(written) -> None:
    # One thread does it all where targets are sources whose values are read.
    assert "if (_mine == 0)" in kernel(written, "again_transmit")
    across = kernel(written, "across_transmit")
    assert "if (_mine == 0)" not in across
    assert "__shared__ unsigned int _bits" in across


def test_what_reads_events_early_gets_those_of_the_step_before(tmp_path) -> None:
    """Beside uniform delays, for which events are kept in several lists."""
    pairs = np.arange(N), np.arange(N)
    counter = Population(model=models.neuron(equations="x : 1", name="Counter"), n=N)
    one = {"pre": "source", "transmit": "x_post += 1", "pairs": pairs}
    early = {**one, "when": "before_thresholds"}
    network = NetworkModel(
        name="early",
        dt=1 * ms,
        inputs={"image": Input(features=N)},
        populations={
            "source": Population(
                model=encoding.regular(max_rate=200 * Hz, phase=0.3), n=N, drives={"x": "image"}
            ),
            **{name: counter for name in ("late", "early", "both", "share")},
        },
        projections={
            "to_late": Projection(post="late", delay=3 * ms, **one),
            "to_early": Projection(post="early", **early),
            "to_both": Projection(post="both", delay=2 * ms, **early),
            "to_share": Projection(pre="source", post="share", transmit="x_post += 1/N"),
        },
        presentation=Presentation(duration=40 * ms),
        output="source",
    )
    names = [f"{name}.x" for name in ("late", "early", "both", "share")]
    options = {"math": "strict", "traces": {name: range(N) for name in names}}
    images = {"image": np.random.default_rng(3).uniform(0.5, 1, (3, N))}
    wanted = simulation.compile(network, "cpp", **options).run(images, progress=False)[0]
    with emulated_nvcc():
        made = simulation.compile(network, "cuda", architecture="sm_90", **options)
    found = made.run(images, progress=False)[0]
    for name in names:
        assert wanted.traces[name].values[:, -1].min() > 5
        np.testing.assert_array_equal(found.traces[name].values, wanted.traces[name].values)
    # All readers get what was sent, three or one or three steps after it.
    late, early, both = (wanted.traces[name].values for name in names[:3])
    np.testing.assert_array_equal(late, both)
    assert (early >= late).all()
    assert (early > late).any()


def test_times_are_double_in_single_precision(tmp_path) -> None:
    noise = encoding.poisson(max_rate=100 * Hz)
    network = NetworkModel(
        name="single",
        dt=0.1 * ms,
        inputs={"image": Input(features=N)},
        populations={"noise": Population(model=noise, n=N, drives={"x": "image"})},
        projections={},
        presentation=Presentation(duration=10 * ms),
        output="noise",
    )
    project = gpu.write(network, tmp_path / "program", precision="single") / "source"
    text = "\n".join(path.read_text() for path in sorted(project.glob("part_*.cu")))
    assert "float rate = _ptr_array_noise_rate[_idx];" in text
    assert "t_sample = dt * step;" in text
    assert "const double dt = _ptr_array_step_clock_dt[0];" in text
    assert "float dt =" not in text


def test_neurons_that_all_change_one_number_are_refused(tmp_path) -> None:
    counted = models.neuron(
        equations="total : 1 (linked)",
        links={"total": "sum.total"},
        operations=(Operation(code="total += 1", on="step"),),
        name="Counted",
    )
    network = NetworkModel(
        name="linked",
        dt=1 * ms,
        inputs={},
        populations={
            "sum": Population(model=models.neuron(equations="total : 1", name="Sum"), n=1),
            "counted": Population(model=counted, n=N),
        },
        projections={},
        presentation=Presentation(duration=10 * ms),
        output="sum",
    )
    with pytest.raises(DeviceError, match=r"'counted' change total.*at the same time"):
        gpu.write(network, tmp_path / "program")
