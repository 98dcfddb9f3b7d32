// Results of a layer for a block of atoms: energies, and the states that neighbors read in the next layer.
//
//     E += a.x + NN(x)
//     h0' = x + g0(x),  hl' = (1 + gl(x)) e_l
#pragma once

#include "layer_scratch.hpp"
#include "network.hpp"

namespace reann {
namespace {

// Energies from the readout of a layer, a.x + NN(x), without tangents.
template <class F>
void read_out(const EquivariantLayer<typename F::Real> &layer, int element, int n, int stride,
              const typename F::Real *x, const LayerScratch<typename F::Real> &scratch,
              double *energies) {
    using Real = typename F::Real;
    const Network<Real> &net = layer.readout[element];
    const Real *a = layer.linear + element * stride;
    network<F>(net, x, n, scratch.tape, scratch.layers, scratch.out);
    for (int i = 0; i < n; ++i) {
        double energy = scratch.out[i * net.last.n_out];
        for (int k = 0; k < stride; ++k) energy += double(a[k]) * x[i * stride + k];
        energies[i] += energy;
    }
}

// Increases `farthest` to the distance of the features of an atom from their ranges (range.hpp), if that is
// larger.
template <class Real>
void widen(const EquivariantLayer<Real> &layer, int element, int stride, const Real *x,
           double &farthest) {
    const int64_t at = int64_t(element) * stride;
    for (int k = 0; k < stride; ++k) {
        const Real below = layer.low[at + k] - x[k], above = x[k] - layer.high[at + k];
        const Real outside = below > above ? below : above;
        if (outside > 0 && double(outside * layer.per_width[at + k]) > farthest)
            farthest = outside * layer.per_width[at + k];
    }
}

// From the seeds (n, planes) of the energies to x_bar.
template <class F>
void adjoint_of_read_out(const EquivariantLayer<typename F::Real> &layer, int element, int n, int stride,
                         const typename F::Real *x, const typename F::Real *seeds,
                         const LayerScratch<typename F::Real> &scratch, double *parameters) {
    using Real = typename F::Real;
    constexpr int W = lanes<Real>;
    const Network<Real> &net = layer.readout[element];
    const Real *a = layer.linear + element * stride;
    const int width = F::planes * net.last.n_out;
    network<F>(net, x, n, scratch.tape, scratch.layers, scratch.out);
    for (int i = 0; i < n; ++i) {
        for (int k = 0; k < width; ++k) scratch.out[i * width + k] = 0;
        for (int plane = 0; plane < F::planes; ++plane)
            scratch.out[i * width + plane * net.last.n_out] = seeds[i * F::planes + plane];
    }
    adjoint_of_network<F>(net, x, scratch.out, n, scratch.tape, scratch.layers, scratch.x_bar,
                          parameters);
    for (int i = 0; i < n; ++i) {
        const typename F::Number seed = number<F>(seeds + i * F::planes, 1);
        const int64_t at = int64_t(i) * F::planes * stride;
        for (int k = 0; k < stride; k += W) {
            Real *to = scratch.x_bar + at + k;
            if constexpr (F::planes > 1) {
                const Vector<Real> a_bar = last_plane<F>(load<F>(x + at + k, stride) * seed);
                for (int lane = 0; lane < W; ++lane)
                    parameters[layer.linear_at + element * stride + k + lane] += a_bar[lane];
            }
            store(to, stride, load<F>(to, stride) + seed * load_vector(a + k));
        }
    }
}

// States of the next layer from x and e: rows (h0, h1, h2) of each atom, (planes, stride) each.
template <class F, int l_max>
void next_states(const EquivariantLayer<typename F::Real> &layer, int element, int n, int stride,
                 const typename F::Real *x, const typename F::Real *e,
                 const LayerScratch<typename F::Real> &scratch, typename F::Real *next) {
    using Real = typename F::Real;
    using S = States<l_max>;
    const Network<Real> &net = layer.gates[element];
    const int64_t row = F::planes * stride;
    network<F>(net, x, n, scratch.tape, scratch.layers, scratch.g);
    for (int i = 0; i < n; ++i, next += S::rows * row) {
        const Real *g = scratch.g + int64_t(i) * F::planes * net.last.n_out;
        for (int k = 0; k < stride; k += lanes<Real>) {
            store(next + k, stride, load<F>(x + i * row + k, stride) + load<F>(g + k, net.last.n_out));
            const Real *e_l = e;
            for (int l = 1, r = 1; l <= S::highest; e_l += n * shell_size(l++) * row) {
                const typename F::Lanes gate =
                    load<F>(g + l * stride + k, net.last.n_out) + splat(Real(1));
                for (int a = 0; a < shell_size(l); ++a, ++r)
                    store(next + r * row + k, stride,
                          gate * load<F>(e_l + (i * shell_size(l) + a) * row + k, stride));
            }
        }
    }
}

// bar: the adjoint of the next states, laid out as `next`; adds to x_bar, and overwrites e with its adjoint.
template <class F, int l_max>
void adjoint_of_next_states(const EquivariantLayer<typename F::Real> &layer, int element, int n,
                            int stride, const typename F::Real *x, const typename F::Real *e,
                            const typename F::Real *bar, const LayerScratch<typename F::Real> &scratch,
                            typename F::Real *e_bar, double *parameters) {
    using Real = typename F::Real;
    using S = States<l_max>;
    const Network<Real> &net = layer.gates[element];
    const int64_t row = F::planes * stride;
    network<F>(net, x, n, scratch.tape, scratch.layers, scratch.g);
    for (int i = 0; i < n; ++i) {
        const int64_t at = int64_t(i) * F::planes * net.last.n_out;
        const Real *own = bar + i * S::rows * row;
        for (int k = 0; k < stride; k += lanes<Real>) {
            Real *x_bar = scratch.x_bar + i * row + k;
            const typename F::Lanes of_scalars = load<F>(own + k, stride);
            store(scratch.g_bar + at + k, net.last.n_out, of_scalars);
            store(x_bar, stride, load<F>(x_bar, stride) + of_scalars);
            int64_t from = 0;
            for (int l = 1, r = 1; l <= S::highest; from += n * shell_size(l++) * row) {
                const typename F::Lanes gate =
                    load<F>(scratch.g + at + l * stride + k, net.last.n_out) + splat(Real(1));
                typename F::Lanes sum = zero<F>();
                for (int a = 0; a < shell_size(l); ++a, ++r) {
                    const int64_t place = from + (i * shell_size(l) + a) * row + k;
                    const typename F::Lanes h_bar = load<F>(own + r * row + k, stride);
                    sum = sum + h_bar * load<F>(e + place, stride);
                    store(e_bar + place, stride, gate * h_bar);
                }
                store(scratch.g_bar + at + l * stride + k, net.last.n_out, sum);
            }
        }
    }
    // x_bar of the gates, in memory that is unused here
    adjoint_of_network<F>(net, x, scratch.g_bar, n, scratch.tape, scratch.layers, scratch.b_bar,
                          parameters);
    for (int64_t k = 0; k < n * row; ++k) scratch.x_bar[k] += scratch.b_bar[k];
}

} // namespace
} // namespace reann
