#include "biosnn.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>

#include "network.h"

namespace biosnn {

// Exit status; `devices/binary.py` knows them, too.
enum Status { MALFORMED = 2, TOO_MUCH_RECORDED = 3, NOT_FINITE = 4 };
static const size_t KEEP_IN_MEMORY = 32 << 20;  // bytes of monitors, before they go to disk

static std::map<std::string, std::string> settings;
static std::set<std::string> inactive;
static int64_t n_samples = 0, position = 0, presentations = 0, spikes = 0;
static size_t recorder_limit = 0;
static bool check_every_sample = false;
static volatile std::sig_atomic_t asked_to_stop = 0;
static bool stopped = false;  // after a whole sample, because it was asked to
static std::chrono::steady_clock::time_point started, last_report;
static double run_seconds = 0.0;

[[noreturn]] static void fail(const std::string &message, int status = MALFORMED) {
    std::cerr << message << std::endl;
    std::exit(status);
}

static const std::string &setting(const std::string &key) {
    auto found = settings.find(key);
    if (found == settings.end()) fail("the run's settings lack '" + key + "'");
    return found->second;
}

static int64_t number(const std::string &key) { return std::stoll(setting(key)); }

// A file mapped into memory, read-only or freshly made.
struct Mapped {
    char *data = nullptr;
    size_t bytes = 0;
    void open_for_reading(const std::string &path, size_t expected) {
        int file = ::open(path.c_str(), O_RDONLY);
        struct stat info;
        if (file < 0 || fstat(file, &info) != 0) fail("cannot read '" + path + "'");
        if ((size_t)info.st_size != expected)
            fail("'" + path + "' has " + std::to_string(info.st_size) + " bytes, expected " +
                 std::to_string(expected));
        map(file, expected, PROT_READ, path);
    }
    void create(const std::string &path, size_t size) {
        int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
        if (file < 0) fail("cannot write '" + path + "'");
#ifdef __APPLE__
        const int refused = ftruncate(file, (off_t)size);
#else
        const int refused = size > 0 ? posix_fallocate(file, 0, (off_t)size) : 0;
#endif
        if (refused != 0)
            fail("no space for '" + path + "' (" + std::to_string(size) + " bytes)");
        map(file, size, PROT_READ | PROT_WRITE, path);
    }

  private:
    void map(int file, size_t size, int protection, const std::string &path) {
        bytes = size;
        if (size > 0) {
            data = (char *)mmap(nullptr, size, protection, MAP_SHARED, file, 0);
            if (data == MAP_FAILED) fail("cannot map '" + path + "'");
        }
        ::close(file);
    }
};

struct OpenChannel {
    Channel spec;
    Mapped values;  // float32 rows, or int32 triplets for events
    int64_t frames = 0, n_events = 0;
    std::vector<int64_t> begins;  // first event of each sample
    int64_t cursor = 0;
    std::vector<int32_t> set;  // units that fired in the step before
    bool given = false;
};
static std::map<std::string, OpenChannel> channels;

struct OpenRecorder {
    Recorder spec;
    Mapped rows;
    size_t row_bytes = 0;
};
static std::vector<OpenRecorder> recorders, snapshots;
static const OpenRecorder *counted = nullptr;  // whose spikes are reported
static std::map<std::string, std::ofstream> monitor_files;
static size_t monitored = 0;  // bytes written so far
static Mapped shown;
static Protocol protocol;
static int64_t sample = 0;  // as the protocol has it since the last border
static std::vector<Variable> state;

template <typename T>
static void set(const Array &array, T value) {
    const std::vector<T> values(array.size, value);
    memory::write(array, 0, array.size, values.data());
}

static int32_t get(const Array &array) {
    int32_t value;
    memory::read(array, 0, 1, &value);
    return value;
}

static void stop_soon(int) { asked_to_stop = 1; }

void configure(int argc, char **argv) {
    if (argc != 2) fail("usage: main SETTINGS (made by biosnn, not to be started by hand)");
    std::signal(SIGTERM, stop_soon);
    std::signal(SIGINT, stop_soon);
    std::ifstream file(argv[1]);
    if (!file) fail(std::string("cannot read '") + argv[1] + "'");
    std::string line;
    while (std::getline(file, line)) {
        const size_t blank = line.find(' ');
        if (blank == std::string::npos) fail("malformed setting '" + line + "'");
        const std::string key = line.substr(0, blank), value = line.substr(blank + 1);
        if (key == "inactive")
            inactive.insert(value);
        else
            settings[key] = value;
    }
#ifdef __linux__
    // Whoever reads the results is gone: so are we. (Elsewhere, the next report fails.)
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != (pid_t)number("parent")) std::_Exit(MALFORMED);
#endif
    n_samples = number("n_samples");
    position = number("position");
    recorder_limit = (size_t)number("recorder_limit");
    check_every_sample = number("check_every_sample") != 0;
}

