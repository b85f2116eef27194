"""CUDA programs that run on the CPU: the emulation itself, and what Brian2CUDA writes for us."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from brian2 import ms, mV
from cuda_emulation import EmulationError, compile_on_cpu, run_on_cpu

from biosnn import datasets, gpu, models, networks, plasticity, simulation
from biosnn.encoding import scale_norm
from biosnn.networks import Input, NetworkModel, Population, Presentation, Projection
from validation import any_device

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to emulate CUDA with")
BRIAN2CUDA = pytest.mark.skipif(
    gpu.brian2cuda_version() is None, reason="brian2cuda is not installed: nothing writes CUDA code"
)
ORDERS = ("forward", "reversed", "shuffled:3")
SEED = 3

PROGRAM = r"""
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thrust/device_vector.h>
#include <thrust/sort.h>

__device__ int counted;
__constant__ float factor[2];
__device__ double* numbers;

template <typename T, int SIZE>
__global__ void __launch_bounds__(SIZE, 2) block_sums(const T* __restrict__ x, int n, T* sums)
{
    __shared__ T part[SIZE], unused;
    int i = blockIdx.x * SIZE + threadIdx.x;
    part[threadIdx.x] = i < n ? x[i] : T(0);
    __syncthreads();
    for (int half = SIZE / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) sums[blockIdx.x] = part[0];
}

