// Moving data in and out of the compiled network. The tables at the end of this header's world
// (state_table, channel_table, ...) are generated for each network.
#ifndef BIOSNN_H
#define BIOSNN_H
#include <cstdint>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

class Network;

namespace biosnn {

// A state variable: where its bytes are and how many.
struct Variable {
    std::string name;
    char *data;
    size_t bytes;
};
// An array that a channel fills or a recorder copies; `kind` is a NumPy type code.
struct Array {
    void *data;
    std::string kind;
    size_t size;
};
struct Channel {
    std::string kind;  // static, sequence or events
    int64_t features;
    int64_t frame_steps;
    std::vector<Array> targets;
};
struct Recorder {
    std::string name;
    Array source;
};
// A Brian2 monitor's array: its bytes when the run is over.
struct Monitored {
    std::string name;
    std::vector<std::pair<const char *, size_t>> pieces;
};
struct Pointers {
    int32_t *sample, *attempt, *pending, *step, *seed, *epoch, *first_sample, *learning, *n_watch;
    double *horizon;
};

// Generated for each network.
std::vector<Variable> state_table();
std::map<std::string, Channel> channel_table();
std::vector<Recorder> recorder_table();
std::vector<Monitored> monitored_table();
std::vector<Array> lastspike_table();
Pointers protocol_pointers();
extern const int64_t steps_per_presentation;
extern const double time_step;

void configure(int argc, char **argv);
void load_state();
void simulate(Network &network);
int finish();
void load_channel(const char *name);
void store_sample();
}  // namespace biosnn
#endif
