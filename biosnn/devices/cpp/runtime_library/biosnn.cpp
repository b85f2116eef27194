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
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "network.h"

namespace biosnn {

// Exit status; `devices/base/binary.py` knows them, too.
enum Status { MALFORMED = 2, TOO_MUCH_RECORDED = 3, NOT_FINITE = 4 };
static const size_t KEEP_IN_MEMORY = 32 << 20;  // bytes of monitors, before they go to disk

static std::vector<std::pair<std::string, std::string>> settings;
static std::vector<std::string> inactive;
static int64_t n_samples = 0, position = 0, presentations = 0, spikes = 0;
static size_t recorder_limit = 0;
static bool check_every_sample = false;
static volatile std::sig_atomic_t asked_to_stop = 0;
static bool stopped = false;  // after a whole sample, because it was asked to
static std::chrono::steady_clock::time_point started, last_report;
static double run_seconds = 0.0;

[[noreturn]] static void fail(const std::string &message, int status = MALFORMED) {
    std::fprintf(stderr, "%s\n", message.c_str());
    std::_Exit(status);
}

// The value of a setting; the last one counts. None where it is not given.
static const std::string *given(const std::string &key) {
    for (size_t k = settings.size(); k-- > 0;)
        if (settings[k].first == key) return &settings[k].second;
    return nullptr;
}

static const std::string &setting(const std::string &key) {
    const std::string *found = given(key);
    if (!found) fail("the run's settings lack '" + key + "'");
    return *found;
}

static int64_t number(const std::string &key) {
    const std::string &text = setting(key);
    char *end;
    const int64_t value = std::strtoll(text.c_str(), &end, 10);
    if (end == text.c_str() || *end) fail("malformed setting '" + key + "'");
    return value;
}

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
    Mapped values;  // rows of floating-point numbers, or int32 triplets for events
    int64_t width = 0;  // bytes of such a number
    int64_t frames = 0, n_events = 0;
    std::vector<int64_t> begins;  // first event of each sample
    std::vector<int64_t> cursor;  // next event of each replica
    std::vector<int32_t> set;     // units that fired in the step before
    std::vector<double> rows;     // what all replicas are shown
    bool given = false;
};
static std::vector<OpenChannel> channels;

struct OpenRecorder {
    Recorder spec;
    Mapped rows;
    size_t row_bytes = 0, n_rows = 0;  // of one network
    std::vector<char> values;          // of all replicas
};
static std::vector<OpenRecorder> recorders, snapshots;
static const OpenRecorder *counted = nullptr;  // whose spikes are reported
struct OpenFile {
    std::string name;
    std::FILE *file;
};
static std::vector<OpenFile> monitor_files;
static size_t monitored = 0;  // bytes written so far
static Mapped shown;
static Protocol protocol;
static std::vector<int32_t> samples;  // of each replica, since the last border
static int64_t finished = 0;          // samples of all replicas
static std::vector<Variable> state;
static size_t state_bytes = 0;  // of one network
static std::FILE *state_out = nullptr;

// One value for every replica, or one for each.
template <typename T>
static void set(const Array &array, std::vector<T> values) {
    values.resize(array.size, values.back());
    memory::write(array, 0, array.size, values.data());
}

template <typename T>
static std::vector<T> numbers(const std::string &key) {
    std::vector<T> values;
    const char *words = setting(key).c_str();
    for (char *end;; words = end) {
        const double value = std::strtod(words, &end);
        if (end == words) break;
        values.push_back((T)value);
    }
    if (values.empty()) fail("malformed setting '" + key + "'");
    return values;
}

static std::vector<int32_t> get(const Array &array) {
    std::vector<int32_t> values(array.size);
    memory::read(array, 0, array.size, values.data());
    return values;
}

static bool shows(int64_t replica) { return samples[replica] < n_samples; }

// Where the rows of a replica begin in what is recorded: replicas that share the samples also
// share the rows.
static int64_t first_row(int64_t replica, int64_t rows) { return stride == 1 ? replica * rows : 0; }

static void stop_soon(int) { asked_to_stop = 1; }

