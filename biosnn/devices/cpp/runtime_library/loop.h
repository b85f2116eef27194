// Brian2's loop over the code of a network, for networks of scripts.
#ifndef BIOSNN_LOOP_H
#define BIOSNN_LOOP_H
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "brianlib/clocks.h"  // ours in C++ (clocks.h), Brian2CUDA's on a GPU

typedef void (*codeobj_func)();

namespace biosnn {

// A queue of Brian2: its slots, of which the present one is at `offset`.
struct Queue {
    std::vector<std::vector<int32_t>> *slots;
    int *offset;
};
// Spikes that are given: units and time steps, in the order of the steps.
struct Given {
    std::vector<int32_t> *units, *steps;
};
struct Object {
    Clock *clock;
    codeobj_func function;
};

// A time in steps, as Brian2 counts them.
inline int64_t steps_at(double time, double dt) {
    const int64_t nearest = (int64_t)std::nearbyint(time / dt);
    if (std::abs(nearest * dt - time) / dt <= 1e-4) return nearest;
    return (int64_t)std::ceil(time / dt);
}

// The code of all clocks that are first runs in its order, then these clocks tick. Like Brian2's
// loop in Python, and unlike that of its binaries, it knows clocks that meet by their time steps,
// so that they also meet after hours.
class Loop {
    struct Ticking {
        Clock *clock;
        int64_t end;
        bool due;
        double dt() const { return clock->dt[0]; }
        double t() const { return clock->t[0]; }
        void set(int64_t step) {
            clock->timestep[0] = step;
            clock->t[0] = step * dt();
        }
    };
    struct Call {
        size_t clock;
        codeobj_func function;
    };
    std::vector<Ticking> clocks;
    std::vector<Call> calls;

    size_t place_of(Clock *wanted) {
        for (size_t k = 0; k < clocks.size(); k++)
            if (clocks[k].clock == wanted) return k;
        clocks.push_back({wanted, 0, false});
        return clocks.size() - 1;
    }

  public:
    explicit Loop(const std::vector<Object> &objects) {
        for (const Object &object : objects) {
            const size_t clock = place_of(object.clock);
            if (object.function) calls.push_back({clock, object.function});
        }
    }
    // `go_on` is asked before each time step, and `after` is called behind it.
    template <typename GoOn, typename After>
    void run(double start, double end, GoOn go_on, After after) {
        for (Ticking &ticking : clocks) {
            ticking.set(steps_at(start, ticking.dt()));
            ticking.end = steps_at(end, ticking.dt());
        }
        while (!clocks.empty() && go_on()) {
            const Ticking *first = &clocks[0];
            for (const Ticking &ticking : clocks)
                if (ticking.t() < first->t()) first = &ticking;
            if (first->clock->timestep[0] >= first->end) break;
            const double now = first->t(), dt = first->dt();
            for (Ticking &ticking : clocks)
                ticking.due = std::abs(ticking.t() - now) / std::min(ticking.dt(), dt) < 1e-4;
            for (const Call &call : calls)
                if (clocks[call.clock].due) call.function();
            for (Ticking &ticking : clocks)
                if (ticking.due) ticking.set(ticking.clock->timestep[0] + 1);
            after();
        }
    }
};
}  // namespace biosnn
#endif
