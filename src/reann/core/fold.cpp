#include "fold.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

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

// C (rows, columns) = X (rows, depth) Y (depth, columns); a transposed factor swaps its distances.
struct Factor {
    const double *data;
    int64_t down, right;
};

std::vector<double> product(const std::vector<double> &X, int rows, int depth, const Factor &Y,
                            int columns) {
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

} // namespace

Folded::Folded(const Settings &settings, const std::vector<Array> &arrays, int member, int lanes)
    : settings_(settings), arrays_(arrays), prefix_(std::to_string(member) + "."), lanes_(lanes) {
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
    const Raw &width = raw("recursion.host.radial.width", {rows, K});
    alpha = place(int(rows), int(K));
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t k = 0; k < K; ++k) {
            const double x = width.values[i * K + k];
            // softplus, as torch has it: the number itself where it is large
            values[alpha.at + i * alpha.stride + k] =
                !settings.radial_softplus || x > 20.0 ? x : std::log1p(std::exp(x));
        }
    coefficients = copy("recursion.weights", {n_elements, K}, -1);
    if (settings.many_body) {
        vector = copy("recursion.host.density.vector", {K, settings.n_orbitals}, -1);
        matrix = copy("recursion.host.density.matrix", {K, settings.n_orbitals}, -1);
    }
    if (!settings.gram)
        raw("recursion.host.density.contraction",
            {settings.orbitals_per_recursion ? settings.n_recursions + 1 : 1, n_l, K,
             settings.n_orbitals});
    if (settings.standardize) {
        raw("recursion.feature_mean", {n_elements, n_features_});
        raw("recursion.feature_scale", {n_elements, n_features_});
    }
    const double c_scale = raw("recursion.update_scale", {}).values[0];
    const double energy_scale = raw("energy_scale", {}).values[0];
    const Raw &e = raw("reference_energies", {n_elements});
    reference = e.values;
    reference_array = e.array;
    const int n_directed = settings.directional ? settings.l_max : 0;
    for (int t = 0; t < settings.n_recursions; ++t) {
        for (int z = 0; z < n_elements; ++z)
            updates.push_back(network("recursion.updates." + std::to_string(t), settings.update, z, t,
                                      settings.n_radial, c_scale, 1 + n_directed));
        for (int l = 0; l < n_directed; ++l)
            mixing.push_back(copy("recursion.messages." + std::to_string(t) + ".mixing", {n_directed, K, K}, l));
    }
    for (int z = 0; z < n_elements; ++z)
        readout.push_back(network("readout", settings.readout, z, settings.n_recursions, 1, energy_scale));
    for (const First &first : firsts_) fold_first(first);
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
        for (int64_t i = 0; i < array.size(); ++i) found.values[i] = value_at(array, i);
        return found;
    }
    throw Error("The array " + prefix_ + name + " is missing.");
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
Place Folded::copy(const std::string &name, std::vector<int64_t> shape, int element, double factor,
                   int n_groups) {
    const Raw &from = raw(name, shape);
    const int columns = static_cast<int>(shape.back()), group = columns / n_groups;
    const int64_t whole = int64_t(from.values.size()), part = element < 0 ? whole : whole / shape[0];
    const int padded = n_groups == 1 ? group : (group + lanes_ - 1) / lanes_ * lanes_;
    const Copy c{from.array, element < 0 ? 0 : element * part,
                 place(int(part / columns), n_groups * padded), factor, columns, group, padded};
    for (int i = 0; i < c.place.rows; ++i)
        for (int k = 0; k < columns; ++k)
            values[c.at(i, k)] = factor * from.values[c.from + int64_t(i) * columns + k];
    copies_.push_back(c);
    return c.place;
}

