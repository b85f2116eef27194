// cuRAND's host interface with other random numbers: uniform, normal and Poisson ones.
#ifndef CURAND_H_
#define CURAND_H_

#include <random>

#include "cuda_runtime.h"

typedef enum curandStatus {
    CURAND_STATUS_SUCCESS = 0,
    CURAND_STATUS_VERSION_MISMATCH = 100,
    CURAND_STATUS_NOT_INITIALIZED = 101,
    CURAND_STATUS_ALLOCATION_FAILED = 102,
    CURAND_STATUS_TYPE_ERROR = 103,
    CURAND_STATUS_OUT_OF_RANGE = 104,
    CURAND_STATUS_LENGTH_NOT_MULTIPLE = 105,
    CURAND_STATUS_DOUBLE_PRECISION_REQUIRED = 106,
    CURAND_STATUS_LAUNCH_FAILURE = 201,
    CURAND_STATUS_PREEXISTING_FAILURE = 202,
    CURAND_STATUS_INITIALIZATION_FAILED = 203,
    CURAND_STATUS_ARCH_MISMATCH = 204,
    CURAND_STATUS_INTERNAL_ERROR = 999
} curandStatus_t;

typedef enum curandRngType {
    CURAND_RNG_PSEUDO_DEFAULT = 100,
    CURAND_RNG_PSEUDO_XORWOW = 101,
    CURAND_RNG_PSEUDO_MRG32K3A = 121,
    CURAND_RNG_PSEUDO_MTGP32 = 141,
    CURAND_RNG_PSEUDO_MT19937 = 142,
    CURAND_RNG_PSEUDO_PHILOX4_32_10 = 161
} curandRngType_t;

typedef enum curandOrdering {
    CURAND_ORDERING_PSEUDO_BEST = 100,
    CURAND_ORDERING_PSEUDO_DEFAULT = 101,
    CURAND_ORDERING_PSEUDO_SEEDED = 102,
    CURAND_ORDERING_PSEUDO_LEGACY = 103,
    CURAND_ORDERING_PSEUDO_DYNAMIC = 104
} curandOrdering_t;

struct curandGenerator_st {
    std::mt19937_64 random;
};
typedef curandGenerator_st* curandGenerator_t;

namespace emulated {
template <class T, class D>
curandStatus_t generate(curandGenerator_t generator, T* memory, std::size_t n, D draw) {
    Access access;
    for (std::size_t k = 0; k < n; k++) memory[k] = (T)draw(generator->random);
    return CURAND_STATUS_SUCCESS;
}
// In (0, 1], as cuRAND does it.
template <class T>
curandStatus_t uniform(curandGenerator_t generator, T* memory, std::size_t n) {
    return generate(generator, memory, n, [](std::mt19937_64& random) {
        return (T)(((double)(random() >> 40) + 1.0) / (double)(1 << 24));
    });
}
template <class T>
curandStatus_t normal(curandGenerator_t generator, T* memory, std::size_t n, T mean, T deviation) {
    if (n % 2) return CURAND_STATUS_LENGTH_NOT_MULTIPLE;
    return generate(generator, memory, n, std::normal_distribution<T>(mean, deviation));
}
}  // namespace emulated

inline curandStatus_t curandCreateGenerator(curandGenerator_t* generator, curandRngType_t) {
    *generator = new curandGenerator_st;
    return CURAND_STATUS_SUCCESS;
}
inline curandStatus_t curandDestroyGenerator(curandGenerator_t generator) {
    delete generator;
    return CURAND_STATUS_SUCCESS;
}
inline curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t generator,
                                                         unsigned long long seed) {
    generator->random.seed(seed);
    return CURAND_STATUS_SUCCESS;
}
inline curandStatus_t curandSetGeneratorOffset(curandGenerator_t generator,
                                               unsigned long long offset) {
    generator->random.discard(offset);
    return CURAND_STATUS_SUCCESS;
}
inline curandStatus_t curandSetGeneratorOrdering(curandGenerator_t, curandOrdering_t) {
    return CURAND_STATUS_SUCCESS;
}
inline curandStatus_t curandSetStream(curandGenerator_t, cudaStream_t) {
    return CURAND_STATUS_SUCCESS;
}
inline curandStatus_t curandGenerateUniform(curandGenerator_t generator, float* memory,
                                            std::size_t n) {
    return emulated::uniform(generator, memory, n);
}
inline curandStatus_t curandGenerateUniformDouble(curandGenerator_t generator, double* memory,
                                                  std::size_t n) {
    return emulated::uniform(generator, memory, n);
}
inline curandStatus_t curandGenerateNormal(curandGenerator_t generator, float* memory,
                                           std::size_t n, float mean, float deviation) {
    return emulated::normal(generator, memory, n, mean, deviation);
}
inline curandStatus_t curandGenerateNormalDouble(curandGenerator_t generator, double* memory,
                                                 std::size_t n, double mean, double deviation) {
    return emulated::normal(generator, memory, n, mean, deviation);
}
inline curandStatus_t curandGeneratePoisson(curandGenerator_t generator, unsigned int* memory,
                                            std::size_t n, double mean) {
    return emulated::generate(generator, memory, n, std::poisson_distribution<int>(mean));
}

#endif
