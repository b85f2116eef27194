#include "free_run.h"

#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace biosnn {

static const int MALFORMED = 2;  // exit status, as in biosnn.cpp
static std::vector<std::pair<std::string, std::string>> settings;
static volatile std::sig_atomic_t asked_to_stop = 0;
static double run_seconds = 0.0;

[[noreturn]] static void fail(const std::string &message) {
    std::fprintf(stderr, "%s\n", message.c_str());
    std::_Exit(MALFORMED);
}

static const std::string *given(const std::string &key) {
    for (const auto &entry : settings)
        if (entry.first == key) return &entry.second;
    return nullptr;
}

static const std::string &setting(const std::string &key) {
    const std::string *found = given(key);
    if (!found) fail("the run's settings lack '" + key + "'");
    return *found;
}

static double number(const std::string &key) { return std::strtod(setting(key).c_str(), nullptr); }

// A file that is read or written from beginning to end.
class File {
    std::string path;
    std::FILE *file;

  public:
    File(const std::string &path, const char *mode)
        : path(path), file(std::fopen(path.c_str(), mode)) {
        if (!file) fail("cannot open '" + path + "'");
    }
    void read(void *to, size_t bytes) {
        if (bytes && std::fread(to, 1, bytes, file) != bytes) fail("'" + path + "' is too short");
    }
    void write(const void *from, size_t bytes) {
        if (bytes && std::fwrite(from, 1, bytes, file) != bytes) fail("no space for '" + path + "'");
    }
    bool at_end() {
        const int next = std::fgetc(file);
        if (next != EOF) std::ungetc(next, file);
        return next == EOF;
    }
    void close() {
        if (std::fclose(file) != 0) fail("no space for '" + path + "'");
    }
};

static void stop_soon(int) { asked_to_stop = 1; }

static void read_settings(const char *path) {
    File file(path, "rb");
    std::string line;
    while (!file.at_end()) {
        char next;
        file.read(&next, 1);
        if (next != '\n') {
            line.push_back(next);
            continue;
        }
        const size_t blank = line.find(' ');
        if (blank == std::string::npos) fail("malformed setting '" + line + "'");
        settings.push_back({line.substr(0, blank), line.substr(blank + 1)});
        line.clear();
    }
    file.close();
}

void configure(int argc, char **argv) {
    if (argc != 2) fail("usage: main SETTINGS (made by biosnn, not to be started by hand)");
    std::signal(SIGTERM, stop_soon);
    std::signal(SIGINT, stop_soon);
    read_settings(argv[1]);
#ifdef __linux__
    // Whoever reads the results is gone: so are we.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != (pid_t)std::atoll(setting("parent").c_str())) std::_Exit(MALFORMED);
#endif
    const std::vector<double *> constants = constant_table();
    for (size_t k = 0; k < constants.size(); k++) {
        const std::string key = "constant." + std::to_string(k);
        if (given(key)) *constants[k] = number(key);
    }
}

void load_static(const char *name, void *to, size_t bytes) {
    File file(std::string("static_arrays/") + name, "rb");
    file.read(to, bytes);
    file.close();
}

// Variables, then for each queue the number of events and their steps and synapses, then the
// random generator, unless the settings have a seed.
void load_state() {
    File file(setting("state_in"), "rb");
    for (const Variable &variable : state_table()) {
        std::vector<char> values(bytes_of(variable.values));
        file.read(values.data(), values.size());
        memory::write(variable.values, 0, variable.values.size, values.data());
    }
    for (const Queue &queue : queue_table()) {
        int64_t n;
        file.read(&n, sizeof n);
        std::vector<int32_t> events(2 * n);
        file.read(events.data(), events.size() * sizeof(int32_t));
        for (int64_t k = 0; k < n; k++) {  // an unused queue is at its first slot
            const size_t ahead = events[2 * k];
            if (queue.slots->size() <= ahead) queue.slots->resize(ahead + 1);
            (*queue.slots)[ahead].push_back(events[2 * k + 1]);
        }
    }
    const Array generator = generator_bytes();
    if (const std::string *seed = given("seed"))
        seed_generator(std::strtoul(seed->c_str(), nullptr, 10));
    else
        file.read(generator.data, generator.size);
    if (!file.at_end()) fail("'" + setting("state_in") + "' is too long");
    file.close();
}

