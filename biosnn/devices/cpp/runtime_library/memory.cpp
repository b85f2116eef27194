#include "memory.h"

#include <algorithm>
#include <cstdio>

namespace biosnn {
namespace memory {

void *allocate(size_t bytes) { return std::calloc(bytes ? bytes : 1, 1); }

void read(const Array &array, size_t first, size_t count, void *to) {
    const size_t item = item_size(array);
    std::memcpy(to, (const char *)array.data + first * item, count * item);
}

void write(const Array &array, size_t first, size_t count, const void *from) {
    const size_t item = item_size(array);
    std::memcpy((char *)array.data + first * item, from, count * item);
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
}

void assign(const Array &array, size_t first, size_t count, const double *values) {
    with_type(array, [&](auto *data) { std::copy(values, values + count, data + first); });
}

void fill(const Array &array, size_t first, size_t count, double value) {
    with_type(array, [&](auto *data) { std::fill(data + first, data + first + count, value); });
}

void put(const Array &array, size_t first, const std::vector<int32_t> &places, double value) {
    with_type(array, [&](auto *data) {
        for (int32_t place : places) data[first + place] = value;
    });
}

// Looks at bits, because the compiler may have been told that numbers are finite.
template <typename Bits>
static int64_t find(const void *data, size_t size, Bits exponent) {
    const Bits *bits = (const Bits *)data;
    int bad = 0;
    for (size_t k = 0; k < size; k++) bad |= (bits[k] & exponent) == exponent;
    for (size_t k = 0; bad && k < size; k++)
        if ((bits[k] & exponent) == exponent) return (int64_t)k;
    return -1;
}

int64_t first_not_finite(const Array &array, size_t first, size_t count) {
    const char *data = (const char *)array.data + first * item_size(array);
    return is(array, "f8") ? find<uint64_t>(data, count, 0x7ff0000000000000ull)
                              : find<uint32_t>(data, count, 0x7f800000u);
}

bool all_finite(const std::vector<Array> &arrays) {
    return std::all_of(arrays.begin(), arrays.end(), [](const Array &array) {
        return first_not_finite(array, 0, array.size) < 0;
    });
}
}  // namespace memory
}  // namespace biosnn
