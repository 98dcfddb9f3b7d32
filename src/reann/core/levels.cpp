// Selects the best kernels that this processor supports, once for the whole program.

#include <cstdlib>
#include <cstring>

#include "array.hpp"
#include "level.hpp"
#include "splines.hpp"

namespace reann {

#if defined(REANN_HAS_V4)
extern const Level level_v4;
extern const Spreading spreading_v4;
extern const Convolve convolution_v4;
#endif
#if defined(REANN_HAS_V3)
extern const Level level_v3;
extern const Spreading spreading_v3;
extern const Convolve convolution_v3;
#endif
#if defined(REANN_HAS_BASELINE)
extern const Level level_baseline;
extern const Spreading spreading_baseline;
extern const Convolve convolution_baseline;
#endif
#if defined(REANN_HAS_NATIVE)
extern const Level level_native;
extern const Spreading spreading_native;
extern const Convolve convolution_native;
#endif

namespace {

// What is compiled for an instruction set.
struct Compiled {
    const Level *level;
    const Spreading *spreading;
    Convolve convolve;
};

struct Known {
    Compiled compiled[4] = {};
    const char *names[5] = {};
    const Compiled *chosen = nullptr; // NULL if REANN_ISA is unknown

    Known() {
        int n = 0;
        const auto add = [&](const Level &level, const Spreading &spreading, Convolve convolve) {
            names[n] = level.name;
            compiled[n++] = {&level, &spreading, convolve};
        };
#if defined(REANN_HAS_V4)
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl"))
            add(level_v4, spreading_v4, convolution_v4);
#endif
#if defined(REANN_HAS_V3)
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
            __builtin_cpu_supports("bmi2"))
            add(level_v3, spreading_v3, convolution_v3);
#endif
#if defined(REANN_HAS_BASELINE)
        add(level_baseline, spreading_baseline, convolution_baseline);
#endif
#if defined(REANN_HAS_NATIVE)
        add(level_native, spreading_native, convolution_native);
#endif
        const char *wanted = std::getenv("REANN_ISA");
        if (!wanted || !*wanted) chosen = compiled;
        for (int i = 0; wanted && i < n; ++i)
            if (std::strcmp(wanted, names[i]) == 0) chosen = &compiled[i];
    }
};

const Known &known() {
    static const Known once;
    return once;
}

const Compiled &chosen() {
    if (known().chosen) return *known().chosen;
    std::string there;
    for (const char *const *name = levels(); *name; ++name) there += std::string(" ") + *name;
    throw Error("REANN_ISA is not an instruction set of this processor, which supports:" + there + ".");
}

} // namespace

const Level &level() { return *chosen().level; }
const Spreading &spreading() { return *chosen().spreading; }
Convolve convolve() { return chosen().convolve; }

const char *const *levels() { return known().names; }

} // namespace reann
