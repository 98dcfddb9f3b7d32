// The arrays of a model, checked and copied to the matrices of the kernels; networks have the same form in all
// models. The rest depends on the messages: fold_density.cpp, fold_equivariant.cpp.
#include "fold.hpp"

#include <algorithm>
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

void Folded::fold() {
    for (auto &named : raws_) read(named.second);
    for (const Copy &c : copies_) {
        const double factor = c.factor();
        for (int i = 0; i < c.place.rows; ++i)
            for (int k = 0; k < c.columns; ++k)
                values[c.at(i, k)] = factor * c.raw.values[c.from + int64_t(i) * c.columns + k];
    }
    std::copy(reference_->values.begin(), reference_->values.end(), reference.begin());
    if (settings_.equivariant) fold_equivariant();
    else fold_density();
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

} // namespace reann
