// cuRAND's device interface with other random numbers.
#pragma once

#include <cmath>
#include <cstdint>

#include "cuda_runtime.h"

struct curandStateXORWOW {
    std::uint64_t state;
};
typedef curandStateXORWOW curandState, curandState_t, curandStateXORWOW_t;
typedef curandStateXORWOW curandStatePhilox4_32_10_t;

namespace emulated {
inline std::uint64_t mixed(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}
}  // namespace emulated

inline void curand_init(unsigned long long seed, unsigned long long sequence,
                        unsigned long long offset, curandState* state) {
    state->state = emulated::mixed(emulated::mixed(seed) + sequence) + offset;
}
inline unsigned int curand(curandState* state) {
    state->state += 0x9e3779b97f4a7c15ULL;
    return (unsigned int)(emulated::mixed(state->state) >> 32);
}
inline double curand_uniform_double(curandState* state) {
    return (curand(state) + 1.0) / 4294967296.0;
}
inline float curand_uniform(curandState* state) {
    return (float)((curand(state) >> 8) + 1) / 16777216.0f;
}
inline double curand_normal_double(curandState* state) {
    double radius = std::sqrt(-2 * std::log(curand_uniform_double(state)));
    return radius * std::cos(2 * M_PI * curand_uniform_double(state));
}
inline float curand_normal(curandState* state) { return (float)curand_normal_double(state); }
inline unsigned int curand_poisson(curandState* state, double mean) {
    // By multiplication in pieces, as exp(-mean) may be too small for a double.
    unsigned int count = 0;
    for (; mean > 0; mean -= 500) {
        double product = curand_uniform_double(state);
        for (double end = std::exp(-std::min(mean, 500.0)); product > end; count++)
            product *= curand_uniform_double(state);
    }
    return count;
}
