// Kernels on the CPU: blocks one after the other, the threads of a block as fibres.
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
#ifndef __restrict
#define __restrict __restrict__
#endif
#define __CUDACC__ 1
#define __NVCC__ 1
#define CUDART_VERSION 13000
#define CUDA_VERSION 13000
#define __CUDACC_VER_MAJOR__ 13
#define __CUDACC_VER_MINOR__ 0

struct uint3 {
    unsigned int x, y, z;
};

struct dim3 {
    unsigned int x, y, z;
    constexpr dim3(unsigned int x = 1, unsigned int y = 1, unsigned int z = 1) : x(x), y(y), z(z) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    constexpr operator uint3() const { return {x, y, z}; }
};

namespace emulated {
struct Position {
    uint3 thread{0, 0, 0}, block{0, 0, 0};
    dim3 threads, blocks;
    bool in_kernel = false;
    unsigned long block_number = 0;  // of all blocks so far
    void* dynamic_shared = nullptr;
};
extern Position here;
}  // namespace emulated

typedef struct emulated_stream* cudaStream_t;

#define threadIdx (::emulated::here.thread)
#define blockIdx (::emulated::here.block)
#define blockDim (::emulated::here.threads)
#define gridDim (::emulated::here.blocks)
constexpr int warpSize = 32;

namespace emulated {

// What a kernel is called with, and how one of its threads is run.
struct Work {
    const void* kernel;
    const char* name;
    void (*thread)(void*);
    void* data;
};
void run(dim3 blocks, dim3 threads, std::size_t shared, const Work& work);
void barrier(const char* file, int line);
void poison(void* memory, std::size_t bytes);

// Static shared memory holds nothing when a block begins.
template <class T>
inline void enter_shared(T& variable, unsigned long& seen) {
    if (seen != here.block_number) {
        seen = here.block_number;
        poison(&variable, sizeof(T));
    }
}

template <class... P>
struct Bound {
    dim3 blocks, threads;
    std::size_t shared;
    const char* name;
    void (*kernel)(P...);

    void operator()(P... parameters) const {
        std::tuple<void (*)(P...), std::tuple<P...>> data(kernel, {std::move(parameters)...});
        Work work{reinterpret_cast<const void*>(kernel), name,
                  [](void* data) {
                      auto& [kernel, values] =
                          *static_cast<std::tuple<void (*)(P...), std::tuple<P...>>*>(data);
                      std::apply(kernel, values);
                  },
                  &data};
        run(blocks, threads, shared, work);
    }
};

// A kernel whose template arguments follow from those of the call.
template <class F>
struct Deduced {
    dim3 blocks, threads;
    std::size_t shared;
    const char* name;
    F kernel;

    template <class... A>
    void operator()(A... arguments) const {
        auto call = [&] { kernel(arguments...); };
        using Call = decltype(call);
        Work work{nullptr, name, [](void* data) { (*static_cast<Call*>(data))(); }, &call};
        run(blocks, threads, shared, work);
    }
};

struct Launch {
    dim3 blocks, threads;
    std::size_t shared;

    template <class... P>
    Bound<P...> of(const char* name, void (*kernel)(P...)) const {
        return {blocks, threads, shared, name, kernel};
    }
    template <class F>
    Deduced<F> deduced(const char* name, F kernel) const {
        return {blocks, threads, shared, name, kernel};
    }
};

inline Launch launch(dim3 blocks, dim3 threads, std::size_t shared = 0, cudaStream_t = nullptr) {
    return {blocks, threads, shared};
}

// Lanes of a warp that exchange a value: what every lane gave.
const std::uint64_t* exchange(unsigned mask, std::uint64_t value);

}  // namespace emulated

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    emulated::barrier(file, line);
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
