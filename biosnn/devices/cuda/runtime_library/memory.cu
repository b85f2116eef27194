// The network's arrays in the memory of a GPU; see memory.h.
#include "memory.h"

#include <climits>

#include "gpu.h"

namespace biosnn {

static int blocks_for(size_t n) { return (int)((n + 255) / 256); }

// Memory on the GPU that grows with what it has to hold.
struct Staged {
    void *data = nullptr;
    size_t bytes = 0;
    void *take(const void *from, size_t size) {
        if (size > bytes) {
            checked(cudaFree(data));
            checked(cudaMalloc(&data, size));
            bytes = size;
        }
        checked(cudaMemcpy(data, from, size, cudaMemcpyHostToDevice));
        return data;
    }
};
static Staged staged;

static std::vector<char> waiting;
static char *waiting_for = nullptr;

cudaError_t put_rest() {
    if (waiting.empty()) return cudaSuccess;
    const cudaError_t error =
        cudaMemcpy(waiting_for, waiting.data(), waiting.size(), cudaMemcpyHostToDevice);
    waiting.clear();
    return error;
}

cudaError_t put_behind(void *to, const void *from, size_t bytes) {
    cudaError_t error = cudaSuccess;
    if (waiting.empty() || waiting_for + waiting.size() != to) {
        error = put_rest();
        waiting_for = (char *)to;
    }
    waiting.insert(waiting.end(), (const char *)from, (const char *)from + bytes);
    return error;
}

template <typename T>
__global__ void assign_values(T *data, const double *values, size_t n) {
    const size_t k = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (k < n) data[k] = (T)values[k];
}

template <typename T>
__global__ void fill_values(T *data, T value, size_t n) {
    const size_t k = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (k < n) data[k] = value;
}

template <typename T>
__global__ void put_value(T *data, const int32_t *places, T value, size_t n) {
    const size_t k = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (k < n) data[places[k]] = value;
}

template <typename Bits>
__global__ void find_not_finite(const Bits *data, size_t n, Bits exponent,
                                unsigned long long *first) {
    const size_t k = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (k < n && (data[k] & exponent) == exponent) atomicMin(first, (unsigned long long)k);
}

namespace memory {

void *allocate(size_t bytes) {
    void *data;
    checked(cudaMalloc(&data, bytes ? bytes : 1));
    checked(cudaMemset(data, 0, bytes));
    return data;
}

void read(const Array &array, size_t first, size_t count, void *to) {
    const size_t item = item_size(array);
    checked(cudaMemcpy(to, (const char *)array.data + first * item, count * item,
                       cudaMemcpyDeviceToHost));
}

void write(const Array &array, size_t first, size_t count, const void *from) {
    const size_t item = item_size(array);
    checked(cudaMemcpy((char *)array.data + first * item, from, count * item,
                       cudaMemcpyHostToDevice));
}

template <typename F>
static void with_type(const Array &array, F action) {
    if (is(array, "f8"))
        action((double *)array.data);
    else if (is(array, "f4"))
        action((float *)array.data);
    else {
        std::fprintf(stderr, "an input cannot set a variable of type %s\n", array.kind);
        std::_Exit(2);
    }
    checked(cudaGetLastError());
}

template <typename T>
static void assign_from(T *data, const double *values, size_t count) {
    assign_values<T><<<blocks_for(count), 256>>>(data, values, count);
}

void assign(const Array &array, size_t first, size_t count, const double *values) {
    if (count == 0) return;
    const double *given = (const double *)staged.take(values, count * sizeof(double));
    with_type(array, [&](auto *data) { assign_from(data + first, given, count); });
}

template <typename T>
static void fill_with(T *data, size_t count, double value) {
    fill_values<T><<<blocks_for(count), 256>>>(data, (T)value, count);
}

template <typename T>
static void put_at(T *data, const int32_t *places, size_t count, double value) {
    put_value<T><<<blocks_for(count), 256>>>(data, places, (T)value, count);
}

// The least index that kernels have found since `begin`.
struct Least {
    unsigned long long *on_gpu = nullptr;
    void begin() {
        if (!on_gpu) checked(cudaMalloc((void **)&on_gpu, sizeof(*on_gpu)));
        checked(cudaMemset(on_gpu, 0xff, sizeof(*on_gpu)));
    }
    void look(const Array &array, size_t first, size_t count) {
        if (count == 0) return;
        if (is(array, "f8"))
            find_not_finite<uint64_t><<<blocks_for(count), 256>>>(
                (const uint64_t *)array.data + first, count, 0x7ff0000000000000ull, on_gpu);
        else
            find_not_finite<uint32_t><<<blocks_for(count), 256>>>(
                (const uint32_t *)array.data + first, count, 0x7f800000u, on_gpu);
        checked(cudaGetLastError());
    }
    int64_t end() {
        unsigned long long found;
        checked(cudaMemcpy(&found, on_gpu, sizeof(found), cudaMemcpyDeviceToHost));
        return found == ULLONG_MAX ? -1 : (int64_t)found;
    }
};
static Least least;

void fill(const Array &array, size_t first, size_t count, double value) {
    if (count == 0) return;
    with_type(array, [&](auto *data) { fill_with(data + first, count, value); });
}

void put(const Array &array, size_t first, const std::vector<int32_t> &places, double value) {
    if (places.empty()) return;
    const size_t n = places.size();
    const int32_t *given = (const int32_t *)staged.take(places.data(), n * sizeof(int32_t));
    with_type(array, [&](auto *data) { put_at(data + first, given, n, value); });
}

bool all_finite(const std::vector<Array> &arrays) {
    least.begin();
    for (const Array &array : arrays) least.look(array, 0, array.size);
    return least.end() < 0;
}

int64_t first_not_finite(const Array &array, size_t first, size_t count) {
    least.begin();
    least.look(array, first, count);
    return least.end();
}
}  // namespace memory
}  // namespace biosnn
