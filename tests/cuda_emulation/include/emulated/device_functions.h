// Functions that device code has without an include: atomics, arithmetic, warps.
#pragma once

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <math.h>

#include "kernels.h"

namespace emulated {
template <class T, class F>
inline T change(T* memory, F changed) {
    T old = *memory;
    *memory = changed(old);
    return old;
}

template <class To, class From>
inline To bits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To result;
    std::memcpy(&result, &value, sizeof(To));
    return result;
}
}  // namespace emulated

#define EMULATED_ATOMIC(name, type, expression)                                   \
    inline type name(type* memory, type value) {                                  \
        return emulated::change(memory, [&](type old) -> type { return expression; }); \
    }                                                                             \
    inline type name##_block(type* memory, type value) { return name(memory, value); } \
    inline type name##_system(type* memory, type value) { return name(memory, value); }
#define EMULATED_ATOMIC_INTEGERS(name, expression)     \
    EMULATED_ATOMIC(name, int, expression)             \
    EMULATED_ATOMIC(name, unsigned int, expression)    \
    EMULATED_ATOMIC(name, unsigned long long, expression)

EMULATED_ATOMIC_INTEGERS(atomicAdd, old + value)
EMULATED_ATOMIC(atomicAdd, float, old + value)
EMULATED_ATOMIC(atomicAdd, double, old + value)
EMULATED_ATOMIC(atomicSub, int, old - value)
EMULATED_ATOMIC(atomicSub, unsigned int, old - value)
EMULATED_ATOMIC_INTEGERS(atomicExch, value)
EMULATED_ATOMIC(atomicExch, float, value)
EMULATED_ATOMIC_INTEGERS(atomicMin, std::min(old, value))
EMULATED_ATOMIC(atomicMin, long long, std::min(old, value))
EMULATED_ATOMIC_INTEGERS(atomicMax, std::max(old, value))
EMULATED_ATOMIC(atomicMax, long long, std::max(old, value))
EMULATED_ATOMIC_INTEGERS(atomicAnd, old & value)
EMULATED_ATOMIC_INTEGERS(atomicOr, old | value)
EMULATED_ATOMIC_INTEGERS(atomicXor, old ^ value)
EMULATED_ATOMIC(atomicInc, unsigned int, old >= value ? 0 : old + 1)
EMULATED_ATOMIC(atomicDec, unsigned int, old == 0 || old > value ? value : old - 1)

#define EMULATED_CAS(type)                                                             \
    inline type atomicCAS(type* memory, type compare, type value) {                    \
        return emulated::change(                                                       \
            memory, [&](type old) -> type { return old == compare ? value : old; });   \
    }
EMULATED_CAS(int)
EMULATED_CAS(unsigned int)
EMULATED_CAS(unsigned long long)
EMULATED_CAS(unsigned short)

// --- arithmetic

#define EMULATED_MIN_MAX(type)                                      \
    inline type min(type a, type b) { return b < a ? b : a; }       \
    inline type max(type a, type b) { return a < b ? b : a; }
EMULATED_MIN_MAX(int)
EMULATED_MIN_MAX(unsigned int)
EMULATED_MIN_MAX(long)
EMULATED_MIN_MAX(unsigned long)
EMULATED_MIN_MAX(long long)
EMULATED_MIN_MAX(unsigned long long)
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline double min(float a, double b) { return fmin(a, b); }
inline double min(double a, float b) { return fmin(a, b); }
inline double max(float a, double b) { return fmax(a, b); }
inline double max(double a, float b) { return fmax(a, b); }

#define EMULATED_ROUNDED(prefix, type)                                                  \
    inline type prefix##add_rn(type a, type b) { return a + b; }                        \
    inline type prefix##sub_rn(type a, type b) { return a - b; }                        \
    inline type prefix##mul_rn(type a, type b) { return a * b; }                        \
    inline type prefix##div_rn(type a, type b) { return a / b; }                        \
    inline type prefix##rcp_rn(type a) { return 1 / a; }                                \
    inline type prefix##sqrt_rn(type a) { return std::sqrt(a); }
EMULATED_ROUNDED(__d, double)
EMULATED_ROUNDED(__f, float)
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float a) { return ::expf(a); }
inline float __exp10f(float a) { return ::powf(10.0f, a); }
inline float __logf(float a) { return ::logf(a); }
inline float __log2f(float a) { return ::log2f(a); }
inline float __log10f(float a) { return ::log10f(a); }
inline float __powf(float a, float b) { return ::powf(a, b); }
inline float __sinf(float a) { return ::sinf(a); }
inline float __cosf(float a) { return ::cosf(a); }
inline float __tanf(float a) { return ::tanf(a); }
inline float __saturatef(float a) { return fminf(fmaxf(a, 0.0f), 1.0f); }
inline double rsqrt(double a) { return 1 / std::sqrt(a); }
inline float rsqrtf(float a) { return 1 / std::sqrt(a); }
inline float __frsqrt_rn(float a) { return 1 / std::sqrt(a); }
inline double sinpi(double a) { return std::sin(M_PI * a); }
inline double cospi(double a) { return std::cos(M_PI * a); }