FoldedNetwork Folded::network(const std::string &name, const NetworkSettings &form, int element, int t,
                              int n_out, double factor, int n_groups) {
    const int64_t n_elements = settings_.elements.size();
    const int n_blocks = form.hidden.size() > 1 ? form.blocks : 0;
    const auto neurons = [&](FoldedLayer &layer, const std::string &at, int64_t width) {
        if (form.activation == Activation::silu) return;
        layer.a = copy(at + ".a", {n_elements, width}, element);
        layer.b = copy(at + ".b", {n_elements, width}, element);
    };
    FoldedNetwork net;
    raw(name + ".first.weight", {n_elements, n_features_, form.hidden[0]});
    raw(name + ".first.bias", {n_elements, form.hidden[0]});
    net.first = place(n_products, form.hidden[0]);
    net.first_bias = place(1, form.hidden[0]);
    firsts_.push_back({t, element, name, net.first, net.first_bias});
    int64_t width = form.hidden[0];
    for (int block = 0; block < n_blocks; ++block)
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
    const int64_t n_last = int64_t(n_groups) * n_out;
    last.weight = copy(name + ".last.weight", {n_elements, width, n_last}, element, factor, n_groups);
    if (name != "readout")
        last.bias = copy(name + ".last.bias", {n_elements, n_last}, element, factor, n_groups);
    net.layers.push_back(last);
    return net;
}

std::vector<double> Folded::products_of_orbitals(int t) const {
    const int K = settings_.n_radial, M = settings_.n_orbitals, n_l = settings_.l_max + 1;
    const std::vector<double> &all = raws_.at("recursion.host.density.contraction").values;
    const double *d = all.data() + (settings_.orbitals_per_recursion ? int64_t(t) * n_l * K * M : 0);
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
    const double *W = raws_.at(first.network + ".first.weight").values.data() + first.element * size;
    const double *b = raws_.at(first.network + ".first.bias").values.data() + first.element * H;
    double *bias = &values[first.bias.at];
    std::vector<double> w(W, W + size);
    std::copy_n(b, H, bias);
    if (settings_.standardize) {
        const double *mean = &raws_.at("recursion.feature_mean").values[first.element * n_features_];
        const double *scale = &raws_.at("recursion.feature_scale").values[first.element * n_features_];
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

// W_bar = (A^T first_bar - mean bias_bar) / scale,  A_bar = first_bar w^T
void Folded::unfold_first(const First &first, const std::vector<double> &bar,
                          double *const *gradients) const {
    const int H = first.weight.columns, K = settings_.n_radial, n_l = settings_.l_max + 1;
    const int64_t size = int64_t(n_features_) * H;
    const Raw &weight = raws_.at(first.network + ".first.weight");
    const Raw &bias = raws_.at(first.network + ".first.bias");
    const double *b_bar = &bar[first.bias.at];
    double *to_bias = gradients[bias.array], *to_weight = gradients[weight.array];
    const double *mean = nullptr, *scale = nullptr;
    if (settings_.standardize) {
        mean = &raws_.at("recursion.feature_mean").values[first.element * n_features_];
        scale = &raws_.at("recursion.feature_scale").values[first.element * n_features_];
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
        const Raw &contraction = raws_.at("recursion.host.density.contraction");
        if (double *to = gradients[contraction.array]) {
            std::vector<double> w(weight.values.begin() + first.element * size,
                                  weight.values.begin() + (first.element + 1) * size);
            for (int m = 0; scale && m < n_features_; ++m)
                for (int h = 0; h < H; ++h) w[int64_t(m) * H + h] /= scale[m];
            const std::vector<double> A_bar =
                product(first_bar, n_products, H, {w.data(), 1, H}, n_features_);
            const int64_t of_t = settings_.orbitals_per_recursion ? int64_t(first.t) * n_l * K * M : 0;
            int64_t row = 0;
            for (int l = 0; l < n_l; ++l) {
                const double *d = contraction.values.data() + of_t + int64_t(l) * K * M;
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
        if (double *to = gradients[c.array])
            for (int i = 0; i < c.place.rows; ++i)
                for (int k = 0; k < c.columns; ++k)
                    to[c.from + int64_t(i) * c.columns + k] += c.factor * bar[c.at(i, k)];
    const Raw &width = raws_.at("recursion.host.radial.width");
    if (double *to = gradients[width.array])
        for (int i = 0; i < alpha.rows; ++i)
            for (int k = 0; k < alpha.columns; ++k) {
                const double x = width.values[int64_t(i) * alpha.columns + k];
                const double slope = !settings_.radial_softplus || x > 20.0 ? 1.0 : 1.0 / (1.0 + std::exp(-x));
                to[int64_t(i) * alpha.columns + k] += slope * bar[alpha.at + int64_t(i) * alpha.stride + k];
            }
    for (const First &first : firsts_) unfold_first(first, bar, gradients);
}

} // namespace reann
