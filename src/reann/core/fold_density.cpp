// Folding of scalar and directional messages: products of moments, standardization, radial widths.
#include "fold.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace reann {

void Folded::density() {
    const Settings &settings = settings_;
    const std::string head = "heads." + settings.head + ".";
    const int64_t n_elements = settings.elements.size(), K = settings.n_radial;
    const int64_t n_l = settings.l_max + 1;
    n_products = static_cast<int>(n_l * K * (K + 1) / 2 + (settings.many_body ? 3 * settings.n_orbitals : 0));
    n_features_ = settings.gram ? n_products
                                : settings.n_orbitals * (settings.orbitals_per_l ? int(n_l) : 1);
    for (int64_t l = 0; l < n_l; ++l)
        for (int64_t k = 0; k < K; ++k)
            for (int64_t q = k; q < K; ++q)
                root_.push_back(settings.gram && q != k ? std::sqrt(2.0) : 1.0);
    root_.resize(n_products, 1.0);
    const int64_t rows = settings.radial_per_pair ? n_elements * n_elements : n_elements;
    center = copy("recursion.host.radial.center", {rows, K}, -1);
    width_ = &raw("recursion.host.radial.width", {rows, K});
    alpha = place(int(rows), int(K));
    coefficients = copy("recursion.update.weights", {n_elements, K}, -1);
    if (settings.many_body) {
        vector = copy("recursion.host.density.vector", {K, settings.n_orbitals}, -1);
        matrix = copy("recursion.host.density.matrix", {K, settings.n_orbitals}, -1);
    }
    const int n_contractions = settings.orbitals_per_recursion ? settings.n_recursions + 1 : 1;
    if (!settings.gram) {
        contraction_ = &raw("recursion.host.density.contraction",
                            {n_contractions, n_l, K, settings.n_orbitals});
        contraction = contraction_->values.data() + (n_contractions - 1) * n_l * K * settings.n_orbitals;
    }
    mean_ = &raw("recursion.feature_mean", {n_elements, n_features_});
    scale_ = &raw("recursion.feature_scale", {n_elements, n_features_});
    least_ = &raw("density_min", {n_elements, n_features_});
    most_ = &raw("density_max", {n_elements, n_features_});
    range.n_features = n_features_;
    for (std::vector<double> *part : {&range.low, &range.high, &range.per_width})
        part->resize(n_elements * n_features_);
    const Raw &update_scale = raw("recursion.update.scale", {});
    const Raw &energy_scale = raw(head + "energy_scale", {});
    const int n_directed = settings.directional ? settings.l_max : 0;
    for (int t = 0; t < settings.n_recursions; ++t) {
        for (int z = 0; z < n_elements; ++z)
            updates.push_back(network("recursion.update.networks." + std::to_string(t), settings.update, z, t, 0,
                                      settings.n_radial, &update_scale, 1 + n_directed, true));
        for (int l = 0; l < n_directed; ++l)
            mixing.push_back(copy("recursion.update.moments." + std::to_string(t) + ".mixing", {n_directed, K, K}, l));
    }
    for (int z = 0; z < n_elements; ++z)
        readout.push_back(network(head + "readout", settings.readout, z, settings.n_recursions, 0, 1, &energy_scale,
                                  1, false));
}

void Folded::fold_density() {
    for (int i = 0; i < alpha.rows; ++i)
        for (int k = 0; k < alpha.columns; ++k) {
            const double x = width_->values[int64_t(i) * alpha.columns + k];
            // softplus as in torch: the number itself if it is large
            values[alpha.at + int64_t(i) * alpha.stride + k] =
                !settings_.radial_softplus || x > 20.0 ? x : std::log1p(std::exp(x));
        }
    for (const First &first : firsts_) fold_first(first);
    fold_range();
}

std::vector<double> Folded::products_of_orbitals(int t) const {
    const int K = settings_.n_radial, M = settings_.n_orbitals, n_l = settings_.l_max + 1;
    const double *d = contraction_->values.data() + (settings_.orbitals_per_recursion ? int64_t(t) * n_l * K * M : 0);
    std::vector<double> A(int64_t(n_products) * n_features_);
    int64_t row = 0;
    for (int l = 0; l < n_l; ++l, d += int64_t(K) * M)
        for (int k = 0; k < K; ++k)
            for (int q = k; q < K; ++q, ++row) {
                double *to = &A[row * n_features_ + (settings_.orbitals_per_l ? l * M : 0)];
                const double twice = q == k ? 1.0 : 2.0;
                for (int m = 0; m < M; ++m) to[m] = twice * d[k * M + m] * d[q * M + m];
            }
    return A;
}

// first = A w with w = W / scale, bias = b - mean w
void Folded::fold_first(const First &first) {
    const int H = first.weight.columns;
    const int64_t size = int64_t(n_features_) * H;
    const double *W = first.raw_weight.values.data() + first.element * size;
    const double *b = first.raw_bias.values.data() + first.element * H;
    double *bias = &values[first.bias.at];
    std::vector<double> w(W, W + size);
    std::copy_n(b, H, bias);
    if (settings_.standardize) {
        const double *mean = &mean_->values[first.element * n_features_];
        const double *scale = &scale_->values[first.element * n_features_];
        for (int m = 0; m < n_features_; ++m)
            for (int h = 0; h < H; ++h) {
                w[int64_t(m) * H + h] /= scale[m];
                bias[h] -= mean[m] * w[int64_t(m) * H + h];
            }
    }
    if (!settings_.gram)
        w = product(products_of_orbitals(first.t), n_products, n_features_, {w.data(), H, 1}, H);
    for (int64_t p = 0; p < n_products; ++p)
        for (int h = 0; h < H; ++h)
            values[first.weight.at + p * first.weight.stride + h] = root_[p] * w[p * H + h];
}

// A feature that was the same for all training data still has rounding errors, which must not count as
// outside. The kernels compute products without their root, so the ranges of rho are divided by it. If the
// range of a feature is unknown, the element is not in the training data, and all of its atoms are outside.
void Folded::fold_range() {
    constexpr double infinite = std::numeric_limits<double>::infinity();
    const int64_t n = n_features_;
    for (int64_t first = 0; first < int64_t(least_->values.size()); first += n) {
        const double *least = &least_->values[first], *most = &most_->values[first];
        const auto finite = [](double x) { return std::isfinite(x); };
        const bool known = std::all_of(least, least + n, finite) && std::all_of(most, most + n, finite);
        for (int64_t m = 0; m < n; ++m) {
            const double root = settings_.gram ? root_[m] : 1.0;
            const double slack = range_rounding * scale_->values[first + m];
            range.low[first + m] = known ? (least[m] - slack) / root : infinite;
            range.high[first + m] = known ? (most[m] + slack) / root : -infinite;
            range.per_width[first + m] = known ? root / (most[m] - least[m]) : 1.0;
        }
    }
}

} // namespace reann
