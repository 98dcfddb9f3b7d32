// The equivariant recursion in the layout of its kernels.

#include <algorithm>
#include <vector>

#include "facts.hpp"
#include "kernels/components.hpp"
#include "packed.hpp"

namespace reann {
namespace {

// Centers and exponents of Gaussians, which are not trained; the same as in `Gaussians` of radial.py.
void gaussian_grid(int n, double cutoff, std::vector<double> &center, std::vector<double> &alpha) {
    const double first = std::min(gaussian_margin, 0.2 * cutoff), last = cutoff - first;
    const double spacing = n > 1 ? (last - first) / (n - 1) : 0.5 * cutoff;
    const double width = std::max(gaussian_width, spacing);
    for (int k = 0; k < n; ++k) {
        center.push_back(first + (n > 1 ? k * spacing : 0.0));
        alpha.push_back(0.5 / (width * width));
    }
}

} // namespace

template <class Real>
EquivariantLayer<Real> Packed<Real>::equivariant_layer(const Settings &settings,
                                                       const FoldedEquivariant &from,
                                                       const Folded &folded) {
    EquivariantLayer<Real> layer;
    const auto networks = [&](const std::vector<FoldedNetwork> &of, const NetworkSettings &form) {
        std::vector<Network<Real>> &packed = networks_.emplace_back();
        for (const FoldedNetwork &net : of) {
            packed.push_back(network(folded, net, form));
            packed.back().first.n_in = weights_.stride; // rows of x
        }
        return packed.data();
    };
    if (from.radial.at >= 0) layer.radial = linear(folded, from.radial, {});
    for (int l = 0; l <= settings.l_max; ++l) layer.mixing[l] = linear(folded, from.mixing[l], {});
    std::vector<Linear<Real>> &scalars = scalars_.emplace_back();
    for (size_t z = 0; z < from.scalars.size(); ++z)
        scalars.push_back(linear(folded, from.scalars[z], from.scalars_bias[z]));
    layer.scalars = scalars.data();
    layer.readout = networks(from.readout, settings.readout);
    layer.linear = numbers(folded, from.linear);
    layer.linear_at = from.linear.at;
    const int n_elements = static_cast<int>(settings.elements.size()), K = settings.n_channels;
    layer.low = rows(from.low.data(), n_elements, K, weights_.stride);
    layer.high = rows(from.high.data(), n_elements, K, weights_.stride);
    layer.per_width = rows(from.per_width.data(), n_elements, K, weights_.stride);
    if (!from.outputs.empty()) layer.outputs = networks(from.outputs, settings.update);
    if (!from.gates.empty()) layer.gates = networks(from.gates, settings.update);
    for (int l = 0; l < std::min(settings.l_max, 2); ++l) {
        if (from.tensor_weights[l].at >= 0) layer.tensor_weights[l] = numbers(folded, from.tensor_weights[l]);
        layer.tensor_weights_at[l] = from.tensor_weights[l].at;
        if (from.tensors[l].at >= 0) layer.tensors[l] = linear(folded, from.tensors[l], {});
    }
    return layer;
}

template <class Real> void Packed<Real>::equivariant(const Settings &settings, const Folded &folded) {
    const int lanes = kernels_of<Real>(level()).lanes;
    const auto padded = [lanes](int n) { return (n + lanes - 1) / lanes * lanes; };
    Weights<Real> &w = weights_;
    w.n_channels = settings.n_channels;
    w.stride = padded(settings.n_channels);
    w.basis_stride = padded(settings.n_radial);
    w.bessel = settings.bessel;
    const double limit = settings.moment_limit;
    w.per_limit = limit > 0.0 ? static_cast<Real>(1.0 / (limit * limit)) : Real(0);
    const int highest = std::min(w.l_max, 2);
    w.n_rows = (highest + 1) * (highest + 1);
    if (!w.bessel) {
        std::vector<double> center, alpha;
        gaussian_grid(w.n_radial, w.cutoff, center, alpha);
        for (const auto &[from, to] : {std::pair{&center, &w.center}, std::pair{&alpha, &w.alpha}}) {
            std::vector<Real> &memory = memory_.emplace_back(from->begin(), from->end());
            *to = memory.data();
        }
    }
    for (const FoldedEquivariant &layer : folded.layers) {
        equivariant_.push_back(equivariant_layer(settings, layer, folded));
        KeptSizes kept;
        for (int l = 0; l <= w.l_max; ++l) {
            kept.moments += shell_size(l) * w.stride;
            kept.sums += shell_size(l) * equivariant_.back().mixing[l].n_in;
        }
        const bool last = equivariant_.size() == folded.layers.size();
        kept.tape = last ? w.stride : w.stride * w.n_rows; // x and, but in the last layer, e
        kept_.push_back(kept);
    }
    w.layers = equivariant_.data();
    for (const FoldedOutput &output : folded.outputs) {
        const Place &a = output.weights;
        outputs_.push_back({output.l, w.outputs_width, numbers(folded, a), a.at, output.column});
        w.outputs_width += 2 * output.l + 1;
    }
    w.outputs = outputs_.data();
    w.n_outputs = static_cast<int>(outputs_.size());
}

template EquivariantLayer<float>
Packed<float>::equivariant_layer(const Settings &, const FoldedEquivariant &, const Folded &);
template EquivariantLayer<double>
Packed<double>::equivariant_layer(const Settings &, const FoldedEquivariant &, const Folded &);
template void Packed<float>::equivariant(const Settings &, const Folded &);
template void Packed<double>::equivariant(const Settings &, const Folded &);

} // namespace reann