static void fill(const OpenChannel &channel, const float *row);

static void open_recorders() {
    for (const Recorder &spec : recorder_table()) {
        OpenRecorder recorder;
        recorder.spec = spec;
        recorder.row_bytes = bytes_of(spec.source);
        const int64_t rows =
            spec.every ? (position + n_samples) / spec.every - position / spec.every : n_samples;
        const std::string file = (spec.every ? "snapshots." : "") + spec.name;
        recorder.rows.create(setting("out") + "/" + file, rows * recorder.row_bytes);
        (spec.every ? snapshots : recorders).push_back(recorder);
    }
    for (const OpenRecorder &recorder : recorders)
        if (!counted && recorder.spec.source.kind == "i4" &&
            recorder.spec.name.find(".count") != std::string::npos)
            counted = &recorder;
    shown.create(setting("out") + "/shown", n_samples * sizeof(int32_t));
    monitored_visit([](const std::string &name, const void *, size_t) {
        monitor_files[name].open(setting("out") + "/" + name, std::ios::binary);
    });
}

void load_state() {
    state = state_table();
    size_t total = 0;
    for (const Variable &variable : state) total += bytes_of(variable.values);
    std::ifstream file(setting("state_in"), std::ios::binary | std::ios::ate);
    if (!file) fail("cannot read '" + setting("state_in") + "'");
    if ((size_t)file.tellg() != total)
        fail("'" + setting("state_in") + "' has " + std::to_string((size_t)file.tellg()) +
             " bytes, expected " + std::to_string(total));
    file.seekg(0);
    for (const Variable &variable : state) {
        std::vector<char> values(bytes_of(variable.values));
        file.read(values.data(), values.size());
        if (!file) fail("cannot read '" + setting("state_in") + "'");
        memory::write(variable.values, 0, variable.values.size, values.data());
    }
    protocol = protocol_arrays();
    for (const Array *array : {&protocol.sample, &protocol.attempt, &protocol.pending,
                               &protocol.step, &protocol.n_watch})
        set<int32_t>(*array, 0);
    set(protocol.seed, (int32_t)number("seed"));
    set(protocol.epoch, (int32_t)number("epoch"));
    set(protocol.first_sample, (int32_t)number("first_sample"));
    set(protocol.horizon, (double)number("horizon"));
    set(protocol.learning, (int32_t)number("learning"));

    for (const auto &entry : channel_table()) {
        OpenChannel channel;
        channel.spec = entry.second;
        const std::string path = "input." + entry.first;
        channel.given = settings.count(path) > 0;
        if (channel.given && channel.spec.kind == "events") {
            channel.n_events = number("events." + entry.first);
            channel.values.open_for_reading(setting(path), channel.n_events * 3 * sizeof(int32_t));
            const int32_t *samples = (const int32_t *)channel.values.data;
            for (int64_t k = 0; k <= n_samples; k++)
                channel.begins.push_back(
                    std::lower_bound(samples, samples + channel.n_events, (int32_t)k) - samples);
        } else if (channel.given) {
            channel.frames = number("frames." + entry.first);
            channel.values.open_for_reading(
                setting(path),
                (size_t)n_samples * channel.frames * channel.spec.features * sizeof(float));
        }
        // A spike in the last step before the border is still set in the state.
        if (channel.spec.kind == "events") fill(channel, nullptr);
        channels[entry.first] = channel;
    }
    open_recorders();
}

static void fill(const OpenChannel &channel, const float *row) {
    for (const Array &target : channel.spec.targets)
        if (row)
            memory::assign(target, 0, target.size, row);
        else
            memory::fill(target, 0, target.size, channel.spec.absent);
}

static void play_events(OpenChannel &channel) {
    const int32_t *steps = (const int32_t *)channel.values.data + channel.n_events;
    const int32_t *units = steps + channel.n_events;
    const int32_t step = (int32_t)Network::step;
    for (const Array &target : channel.spec.targets) memory::put(target, 0, channel.set, 0);
    channel.set.clear();
    if (!channel.given || sample >= n_samples) return;
    if (step == 0) channel.cursor = channel.begins[sample];
    while (channel.cursor < channel.begins[sample + 1] && steps[channel.cursor] == step)
        channel.set.push_back(units[channel.cursor++]);
    for (const Array &target : channel.spec.targets) memory::put(target, 0, channel.set, 1);
}

