#include "check.hpp"

#include <algorithm>
#include <cmath>

namespace reann {

void check(const Model &model, const reann_system &s) {
    const auto fail = [](const std::string &before, int64_t i, const std::string &after) {
        throw Error(before + std::to_string(i) + after + ".");
    };
    const int n_elements = static_cast<int>(model.settings().elements.size());
    if (s.n_local < 0 || s.n_atoms < s.n_local || s.n_systems < 1 || s.n_atoms > INT32_MAX)
        throw Error("The numbers of atoms and systems are inconsistent.");
    for (int64_t i = 0; i < s.n_atoms; ++i) {
        if (s.element[i] < 0 || s.element[i] >= n_elements) fail("The model does not have the element of atom ", i, "");
        for (int a = 0; a < 3; ++a)
            if (!std::isfinite(s.position[3 * i + a])) fail("The position of atom ", i, " is not finite");
    }
    for (int64_t i = 0; i < s.n_local; ++i)
        if (s.first[i] < 0 || s.first[i + 1] < s.first[i]) fail("The list of neighbors of atom ", i, " has a negative length");
    for (int64_t i = 0; s.system && i < s.n_local; ++i)
        if (s.system[i] < 0 || s.system[i] >= s.n_systems) fail("The system index of atom ", i, " does not exist");
    if (!s.field) return;
    if (!model.settings().field) throw Error("The model does not depend on an electric field.");
    for (int64_t i = 0; i < s.n_systems; ++i)
        for (int a = 0; a < 3; ++a)
            if (!std::isfinite(s.field[3 * i + a])) fail("The electric field of system ", i, " is not finite");
}

int64_t impossible_neighbor(const reann_system &s, int64_t i) {
    int32_t lowest = 0, highest = -1; // without an early end, the loop is vectorized
    for (int64_t p = s.first[i]; p < s.first[i + 1]; ++p) {
        lowest = std::min(lowest, s.neighbor[p]);
        highest = std::max(highest, s.neighbor[p]);
    }
    if (lowest >= 0 && highest < s.n_atoms) return -1;
    for (int64_t p = s.first[i];; ++p)
        if (s.neighbor[p] < 0 || s.neighbor[p] >= s.n_atoms) return p;
}

} // namespace reann
