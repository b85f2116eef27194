// The network's loop. It replaces the one that Brian2 generates: time is counted in whole steps,
// so clocks that meet after hours of simulated time still meet, objects that do not run in a step
// cost nothing, and a run is so many presentations long.
#ifndef BIOSNN_NETWORK_H
#define BIOSNN_NETWORK_H
#include <cstdint>
#include <string>
#include <vector>

#include "brianlib/clocks.h"  // ours in C++ (clocks.h), Brian2CUDA's on a GPU

typedef void (*codeobj_func)();

class Network {
  public:
    struct Object {
        Clock *clock;
        codeobj_func function;
        std::string name;
        int64_t period;
        bool border;
    };
    std::vector<Object> objects;
    double t = 0.0;
    int64_t now = 0;             // steps since the program began
    static int64_t step;         // steps since the presentation began
    static double _last_run_time;
    static double _last_run_completed_fraction;
    static bool _globally_stopped;
    static bool _globally_running;

    void clear() { objects.clear(); }
    void add(Clock *clock, codeobj_func function, const char *name);
    // Remove the objects that belong to switched-off learning.
    void remove(const std::vector<std::string> &names);
    // Give `presentations` of `steps` time steps each; `between` is called after each and says
    // whether to go on.
    void run(int64_t presentations, int64_t steps, double dt, bool (*between)());
    // Run the objects that finish a presentation.
    void finish();
};
#endif
