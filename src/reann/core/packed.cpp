#include "packed.hpp"

#include <algorithm>

namespace reann {

template <class Real>
Packed<Real>::Packed(const Settings &settings, const Folded &folded) : folded_(folded) {
    const int n_elements = static_cast<int>(settings.elements.size());
    Weights<Real> &w = weights_;
    w.l_max = settings.l_max;
    w.n_components = (w.l_max + 1) * (w.l_max + 2) * (w.l_max + 3) / 6;
    w.n_radial = settings.n_radial;
    w.n_elements = n_elements;
    w.n_recursions = settings.n_recursions;
    w.cutoff = settings.cutoff;
    w.polynomial_cutoff = settings.polynomial_cutoff;
    if (settings.equivariant) equivariant(settings, folded);
    else density(settings, folded);
    w.kept = kept_.data();
    w.reference = folded.reference.data();
    w.n_parameters = static_cast<int64_t>(folded.values.size());
    nothing_.resize(n_elements);
    w.nothing = nothing_.data();
    scratch_.resize(kernels_of<Real>(level()).form(w).scratch_size(w, 1));
    fill();
}

template <class Real> void Packed<Real>::density(const Settings &settings, const Folded &folded) {
    for (const FoldedNetwork &net : folded.updates)
        updates_.push_back(network(folded, net, settings.update));
    for (const FoldedNetwork &net : folded.readout)
        readout_.push_back(network(folded, net, settings.readout));
    Weights<Real> &w = weights_;
    w.n_channels = settings.n_radial;
    w.stride = folded.coefficients.stride;
    w.n_features = readout_[0].first.n_in;
    w.unit_vectors = settings.unit_vectors;
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
    w.alpha = numbers(folded, folded.alpha);
    w.center = numbers(folded, folded.center);
    w.coefficients = numbers(folded, folded.coefficients);
    w.alpha_at = folded.alpha.at;
    w.center_at = folded.center.at;
    w.coefficients_at = folded.coefficients.at;
    w.updates = updates_.data();
    w.readout = readout_.data();
    w.range = range(settings, folded);
    for (int t = 0; t <= w.n_recursions; ++t) {
        KeptSizes kept;
        kept.moments = int64_t(w.n_components) * w.stride;
        kept.tape = t < w.n_recursions ? updates_[t * w.n_elements].tape : readout_[0].tape;
        kept.features = t < w.n_recursions ? 0 : w.n_features;
        kept.changes = t < w.n_recursions && w.directional ? w.n_changes : 0;
        kept_.push_back(kept);
    }
}

template <class Real> void Packed<Real>::fill() {
    const Kernels<Real> &kernels = kernels_of<Real>(level());
    weights_.basis_scale = folded_.basis_scale;
    weights_.field_scale = folded_.field_scale;
    for (const Part &part : parts_) {
        if (part.packed) {
            kernels.pack(part.from, part.rows, part.columns, part.down, part.right, part.to);
            continue;
        }
        for (int i = 0; i < part.rows; ++i)
            for (int k = 0; k < part.columns; ++k)
                part.to[i * part.down + k] = static_cast<Real>(part.from[int64_t(i) * part.columns + k]);
    }
    for (size_t z = 0; z < nothing_.size(); ++z)
        nothing_[z] = kernels.form(weights_).nothing(weights_, static_cast<int>(z), scratch_.data());
}

// `ones` ones, then zeros
template <class Real> const Real *Packed<Real>::constants(int size, int ones) {
    std::vector<Real> &memory = memory_.emplace_back(size);
    std::fill_n(memory.begin(), ones, Real(1));
    return memory.data();
}

// Rows of `columns` numbers, each followed by zeros up to `stride`.
template <class Real>
const Real *Packed<Real>::rows(const double *from, int n_rows, int columns, int stride) {
    std::vector<Real> &memory = memory_.emplace_back(int64_t(n_rows) * stride);
    parts_.push_back({from, memory.data(), n_rows, columns, stride, 1, false});
    return memory.data();
}

template <class Real> const Real *Packed<Real>::numbers(const Folded &folded, const Place &place) {
    // including padding, which is zero
    return rows(folded.values.data() + place.at, place.rows, place.stride, place.stride);
}

template <class Real>
const Real *Packed<Real>::pack(const double *from, int n_rows, int columns, int64_t down, int64_t right) {
    const Kernels<Real> &kernels = kernels_of<Real>(level());
    std::vector<Real> &memory = memory_.emplace_back(kernels.packed_size(n_rows, columns));
    parts_.push_back({from, memory.data(), n_rows, columns, down, right, true});
    return memory.data();
}

template <class Real>
Linear<Real> Packed<Real>::linear(const Folded &folded, const Place &weight, const Place &bias) {
    const Kernels<Real> &kernels = kernels_of<Real>(level());
    const double *from = folded.values.data() + weight.at;
    Linear<Real> f;
    f.rows = weight.rows;
    f.columns = weight.columns;
    f.n_in = (weight.rows + kernels.lanes - 1) / kernels.lanes * kernels.lanes;
    f.n_out = weight.stride;
    f.forward = pack(from, f.rows, f.columns, weight.stride, 1);
    f.backward = pack(from, f.columns, f.rows, 1, weight.stride);
    f.weight_at = weight.at;
    f.bias_at = bias.at;
    if (bias.at >= 0) f.bias = numbers(folded, bias);
    return f;
}

// The padding of the ranges is zero, too: features there are zero and count as inside.
template <class Real>
Range<Real> Packed<Real>::range(const Settings &settings, const Folded &folded) {
    const FoldedRange &from = folded.range;
    const int lanes = kernels_of<Real>(level()).lanes, n_elements = static_cast<int>(settings.elements.size());
    Range<Real> r;
    r.stride = (from.n_features + lanes - 1) / lanes * lanes;
    r.low = rows(from.low.data(), n_elements, from.n_features, r.stride);
    r.high = rows(from.high.data(), n_elements, from.n_features, r.stride);
    r.per_width = rows(from.per_width.data(), n_elements, from.n_features, r.stride);
    r.orbitals_per_l = settings.orbitals_per_l;
    if (!folded.contraction) return r;
    const int K = settings.n_radial, M = settings.n_orbitals;
    for (int l = 0; l <= settings.l_max; ++l) {
        Linear<Real> d;
        d.rows = K;
        d.columns = M;
        d.n_in = folded.coefficients.stride;
        d.n_out = (M + lanes - 1) / lanes * lanes;
        d.forward = pack(folded.contraction + int64_t(l) * K * M, K, M, M, 1);
        contractions_.push_back(d);
    }
    r.contraction = contractions_.data();
    return r;
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
    f.a = layer.a.at < 0 ? constants(f.width, f.width) : numbers(folded, layer.a);
    f.b = layer.b.at < 0 ? constants(f.width, f.width) : numbers(folded, layer.b);
    return f;
}

template <class Real>
Network<Real> Packed<Real>::network(const Folded &folded, const FoldedNetwork &from,
                                    const NetworkSettings &form) {
    const bool tanh_like = form.activation == Activation::tanh_like;
    const int lanes = kernels_of<Real>(level()).lanes;
    Network<Real> net;
    net.first = linear(folded, from.first, from.first_bias);
    // The density is written in whole vectors, so there is room behind the last product of a row.
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
            to.norm.one = constants(to.norm.width, columns);
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
