// A network that runs for a duration, from a state that is read to one that is written. The tables
// (state_table, ...) are generated for each network.
#ifndef BIOSNN_FREE_RUN_H
#define BIOSNN_FREE_RUN_H
#include <cstdint>
#include <string>
#include <vector>

#include "loop.h"
#include "memory.h"

// The network's code with its clocks, in the order in which it runs.
struct Network {
    std::vector<biosnn::Object> objects;
    void add(Clock *clock, codeobj_func function, const char *) {
        objects.push_back({clock, function});
    }
};

namespace biosnn {

struct Variable {
    std::string name;
    Array values;
};
using Write = void (*)(const std::string &name, const void *data, size_t bytes);

// Generated for each network.
std::vector<Variable> state_table();
std::vector<Queue> queue_table();
std::vector<double *> constant_table();
// What the monitors hold, in bytes, and the bytes themselves.
size_t monitored_bytes();
void monitored_visit(Write write);
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
