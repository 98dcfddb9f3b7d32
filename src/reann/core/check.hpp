// Checks of the system that a caller passes.
#pragma once

#include "model.hpp"

namespace reann {

// Throws `Error` for impossible sizes, elements or positions, and for indices of neighbors out of range.
void check(const Model &model, const reann_system &system);

// Position in the list of the first neighbor index that is out of range; -1 if there is none.
int64_t impossible_neighbor(const reann_system &system, int64_t atom);

} // namespace reann
