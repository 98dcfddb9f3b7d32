#include "splines.hpp"

#include <algorithm>
#include <cmath>

#include "array.hpp"

namespace reann {
namespace {

// M(w + j) and its derivative, in the order of increasing mesh points: j = order - 1, ..., 0.
void splines_of(double w, int order, double *weights, double *slopes) {
    double values[8] = {1.0}, lower[8] = {};
    for (int n = 2; n <= order; ++n) {
        std::copy_n(values, n, lower);
        lower[n - 1] = 0.0;
        for (int j = 0; j < n; ++j) {
            const double x = w + j;
            values[j] = (x * lower[j] + (n - x) * (j ? lower[j - 1] : 0.0)) / (n - 1);
        }
    }
    for (int j = 0; j < order; ++j) {
        weights[order - 1 - j] = values[j];
        slopes[order - 1 - j] = lower[j] - (j ? lower[j - 1] : 0.0);
    }
}

} // namespace

Splines splines_at(const double *place, int64_t count, const int *sizes, int order) {
    if (order != 4 && order != 8) throw Error("Splines of the order 4 or 8 are needed.");
    for (int axis = 0; axis < 3; ++axis)
        if (sizes[axis] < order) throw Error("The mesh has fewer points than a charge needs.");
    Splines s;
    s.order = order;
    std::copy_n(sizes, 3, s.sizes);
    s.count = count;
    s.weights.resize(3 * order * count);
    s.slopes.resize(3 * order * count);
    s.first.resize(3 * count);
    for (int64_t k = 0; k < 3 * count; ++k) {
        const double point = std::floor(place[k]), size = sizes[k % 3];
        if (!(std::abs(point) < 1e15)) throw Error("A position is not finite.");
        const double last = point - (order - 1);
        s.first[k] = std::min(int32_t(last - size * std::floor(last / size)), sizes[k % 3] - 1);
        splines_of(place[k] - point, order, &s.weights[k * order], &s.slopes[k * order]);
    }
    return s;
}

} // namespace reann