void configure(int argc, char **argv) {
    if (argc != 2) fail("usage: main SETTINGS (made by biosnn, not to be started by hand)");
    if (replicas == 1) {  // several are at different samples: a stop ends them at once
        std::signal(SIGTERM, stop_soon);
        std::signal(SIGINT, stop_soon);
    }
    std::FILE *file = std::fopen(argv[1], "r");
    if (!file) fail(std::string("cannot read '") + argv[1] + "'");
    char *read = nullptr;
    size_t room = 0;
    for (ssize_t length; (length = getline(&read, &room, file)) >= 0;) {
        const std::string line(read, length - (length > 0 && read[length - 1] == '\n'));
        const size_t blank = line.find(' ');
        if (blank == std::string::npos) fail("malformed setting '" + line + "'");
        const std::string key = line.substr(0, blank), value = line.substr(blank + 1);
        if (key == "inactive")
            inactive.push_back(value);
        else
            settings.emplace_back(key, value);
    }
    std::free(read);
    std::fclose(file);
#ifdef __linux__
    // Whoever reads the results is gone: so are we. (Elsewhere, the next report fails.)
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const pid_t parent = (pid_t)number("parent");  // 0: a shell, which is nobody's concern
    if (parent != 0 && getppid() != parent) std::_Exit(MALFORMED);
#endif
    n_samples = number("n_samples");
    position = number("position");
    recorder_limit = (size_t)number("recorder_limit");
    check_every_sample = number("check_every_sample") != 0;
}

static void fill(const OpenChannel &channel, const double *row);
static bool read_rows(OpenChannel &channel, int64_t frame);

static std::FILE *create(const std::string &path) {
    std::FILE *file = std::fopen(path.c_str(), "wb");
    if (!file) fail("cannot write '" + path + "'");
    return file;
}

static void open_recorders() {
    const int64_t networks = stride == 1 ? replicas : 1;
    for (const Recorder &spec : recorder_table()) {
        OpenRecorder recorder;
        recorder.spec = spec;
        recorder.row_bytes = bytes_of(spec.source) / spec.copies;
        recorder.n_rows =
            spec.every ? (position + n_samples) / spec.every - position / spec.every : n_samples;
        const std::string file = (spec.every ? "snapshots." : "") + spec.name;
        recorder.rows.create(setting("out") + "/" + file,
                             recorder.n_rows * networks * recorder.row_bytes);
        (spec.every ? snapshots : recorders).push_back(recorder);
    }
    for (const OpenRecorder &recorder : recorders)
        if (recorder.spec.name == counted_recorder) counted = &recorder;
    shown.create(setting("out") + "/shown", n_samples * networks * sizeof(int32_t));
    monitored_visit([](const std::string &name, const void *, size_t) {
        monitor_files.push_back({name, create(setting("out") + "/" + name)});
    });
}

// Replicas that share the samples begin with the same state, others each with its own.
static void read_state() {
    state = state_table();
    for (const Variable &variable : state) state_bytes += bytes_of(variable.values) / variable.copies;
    const int64_t networks = stride == 1 ? replicas : 1;
    Mapped file;
    file.open_for_reading(setting("state_in"), networks * state_bytes);
    size_t offset = 0;
    for (const Variable &variable : state) {
        std::vector<char> values(bytes_of(variable.values));
        const size_t part = values.size() / variable.copies;
        for (int64_t copy = 0; copy < variable.copies; copy++) {
            const int64_t network = networks == 1 ? 0 : copy;
            std::memcpy(values.data() + copy * part, file.data + network * state_bytes + offset,
                        part);
        }
        memory::write(variable.values, 0, variable.values.size, values.data());
        offset += part;
    }
}

void load_static(const char *name, void *to, size_t bytes) {
    Mapped file;
    file.open_for_reading(std::string("static_arrays/") + name, bytes);
    std::memcpy(to, file.data, bytes);
}

void load_state() {
    read_state();
    state_out = create(setting("state_out"));
    protocol = protocol_arrays();
    for (const Array *array :
         {&protocol.attempt, &protocol.pending, &protocol.step, &protocol.n_watch})
        set<int32_t>(*array, {0});
    for (int64_t replica = 0; replica < replicas; replica++)
        samples.push_back(stride == 1 ? 0 : (int32_t)replica);
    set(protocol.sample, samples);
    set(protocol.seed, numbers<int32_t>("seed"));
    set(protocol.epoch, numbers<int32_t>("epoch"));
    set(protocol.first_sample, numbers<int32_t>("first_sample"));
    set(protocol.horizon, numbers<double>("horizon"));
    set(protocol.learning, numbers<int32_t>("learning"));

    for (const Channel &spec : channel_table()) {
        OpenChannel channel;
        channel.spec = spec;
        const std::string path = "input." + spec.name;
        channel.given = given(path) != nullptr;
        if (channel.given && channel.spec.kind == "events") {
            channel.n_events = number("events." + spec.name);
            channel.values.open_for_reading(setting(path), channel.n_events * 3 * sizeof(int32_t));
            const int32_t *samples = (const int32_t *)channel.values.data;
            for (int64_t k = 0; k <= n_samples; k++)
                channel.begins.push_back(
                    std::lower_bound(samples, samples + channel.n_events, (int32_t)k) - samples);
        } else if (channel.given) {
            channel.frames = number("frames." + spec.name);
            channel.width = number("width." + spec.name);
            channel.values.open_for_reading(
                setting(path),
                (size_t)n_samples * channel.frames * channel.spec.features * channel.width);
        }
        // A spike in the last step before the border is still set in the state.
        if (channel.spec.kind == "events") fill(channel, nullptr);
        channel.cursor.resize(replicas);
        channels.push_back(channel);
    }
    open_recorders();
}

