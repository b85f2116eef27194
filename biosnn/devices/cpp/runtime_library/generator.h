// The random numbers of Brian2's binaries: a Mersenne twister, 53 bits of a number between 0 and 1,
// normal numbers in pairs by the polar method.
#include <cmath>
#include <random>
#include <type_traits>

namespace brian {
class RandomGenerator {
    std::mt19937 words;
    double next_normal = 0.0;
    int64_t has_next = 0;

  public:
    void seed(unsigned long seed) {
        words.seed(seed);
        has_next = 0;
    }
    double rand() {
        const double high = words() >> 5, low = words() >> 6;
        return (high * 67108864.0 + low) / 9007199254740992.0;
    }
    double randn() {
        if (has_next) {
            has_next = 0;
            return next_normal;
        }
        double x, y, square;
        do {
            x = 2.0 * rand() - 1.0;
            y = 2.0 * rand() - 1.0;
            square = x * x + y * y;
        } while (square >= 1.0 || square == 0.0);
        const double factor = std::sqrt(-2.0 * std::log(square) / square);
        next_normal = factor * x;
        has_next = 1;
        return factor * y;
    }
};
static_assert(std::is_trivially_copyable<RandomGenerator>::value, "its bytes are its state");
RandomGenerator _random_generators[1];
}  // namespace brian

namespace biosnn {
Array generator_bytes() {
    return {(void *)brian::_random_generators, "u1", sizeof(brian::RandomGenerator)};
}
void seed_generator(unsigned long seed) { brian::_random_generators[0].seed(seed); }
void begin_draws(uint32_t seed, int32_t attempt) {
    if (attempt == 0) seed_generator(seed);
}
}  // namespace biosnn
