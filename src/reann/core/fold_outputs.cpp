// Outputs of atoms, which heads read off the states of all layers:
//
//     y_i^l = sum_t a_Z^(t,l) . h_i^(t,l) / sqrt(K)

#include <cmath>

#include "fold.hpp"

namespace reann {

void Folded::read_outputs() {
    const int n_elements = int(settings_.elements.size()), K = settings_.n_channels;
    const int n_layers = settings_.n_recursions + 1;
    for (const OutputSettings &output : settings_.outputs) {
        const Place a = place(n_layers * n_elements, K);
        copy_into(a, raw(output.weights, {n_layers, n_elements, K}), 0, nullptr, 0, 1.0 / std::sqrt(K));
        outputs.push_back({output.l, a});
        outputs_width += 2 * output.l + 1;
    }
}

} // namespace reann
