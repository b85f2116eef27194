#include "script_network.h"

int64_t Network::step = 0;

namespace biosnn {

static Mapped first_values, seeds;
static int64_t presented = 0;  // presentations of the chunk

template <typename T, int which>
static Array number_of(const char *kind) {
    static void *value = memory::allocate(sizeof(T));
    return {value, kind, 1};
}

double time_before() { return presented * steps_per_presentation * time_step; }

Array samples_seen() { return number_of<int32_t, 0>("i4"); }

Protocol protocol_arrays() {
    const Array unused = number_of<int32_t, 1>("i4");
    return {number_of<int32_t, 2>("i4"), number_of<int32_t, 3>("i4"), unused, unused, unused,
            unused, unused, number_of<int32_t, 4>("i4"), unused, number_of<double, 5>("f8")};
}

static OpenChannel &channel_of(const std::string &name) {
    size_t k = 0;
    while (channels[k].spec.name != name) k++;
    return channels[k];
}

// The rows of an input, which a factor makes more or less intense.
static void show(OpenChannel &channel, double factor) {
    const bool sequence = channel.spec.kind == "sequence";
    if (!read_rows(channel, sequence ? Network::step / channel.spec.frame_steps : 0))
        return fill(channel, nullptr);
    for (double &value : channel.rows) value *= factor;
    fill(channel, channel.rows.data());
}

static void show_inputs(double factor) {
    for (OpenChannel &channel : channels)
        if (channel.spec.kind == "sequence" || (channel.spec.kind == "static" && Network::step == 0))
            show(channel, factor);
}

static void show_events(const GivenBy &given) {
    const OpenChannel &channel = channel_of(given.input);
    given.spikes.steps->clear();
    given.spikes.units->clear();
    if (!channel.given) return;
    const int32_t *steps = (const int32_t *)channel.values.data + channel.n_events;
    const int64_t begin = channel.begins[samples[0]], end = channel.begins[samples[0] + 1];
    given.spikes.steps->assign(steps + begin, steps + end);
    steps += channel.n_events;
    given.spikes.units->assign(steps + begin, steps + end);
}

static void begin_anew() {
    size_t offset = 0, next = 0;
    const std::vector<size_t> places = reset_table();
    for (size_t k = 0; k < state.size() && next < places.size(); k++) {
        const Array &values = state[k].values;
        if (places[next] == k) {
            memory::write(values, 0, values.size, first_values.data + offset);
            next++;
        }
        offset += bytes_of(values);
    }
    clear_pending();
}

static double intensity(int32_t attempt) {
    OpenChannel &given = channel_of("intensity");
    const double own = read_rows(given, 0) ? given.rows[0] : given.spec.absent;
    return (base_intensity + intensity_step * attempt) * own;
}

// Times count from the onset of the next sample, in whole steps: the last digits do not tell where
// runs were cut.
static void count_from_next_onset(const Array &times, double slot) {
    std::vector<double> values(times.size);
    memory::read(times, 0, times.size, values.data());
    for (double &value : values) value = std::nearbyint((value - slot) / time_step) * time_step;
    memory::write(times, 0, times.size, values.data());
}

static bool few() {
    int64_t fired = 0;
    for (const Array &counts : watch_table())
        for (int32_t count : get(counts)) fired += count;
    return fired < min_spikes;
}

static std::vector<double> values_of(const Array &array) {
    std::vector<double> values(array.size);
    std::vector<float> narrow(is(array, "f4") ? array.size : 0);
    if (narrow.empty()) {
        memory::read(array, 0, array.size, values.data());
        return values;
    }
    memory::read(array, 0, array.size, narrow.data());
    return std::vector<double>(narrow.begin(), narrow.end());
}

static void scale(const Scaling &scaling) {
    std::vector<double> values = values_of(scaling.weights), norms(scaling.n_post, 0.0);
    std::vector<int32_t> post = get(scaling.post);
    if (post.empty()) return;
    for (int32_t &neuron : post) neuron -= scaling.first;
    for (size_t k = 0; k < values.size(); k++)
        norms[post[k]] += scaling.p == 1 ? std::abs(values[k]) : values[k] * values[k];
    for (double &norm : norms) {
        if (scaling.p == 2) norm = std::sqrt(norm);
        norm = norm > 0.0 ? scaling.total / norm : 1.0;
    }
    for (size_t k = 0; k < values.size(); k++) values[k] *= norms[post[k]];
    memory::assign(scaling.weights, 0, values.size(), values.data());
}

static bool learns(const std::string &name) {
    return std::find(inactive.begin(), inactive.end(), name) == inactive.end();
}

static void read_what_stays() {
    size_t bytes = 0;
    for (const Variable &variable : state) bytes += bytes_of(variable.values);
    first_values.open_for_reading(given("first") ? setting("first") : "state", bytes);
    seeds.open_for_reading(setting("seeds"), n_samples * sizeof(uint32_t));
    const std::vector<double *> constants = constant_table();
    for (size_t k = 0; k < constants.size(); k++) {
        const std::string key = "constant." + std::to_string(k);
        if (given(key)) *constants[k] = numbers<double>(key)[0];
    }
}

static void end_presentation(int32_t attempt, bool again, double slot) {
    for (Stamps &stamp : stamps)
        for (size_t k = stamp.sample.size(); k < stamp.t->size(); k++) {
            stamp.sample.push_back(samples[0]);
            stamp.attempt.push_back(attempt);
            stamp.time.push_back((*stamp.t)[k] + presented * slot);
        }
    presented++;
    for (const Array &times : time_table()) count_from_next_onset(times, slot);
    store_sample();
    set<int32_t>(protocol.attempt, {again ? attempt + 1 : 0});
    if (!again) {
        set<int32_t>(protocol.sample, {samples[0] + 1});
        set<int32_t>(samples_seen(), {get(samples_seen())[0] + get(protocol.learning)[0]});
    }
    for (const Array &counts : count_table()) set<int32_t>(counts, {0});
}
}  // namespace biosnn

