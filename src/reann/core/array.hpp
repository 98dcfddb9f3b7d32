// Named arrays, as a file or a program gives them; the memory is theirs.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "reann.h"

namespace reann {

// What is wrong with a file, a model or a system; becomes the message of a `reann_error`.
struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Array {
    std::string name;
    reann_type type = REANN_FLOAT32;
    std::vector<int64_t> shape;
    const void *data = nullptr; // contiguous, not necessarily aligned

    int64_t size() const {
        int64_t n = 1;
        for (int64_t axis : shape) n *= axis;
        return n;
    }
};

} // namespace reann