// A time in steps, as Brian2 counts them.
static int64_t steps_at(double time, double dt) {
    const int64_t nearest = (int64_t)std::nearbyint(time / dt);
    if (std::abs(nearest * dt - time) / dt <= 1e-4) return nearest;
    return (int64_t)std::ceil(time / dt);
}

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

static size_t place_of(std::vector<Ticking> &clocks, Clock *wanted) {
    for (size_t k = 0; k < clocks.size(); k++)
        if (clocks[k].clock == wanted) return k;
    clocks.push_back({wanted, 0, false});
    return clocks.size() - 1;
}

// Brian2's loop: the code of all clocks that are first runs in its order, then these clocks tick.
// Like its loop in Python, and unlike that of its binaries, it knows clocks that meet by their
// time steps, so that they also meet after hours.
class Loop {
    std::vector<Ticking> clocks;
    std::vector<Call> calls;

  public:
    explicit Loop(const Network &network) {
        for (const Network::Object &object : network.objects) {
            const size_t clock = place_of(clocks, object.clock);
            if (object.function) calls.push_back({clock, object.function});
        }
    }
    // `stop` ends it before its end.
    void run(double start, double end, const volatile std::sig_atomic_t &stop) {
        for (Ticking &ticking : clocks) {
            ticking.set(steps_at(start, ticking.dt()));
            ticking.end = steps_at(end, ticking.dt());
        }
        while (!clocks.empty() && !stop) {
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
        }
    }
};

// --- samples

static std::vector<char> whole_file(const std::string &path, size_t bytes) {
    std::vector<char> values(bytes);
    File file(path, "rb");
    file.read(values.data(), bytes);
    if (!file.at_end()) fail("'" + path + "' is too long");
    file.close();
    return values;
}

struct Target {
    Array values;
    bool silent;
    std::vector<double> rows;
};

// Events of all samples, sorted by sample and step, and the group whose spikes they are.
struct Events {
    Given group;
    std::vector<int32_t> sample, step, unit;
    size_t first = 0;

    void show(int64_t wanted) {
        while (first < sample.size() && sample[first] < wanted) first++;
        size_t end = first;
        while (end < sample.size() && sample[end] == wanted) end++;
        group.steps->assign(step.begin() + first, step.begin() + end);
        group.units->assign(unit.begin() + first, unit.begin() + end);
    }
};

// Weights whose p-norm (p is 1 or 2) at each neuron becomes `total` before a sample.
struct Scaling {
    Array weights;
    size_t n_post;
    int p;
    bool retries;
    double total;
    std::vector<int32_t> post;

    void apply() const {
        const bool wide = is(weights, "f8");
        const double *f8 = (const double *)weights.data;
        const float *f4 = (const float *)weights.data;
        std::vector<double> values(weights.size), norms(n_post, 0.0);
        for (size_t k = 0; k < weights.size; k++) {
            values[k] = wide ? f8[k] : (double)f4[k];
            norms[post[k]] += p == 1 ? std::abs(values[k]) : values[k] * values[k];
        }
        for (double &norm : norms) {
            if (p == 2) norm = std::sqrt(norm);
            norm = norm > 0.0 ? total / norm : 1.0;
        }
        for (size_t k = 0; k < weights.size; k++) values[k] *= norms[post[k]];
        memory::assign(weights, 0, weights.size, values.data());
    }
};

// Which count decides whether a sample is shown again, and when and how often it is.
struct Watch {
    Array count = {nullptr, "i4", 0};
    int64_t min_spikes = 0, max_retries = 0;

