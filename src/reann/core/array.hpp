// Named arrays of a file or of a caller, which keeps their memory.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "reann.h"

namespace reann {

// An error in a file, a model or a system; its text becomes the message of a `reann_error`.
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
