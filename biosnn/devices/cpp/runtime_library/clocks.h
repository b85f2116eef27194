// Brian2's regular clock, as far as generated code and the network's loop use it.
#ifndef BIOSNN_CLOCKS_H
#define BIOSNN_CLOCKS_H
#include <cstdint>

struct Clock {
    int64_t *timestep;
    double *t;
    double *dt;
};
#endif