    bool few() const {
        int64_t sum = 0;
        for (size_t k = 0; k < count.size; k++) sum += ((const int32_t *)count.data)[k];
        return sum < min_spikes;
    }
};

static std::vector<int64_t> marks;  // what the monitors hold after each presentation
static std::vector<int32_t> presentations;  // of each sample
static std::vector<std::vector<char>> counted;
static int64_t n_shown = 0;

static int64_t take_number(const char *&text) {
    char *end;
    const int64_t value = std::strtoll(text, &end, 10);
    text = *end == ' ' ? end + 1 : end;
    return value;
}

static double take_decimal(const char *&text) {
    char *end;
    const double value = std::strtod(text, &end);
    text = *end == ' ' ? end + 1 : end;
    return value;
}

// Times count from the onset of the next sample, in whole steps: the last digits do not tell where
// runs were cut.
static void begin_again(const Array &times, double slot, double dt) {
    double *values = (double *)times.data;
    for (size_t k = 0; k < times.size; k++)
        values[k] = std::nearbyint((values[k] - slot) / dt) * dt;
}

static void show_samples(Loop &loop, int64_t n) {
    static const std::sig_atomic_t never = 0;
    const std::vector<Variable> state = state_table();
    std::vector<Target> targets;
    std::vector<std::pair<Array, std::vector<char>>> resets;
    std::vector<Array> times;
    std::vector<double> ends;
    std::vector<Events> events;
    std::vector<Scaling> scalings;
    double intensity = 1.0, intensity_step = 0.0;
    const std::vector<Array> counts = count_table();
    Watch watch;
    for (const auto &entry : settings) {
        const char *text = entry.second.c_str();
        if (entry.first == "intensity") {
            intensity = take_decimal(text);
            intensity_step = take_decimal(text);
        }
        if (entry.first == "watch") {
            watch.count = counts[take_number(text)];
            watch.min_spikes = take_number(text);
            watch.max_retries = take_number(text);
        }
        if (entry.first == "scaling") {
            Scaling scaling;
            scaling.weights = state[take_number(text)].values;
            scaling.n_post = (size_t)take_number(text);
            scaling.p = (int)take_number(text);
            scaling.retries = take_number(text) != 0;
            scaling.total = take_decimal(text);
            scaling.post.resize(scaling.weights.size);
            const size_t bytes = scaling.post.size() * sizeof(int32_t);
            std::memcpy(scaling.post.data(), whole_file(text, bytes).data(), bytes);
            scalings.push_back(scaling);
        }
        if (entry.first == "ends") ends.push_back(std::strtod(text, nullptr));
        if (entry.first == "time") times.push_back(state[take_number(text)].values);
        if (entry.first == "reset") {
            const Array values = state[take_number(text)].values;
            resets.push_back({values, whole_file(text, bytes_of(values))});
        }
        if (entry.first == "events") {
            Events given{given_table()[take_number(text)], {}, {}, {}};
            const int64_t m = take_number(text);
            const std::vector<char> file = whole_file(text, 3 * m * sizeof(int32_t));
            const int32_t *columns = (const int32_t *)file.data();
            given.sample.assign(columns, columns + m);
            given.step.assign(columns + m, columns + 2 * m);
            given.unit.assign(columns + 2 * m, columns + 3 * m);
            events.push_back(given);
        }
        if (entry.first == "target") {
            Target target{state[take_number(text)].values, take_number(text) != 0, {}};
            target.rows.resize(n * target.values.size);
            const size_t bytes = target.rows.size() * sizeof(double);
            std::memcpy(target.rows.data(), whole_file(text, bytes).data(), bytes);
            targets.push_back(target);
        }
    }
    const std::vector<char> seeds = whole_file(setting("seeds"), n * sizeof(uint32_t));
    counted.resize(counts.size());
    std::vector<double> row;
    for (; n_shown < n && !asked_to_stop; n_shown++) {
        seed_generator(((const uint32_t *)seeds.data())[n_shown]);
        bool again = true;
        for (int64_t attempt = 0; again; attempt++) {
            for (const auto &reset : resets)
                memory::write(reset.first, 0, reset.first.size, reset.second.data());
            for (const Scaling &scaling : scalings)
                if (attempt == 0 || scaling.retries) scaling.apply();
            for (const Queue &queue : queue_table())
                for (std::vector<int32_t> &slot : *queue.slots) slot.clear();
            for (const Target &target : targets) {
                const size_t size = target.values.size;
                const double factor = intensity + intensity_step * (double)attempt;
                row.assign(&target.rows[n_shown * size], &target.rows[n_shown * size] + size);
                for (double &value : row) value *= factor;
                memory::assign(target.values, 0, size, row.data());
            }
            for (Events &given : events) given.show(n_shown);
            double begin = 0.0;
            again = false;
            for (double end : ends) {
                if (begin > 0.0)
                    for (const Target &target : targets)
                        if (target.silent) memory::fill(target.values, 0, target.values.size, 0.0);
                loop.run(begin, end, never);
                if (begin == 0.0) again = watch.few() && attempt < watch.max_retries;
                begin = end;
            }
            for (const Array &array : times) begin_again(array, begin, number("dt"));
            monitor_rows(marks);
            if (!again) presentations.push_back((int32_t)attempt + 1);
            for (size_t k = 0; k < counts.size(); k++) {
                const char *data = (const char *)counts[k].data;
                if (!again)
                    counted[k].insert(counted[k].end(), data, data + bytes_of(counts[k]));
                std::memset(counts[k].data, 0, bytes_of(counts[k]));
            }
        }
    }
}

