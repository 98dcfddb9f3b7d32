// Outputs of atoms, linear in the states of all layers:
//
//     y_i^l = sum_t a_Z^(t,l) . h_i^(t,l) / sqrt(K)
//
// and the values that heads compute from them: b_Z + s y^0, s y^1, or (b_Z + s y^0) 1 + s M(y^2).

#include <algorithm>
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
    read_heads();
    if (settings_.equilibrated) log_hardness = raw("long_range.log_hardness", {n_elements}).values.data();
}

// The outputs of a head are contiguous. Heads with other outputs or without a scale are not supported here.
void Folded::read_heads() {
    int first = 0;
    for (size_t o = 0; o < settings_.outputs.size();) {
        std::string name, kinds;
        int n = 0;
        const size_t begin = o;
        for (; o < settings_.outputs.size(); ++o) {
            const std::string &weights = settings_.outputs[o].weights;
            const size_t dot = std::min(weights.rfind('.'), weights.size());
            if (o > begin && weights.substr(0, dot) != name) break;
            name = weights.substr(0, dot);
            kinds += weights.substr(dot) + std::to_string(settings_.outputs[o].l);
            n += 2 * settings_.outputs[o].l + 1;
        }
        FoldedHead head;
        head.name = name;
        head.first = first;
        head.width = kinds == ".scalars0" ? 1 : kinds == ".vectors1" ? 3 : kinds == ".scalars0.matrices2" ? 9 : 0;
        first += n;
        if (head.width == 0 || !has(name + ".scale")) continue;
        head.scale = raw(name + ".scale", {}).values.data();
        if (head.width != 3)
            head.of_elements = raw(name + ".of_elements", {int64_t(settings_.elements.size())}).values.data();
        heads.push_back(head);
    }
}

void FoldedHead::value(int element, const double *outputs, double *to) const {
    const double *y = outputs + first;
    const double constant = of_elements ? of_elements[element] : 0.0;
    if (width != 9) {
        for (int a = 0; a < width; ++a) to[a] = constant + *scale * y[a];
        return;
    }
    const double trace = constant + *scale * y[0], root = *scale * std::sqrt(0.5);
    const double xy = root * y[1], xz = root * y[2], yz = root * y[3];
    const double half = root * y[4], sixth = *scale * std::sqrt(1.0 / 6.0) * y[5];
    const double matrix[9] = {trace + half - sixth, xy, xz, xy, trace - half - sixth, yz, xz, yz, trace + 2.0 * sixth};
    for (int k = 0; k < 9; ++k) to[k] = matrix[k];
}

void FoldedHead::adjoint(const double *bar, double *outputs_bar) const {
    double *y = outputs_bar + first;
    if (width != 9) {
        for (int a = 0; a < width; ++a) y[a] += *scale * bar[a];
        return;
    }
    const double root = *scale * std::sqrt(0.5), sixth = *scale * std::sqrt(1.0 / 6.0);
    y[0] += *scale * (bar[0] + bar[4] + bar[8]);
    y[1] += root * (bar[1] + bar[3]);
    y[2] += root * (bar[2] + bar[6]);
    y[3] += root * (bar[5] + bar[7]);
    y[4] += root * (bar[0] - bar[4]);
    y[5] += sixth * (2.0 * bar[8] - bar[0] - bar[4]);
}

} // namespace reann
