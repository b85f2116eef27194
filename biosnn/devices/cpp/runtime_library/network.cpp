#include "network.h"

#include <cmath>
#include <map>

int64_t Network::step = 0;
double Network::_last_run_time = 0.0;
double Network::_last_run_completed_fraction = 0.0;
bool Network::_globally_stopped = false;
bool Network::_globally_running = false;

namespace biosnn {
extern const std::set<std::string> border_objects;
void step_begins();
void step_ends();
}

void Network::add(Clock *clock, codeobj_func function, const char *name) {
    objects.push_back({clock, function, name, 0, biosnn::border_objects.count(name) > 0});
}

void Network::remove(const std::set<std::string> &names) {
    std::vector<Object> kept;
    for (const Object &object : objects)
        if (!names.count(object.name)) kept.push_back(object);
    objects.swap(kept);
}

void Network::run(int64_t presentations, int64_t steps, double dt,
                  const std::function<bool()> &between) {
    std::map<Clock *, int64_t> clocks;
    std::vector<Object *> every_step, in_between;
    for (Object &object : objects) {
        object.period = (int64_t)std::llround(object.clock->dt[0] / dt);
        clocks[object.clock] = object.period;
        if (!object.function) continue;
        if (object.period == 1) every_step.push_back(&object);
        if (object.period < steps) in_between.push_back(&object);
    }
    const bool uniform = every_step.size() == in_between.size();
    for (int64_t presentation = 0; presentation < presentations; presentation++) {
        for (step = 0; step < steps; step++, now++) {
            for (const auto &entry : clocks) {
                Clock *clock = entry.first;
                if (now % entry.second == 0) {
                    clock->timestep[0] = now / entry.second;
                    clock->t[0] = clock->timestep[0] * clock->dt[0];
                }
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
