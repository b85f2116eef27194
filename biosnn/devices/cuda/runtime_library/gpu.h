// What pieces of generated code call, besides their kernels.
#ifndef BIOSNN_GPU_H
#define BIOSNN_GPU_H
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "fired.h"

namespace biosnn {
inline void checked(cudaError_t error) {
    if (error == cudaSuccess) return;
    std::fprintf(stderr, "CUDA: %s (%s)\n", cudaGetErrorString(error), cudaGetErrorName(error));
    std::_Exit(2);
}

// Copies to the GPU, of which those that follow each other without a gap become one: there may be
// one for every synapse. `put_rest` does what waits.
cudaError_t put_behind(void *to, const void *from, size_t bytes);
cudaError_t put_rest();

const int64_t SPIKE_BYTES = 4 + 8 + 8 + 4;  // of a recorded spike: index, time, sample, attempt

// A population whose spikes are recorded. The buffer on the GPU has room for `capacity` spikes and
// is emptied before it can overflow.
struct SpikeSource {
    std::string key, monitor;
    int64_t n, capacity;
};
// A variable of some neurons or synapses: `width` values of `item` bytes per row.
struct TraceSource {
    std::string key, monitor;
    int64_t width, item, capacity;
};
// Generated for each network.
std::vector<SpikeSource> spike_table();
std::vector<TraceSource> trace_table();
std::vector<std::pair<unsigned char **, size_t>> fired_table();

void prepare_recorders();
// Notes the spikes in a list of Brian2CUDA's, whose last item is their number.
void record_spikes(const char *monitor, const int32_t *spikes);
// Where on the GPU the values at time `t` go.
void *next_row(const char *monitor, double t);
}  // namespace biosnn
#endif
