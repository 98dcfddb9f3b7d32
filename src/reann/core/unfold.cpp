// The adjoint of folding: converts a gradient with respect to the weights of the kernels to one with respect
// to the parameters.

#include <cmath>

#include "fold.hpp"

namespace reann {

// W_bar = (A^T first_bar - mean bias_bar) / scale,  A_bar = first_bar w^T
void Folded::unfold_first(const First &first, const std::vector<double> &bar,
                          double *const *gradients) const {
    const int H = first.weight.columns, K = settings_.n_radial, n_l = settings_.l_max + 1;
    const int64_t size = int64_t(n_features_) * H;
    const Raw &weight = first.raw_weight, &bias = first.raw_bias;
    const double *b_bar = &bar[first.bias.at];
    double *to_bias = gradients[bias.array], *to_weight = gradients[weight.array];
    const double *mean = nullptr, *scale = nullptr;
    if (settings_.standardize) {
        mean = &mean_->values[first.element * n_features_];
        scale = &scale_->values[first.element * n_features_];
    }
    std::vector<double> first_bar(int64_t(n_products) * H);
    for (int64_t p = 0; p < n_products; ++p)
        for (int h = 0; h < H; ++h)
            first_bar[p * H + h] = root_[p] * bar[first.weight.at + p * first.weight.stride + h];
    std::vector<double> w_bar = first_bar;
    if (!settings_.gram) {
        const int M = settings_.n_orbitals;
        const std::vector<double> A = products_of_orbitals(first.t);
        // the kernels multiply rows: w_bar^T = first_bar^T A
        std::vector<double> turned(first_bar.size());
        for (int64_t p = 0; p < n_products; ++p)
            for (int h = 0; h < H; ++h) turned[h * int64_t(n_products) + p] = first_bar[p * H + h];
        const std::vector<double> w_bar_turned =
            product(turned, H, n_products, {A.data(), n_features_, 1}, n_features_);
        w_bar.assign(size, 0.0);
        for (int64_t m = 0; m < n_features_; ++m)
            for (int h = 0; h < H; ++h) w_bar[m * H + h] = w_bar_turned[h * int64_t(n_features_) + m];
        if (double *to = gradients[contraction_->array]) {
            std::vector<double> w(weight.values.begin() + first.element * size,
                                  weight.values.begin() + (first.element + 1) * size);
            for (int m = 0; scale && m < n_features_; ++m)
                for (int h = 0; h < H; ++h) w[int64_t(m) * H + h] /= scale[m];
            const std::vector<double> A_bar =
                product(first_bar, n_products, H, {w.data(), 1, H}, n_features_);
            const int64_t of_t = settings_.orbitals_per_recursion ? int64_t(first.t) * n_l * K * M : 0;
            int64_t row = 0;
            for (int l = 0; l < n_l; ++l) {
                const double *d = contraction_->values.data() + of_t + int64_t(l) * K * M;
                double *d_bar = to + of_t + int64_t(l) * K * M;
                for (int k = 0; k < K; ++k)
                    for (int q = k; q < K; ++q, ++row) {
                        const double *from = &A_bar[row * n_features_ + (settings_.orbitals_per_l ? l * M : 0)];
                        const double twice = q == k ? 1.0 : 2.0;
                        for (int m = 0; m < M; ++m) {
                            d_bar[k * M + m] += twice * from[m] * d[q * M + m];
                            d_bar[q * M + m] += twice * from[m] * d[k * M + m];
                        }
                    }
            }
        }
    }
    for (int h = 0; to_bias && h < H; ++h) to_bias[first.element * H + h] += b_bar[h];
    for (int m = 0; to_weight && m < n_features_; ++m)
        for (int h = 0; h < H; ++h) {
            const double w_mh = w_bar[int64_t(m) * H + h] - (mean ? mean[m] * b_bar[h] : 0.0);
            to_weight[first.element * size + int64_t(m) * H + h] += scale ? w_mh / scale[m] : w_mh;
        }
}

void Folded::unfold(const std::vector<double> &bar, double *const *gradients) const {
    for (const Copy &c : copies_)
        if (double *to = gradients[c.raw.array])
            for (int i = 0; i < c.place.rows; ++i)
                for (int k = 0; k < c.columns; ++k)
                    to[c.from + int64_t(i) * c.columns + k] += c.factor() * bar[c.at(i, k)];
    if (settings_.equivariant) {
        unfold_equivariant(bar, gradients);
        return;
    }
    if (double *to = gradients[width_->array])
        for (int i = 0; i < alpha.rows; ++i)
            for (int k = 0; k < alpha.columns; ++k) {
                const double x = width_->values[int64_t(i) * alpha.columns + k];
                const double slope = !settings_.radial_softplus || x > 20.0 ? 1.0 : 1.0 / (1.0 + std::exp(-x));
                to[int64_t(i) * alpha.columns + k] += slope * bar[alpha.at + int64_t(i) * alpha.stride + k];
            }
    for (const First &first : firsts_) unfold_first(first, bar, gradients);
}

} // namespace reann
