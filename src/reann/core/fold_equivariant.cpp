// The folding of the equivariant recursion, and its adjoint.
//
// Layer 0 depends on elements only: w_ij^k = sum_n B_n W_nk c_Z^k. Radial functions, coefficients and mixing
// are folded into one matrix V^l_(Z,n),c = nu_l sum_k W_nk c_Z^k M^l_kc, which acts on the sums of B_n Y_a
// over the neighbors of each element. Norms of the angular functions and the fixed scales nu are folded into
// the matrices that follow, and the standardization of products into U: ((b - mean) / sigma) U = b (U /
// sigma) + bias.

#include <algorithm>
#include <cmath>
#include <limits>

#include "fold.hpp"
#include "kernels/products.hpp"

namespace reann {
namespace {

constexpr double angular_norm[] = {1.0, 1.7320508075688772935, 2.7386127875258305673,
                                   2.6457513110645905905};

struct Counts {
    int scalars, tensors[2];
};

Counts counts(int l_max) {
    const auto of = [](auto c) { return Counts{c.scalars, {c.vectors, c.matrices}}; };
    return l_max == 1   ? of(ProductCounts<1>())
           : l_max == 2 ? of(ProductCounts<2>())
                        : of(ProductCounts<3>());
}

} // namespace

void Folded::equivariant() {
    const int64_t n_elements = settings_.elements.size(), K = settings_.n_channels;
    const int64_t all = (settings_.n_recursions + 1) * K;
    stride_ = int(K + lanes_ - 1) / lanes_ * lanes_;
    basis_scale_ = &raw("recursion.radial_scale", {});
    field_scale_ = settings_.field ? &raw("recursion.field_scale", {}) : nullptr;
    least_ = &raw("density_min", {n_elements, all});
    most_ = &raw("density_max", {n_elements, all});
    read_outputs();
    for (int t = 0; t <= settings_.n_recursions; ++t) layers.push_back(equivariant_layer(t));
}

FoldedEquivariant Folded::equivariant_layer(int t) {
    const int n_elements = int(settings_.elements.size()), K = settings_.n_channels,
              nb = settings_.n_radial;
    const int l_max = settings_.l_max, highest = std::min(l_max, 2),
              n_paths = t == 0 ? 1 : 1 + 2 * highest;
    const Counts n = counts(l_max);
    const std::string name = "recursion.layers." + std::to_string(t) + ".",
                      head = "heads." + settings_.head + ".";
    FoldedEquivariant layer;
    const Raw &radial = raw(name + "radial", {n_paths, nb, K});
    const Raw &moment_scale = raw(name + "moment_scale", {l_max + 1});
    const Raw *passed_scale = t == 0 ? nullptr : &raw(name + "passed_scale", {highest});
    if (t > 0) {
        layer.radial = place(nb, n_paths * stride_);
        for (int p = 0; p < n_paths; ++p)
            copy_into({layer.radial.at + p * stride_, nb, K, layer.radial.stride}, radial,
                      int64_t(p) * nb * K);
    }
    const Raw *field = settings_.field ? &raw(name + "field", {highest + 1, K}) : nullptr;
    for (int l = 0; l <= l_max; ++l) {
        const bool passed = t > 0 && l > 0 && l <= highest, in_field = field && l <= highest;
        const Raw &mixing = raw(name + "mixing." + std::to_string(l), {passed ? 2 * K : K, K});
        const int rows = t == 0 ? n_elements * nb : passed ? 2 * stride_ : stride_;
        const Place m = layer.mixing[l] = place(rows + in_field, K);
        if (in_field) // one more input, after the sums
            copy_into({m.at + int64_t(rows) * m.stride, 1, K, m.stride}, *field, int64_t(l) * K, nullptr, 0,
                      angular_norm[l]);
        if (t == 0) {
            starts_.push_back({l, radial, raw("recursion.embedding", {n_elements, K}), mixing,
                               moment_scale, m});
            continue;
        }
        copy_into({m.at, K, K, m.stride}, mixing, 0, &moment_scale, l, angular_norm[l]);
        if (passed)
            copy_into({m.at + int64_t(stride_) * m.stride, K, K, m.stride}, mixing, int64_t(K) * K,
                      passed_scale, l - 1);
    }
    const Raw &mean = raw(name + "product_mean", {n_elements, n.scalars, K});
    const Raw &scale = raw(name + "product_scale", {n_elements, n.scalars, K});
    const Raw &scalars = raw(name + "scalars", {n_elements, n.scalars, K, K});
    for (int z = 0; z < n_elements; ++z) {
        const Place U = place((n.scalars + (t > 0)) * stride_, K), bias = place(1, K);
        standardized_.push_back({z, n.scalars, scalars, mean, scale, U, bias});
        if (t > 0)
            copy_into({U.at + int64_t(n.scalars) * stride_ * U.stride, K, K, U.stride},
                      raw(name + "residual", {n_elements, K, K}), int64_t(z) * K * K);
        layer.scalars.push_back(U);
        layer.scalars_bias.push_back(bias);
    }
    const Raw &energy_scale = raw(head + "energy_scale", {});
    const std::string readout = head + "readout." + std::to_string(t);
    for (int z = 0; z < n_elements; ++z)
        layer.readout.push_back(
            network(readout + ".network", settings_.readout, z, -1, K, 1, &energy_scale, 1, false));
    layer.linear = place(n_elements, K);
    copy_into(layer.linear, raw(readout + ".linear", {n_elements, K}), 0, &energy_scale, 0,
              1.0 / std::sqrt(K));
    for (std::vector<double> *part : {&layer.low, &layer.high, &layer.per_width})
        part->resize(n_elements * K);
    const bool last = t == settings_.n_recursions;
    if (last && outputs.empty()) return layer;
    for (int l = 1; l <= highest; ++l) {
        const int n_l = n.tensors[l - 1];
        layer.tensor_weights[l - 1] = place(n_elements * n_l, K);
        copy_into(layer.tensor_weights[l - 1],
                  raw(name + "tensor_weights." + std::to_string(l - 1), {n_elements, n_l, K}), 0);
    }
    if (last) {
        for (int z = 0; z < n_elements; ++z) layer.outputs.push_back(output_network(z));
        return layer;
    }
    const Raw &state_scale = raw(name + "state_scale", {highest});
    for (int l = 1; l <= highest; ++l) {
        layer.tensors[l - 1] = place(K, K);
        copy_into(layer.tensors[l - 1], raw(name + "tensors." + std::to_string(l - 1), {K, K}), 0,
                  &state_scale, l - 1);
    }
    for (int z = 0; z < n_elements; ++z)
        layer.gates.push_back(
            network(name + "gates", settings_.update, z, -1, K, K, nullptr, 1 + highest, true));
    return layer;
}

void Folded::fold_equivariant() {
    const int K = settings_.n_channels, nb = settings_.n_radial,
              n_elements = int(settings_.elements.size());
    basis_scale = basis_scale_->values[0];
    field_scale = field_scale_ ? field_scale_->values[0] : 0.0;
    for (const Start &start : starts_) {
        const double times = angular_norm[start.l] * start.scale.values[start.l];
        std::vector<double> w(int64_t(n_elements) * nb * K);
        for (int z = 0; z < n_elements; ++z)
            for (int n = 0; n < nb; ++n)
                for (int k = 0; k < K; ++k)
                    w[(int64_t(z) * nb + n) * K + k] =
                        times * start.radial.values[n * K + k] * start.embedding.values[z * K + k];
        const std::vector<double> V =
            product(w, n_elements * nb, K, {start.mixing.values.data(), K, 1}, K);
        for (int r = 0; r < n_elements * nb; ++r)
            std::copy_n(&V[int64_t(r) * K], K,
                        &values[start.place.at + int64_t(r) * start.place.stride]);
    }
    for (const Standardized &s : standardized_) {
        const int64_t first = int64_t(s.element) * s.n_products * K;
        double *bias = &values[s.bias.at];
        std::fill_n(bias, K, 0.0);
        for (int p = 0; p < s.n_products; ++p)
            for (int k = 0; k < K; ++k) {
                const int64_t at = first + p * K + k;
                const double per = 1.0 / s.scale.values[at], shift = s.mean.values[at];
                double *to = &values[s.weight.at + (int64_t(p) * stride_ + k) * s.weight.stride];
                for (int c = 0; c < K; ++c) {
                    to[c] = s.scalars.values[at * K + c] * per;
                    bias[c] -= shift * to[c];
                }
            }
    }
    fold_outputs();
    // If the range of a feature is unknown, the element is not in the training data (see fold_range).
    const int64_t all = int64_t(layers.size()) * K;
    for (int z = 0; z < n_elements; ++z) {
        const double *least = &least_->values[z * all], *most = &most_->values[z * all];
        const auto finite = [](double x) { return std::isfinite(x); };
        const bool known =
            std::all_of(least, least + all, finite) && std::all_of(most, most + all, finite);
        for (int64_t m = 0; m < all; ++m) {
            FoldedEquivariant &layer = layers[m / K];
            const int64_t at = int64_t(z) * K + m % K;
            layer.low[at] = known ? least[m] - range_rounding : std::numeric_limits<double>::infinity();
            layer.high[at] = known ? most[m] + range_rounding : -std::numeric_limits<double>::infinity();
            layer.per_width[at] = known ? 1.0 / (most[m] - least[m]) : 1.0;
        }
    }
}

void Folded::unfold_equivariant(const std::vector<double> &bar, double *const *gradients) const {
    const int K = settings_.n_channels, nb = settings_.n_radial,
              n_elements = int(settings_.elements.size());
    for (const Start &start : starts_) { // with Y = V_bar M^T: W_bar = sum_Z c_Z Y, c_bar = sum_n W Y
        const double times = angular_norm[start.l] * start.scale.values[start.l];
        const int rows = n_elements * nb;
        std::vector<double> V_bar(int64_t(rows) * K);
        for (int r = 0; r < rows; ++r)
            std::copy_n(&bar[start.place.at + int64_t(r) * start.place.stride], K,
                        &V_bar[int64_t(r) * K]);
        const std::vector<double> Y = product(V_bar, rows, K, {start.mixing.values.data(), 1, K}, K);
        double *W_bar = gradients[start.radial.array], *c_bar = gradients[start.embedding.array];
        double *M_bar = gradients[start.mixing.array];
        std::vector<double> w(int64_t(K) * rows); // transposed
        for (int z = 0; z < n_elements; ++z)
            for (int n = 0; n < nb; ++n)
                for (int k = 0; k < K; ++k) {
                    const double W = start.radial.values[n * K + k],
                                 c = start.embedding.values[z * K + k];
                    const double y = times * Y[(int64_t(z) * nb + n) * K + k];
                    if (W_bar) W_bar[n * K + k] += c * y;
                    if (c_bar) c_bar[z * K + k] += W * y;
                    w[int64_t(k) * rows + z * nb + n] = times * W * c;
                }
        if (!M_bar) continue;
        const std::vector<double> add = product(w, K, rows, {V_bar.data(), K, 1}, K);
        for (size_t i = 0; i < add.size(); ++i) M_bar[i] += add[i];
    }
    unfold_outputs(bar, gradients);
    for (const Standardized &s : standardized_) {
        double *to = gradients[s.scalars.array];
        if (!to) continue;
        const double *bias_bar = &bar[s.bias.at];
        for (int p = 0; p < s.n_products; ++p)
            for (int k = 0; k < K; ++k) {
                const int64_t at = (int64_t(s.element) * s.n_products + p) * K + k;
                const double *from = &bar[s.weight.at + (int64_t(p) * stride_ + k) * s.weight.stride];
                const double per = 1.0 / s.scale.values[at], shift = s.mean.values[at];
                for (int c = 0; c < K; ++c) to[at * K + c] += per * (from[c] - shift * bias_bar[c]);
            }
    }
}

} // namespace reann
