// The sums over mesh points around charges, compiled once per instruction set.

#include "spreading.hpp"

#include "tables.hpp"

namespace reann {

extern const Spreading REANN_SPREADING_TABLE;
const Spreading REANN_SPREADING_TABLE = sums_over_points;

} // namespace reann
