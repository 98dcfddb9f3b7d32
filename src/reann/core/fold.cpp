#include "fold.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace reann {
namespace {

double value_at(const Array &array, int64_t i) {
    const char *data = static_cast<const char *>(array.data);
    if (array.type == REANN_FLOAT64) {
        double x;
        std::memcpy(&x, data + i * sizeof x, sizeof x);
        return x;
    }
    float x;
    std::memcpy(&x, data + i * sizeof x, sizeof x);
    return x;
}

std::string shape_of(const std::vector<int64_t> &shape) {
    std::string text = "(";
    for (int64_t axis : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(axis);
    return text + ")";
}

} // namespace

std::vector<double> Folded::product(const std::vector<double> &X, int rows, int depth,
                                    const Factor &Y, int columns) {
    const Kernels<double> &kernels = level().precise;
    const int stride = (columns + kernels.lanes - 1) / kernels.lanes * kernels.lanes;
    std::vector<double> packed(kernels.packed_size(depth, columns)), padded(int64_t(rows) * stride);
    std::vector<double> C(int64_t(rows) * columns);
    kernels.pack(Y.data, depth, columns, Y.down, Y.right, packed.data());
    kernels.multiply(X.data(), depth, rows, depth, packed.data(), columns, padded.data(), stride,
                     nullptr, 1);
    for (int i = 0; i < rows; ++i)
        std::copy_n(&padded[int64_t(i) * stride], columns, &C[int64_t(i) * columns]);
    return C;
}

Folded::Folded(const Settings &settings, const std::vector<Array> &arrays, int member, int lanes)
    : settings_(settings), arrays_(arrays), prefix_(std::to_string(member) + "."), lanes_(lanes) {
    const std::string head = "heads." + settings.head + ".";
    reference_ = &raw(head + "reference_energies", {int64_t(settings.elements.size())});
    reference.resize(settings.elements.size());
    reference_array = reference_->array;
    if (settings.equivariant) equivariant();
    else density();
    repulsion.n_elements = static_cast<int>(settings.elements.size());
    if (settings.repulsion) {
        repulsion.start = of_pairs("repulsion.start");
        repulsion.decay = of_pairs("repulsion.decay");
        repulsion.amplitude = of_pairs("repulsion.amplitude");
    }
    fold();
}

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

void Folded::fold() {
    for (auto &named : raws_) read(named.second);
    for (const Copy &c : copies_) {
        const double factor = c.factor();
        for (int i = 0; i < c.place.rows; ++i)
            for (int k = 0; k < c.columns; ++k)
                values[c.at(i, k)] = factor * c.raw.values[c.from + int64_t(i) * c.columns + k];
    }
    std::copy(reference_->values.begin(), reference_->values.end(), reference.begin());
    if (settings_.equivariant) {
        fold_equivariant();
        return;
    }
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

void Folded::read(Raw &raw) const {
    const Array &array = arrays_[raw.array];
    for (int64_t i = 0; i < int64_t(raw.values.size()); ++i) raw.values[i] = value_at(array, i);
}

const Folded::Raw &Folded::raw(const std::string &name, std::vector<int64_t> shape) {
    const auto known = raws_.find(name);
    if (known != raws_.end()) return known->second;
    for (size_t a = 0; a < arrays_.size(); ++a) {
        const Array &array = arrays_[a];
        if (array.name != prefix_ + name) continue;
        if (array.shape != shape)
            throw Error("The array " + array.name + " has the shape " + shape_of(array.shape) + ", not " +
                        shape_of(shape) + ".");
        Raw &found = raws_[name];
        found.array = static_cast<int>(a);
        found.values.resize(array.size());
        return found;
    }
    throw Error("The array " + prefix_ + name + " is missing.");
}

bool Folded::has(const std::string &name) const {
    return std::any_of(arrays_.begin(), arrays_.end(),
                       [&](const Array &array) { return array.name == prefix_ + name; });
}

// Numbers for pairs of elements, (elements, elements); they are not copied.
const double *Folded::of_pairs(const std::string &name) {
    const int64_t n_elements = settings_.elements.size();
    return raw(name, {n_elements, n_elements}).values.data();
}

Place Folded::place(int rows, int columns) {
    Place p;
    p.at = static_cast<int64_t>(values.size());
    p.rows = rows;
    p.columns = columns;
    p.stride = (columns + lanes_ - 1) / lanes_ * lanes_;
    values.resize(values.size() + int64_t(rows) * p.stride);
    return p;
}

// The part of one element (the first axis), or all of it with element -1, as a matrix of the last axis.
Place Folded::copy(const std::string &name, std::vector<int64_t> shape, int element,
                   const Raw *scale, int n_groups) {
    const Raw &from = raw(name, shape);
    const int columns = static_cast<int>(shape.back()), group = columns / n_groups;
    const int64_t whole = int64_t(from.values.size()), part = element < 0 ? whole : whole / shape[0];
    const int padded = n_groups == 1 ? group : (group + lanes_ - 1) / lanes_ * lanes_;
    copies_.push_back({from, element < 0 ? 0 : element * part,
                       place(int(part / columns), n_groups * padded), scale, columns, group, padded});
    return copies_.back().place;
}

void Folded::copy_into(const Place &place, const Raw &from, int64_t at, const Raw *scale, int scale_at,
                       double times) {
    copies_.push_back({from, at, place, scale, place.columns, place.columns, place.columns, scale_at, times});
}

FoldedNetwork Folded::hidden(const std::string &name, const NetworkSettings &form, int element, int t,
                             int n_in_first) {
    const int64_t n_elements = settings_.elements.size();
    const auto neurons = [&](FoldedLayer &layer, const std::string &at, int64_t width) {
        if (form.activation == Activation::silu) return;
        layer.a = copy(at + ".a", {n_elements, width}, element);
        layer.b = copy(at + ".b", {n_elements, width}, element);
    };
    FoldedNetwork net;
    if (t < 0) {
        net.first = copy(name + ".first.weight", {n_elements, n_in_first, form.hidden[0]}, element);
        net.first_bias = copy(name + ".first.bias", {n_elements, form.hidden[0]}, element);
    } else {
        const Raw &first = raw(name + ".first.weight", {n_elements, n_features_, form.hidden[0]});
        const Raw &first_bias = raw(name + ".first.bias", {n_elements, form.hidden[0]});
        net.first = place(n_products, form.hidden[0]);
        net.first_bias = place(1, form.hidden[0]);
        firsts_.push_back({t, element, first, first_bias, net.first, net.first_bias});
    }
    int64_t width = form.hidden[0];
    for (int block = 0; block < form.used_blocks(); ++block)
        for (size_t i = 0; i + 1 < form.hidden.size(); ++i) {
            const std::string at = name + ".blocks." + std::to_string(block), n = std::to_string(i);
            const int64_t n_in = form.hidden[i], next = form.hidden[i + 1];
            FoldedLayer layer;
            neurons(layer, at + ".activations." + n, n_in);
            if (form.layer_norm) {
                layer.norm_weight = copy(at + ".normalizations." + n + ".weight", {n_elements, n_in}, element);
                layer.norm_bias = copy(at + ".normalizations." + n + ".bias", {n_elements, n_in}, element);
            }
            layer.weight = copy(at + ".linears." + n + ".weight", {n_elements, n_in, next}, element);
            layer.bias = copy(at + ".linears." + n + ".bias", {n_elements, next}, element);
            net.layers.push_back(layer);
            width = next;
        }
    FoldedLayer last;
    neurons(last, name + ".activation", width);
    net.layers.push_back(last);
    return net;
}

FoldedNetwork Folded::network(const std::string &name, const NetworkSettings &form, int element, int t,
                              int n_in_first, int n_out, const Raw *scale, int n_groups, bool biased) {
    FoldedNetwork net = hidden(name, form, element, t, n_in_first);
    FoldedLayer &last = net.layers.back();
    const int64_t n_elements = settings_.elements.size(), n_last = int64_t(n_groups) * n_out;
    last.weight = copy(name + ".last.weight", {n_elements, form.last_width(), n_last}, element, scale, n_groups);
    if (biased) last.bias = copy(name + ".last.bias", {n_elements, n_last}, element, scale, n_groups);
    return net;
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
