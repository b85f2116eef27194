// Spikes and values that are recorded on a GPU, without memory from its heap. Spikes come in any
// order there, and are sorted by time step and neuron on their way to the disk.
#include "biosnn.h"
#include "gpu.h"

#include <algorithm>
#include <map>

#include "network.h"

namespace biosnn {

struct Spike {
    int32_t neuron, tick;  // ticks: time steps since the buffer was empty
};

struct SpikeBuffer {
    SpikeSource source;
    Spike *spikes = nullptr;
    unsigned int *count = nullptr;
    int64_t checked_steps = 0;  // so many more steps fit, however many neurons spike
    int64_t base = 0;           // time step at which ticks begin
    std::vector<int32_t> i, sample, attempt;
    std::vector<double> t_sample;
};

struct TraceBuffer {
    TraceSource source;
    char *rows = nullptr;
    int64_t used = 0;
    std::vector<double> t;
    std::vector<char> values;
};

static std::map<std::string, SpikeBuffer> spike_buffers;
static std::map<std::string, TraceBuffer> trace_buffers;
static int64_t ticks = 0;  // time steps since the program began
// Which sample each replica shows, presentation after presentation since `first_presentation`, and
// at which attempt.
static std::vector<int32_t> shown_samples, attempts;
static int64_t first_presentation = 0;
static Array sample_of_replica, attempt_of_replica;

void prepare_recorders() {
    for (const auto &entry : fired_table()) {
        checked(cudaMalloc((void **)entry.first, std::max<size_t>(entry.second, 1)));
        checked(cudaMemset(*entry.first, 0, entry.second));
    }
    for (const SpikeSource &source : spike_table()) {
        SpikeBuffer &buffer = spike_buffers[source.monitor];
        buffer.source = source;
        checked(cudaMalloc((void **)&buffer.spikes, source.capacity * sizeof(Spike)));
        checked(cudaMalloc((void **)&buffer.count, sizeof(*buffer.count)));
        checked(cudaMemset(buffer.count, 0, sizeof(*buffer.count)));
    }
    for (const TraceSource &source : trace_table()) {
        TraceBuffer &buffer = trace_buffers[source.monitor];
        buffer.source = source;
        checked(cudaMalloc((void **)&buffer.rows, source.capacity * source.width * source.item));
    }
    sample_of_replica = protocol_arrays().sample;
    attempt_of_replica = protocol_arrays().attempt;
}

__global__ void append_spikes(const int32_t *list, int n, int32_t tick, Spike *spikes,
                              unsigned int *count) {
    const int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= list[n]) return;
    Spike &spike = spikes[atomicAdd(count, 1u)];
    spike.neuron = list[k];
    spike.tick = tick;
}

static int64_t held(const SpikeBuffer &buffer) {
    unsigned int count;
    checked(cudaMemcpy(&count, buffer.count, sizeof(count), cudaMemcpyDeviceToHost));
    return count;
}

static void drain(SpikeBuffer &buffer) {
    std::vector<Spike> found(held(buffer));
    checked(cudaMemcpy(found.data(), buffer.spikes, found.size() * sizeof(Spike),
                       cudaMemcpyDeviceToHost));
    checked(cudaMemset(buffer.count, 0, sizeof(*buffer.count)));
    std::sort(found.begin(), found.end(), [](const Spike &a, const Spike &b) {
        return a.tick != b.tick ? a.tick < b.tick : a.neuron < b.neuron;
    });
    const int64_t replicas = sample_of_replica.size, size = buffer.source.n / replicas;
    for (const Spike &spike : found) {
        const int64_t tick = buffer.base + spike.tick;
        const int64_t presentation = tick / steps_per_presentation - first_presentation;
        buffer.i.push_back(spike.neuron);
        buffer.t_sample.push_back((tick % steps_per_presentation) * time_step);
        const int64_t place = presentation * replicas + spike.neuron / size;
        buffer.sample.push_back(shown_samples[place]);
        buffer.attempt.push_back(attempts[place]);
    }
    buffer.base = ticks;
    buffer.checked_steps = 0;
}