void simulate(Network &network) {
    Loop loop(network);
    const auto began = std::chrono::steady_clock::now();
    if (given("n_samples"))
        show_samples(loop, std::atoll(setting("n_samples").c_str()));
    else
        loop.run(number("start"), number("end"), asked_to_stop);
    run_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

static void save_state() {
    File file(setting("state_out"), "wb");
    for (const Variable &variable : state_table()) {
        std::vector<char> values(bytes_of(variable.values));
        memory::read(variable.values, 0, variable.values.size, values.data());
        file.write(values.data(), values.size());
    }
    for (const Queue &queue : queue_table()) {
        std::vector<int32_t> events;
        const size_t slots = queue.slots->size();
        // A step begins with the next slot: this one has taken effect.
        for (size_t ahead = 1; ahead < slots; ahead++)
            for (int32_t synapse : (*queue.slots)[(*queue.offset + ahead) % slots]) {
                events.push_back((int32_t)ahead);
                events.push_back(synapse);
            }
        const int64_t n = (int64_t)events.size() / 2;
        file.write(&n, sizeof n);
        file.write(events.data(), events.size() * sizeof(int32_t));
    }
    const Array generator = generator_bytes();
    file.write(generator.data, generator.size);
    file.close();
}

static void append(const std::string &name, const void *data, size_t bytes) {
    File file(setting("out") + "/" + name, "ab");
    file.write(data, bytes);
    file.close();
}

int finish() {
    const bool sampled = given("n_samples") != nullptr;
    if (!sampled && asked_to_stop) return 0;
    save_state();
    monitored_visit(append);
    if (sampled) {
        append("marks", marks.data(), marks.size() * sizeof(int64_t));
        append("presentations", presentations.data(), presentations.size() * sizeof(int32_t));
        for (size_t k = 0; k < counted.size(); k++)
            append("counts." + std::to_string(k), counted[k].data(), counted[k].size());
    }
    const long long done = sampled ? n_shown : 1;
    std::printf("finished %lld %lld 0 %.17g\n", done, done, run_seconds);
    return 0;
}
}  // namespace biosnn