void load_channel(const char *name) {
    OpenChannel &channel = channels[name];
    if (channel.spec.kind == "events") return play_events(channel);
    const int64_t frame =
        channel.spec.kind == "sequence" ? Network::step / channel.spec.frame_steps : 0;
    if (!channel.given || sample >= n_samples || frame >= channel.frames)
        return fill(channel, nullptr);
    fill(channel, (const float *)channel.values.data +
                      (sample * channel.frames + frame) * channel.spec.features);
}

// Looks at the variables of one kind: 's' or 'c', see biosnn.h.
static void check_finite(char kind, int64_t sample) {
    for (const Variable &variable : state) {
        if (variable.check != kind) continue;
        const int64_t index = memory::first_not_finite(variable.values);
        if (index >= 0)
            fail(variable.name + " " + std::to_string(index) + " " +
                     std::to_string((long long)sample),
                 NOT_FINITE);
    }
}

static void copy(OpenRecorder &recorder, int64_t row) {
    const Array &source = recorder.spec.source;
    memory::read(source, 0, source.size, recorder.rows.data + row * recorder.row_bytes);
}

void store_sample() {
    check_finite('s', sample);
    for (OpenRecorder &recorder : recorders) copy(recorder, sample);
    ((int32_t *)shown.data)[sample] = get(protocol.attempt) + 1;
}

static void drain_monitors() {
    monitored_visit([](const std::string &name, const void *data, size_t bytes) {
        std::ofstream &file = monitor_files[name];
        if (bytes > 0) file.write((const char *)data, bytes);
        if (!file) fail("no space for '" + setting("out") + "/" + name + "'");
    });
    monitored += monitored_bytes();
    monitored_clear();
}

static void take_snapshots(int64_t finished) {
    for (OpenRecorder &snapshot : snapshots) {
        const int64_t every = snapshot.spec.every;
        if ((position + finished) % every == 0)
            copy(snapshot, (position + finished) / every - position / every - 1);
    }
}

// After each presentation; says whether to go on.
static bool between() {
    static int64_t finished = 0;
    presentations++;
    const size_t held = monitored_bytes();
    if (monitored + held > recorder_limit)
        fail(std::to_string(monitored + held), TOO_MUCH_RECORDED);
    if (held > KEEP_IN_MEMORY) drain_monitors();
    sample = get(protocol.sample);
    if (check_every_sample) check_finite('c', finished);
    if (sample == finished) return true;
    finished = sample;
    if (!snapshots.empty()) take_snapshots(finished);
    if (counted) {
        const int32_t *row =
            (const int32_t *)(counted->rows.data + (finished - 1) * counted->row_bytes);
        for (size_t k = 0; k < counted->spec.source.size; k++) spikes += row[k];
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - last_report >= std::chrono::milliseconds(200)) {
        last_report = now;
        std::cout << "progress " << finished << " " << presentations << " " << spikes << std::endl;
    }
    stopped = asked_to_stop;
    return !stopped;
}

// Relative to the end of a run, in whole steps: the last digits do not tell where runs were cut.
static void rebase_lastspikes(double end) {
    for (const Array &lastspikes : lastspike_table()) {
        std::vector<double> values(lastspikes.size);
        memory::read(lastspikes, 0, values.size(), values.data());
        for (double &last : values) last = std::round((last - end) / time_step) * time_step;
        memory::write(lastspikes, 0, values.size(), values.data());
    }
}

void simulate(Network &network) {
    network.remove(inactive);
    started = last_report = std::chrono::steady_clock::now();
    // A presentation finishes one sample or none, so this never shows one too many.
    while (sample < n_samples && !stopped)
        network.run(n_samples - sample, steps_per_presentation, time_step, between);
    rebase_lastspikes(network.t);
    run_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

int finish() {
    check_finite('c', sample - 1);
    std::ofstream file(setting("state_out"), std::ios::binary);
    for (const Variable &variable : state) {
        std::vector<char> values(bytes_of(variable.values));
        memory::read(variable.values, 0, variable.values.size, values.data());
        file.write(values.data(), values.size());
    }
    file.close();
    if (!file) fail("no space for '" + setting("state_out") + "'");
    drain_monitors();
    for (auto &entry : monitor_files) {
        entry.second.close();
        if (!entry.second) fail("no space for '" + setting("out") + "/" + entry.first + "'");
    }
    std::cout.precision(17);
    std::cout << "finished " << sample << " " << presentations << " " << spikes << " "
              << run_seconds << std::endl;
    return 0;
}
}  // namespace biosnn