inline int __float_as_int(float a) { return emulated::bits<int>(a); }
inline unsigned int __float_as_uint(float a) { return emulated::bits<unsigned int>(a); }
inline float __int_as_float(int a) { return emulated::bits<float>(a); }
inline float __uint_as_float(unsigned int a) { return emulated::bits<float>(a); }
inline long long __double_as_longlong(double a) { return emulated::bits<long long>(a); }
inline double __longlong_as_double(long long a) { return emulated::bits<double>(a); }
inline int __double2int_rn(double a) { return (int)std::nearbyint(a); }
inline int __double2int_rz(double a) { return (int)a; }
inline int __double2int_rd(double a) { return (int)std::floor(a); }
inline int __float2int_rn(float a) { return (int)std::nearbyint(a); }
inline int __float2int_rz(float a) { return (int)a; }
inline int __float2int_rd(float a) { return (int)std::floor(a); }
inline float __double2float_rn(double a) { return (float)a; }
inline float __int2float_rn(int a) { return (float)a; }
inline double __int2double_rn(int a) { return a; }

inline int __popc(unsigned int a) { return __builtin_popcount(a); }
inline int __popcll(unsigned long long a) { return __builtin_popcountll(a); }
inline int __ffs(int a) { return __builtin_ffs(a); }
inline int __ffsll(long long a) { return __builtin_ffsll(a); }
inline int __clz(int a) { return a ? __builtin_clz((unsigned)a) : 32; }
inline int __clzll(long long a) { return a ? __builtin_clzll((unsigned long long)a) : 64; }
inline unsigned int __brev(unsigned int a) {
    unsigned int reversed = 0;
    for (int bit = 0; bit < 32; bit++) reversed |= (a >> bit & 1u) << (31 - bit);
    return reversed;
}
inline unsigned int __umulhi(unsigned int a, unsigned int b) {
    return (unsigned int)((std::uint64_t)a * b >> 32);
}
inline int __mulhi(int a, int b) { return (int)((std::int64_t)a * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline int __mul24(int a, int b) { return a * b; }

template <class T>
inline T __ldg(const T* memory) {
    return *memory;
}

// --- warps

namespace emulated {
inline int lane() {
    const Position& p = here;
    unsigned linear = p.thread.x + p.threads.x * (p.thread.y + p.threads.y * p.thread.z);
    return (int)(linear % 32);
}
template <class T>
inline T shuffled(unsigned mask, T value, int from) {
    static_assert(sizeof(T) <= 8);
    std::uint64_t raw = 0;
    std::memcpy(&raw, &value, sizeof(T));
    raw = exchange(mask, raw)[from];
    std::memcpy(&value, &raw, sizeof(T));
    return value;
}
template <class F>
inline unsigned vote(unsigned mask, std::uint64_t value, F yes) {
    const std::uint64_t* values = exchange(mask, value);
    unsigned found = 0;
    for (int k = 0; k < 32; k++)
        if ((mask >> k & 1) && yes(values[k])) found |= 1u << k;
    return found;
}
}  // namespace emulated

inline void __syncwarp(unsigned mask = 0xffffffffu) { emulated::exchange(mask, 0); }
inline unsigned __ballot_sync(unsigned mask, int predicate) {
    return emulated::vote(mask, predicate != 0, [](std::uint64_t v) { return v != 0; });
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }
template <class T>
inline T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
    int lane = emulated::lane();
    return emulated::shuffled(mask, value, (lane & ~(width - 1)) + (from & (width - 1)));
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
    int lane = emulated::lane(), from = lane - (int)by;
    return emulated::shuffled(mask, value, from < (lane & ~(width - 1)) ? lane : from);
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
    int lane = emulated::lane(), from = lane + (int)by;
    return emulated::shuffled(mask, value, from > (lane | (width - 1)) ? lane : from);
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32) {
    int lane = emulated::lane(), from = lane ^ by;
    return emulated::shuffled(mask, value, from > (lane | (width - 1)) ? lane : from);
}

#define EMULATED_WARP_SUM(name, expression)                                       \
    template <class T>                                                            \
    inline T name(unsigned mask, T value) {                                       \
        const std::uint64_t* values = emulated::exchange(mask, (std::uint64_t)value); \
        bool first = true;                                                        \
        T a = value;                                                              \
        for (int k = 0; k < 32; k++) {                                            \
            if (!(mask >> k & 1)) continue;                                       \
            T b = (T)values[k];                                                   \
            a = first ? b : (expression);                                         \
            first = false;                                                        \
        }                                                                         \
        return a;                                                                 \
    }
EMULATED_WARP_SUM(__reduce_add_sync, a + b)
EMULATED_WARP_SUM(__reduce_min_sync, std::min(a, b))
EMULATED_WARP_SUM(__reduce_max_sync, std::max(a, b))
EMULATED_WARP_SUM(__reduce_or_sync, a | b)
EMULATED_WARP_SUM(__reduce_and_sync, a & b)


[[noreturn]] inline void __trap() { std::abort(); }
