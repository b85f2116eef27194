// Access to the arrays of a network, wherever they are: in this process's memory on a CPU, in the
// device's memory on a GPU. `first` and `count` are items, not bytes.
#ifndef BIOSNN_MEMORY_H
#define BIOSNN_MEMORY_H
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace biosnn {

// An array of the network; `kind` is a NumPy type code such as "f8".
struct Array {
    void *data;
    const char *kind;
    size_t size;
};
inline bool is(const Array &array, const char *kind) { return std::strcmp(array.kind, kind) == 0; }
inline size_t item_size(const Array &array) { return (size_t)std::atoi(array.kind + 1); }
inline size_t bytes_of(const Array &array) { return array.size * item_size(array); }

namespace memory {
// Room for an array, filled with zeros.
void *allocate(size_t bytes);
void read(const Array &array, size_t first, size_t count, void *to);
void write(const Array &array, size_t first, size_t count, const void *from);
// To an array of floating-point numbers, which may be of either precision.
void assign(const Array &array, size_t first, size_t count, const double *values);
void fill(const Array &array, size_t first, size_t count, double value);
// The same value at several places, counted from `first`.
void put(const Array &array, size_t first, const std::vector<int32_t> &places, double value);
// Whether none of the values of some arrays is NaN or infinite.
bool all_finite(const std::vector<Array> &arrays);
// Index of the first of some values that is NaN or infinite, counted from `first`, or -1.
int64_t first_not_finite(const Array &array, size_t first, size_t count);
}  // namespace memory
}  // namespace biosnn
#endif