static void fill(const OpenChannel &channel, const double *row) {
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
    if (!channel.given) return;
    for (int64_t replica = 0; replica < replicas; replica++) {
        if (!shows(replica)) continue;
        const int64_t sample = samples[replica];
        int64_t &cursor = channel.cursor[replica];
        if (step == 0) cursor = channel.begins[sample];
        while (cursor < channel.begins[sample + 1] && steps[cursor] == step)
            channel.set.push_back((int32_t)(replica * channel.spec.features) + units[cursor++]);
    }
    for (const Array &target : channel.spec.targets) memory::put(target, 0, channel.set, 1);
}

void load_channel(const char *name) {
    size_t k = 0;
    while (channels[k].spec.name != name) k++;
    OpenChannel &channel = channels[k];
    if (channel.spec.kind == "events") return play_events(channel);
    const int64_t frame =
        channel.spec.kind == "sequence" ? Network::step / channel.spec.frame_steps : 0;
    fill(channel, read_rows(channel, frame) ? channel.rows.data() : nullptr);
}

// Puts a frame of all replicas into the channel's rows; says whether one is given.
static bool read_rows(OpenChannel &channel, int64_t frame) {
    if (!channel.given || frame >= channel.frames) return false;
    const size_t features = channel.spec.features;
    channel.rows.assign(replicas * features, channel.spec.absent);
    for (int64_t replica = 0; replica < replicas; replica++) {
        if (!shows(replica)) continue;
        const char *row = (const char *)channel.values.data +
                          (samples[replica] * channel.frames + frame) * features * channel.width;
        double *to = &channel.rows[replica * features];
        if (channel.width == sizeof(double))
            std::copy_n((const double *)row, features, to);
        else
            std::copy_n((const float *)row, features, to);
    }
    return true;
}

// Looks at the variables of one kind, 's' or 'c' (see biosnn.h), of the replicas that have shown
// one of the samples.
static void check_finite(char kind, const std::vector<int32_t> &shown) {
    std::vector<Array> arrays;
    for (const Variable &variable : state)
        if (variable.check == kind) arrays.push_back(variable.values);
    if (memory::all_finite(arrays)) return;
    for (const Variable &variable : state) {
        if (variable.check != kind) continue;
        const Array &values = variable.values;
        const size_t part = values.size / variable.copies;
        for (int64_t replica = 0; replica < replicas; replica++) {
            const size_t first = variable.copies == 1 ? 0 : replica * part;
            const int64_t index = memory::first_not_finite(values, first, part);
            if (index >= 0 && shown[replica] < n_samples)
                fail(variable.name + " " + std::to_string(index) + " " +
                         std::to_string(shown[replica]) + " " + std::to_string(replica),
                     NOT_FINITE);
        }
    }
}

static void copy(OpenRecorder &recorder, int64_t replica, int64_t row) {
    const Array &source = recorder.spec.source;
    const size_t part = source.size / recorder.spec.copies;
    const size_t first = recorder.spec.copies == 1 ? 0 : replica * part;
    memory::read(source, first, part,
                 recorder.rows.data +
                     (first_row(replica, recorder.n_rows) + row) * recorder.row_bytes);
}

void store_sample() {
    check_finite('s', samples);
    const std::vector<int32_t> attempts = get(protocol.attempt);
    for (OpenRecorder &recorder : recorders) {
        if (replicas == 1) {
            copy(recorder, 0, samples[0]);
            continue;
        }
        const size_t bytes = recorder.row_bytes;
        recorder.values.resize(replicas * bytes);
        memory::read(recorder.spec.source, 0, recorder.spec.source.size, recorder.values.data());
        for (int64_t replica = 0; replica < replicas; replica++)
            if (shows(replica))
                std::memcpy(recorder.rows.data +
                                (first_row(replica, n_samples) + samples[replica]) * bytes,
                            recorder.values.data() + replica * bytes, bytes);
    }
    for (int64_t replica = 0; replica < replicas; replica++)
        if (shows(replica))
            ((int32_t *)shown.data)[first_row(replica, n_samples) + samples[replica]] =
                attempts[replica] + 1;
}

