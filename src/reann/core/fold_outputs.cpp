// Outputs of atoms, linear in the states of all layers:
//
//     y_i^l = sum_t a_Z^(t,l) . h_i^(t,l) / sqrt(K)
//
// and the values that heads compute from them: b_Z + s y^0, s y^1, or (b_Z + s y^0) 1 + s M(y^2).

// In the last layer T, only outputs need the states. With the hidden layer q of the gates, g_l = q W_l + b_l,
// and the weighted products p of a layer,
//
//     a . h^0 = a . x + q (W_0 a) + b_0 . a
//     a . h^l = p . z,   z = q W_l diag(a) U_l^T + (1 + b_l) diag(a) U_l^T
//
// so that a matrix for each element and output computes z from q, and no state is needed.

#include <algorithm>
#include <cmath>

#include "fold.hpp"

namespace reann {

void Folded::read_outputs() {
    const int n_elements = int(settings_.elements.size()), K = settings_.n_channels;
    const int n_layers = settings_.n_recursions + 1;
    int n_rows = 0, n_scalars = 0; // results of the network of the last layer: rows of channels, then scalars
    for (const OutputSettings &output : settings_.outputs) {
        const Place a = place(n_layers * n_elements, K);
        copy_into(a, raw(output.weights, {n_layers, n_elements, K}), 0, nullptr, 0, 1.0 / std::sqrt(K));
        outputs.push_back({output.l, a, output.l > 0 ? n_rows++ * stride_ : n_scalars++});
        outputs_width += 2 * output.l + 1;
    }
    for (FoldedOutput &output : outputs)
        if (output.l == 0) output.column += n_rows * stride_;
    output_columns_ = n_rows * stride_ + n_scalars;
    read_heads();
    if (settings_.equilibrated) log_hardness = raw("long_range.log_hardness", {n_elements}).values.data();
}

FoldedNetwork Folded::output_network(int element) {
    const int T = settings_.n_recursions, K = settings_.n_channels, highest = std::min(settings_.l_max, 2);
    const int64_t n_elements = settings_.elements.size(), H = settings_.update.last_width();
    const std::string layer = "recursion.layers." + std::to_string(T) + ".", gates = layer + "gates";
    const Raw &W = raw(gates + ".last.weight", {n_elements, H, (1 + highest) * K});
    const Raw &b = raw(gates + ".last.bias", {n_elements, (1 + highest) * K});
    FoldedNetwork net = hidden(gates, settings_.update, element, -1, K);
    FoldedLayer &last = net.layers.back();
    last.weight = place(int(H), output_columns_);
    last.bias = place(1, output_columns_);
    for (size_t o = 0; o < outputs.size(); ++o) {
        const int l = outputs[o].l;
        if (l > highest) throw Error("An output of l = " + std::to_string(l) + " needs states of this l.");
        const Raw &a = raw(settings_.outputs[o].weights, {T + 1, n_elements, K});
        const Raw *U = l == 0 ? nullptr : &raw(layer + "tensors." + std::to_string(l - 1), {K, K});
        const Raw *scale = l == 0 ? nullptr : &raw(layer + "state_scale", {highest});
        last_outputs_.push_back({l, element, a, W, b, U, scale, last.weight, last.bias, outputs[o].column});
    }
    return net;
}

// G = [W_l; 1 + b_l] of an output, (H + 1, K); [W_0; b_0] for a scalar.
std::vector<double> Folded::gates_of(const Output &output) const {
    const int64_t K = settings_.n_channels, H = output.weight.rows, z = output.element;
    const int64_t width = int64_t(output.gates_bias.values.size()) / int64_t(settings_.elements.size());
    std::vector<double> G((H + 1) * K);
    for (int64_t h = 0; h < H; ++h)
        std::copy_n(&output.gates.values[(z * H + h) * width + output.l * K], K, &G[h * K]);
    for (int64_t c = 0; c < K; ++c)
        G[H * K + c] = output.gates_bias.values[z * width + output.l * K + c] + (output.l > 0);
    return G;
}

// a with all constant factors, (K).
std::vector<double> Folded::weights_of(const Output &output) const {
    const int64_t K = settings_.n_channels, n_elements = settings_.elements.size();
    const double *a = &output.a.values[(settings_.n_recursions * n_elements + output.element) * K];
    std::vector<double> weights(a, a + K);
    for (double &x : weights) x *= factor_of(output);
    return weights;
}

double Folded::factor_of(const Output &output) const {
    return (output.scale ? output.scale->values[output.l - 1] : 1.0) / std::sqrt(settings_.n_channels);
}

// C = G diag(a) U^T, or G a for a scalar
void Folded::fold_outputs() {
    const int K = settings_.n_channels;
    for (const Output &output : last_outputs_) {
        const int H = output.weight.rows, columns = output.l > 0 ? K : 1;
        const std::vector<double> G = gates_of(output), a = weights_of(output);
        std::vector<double> aU(K * columns, 1.0); // a U^T, (K, columns)
        for (int c = 0; c < K; ++c)
            for (int k = 0; k < columns; ++k)
                aU[c * columns + k] = a[c] * (output.tensors ? output.tensors->values[k * K + c] : 1.0);
        const std::vector<double> C = product(G, H + 1, K, {aU.data(), columns, 1}, columns);
        for (int h = 0; h <= H; ++h)
            std::copy_n(&C[h * columns], columns, &values[output.at(h)]);
    }
}

// With N = G^T C_bar: U_bar = N^T diag(a), a_bar_c = sum_k N_ck U_kc, and G_bar = C_bar U diag(a).
void Folded::unfold_outputs(const std::vector<double> &bar, double *const *gradients) const {
    const int64_t K = settings_.n_channels, n_elements = settings_.elements.size();
    for (const Output &output : last_outputs_) {
        const int64_t H = output.weight.rows, columns = output.l > 0 ? K : 1, z = output.element;
        const std::vector<double> G = gates_of(output), a = weights_of(output);
        std::vector<double> C_bar((H + 1) * columns), turned(K * (H + 1)), Ua(columns * K);
        for (int64_t h = 0; h <= H; ++h) {
            std::copy_n(&bar[output.at(h)], columns, &C_bar[h * columns]);
            for (int64_t c = 0; c < K; ++c) turned[c * (H + 1) + h] = G[h * K + c];
        }
        const std::vector<double> N = product(turned, K, H + 1, {C_bar.data(), columns, 1}, columns);
        double *U_bar = output.tensors ? gradients[output.tensors->array] : nullptr;
        double *a_bar = gradients[output.a.array];
        for (int64_t k = 0; k < columns; ++k)
            for (int64_t c = 0; c < K; ++c) {
                const double U = output.tensors ? output.tensors->values[k * K + c] : 1.0, n = N[c * columns + k];
                Ua[k * K + c] = U * a[c];
                if (U_bar) U_bar[k * K + c] += n * a[c];
                if (a_bar) a_bar[(settings_.n_recursions * n_elements + z) * K + c] += n * U * factor_of(output);
            }
        const std::vector<double> G_bar = product(C_bar, H + 1, columns, {Ua.data(), K, 1}, K);
        const int64_t width = int64_t(output.gates_bias.values.size()) / n_elements, first = output.l * K;
        double *W_bar = gradients[output.gates.array], *b_bar = gradients[output.gates_bias.array];
        for (int64_t h = 0; W_bar && h < H; ++h)
            for (int64_t c = 0; c < K; ++c) W_bar[(z * H + h) * width + first + c] += G_bar[h * K + c];
        for (int64_t c = 0; b_bar && c < K; ++c) b_bar[z * width + first + c] += G_bar[H * K + c];
    }
}

// The outputs of a head are contiguous. Heads with other outputs or without a scale are not supported here.
void Folded::read_heads() {
    int first = 0;
    for (size_t o = 0; o < settings_.outputs.size();) {
        std::string name, kinds;
        int n = 0;
        const size_t begin = o;
        for (; o < settings_.outputs.size(); ++o) {
            const std::string &weights = settings_.outputs[o].weights;
            const size_t dot = std::min(weights.rfind('.'), weights.size());
            if (o > begin && weights.substr(0, dot) != name) break;
            name = weights.substr(0, dot);
            kinds += weights.substr(dot) + std::to_string(settings_.outputs[o].l);
            n += 2 * settings_.outputs[o].l + 1;
        }
        FoldedHead head;
        head.name = name;
        head.first = first;
        head.width = kinds == ".scalars0" ? 1 : kinds == ".vectors1" ? 3 : kinds == ".scalars0.matrices2" ? 9 : 0;
        first += n;
        if (head.width == 0 || !has(name + ".scale")) continue;
        head.scale = raw(name + ".scale", {}).values.data();
        if (head.width != 3)
            head.of_elements = raw(name + ".of_elements", {int64_t(settings_.elements.size())}).values.data();
        heads.push_back(head);
    }
}

void FoldedHead::value(int element, const double *outputs, double *to) const {
    const double *y = outputs + first;
    const double constant = of_elements ? of_elements[element] : 0.0;
    if (width != 9) {
        for (int a = 0; a < width; ++a) to[a] = constant + *scale * y[a];
        return;
    }
    const double trace = constant + *scale * y[0], root = *scale * std::sqrt(0.5);
    const double xy = root * y[1], xz = root * y[2], yz = root * y[3];
    const double half = root * y[4], sixth = *scale * std::sqrt(1.0 / 6.0) * y[5];
    const double matrix[9] = {trace + half - sixth, xy, xz, xy, trace - half - sixth, yz, xz, yz, trace + 2.0 * sixth};
    for (int k = 0; k < 9; ++k) to[k] = matrix[k];
}

void FoldedHead::adjoint(const double *bar, double *outputs_bar) const {
    double *y = outputs_bar + first;
    if (width != 9) {
        for (int a = 0; a < width; ++a) y[a] += *scale * bar[a];
        return;
    }
    const double root = *scale * std::sqrt(0.5), sixth = *scale * std::sqrt(1.0 / 6.0);
    y[0] += *scale * (bar[0] + bar[4] + bar[8]);
    y[1] += root * (bar[1] + bar[3]);
    y[2] += root * (bar[2] + bar[6]);
    y[3] += root * (bar[5] + bar[7]);
    y[4] += root * (bar[0] - bar[4]);
    y[5] += sixth * (2.0 * bar[8] - bar[0] - bar[4]);
}

} // namespace reann