__global__ void reverse(int* x)  // <<<in, a, comment>>>
{
    extern __shared__ int kept[];
    kept[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = kept[blockDim.x - 1 - threadIdx.x];
}

__global__ void count(float* sum)
{
    atomicAdd(&counted, 1);
    atomicAdd(sum, factor[1]);
    numbers[0] = factor[0];
}

template <typename T>
__global__ void warp_sums(T* sums)
{
    T mine = T(threadIdx.x);
    for (int by = 16; by > 0; by /= 2) mine += __shfl_down_sync(0xffffffffu, mine, by);
    unsigned odd = __ballot_sync(0xffffffffu, threadIdx.x & 1);
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = mine + T(__popc(odd));
}

__host__ __device__ int where()
{
#ifdef __CUDA_ARCH__
    int place = __CUDA_ARCH__;
#else
    int place = -1;
#endif
    return place;
}
__global__ void ask(int* places, int value) { places[0] = where() + value; }

__global__ void unwritten(double* x, int* found)
{
    __shared__ double before[1];
    found[blockIdx.x] = x[0] != x[0] && before[0] != before[0];
    __syncthreads();
    before[0] = 1.0;
}

__global__ void beyond(int* x, int n) { x[n] = 1; }

__global__ void split(int* x)
{
    if (threadIdx.x < 3) {
        x[0] = 1;
        __syncthreads();
    } else {
        __syncthreads();
    }
}

#define CHECK(call) \
    if (cudaError_t error = call) { printf("%s\n", cudaGetErrorName(error)); exit(3); }

int main(int argc, char** argv)
{
    const int N = 1000, BLOCKS = (N + 127) / 128;
    const char* what = argc > 1 ? argv[1] : "";
    double x[N], sums[BLOCKS], *dev_x, *dev_sums;
    for (int i = 0; i < N; i++) x[i] = i;
    CHECK(cudaMalloc((void**)&dev_x, sizeof(x)));
    CHECK(cudaMalloc(&dev_sums, sizeof(sums)));
    CHECK(cudaMemcpy(dev_x, x, sizeof(x), cudaMemcpyHostToDevice));
    if (!strcmp(what, "copy")) {
        CHECK(cudaMemcpy(dev_x + 1, x, sizeof(x), cudaMemcpyHostToDevice));
    } else if (!strcmp(what, "set")) {
        CHECK(cudaMemset(&dev_x[N], 0, 1));
    } else if (!strcmp(what, "kind")) {
        CHECK(cudaMemcpy(x, dev_x, 8, cudaMemcpyHostToDevice));
    } else if (!strcmp(what, "host")) {
        printf("%g\n", dev_x[0]);
    } else if (!strcmp(what, "kernel")) {
        int* few;
        CHECK(cudaMalloc(&few, 10 * sizeof(int)));
        beyond<<<1, 1>>>(few, 10);
        CHECK(cudaFree(few));
    } else if (!strcmp(what, "threads")) {
        reverse<<<1, 1025>>>(nullptr);
        CHECK(cudaGetLastError());
    } else if (!strcmp(what, "barriers")) {
        split<<<1, 8>>>((int*)dev_x);
    }

    block_sums<double, 128><<<BLOCKS, 128>>>(dev_x, N, dev_sums);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(sums, dev_sums, sizeof(sums), cudaMemcpyDeviceToHost));
    double all = 0;
    for (double sum : sums) all += sum;
    printf("sum %g\n", all);

    thrust::device_vector<int> order;
    for (int i = 0; i < 50; i++) order.push_back(50 - i);
    thrust::sort(order.begin(), order.end());
    reverse<<<dim3(1, 1), order.size(), order.size() * sizeof(int)>>>(
        thrust::raw_pointer_cast(&order[0]));
    printf("reversed %d %d\n", (int)order[0], (int)order[49]);

    float given[2] = {0.5f, 0.25f}, zero = 0, *sum;
    int counts = 0;
    CHECK(cudaMalloc(&sum, sizeof(float)));
    CHECK(cudaMemcpy(sum, &zero, sizeof(float), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpyToSymbol(counted, &counts, sizeof(int)));
    CHECK(cudaMemcpyToSymbol(factor, given, sizeof(given)));
    CHECK(cudaMemcpyToSymbol(numbers, &dev_x, sizeof(double*)));
    count<<<(3 > 2 ? 3 : 1), 70>>>(sum);
    CHECK(cudaMemcpyFromSymbol(&counts, counted, sizeof(int)));
    CHECK(cudaMemcpy(&zero, sum, sizeof(float), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(x, dev_x, sizeof(double), cudaMemcpyDeviceToHost));
    printf("counted %d %g %g\n", counts, zero, x[0]);

    thrust::device_vector<double> warps(2);
    warp_sums<<<1, 64>>>(thrust::raw_pointer_cast(warps.data()));
    printf("warps %g %g\n", (double)warps[0], (double)warps[1]);

    thrust::device_vector<int> answers(4, 0);
    int* at = thrust::raw_pointer_cast(&answers[0]);
    ask<<<1, 1>>>(at, 5);
    printf("where %d %d\n", where(), (int)answers[0]);
    CHECK(cudaMalloc(&dev_sums, sizeof(double)));
    unwritten<<<4, 2>>>(dev_sums, at);
    printf("unwritten %d %d\n", (int)answers[0], (int)answers[3]);
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("emulated")
    (folder / "program.cu").write_text(PROGRAM)
    return compile_on_cpu(folder, ["program.cu"])


@pytest.mark.parametrize("order", ORDERS)
def test_kernels_compute(program, tmp_path, order) -> None:
    done = run_on_cpu(program, tmp_path, order)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "sum 499500",
        "reversed 50 1",
        "counted 210 52.5 0.5",
        f"warps {31 * 32 // 2 + 16} {31 * 32 // 2 + 32 * 32 + 16}",
        "where -1 905",
        "unwritten 1 1",
    ]


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [
        ("copy", 3, "8000 bytes, but the allocation ends after 7992"),
        ("set", 3, "is not in an allocation"),
        ("kind", 3, "is not in an allocation of device memory"),
        ("kernel", 70, "a kernel wrote 40 bytes from the start of an allocation of 40 bytes"),
        ("threads", 3, "reverse: 1 blocks of 1025 threads"),
        ("barriers", 0, "wait at different barriers of split"),
        ("host", -11, ""),
    ],
)
def test_what_is_wrong_is_said(program, tmp_path, what, status, said) -> None:
    done = run_on_cpu(program, tmp_path, arguments=[what])
    assert done.returncode == status, done.stderr
    assert said in done.stderr


def test_what_is_no_program_is_refused(tmp_path) -> None:
    (tmp_path / "a.cu").write_text("int main() { return nothing; }\n")
    with pytest.raises(EmulationError, match="nothing"):
        compile_on_cpu(tmp_path, ["a.cu"])
    with pytest.raises(EmulationError, match=r"none of b\.cu"):
        compile_on_cpu(tmp_path, ["b.cu"])


# --- networks


def winner_take_all() -> tuple[NetworkModel, dict]:
    """64 -> 25 neurons, and six digits in coarse pixels."""
    n = 6
    images = datasets.load_digits().train.flat()[:n].reshape(n, 28, 28)[:, 2:26, 2:26]
    coarse = images.reshape(n, 8, 3, 8, 3).mean((2, 4)).reshape(n, 64)
    network = networks.winner_take_all(64, 25, encoding="regular")
    return network, {"image": scale_norm(coarse, 9.2)}


def one_of_each() -> tuple[NetworkModel, dict]:
    """No delay, one, one per synapse, a gap junction, and rules; in one small program."""
    n, features = 4, 6
    host = models.lif(t_ref=1 * ms)
    coupled = host.with_synapses(s=models.gap_junction())
    # Delays of more steps than a warp has threads.
    delays = np.random.default_rng(5).uniform(0, 20, features * n) * ms
    strong = {"transmit": "v_post += w*J", "parameters": {"J": 4 * mV}}
    weights = 0.5 + 0.02 * np.arange(features * n)
    network = NetworkModel(
        name="one_of_each",
        dt=0.5 * ms,
        inputs={"current": Input(features=features), "weak": Input(features=n)},
        populations={
            "source": Population(model=models.lif(), n=features, drives={"I": "current"}),
            "coupled": Population(model=coupled, n=n, drives={"I_ext": "weak"}),
            "late": Population(model=host, n=n, drives={"I": "weak"}),
            "later": Population(model=host, n=n, drives={"I": "weak"}),
        },
        projections={
            "gaps": Projection(
                pre="coupled", post="coupled", synapse="s", weights=2.0, pairs="all_but_self"
            ),
            "at_once": Projection(
                pre="source", post="coupled", weights=weights, rule=plasticity.pair_stdp(), **strong
            ),
            "uniform": Projection(
                pre="source",
                post="late",
                weights=weights,
                rule=plasticity.triplet_stdp(),
                delay=1.5 * ms,
                **strong,
            ),
            "own": Projection(
                pre="source",
                post="later",
                weights=weights,
                rule=plasticity.voltage_stdp(),
                delay=delays,
                **strong,
            ),
        },
        presentation=Presentation(duration=40 * ms, rest=5 * ms, reset="all"),
        output="late",
    )
    current = np.linspace(25e-9, 45e-9, features)
    samples = {"current": np.stack([current, current[::-1]]), "weak": np.full((2, n), 15e-9)}
    return network, samples


CASES = {"winner_take_all": winner_take_all, "one_of_each": one_of_each}


@pytest.fixture(scope="module")
def projects(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("projects")
    made = {
        name: gpu.project(network, folder / name, samples, learn=True, seed=SEED, math="strict")
        for name, (network, samples) in ((name, case()) for name, case in CASES.items())
    }
    gpu.generate(*made.values())
    return made


@BRIAN2CUDA
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_generated_programs_agree_with_cpp(projects, name) -> None:
    network, samples = CASES[name]()
    spiking = [key for key, p in network.populations.items() if p.model.threshold is not None]
    runnable = simulation.compile(network, "cpp", per_sample=(), spikes=spiking, math="strict")
    recording, state = runnable.run(samples, learn=True, seed=SEED)
    parts = any_device.Parts(projects[name].n, network.presentation.duration, firing=spiking)
    folder = projects[name].folder / "project"
    binary = compile_on_cpu(folder)
    for order in ORDERS[:2]:
        done = run_on_cpu(binary, folder, order)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        found = projects[name].results()
        figures = any_device.compared(network, parts, (recording.spikes, state), found, 1e-9)
        for figure in (*figures["spikes"].items(), *figures["weights"].items()):
            assert figure[1]["ok"], figure
        assert figures["state"]["ok"], figures["state"]
        shutil.rmtree(folder / "results")
        (folder / "results").mkdir()
