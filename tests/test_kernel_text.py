"""What the text of CUDA programs must say, because an emulation does not show it."""

import re
from pathlib import Path

import numpy as np
import pytest
from brian2 import ms, mV

from biosnn import gpu, models
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection

pytestmark = pytest.mark.skipif(
    gpu.brian2cuda_version() is None, reason="brian2cuda is not installed: nothing writes CUDA code"
)
N, COPIES = 3, 100


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A program with queues that hold much, and neurons that are source and target at once."""
    driven = Population(model=models.lif(), n=N, drives={"I": "current"})
    scaled = {"transmit": "v_post += w*J*v_pre/mV", "parameters": {"J": 1 * mV}}
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


def test_what_a_thread_reads_no_other_one_changes(written) -> None:
    # One thread does it all where targets are sources whose values are read.
    assert "if (_mine == 0)" in kernel(written, "again_transmit")
    across = kernel(written, "across_transmit")
    assert "if (_mine == 0)" not in across
    assert "__shared__ unsigned int _bits" in across