static void drain_monitors() {
    monitored_visit([](const std::string &name, const void *data, size_t bytes) {
        size_t k = 0;
        while (monitor_files[k].name != name) k++;
        if (std::fwrite(data, 1, bytes, monitor_files[k].file) != bytes)
            fail("no space for '" + setting("out") + "/" + name + "'");
    });
    monitored += monitored_bytes();
    monitored_clear();
}

static void take_snapshots(int64_t replica, int64_t done) {
    for (OpenRecorder &snapshot : snapshots) {
        const int64_t every = snapshot.spec.every;
        if ((position + done) % every == 0)
            copy(snapshot, replica, (position + done) / every - position / every - 1);
    }
}

// Writes the state of one replica as that of a network of its own. Its last spikes are relative to
// the present, in whole steps: the last digits do not tell where runs were cut.
static void save_state(int64_t replica, double now) {
    fseeko(state_out, stride == 1 ? replica * state_bytes : 0, SEEK_SET);
    for (const Variable &variable : state) {
        const size_t part = variable.values.size / variable.copies;
        std::vector<char> values(bytes_of(variable.values) / variable.copies);
        memory::read(variable.values, variable.copies == 1 ? 0 : replica * part, part,
                     values.data());
        if (variable.clock_time)
            for (size_t k = 0; k < part; k++) {
                double &last = ((double *)values.data())[k];
                last = std::round((last - now) / time_step) * time_step;
            }
        std::fwrite(values.data(), 1, values.size(), state_out);
    }
}

static void count_spikes(int64_t replica) {
    if (!counted) return;
    const int64_t row = first_row(replica, n_samples) + samples[replica];
    const int32_t *counts = (const int32_t *)(counted->rows.data + row * counted->row_bytes);
    for (size_t k = 0; k < counted->spec.source.size / replicas; k++) spikes += counts[k];
}

// Samples that all networks have shown, or one has where all share them.
static int64_t done() { return stride == 1 ? finished / replicas : finished; }

static void report(const char *what, const std::string &more) {
    std::printf("%s %lld %lld %lld%s\n", what, (long long)done(), (long long)presentations,
                (long long)spikes, more.c_str());
    std::fflush(stdout);
}

// After each presentation; says whether to go on.
static Network *running = nullptr;

static bool between() {
    const size_t held = monitored_bytes();
    if (monitored + held > recorder_limit)
        fail(std::to_string(monitored + held), TOO_MUCH_RECORDED);
    if (held > KEEP_IN_MEMORY) drain_monitors();
    if (check_every_sample) check_finite('c', samples);
    const std::vector<int32_t> next = get(protocol.sample);
    bool one_finished = false;
    for (int64_t replica = 0; replica < replicas; replica++) {
        if (!shows(replica)) continue;
        presentations++;
        if (next[replica] == samples[replica]) continue;
        one_finished = true;
        finished++;
        take_snapshots(replica, samples[replica] + 1);
        count_spikes(replica);
        if (replicas > 1 && samples[replica] == n_samples - 1) {
            // It waits for the others, and what it does meanwhile does not count.
            if (stride == 1) check_finite('c', samples);
            save_state(replica, running->now * time_step);
        }
        samples[replica] = next[replica];
    }
    if (!one_finished) return true;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_report >= std::chrono::milliseconds(200)) {
        last_report = now;
        report("progress", "");
    }
    stopped = asked_to_stop;
    return !stopped;
}

// Presentations that are needed at least. One finishes a sample or none, so this is never one too
// many for the replica that is last.
static int64_t left() {
    int64_t most = 0;
    for (int64_t sample : samples) most = std::max(most, (n_samples - sample + stride - 1) / stride);
    return most;
}

void simulate(Network &network) {
    running = &network;
    network.remove(inactive);
    started = last_report = std::chrono::steady_clock::now();
    while (left() > 0 && !stopped)
        network.run(left(), steps_per_presentation, time_step, between);
    run_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    if (replicas == 1) {
        check_finite('c', {samples[0] - 1});
        save_state(0, network.t);
    }
}

int finish() {
    const bool failed = std::ferror(state_out) != 0;
    if (std::fclose(state_out) != 0 || failed)
        fail("no space for '" + setting("state_out") + "'");
    drain_monitors();
    for (const OpenFile &open : monitor_files)
        if (std::fclose(open.file) != 0)
            fail("no space for '" + setting("out") + "/" + open.name + "'");
    char seconds[32];
    std::snprintf(seconds, sizeof(seconds), " %.17g", run_seconds);
    report("finished", seconds);
    return 0;
}
}  // namespace biosnn
