#include "packed.hpp"

#include <algorithm>

namespace reann {

template <class Real>
Packed<Real>::Packed(const Settings &settings, const Folded &folded) {
    const int n_elements = static_cast<int>(settings.elements.size());
    for (const FoldedNetwork &net : folded.updates)
        updates_.push_back(network(folded, net, settings.update));
    for (const FoldedNetwork &net : folded.readout)
        readout_.push_back(network(folded, net, settings.readout));
    Weights<Real> &w = weights_;
    w.l_max = settings.l_max;
    w.n_components = (w.l_max + 1) * (w.l_max + 2) * (w.l_max + 3) / 6;
    w.n_radial = settings.n_radial;
    w.n_elements = n_elements;
    w.n_recursions = settings.n_recursions;
    w.stride = folded.coefficients.stride;
    w.n_features = readout_[0].first.n_in;
    w.unit_vectors = settings.unit_vectors;
    w.polynomial_cutoff = settings.polynomial_cutoff;
    w.radial_per_pair = settings.radial_per_pair;
    if (settings.many_body) {
        w.vector = linear(folded, folded.vector, {});
        w.matrix = linear(folded, folded.matrix, {});
    }
    for (const Place &place : folded.mixing) mixing_.push_back(linear(folded, place, {}));
    w.mixing = mixing_.data();
    w.directional = settings.directional;
    if (w.directional) w.n_rows = w.n_components;
    w.n_changes = (w.directional ? 1 + w.l_max : 1) * w.stride;
    w.cutoff = settings.cutoff;
    w.alpha = numbers(folded, folded.alpha);
    w.center = numbers(folded, folded.center);
    w.coefficients = numbers(folded, folded.coefficients);
    w.alpha_at = folded.alpha.at;
    w.center_at = folded.center.at;
    w.coefficients_at = folded.coefficients.at;
    w.updates = updates_.data();
    w.readout = readout_.data();
    w.reference = folded.reference.data();
    w.n_parameters = static_cast<int64_t>(folded.values.size());
    const Kernels<Real> &kernels = kernels_of<Real>(level());
    std::vector<Real> scratch(kernels.scratch_size(w, 1));
    for (int z = 0; z < n_elements; ++z) nothing_.push_back(kernels.nothing(w, z, scratch.data()));
    w.nothing = nothing_.data();
}

template <class Real> const Real *Packed<Real>::numbers(const std::vector<double> &values) {
    memory_.emplace_back(values.begin(), values.end());
    return memory_.back().data();
}

template <class Real> const Real *Packed<Real>::numbers(const Folded &folded, const Place &place) {
    const double *from = folded.values.data() + place.at;
    memory_.emplace_back(from, from + int64_t(place.rows) * place.stride);
    return memory_.back().data();
}

template <class Real>
Linear<Real> Packed<Real>::linear(const Folded &folded, const Place &weight, const Place &bias) {
    const Kernels<Real> &kernels = kernels_of<Real>(level());
    const auto pack = [&](int rows, int columns, int64_t down, int64_t right) {
        std::vector<Real> &packed = memory_.emplace_back(kernels.packed_size(rows, columns));
        kernels.pack(folded.values.data() + weight.at, rows, columns, down, right, packed.data());
        return packed.data();
    };
    Linear<Real> f;
    f.rows = weight.rows;
    f.columns = weight.columns;
    f.n_in = (weight.rows + kernels.lanes - 1) / kernels.lanes * kernels.lanes;
    f.n_out = weight.stride;
    f.forward = pack(f.rows, f.columns, weight.stride, 1);
    f.backward = pack(f.columns, f.rows, 1, weight.stride);
    f.weight_at = weight.at;
    f.bias_at = bias.at;
    if (bias.at >= 0) f.bias = numbers(folded, bias);
    return f;
}

template <class Real>
Neurons<Real> Packed<Real>::neurons(const Folded &folded, const FoldedLayer &layer, bool tanh_like,
                                    int columns) {
    const int lanes = kernels_of<Real>(level()).lanes;
    Neurons<Real> f;
    f.tanh_like = tanh_like;
    f.width = (columns + lanes - 1) / lanes * lanes;
    f.a_at = layer.a.at;
    f.b_at = layer.b.at;
    const std::vector<double> ones(f.width, 1.0);
    f.a = layer.a.at < 0 ? numbers(ones) : numbers(folded, layer.a);
    f.b = layer.b.at < 0 ? numbers(ones) : numbers(folded, layer.b);
    return f;
}

template <class Real>
Network<Real> Packed<Real>::network(const Folded &folded, const FoldedNetwork &from,
                                    const NetworkSettings &form) {
    const bool tanh_like = form.activation == Activation::tanh_like;
    const int lanes = kernels_of<Real>(level()).lanes;
    Network<Real> net;
    net.first = linear(folded, from.first, from.first_bias);
    // The density writes whole vectors: there is room behind the last product of a row.
    net.first.n_in = (net.first.rows + 2 * (lanes - 1)) / lanes * lanes;
    std::vector<Layer<Real>> &layers = layers_.emplace_back();
    net.widest = net.first.n_out;
    int columns = net.first.columns;
    for (size_t i = 0; i < from.layers.size(); ++i) {
        const FoldedLayer &layer = from.layers[i];
        Layer<Real> to;
        to.neurons = neurons(folded, layer, tanh_like, columns);
        to.linear = linear(folded, layer.weight, layer.bias);
        if (layer.norm_weight.at >= 0) {
            to.norm.width = to.neurons.width;
            to.norm.columns = columns;
            to.norm.weight = numbers(folded, layer.norm_weight);
            to.norm.bias = numbers(folded, layer.norm_bias);
            to.norm.weight_at = layer.norm_weight.at;
            to.norm.bias_at = layer.norm_bias.at;
            std::vector<double> one(to.norm.width);
            std::fill_n(one.begin(), columns, 1.0);
            to.norm.one = numbers(one);
        }
        net.tape += to.neurons.width;
        net.widest = std::max({net.widest, to.neurons.width, to.linear.n_in});
        columns = layer.weight.columns;
        layers.push_back(to);
    }
    net.neurons = layers.back().neurons;
    net.last = layers.back().linear;
    layers.pop_back();
    const bool deep = form.hidden.size() > 1;
    net.n_blocks = deep ? form.blocks : 0;
    net.n_layers = deep ? static_cast<int>(form.hidden.size()) - 1 : 0;
    net.layers = layers.data();
    net.residual = form.residual;
    return net;
}

template class Packed<float>;
template class Packed<double>;

} // namespace reann