void record_spikes(const char *monitor, const int32_t *spikes) {
    SpikeBuffer &buffer = spike_buffers.at(monitor);
    const int64_t n = buffer.source.n;
    if (buffer.checked_steps == 0) {
        int64_t room = buffer.source.capacity - held(buffer);
        if (room < n || ticks - buffer.base > (1 << 30)) {
            drain(buffer);
            room = buffer.source.capacity;
        }
        buffer.checked_steps = room / n;
    }
    buffer.checked_steps--;
    append_spikes<<<(int)((n + 255) / 256), 256>>>(spikes, (int)n, (int32_t)(ticks - buffer.base),
                                                   buffer.spikes, buffer.count);
    checked(cudaGetLastError());
}

static void drain(TraceBuffer &buffer) {
    const size_t before = buffer.values.size();
    const size_t bytes = buffer.used * buffer.source.width * buffer.source.item;
    buffer.values.resize(before + bytes);
    checked(cudaMemcpy(buffer.values.data() + before, buffer.rows, bytes, cudaMemcpyDeviceToHost));
    buffer.used = 0;
}

void *next_row(const char *monitor, double t) {
    TraceBuffer &buffer = trace_buffers.at(monitor);
    if (buffer.used == buffer.source.capacity) drain(buffer);
    buffer.t.push_back(t + time_before());
    return buffer.rows + buffer.used++ * buffer.source.width * buffer.source.item;
}

// Before the first and after every time step.
static void begin_presentation() {
    const size_t known = shown_samples.size(), replicas = sample_of_replica.size;
    shown_samples.resize(known + replicas);
    attempts.resize(known + replicas);
    memory::read(sample_of_replica, 0, replicas, shown_samples.data() + known);
    memory::read(attempt_of_replica, 0, replicas, attempts.data() + known);
}

void step_begins() {
    if (ticks % steps_per_presentation == 0) begin_presentation();
}

void step_ends() { ticks++; }

size_t monitored_bytes() {
    size_t bytes = 0;
    for (const auto &entry : spike_buffers)
        bytes += (entry.second.i.size() + held(entry.second)) * SPIKE_BYTES;
    for (const auto &entry : trace_buffers)
        bytes += entry.second.t.size() *
                 (entry.second.source.width * entry.second.source.item + sizeof(double));
    return bytes;
}

template <typename T>
static void hand_over(Write write, const std::string &name, const std::vector<T> &values) {
    write(name, values.data(), values.size() * sizeof(T));
}

void monitored_visit(Write write) {
    for (auto &entry : spike_buffers) {
        SpikeBuffer &buffer = entry.second;
        drain(buffer);
        hand_over(write, "spikes." + buffer.source.key + ".i", buffer.i);
        hand_over(write, "spikes." + buffer.source.key + ".t_sample", buffer.t_sample);
        hand_over(write, "spikes." + buffer.source.key + ".sample", buffer.sample);
        hand_over(write, "spikes." + buffer.source.key + ".attempt", buffer.attempt);
    }
    for (auto &entry : trace_buffers) {
        TraceBuffer &buffer = entry.second;
        drain(buffer);
        hand_over(write, "trace." + buffer.source.key + ".t", buffer.t);
        hand_over(write, "trace." + buffer.source.key + ".values", buffer.values);
    }
}

void monitored_clear() {
    for (auto &entry : spike_buffers) {
        entry.second.i.clear();
        entry.second.t_sample.clear();
        entry.second.sample.clear();
        entry.second.attempt.clear();
    }
    for (auto &entry : trace_buffers) {
        entry.second.t.clear();
        entry.second.values.clear();
    }
    // Every spike has been given its sample.
    shown_samples.clear();
    attempts.clear();
    first_presentation = ticks / steps_per_presentation;
}
}  // namespace biosnn
