#include "free_run.h"

#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace biosnn {

static const int MALFORMED = 2, TOO_MUCH_RECORDED = 3;  // exit status, as in biosnn.cpp
static std::vector<std::pair<std::string, std::string>> settings;
static volatile std::sig_atomic_t asked_to_stop = 0;
static double run_seconds = 0.0;

[[noreturn]] static void fail(const std::string &message, int status = MALFORMED) {
    std::fprintf(stderr, "%s\n", message.c_str());
    std::_Exit(status);
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

static double number(const std::string &key) {
    const std::string &text = setting(key);
    char *end;
    const double value = std::strtod(text.c_str(), &end);
    if (end == text.c_str() || *end) fail("malformed setting '" + key + "'");
    return value;
}

static unsigned long whole_number(const std::string &key) {
    const std::string &text = setting(key);
    char *end;
    const unsigned long value = std::strtoul(text.c_str(), &end, 10);
    if (text.empty() || text[0] < '0' || text[0] > '9' || *end)
        fail("malformed setting '" + key + "'");
    return value;
}

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
    void close_at_end() {
        if (!at_end()) fail("'" + path + "' is too long");
        close();
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
    if (getppid() != (pid_t)whole_number("parent")) std::_Exit(MALFORMED);
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
    file.close_at_end();
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
    if (given("seed"))
        seed_generator(whole_number("seed"));
    else
        file.read(generator.data, generator.size);
    file.close_at_end();
}

void simulate(Network &network) {
    Loop loop(network.objects);
    const auto began = std::chrono::steady_clock::now();
    const size_t limit = whole_number("recorder_limit");
    const auto go_on = [&] {
        const size_t held = monitored_bytes();
        if (held > limit) fail(std::to_string(held), TOO_MUCH_RECORDED);
        return !asked_to_stop;
    };
    loop.run(number("start"), number("end"), go_on, [] {});
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
    if (asked_to_stop) return 0;
    save_state();
    monitored_visit(append);
    std::printf("finished 1 1 0 %.17g\n", run_seconds);
    return 0;
}
}  // namespace biosnn
