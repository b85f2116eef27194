// A network that runs for a duration, from a state that is read to one that is written. The tables
// (state_table, ...) are generated for each network.
#ifndef BIOSNN_FREE_RUN_H
#define BIOSNN_FREE_RUN_H
#include <cstdint>
#include <string>
#include <vector>

#include "clocks.h"
#include "memory.h"

typedef void (*codeobj_func)();

// The network's code with its clocks, in the order in which it runs.
struct Network {
    struct Object {
        Clock *clock;
        codeobj_func function;
    };
    std::vector<Object> objects;
    void add(Clock *clock, codeobj_func function, const char *) {
        objects.push_back({clock, function});
    }
};

namespace biosnn {

struct Variable {
    std::string name;
    Array values;
};
// A queue of Brian2: its slots, of which the present one is at `offset`.
struct Queue {
    std::vector<std::vector<int32_t>> *slots;
    int *offset;
};
// Spikes that are given: units and time steps, in the order of the steps.
struct Given {
    std::vector<int32_t> *units, *steps;
};
using Write = void (*)(const std::string &name, const void *data, size_t bytes);

// Generated for each network.
std::vector<Variable> state_table();
std::vector<Queue> queue_table();
std::vector<Given> given_table();
std::vector<double *> constant_table();
void monitored_visit(Write write);
// How much each monitor holds, behind what is in the list; and where those of events count.
void monitor_rows(std::vector<int64_t> &rows);
std::vector<Array> count_table();
// The random generator: its bytes, and to begin anew.
Array generator_bytes();
void seed_generator(unsigned long seed);

void configure(int argc, char **argv);
// Reads constants that are part of the build, such as delays.
void load_static(const char *name, void *to, size_t bytes);
void load_state();
void simulate(Network &network);
int finish();
}  // namespace biosnn
#endif
