// What a caller may have got wrong in a system.
#pragma once

#include "model.hpp"

namespace reann {

// Throws `Error` for impossible sizes, elements, positions and places of neighbors.
void check(const Model &model, const reann_system &system);

// Place in the list of the first neighbor of a local atom that is no atom; -1 if there is none.
int64_t impossible_neighbor(const reann_system &system, int64_t atom);

} // namespace reann