void Network::remove(const std::vector<std::string> &fixed) {
    using namespace biosnn;
    for (const Switch &one : switch_table())
        set<int32_t>(one.learns, {std::find(fixed.begin(), fixed.end(), one.name) == fixed.end()});
}

void Network::run(int64_t presentations, int64_t, double, bool (*between)()) {
    using namespace biosnn;
    Loop loop(objects);
    const std::vector<Segment> segments = segment_table();
    if (!seeds.data) read_what_stays();
    for (; presentations > 0; presentations--) {
        const int32_t attempt = get(protocol.attempt)[0];
        const double factor = intensity(attempt);
        begin_anew();
        for (const GivenBy &given : given_table()) show_events(given);
        for (const Scaling &scaling : scaling_table())
            if (learns(scaling.name) && (attempt == 0 || scaling.retries)) scale(scaling);
        begin_draws(((const uint32_t *)seeds.data)[samples[0]], attempt);
        step_begins();
        double begin = 0.0;
        bool enough = true, rested = false;
        for (const Segment &segment : segments) {
            step = segment.step;
            show_inputs(factor);
            if (segment.rest) {
                enough = !few();
                rested = true;
                for (const std::string &name : silent_table()) {
                    const OpenChannel &channel = channel_of(name);
                    for (const Array &target : channel.spec.targets)
                        memory::fill(target, 0, target.size, 0.0);
                }
            }
            loop.run(begin, segment.end, [] { return true; }, step_ends);
            begin = segment.end;
        }
        if (!rested) enough = !few();
        end_presentation(attempt, !enough && attempt < max_retries, begin);
        if (!between()) break;
    }
    if (left() == 0 || stopped)
        for (const Switch &one : switch_table()) set<int32_t>(one.learns, {0});
}
