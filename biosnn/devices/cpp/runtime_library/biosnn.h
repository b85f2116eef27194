// Moving data in and out of the compiled network. The tables at the end of this header's world
// (state_table, channel_table, ...) are generated for each network.
#ifndef BIOSNN_H
#define BIOSNN_H
#include <cstdint>
#include <string>
#include <vector>

#include "memory.h"

class Network;

namespace biosnn {

// A state variable. Its array holds the values of so many `copies` of the network, one behind the
// other: of all replicas, or of one whose values they share. `check`: 's' looks for NaN and
// infinity after every sample, 'c' after every chunk, '-' never. What is `clock_time` is handed on
// as time since the end of the chunk.
struct Variable {
    std::string name;
    Array values;
    int64_t copies;
    char check;
    bool clock_time;
};
struct Channel {
    std::string name, kind;  // static, sequence or events
    int64_t features;
    int64_t frame_steps;
    double absent;  // value where no samples are given
    std::vector<Array> targets;
};
// A variable kept at the end of each sample (`every` = 0), or after every so many samples.
struct Recorder {
    std::string name;
    Array source;
    int64_t copies;
    int64_t every;
};
using Write = void (*)(const std::string &name, const void *data, size_t bytes);
struct Protocol {
    Array sample, attempt, pending, step, seed, epoch, first_sample, learning, n_watch, horizon;
};

// Generated for each network.
std::vector<Variable> state_table();
std::vector<Channel> channel_table();
std::vector<Recorder> recorder_table();
// What Brian2's monitors hold: how many bytes, the bytes themselves, and to forget them.
size_t monitored_bytes();
void monitored_visit(Write write);
void monitored_clear();
Protocol protocol_arrays();
extern const int64_t steps_per_presentation;
extern const double time_step;
// The recorder of numbers of spikes that are reported; empty if there is none.
extern const std::string counted_recorder;
// How many copies of the network there are, and how many samples lie between one that a copy
// shows and its next one: as many as there are copies if these share the samples, else one.
extern const int64_t replicas, stride;

void configure(int argc, char **argv);
// Reads constants that are part of the build, such as delays.
void load_static(const char *name, void *to, size_t bytes);
void load_state();
void simulate(Network &network);
int finish();
// Seconds from the beginning of the chunk to where the network's clocks are at 0.
double time_before();
void load_channel(const char *name);
void store_sample();
}  // namespace biosnn
#endif
