"""CUDA programs that run on the CPU: the emulation itself (networks: ``test_cuda_device.py``)."""

import shutil
from pathlib import Path

import pytest
from cuda_emulation import EmulationError, compile_on_cpu, run_on_cpu

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to emulate CUDA with")
ORDERS = ("forward", "reversed", "shuffled:3")

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
