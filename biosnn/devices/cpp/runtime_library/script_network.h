// A network of a script that is shown samples: each presentation is a run of it that begins at 0 s.
// It takes the place of network.h. The tables are generated for each network.
#ifndef BIOSNN_NETWORK_H
#define BIOSNN_NETWORK_H
#include <cstdint>
#include <string>
#include <vector>

#include "loop.h"
#include "memory.h"

class Network {
  public:
    std::vector<biosnn::Object> objects;
    static const int64_t now = 0;  // what is handed on counts from the next onset
    static constexpr double t = 0.0;
    static int64_t step;  // time step of the presentation at which inputs are read
    // Brian2CUDA's programs name these.
    inline static double _last_run_time = 0.0, _last_run_completed_fraction = 0.0;
    inline static bool _globally_stopped = false, _globally_running = false;

    void add(Clock *clock, codeobj_func function, const char *) {
        objects.push_back({clock, function});
    }
    // Which synapses do not learn.
    void remove(const std::vector<std::string> &fixed);
    // Give so many presentations; `between` is called after each and says whether to go on.
    void run(int64_t presentations, int64_t steps, double dt, bool (*between)());
};

namespace biosnn {

// A part of a presentation in which inputs stay as they are: its first time step, and its end in s.
struct Segment {
    int64_t step;
    double end;
    bool rest;
};
// A group whose spikes are given by an input.
struct GivenBy {
    std::string input;
    Given spikes;
};
// A variable that says whether synapses learn.
struct Switch {
    std::string name;
    Array learns;
};
// Weights whose p-norm (p is 1 or 2) at each neuron becomes `total` before a sample, if they learn.
// `post` are the neurons of the synapses, of which there are `n_post` from `first` on.
struct Scaling {
    std::string name;
    Array weights, post;
    int32_t first;
    size_t n_post;
    int p;
    bool retries;
    double total;
};
// When what a monitor holds was recorded.
struct Stamps {
    const std::vector<double> *t;
    std::vector<double> time;  // presentations of the chunk one after the other
    std::vector<int32_t> sample, attempt;
};

// Generated for each network.
std::vector<Segment> segment_table();
std::vector<GivenBy> given_table();
std::vector<Switch> switch_table();
std::vector<std::string> silent_table();  // inputs that are 0 in the rest
std::vector<size_t> reset_table();        // places in the state of what begins anew
std::vector<Array> time_table();          // times that go on
std::vector<double *> constant_table();
std::vector<Array> count_table();         // numbers of spikes in a presentation
std::vector<Scaling> scaling_table();
std::vector<Array> watch_table();         // those that decide on another attempt
extern const int64_t min_spikes, max_retries;
extern const double base_intensity, intensity_step;
extern std::vector<Stamps> stamps;
Array samples_seen();
// Nothing is on its way any more.
void clear_pending();
// Random numbers follow from a seed, and in further attempts go on or follow from these, too.
void begin_draws(uint32_t seed, int32_t attempt);
// Recorders on a GPU count time steps.
void step_begins();
void step_ends();
}  // namespace biosnn
#endif
