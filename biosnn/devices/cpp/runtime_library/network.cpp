#include "network.h"

#include <algorithm>
#include <cmath>

int64_t Network::step = 0;
double Network::_last_run_time = 0.0;
double Network::_last_run_completed_fraction = 0.0;
bool Network::_globally_stopped = false;
bool Network::_globally_running = false;

namespace biosnn {
extern const std::vector<std::string> border_objects;
void step_begins();
void step_ends();
double time_before() { return 0.0; }
}

static bool has(const std::vector<std::string> &names, const std::string &name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

void Network::add(Clock *clock, codeobj_func function, const char *name) {
    objects.push_back({clock, function, name, 0, has(biosnn::border_objects, name)});
}

void Network::remove(const std::vector<std::string> &names) {
    std::vector<Object> kept;
    for (const Object &object : objects)
        if (!has(names, object.name)) kept.push_back(object);
    objects.swap(kept);
}

void Network::run(int64_t presentations, int64_t steps, double dt, bool (*between)()) {
    std::vector<Object *> clocks;  // one object of each clock
    std::vector<Object *> every_step, in_between;
    for (Object &object : objects) {
        object.period = (int64_t)std::llround(object.clock->dt[0] / dt);
        if (std::none_of(clocks.begin(), clocks.end(),
                         [&](Object *other) { return other->clock == object.clock; }))
            clocks.push_back(&object);
        if (!object.function) continue;
        if (object.period == 1) every_step.push_back(&object);
        if (object.period < steps) in_between.push_back(&object);
    }
    const bool uniform = every_step.size() == in_between.size();
    for (int64_t presentation = 0; presentation < presentations; presentation++) {
        for (step = 0; step < steps; step++, now++) {
            for (const Object *one : clocks)
                if (now % one->period == 0) {
                    one->clock->timestep[0] = now / one->period;
                    one->clock->t[0] = one->clock->timestep[0] * one->clock->dt[0];
                }
            t = now * dt;
            biosnn::step_begins();
            if (step == 0) {
                // What finishes a presentation has been called after the last one.
                for (Object &object : objects)
                    if (object.function && !object.border && now % object.period == 0)
                        object.function();
            } else if (uniform) {
                for (Object *object : every_step) object->function();
            } else {
                for (Object *object : in_between)
                    if (now % object->period == 0) object->function();
            }
            biosnn::step_ends();
        }
        finish();
        if (!between()) break;
    }
    t = now * dt;
}

void Network::finish() {
    for (Object &object : objects)
        if (object.border && object.function) object.function();
}
