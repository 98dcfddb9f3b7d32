// Networks per element, on a block of atoms of one element, and their adjoint.
//
//     first -> blocks of (neurons, [norm], linear), with a residual connection -> neurons -> last
//
// The tape keeps the inputs of the neurons; their outputs are computed again.
#pragma once

#include "functions.hpp"
#include "matrix.hpp"

namespace reann {
namespace {

// --- neurons: y = a silu(b x) or a x / sqrt(1 + (b x)^2) --------------------------------------

template <class F>
void neurons(const Neurons<typename F::Real> &f, const typename F::Real *x, int n_atoms,
             typename F::Real *y) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    for (int i = 0; i < n_atoms; ++i, x += F::planes * f.width, y += F::planes * f.width)
        for (int k = 0; k < f.width; k += lanes<Real>) {
            const Vector<Real> a = load_vector(f.a + k);
            const Lanes x_k = load<F>(x + k, f.width), u = x_k * load_vector(f.b + k);
            if (f.tanh_like) store(y + k, f.width, x_k * inverse_root<Real>(u * u + Real(1)) * a);
            else store(y + k, f.width, u * logistic<Real>(u) * a);
        }
}

// d: dE/dy on entry, dE/dx on return. silu'(u) = f + u f (1 - f), f = 1 / (1 + exp(-u)); with
// q = 1 + u^2: dy/dx = a q^(-3/2), dy/da = x q^(-1/2), dy/db = -a x^2 u q^(-3/2).
template <class F>
void adjoint_of_neurons(const Neurons<typename F::Real> &f, const typename F::Real *x, int n_atoms,
                        typename F::Real *d, double *parameters) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    for (int k = 0; k < f.width; k += lanes<Real>) {
        const Vector<Real> a = load_vector(f.a + k), b = load_vector(f.b + k);
        [[maybe_unused]] Vector<Real> a_bar{}, b_bar{};
        for (int i = 0; i < n_atoms; ++i) {
            const int64_t at = static_cast<int64_t>(i) * F::planes * f.width + k;
            const Lanes x_k = load<F>(x + at, f.width), u = x_k * b, d_k = load<F>(d + at, f.width);
            if (f.tanh_like) {
                const Lanes q = inverse_root<Real>(u * u + Real(1)), q3 = q * q * q;
                store(d + at, f.width, d_k * q3 * a);
                if constexpr (F::planes > 1) {
                    a_bar += last_plane<F>(d_k * x_k * q);
                    b_bar -= last_plane<F>(d_k * x_k * x_k * u * q3 * a);
                }
            } else {
                const Lanes s = logistic<Real>(u), slope = s + u * s * (s * Real(-1) + Real(1));
                store(d + at, f.width, d_k * slope * (a * b));
                if constexpr (F::planes > 1) {
                    a_bar += last_plane<F>(d_k * u * s);
                    b_bar += last_plane<F>(d_k * slope * x_k * a);
                }
            }
        }
        if constexpr (F::planes > 1)
            if (f.a_at >= 0)
                for (int lane = 0; lane < lanes<Real>; ++lane) {
                    parameters[f.a_at + k + lane] += a_bar[lane];
                    parameters[f.b_at + k + lane] += b_bar[lane];
                }
    }
}

// --- layer normalization: z = (y - mean) / sqrt(var + 1e-5) weight + bias ---------------------

template <class F> struct Spread {
    typename F::Number mean, inverse; // 1 / sqrt(var + 1e-5)
};

template <class F> Spread<F> spread(const Norm<typename F::Real> &f, const typename F::Real *y) {
    using Real = typename F::Real;
    const Real per = Real(1) / Real(f.columns);
    typename F::Lanes total = zero<F>(), squares = zero<F>();
    for (int k = 0; k < f.width; k += lanes<Real>) total = total + load<F>(y + k, f.width);
    const typename F::Number mean = sum<Real>(total) * per;
    for (int k = 0; k < f.width; k += lanes<Real>) {
        const typename F::Lanes away = (load<F>(y + k, f.width) - mean) * load_vector(f.one + k);
        squares = squares + away * away;
    }
    return {mean, inverse_root_of(sum<Real>(squares) * per + Real(layer_norm_epsilon))};
}

template <class F> void norm(const Norm<typename F::Real> &f, int n_atoms, typename F::Real *y) {
    using Real = typename F::Real;
    for (int i = 0; i < n_atoms; ++i, y += F::planes * f.width) {
        const Spread<F> of = spread<F>(f, y);
        for (int k = 0; k < f.width; k += lanes<Real>) {
            const typename F::Lanes unit = (load<F>(y + k, f.width) - of.mean) * of.inverse;
            store(y + k, f.width, unit * load_vector(f.weight + k) + load_vector(f.bias + k));
        }
    }
}

// d: dE/dz on entry, dE/dy on return. With n = (y - mean) inverse and g = d weight:
// dE/dy = inverse (g - mean g - n mean(g n)).
template <class F>
void adjoint_of_norm(const Norm<typename F::Real> &f, const typename F::Real *y, int n_atoms,
                     typename F::Real *d, double *parameters) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    const Real per = Real(1) / Real(f.columns);
    for (int i = 0; i < n_atoms; ++i, y += F::planes * f.width, d += F::planes * f.width) {
        const Spread<F> of = spread<F>(f, y);
        Lanes total = zero<F>(), along = zero<F>();
        for (int k = 0; k < f.width; k += lanes<Real>) {
            const Lanes n = (load<F>(y + k, f.width) - of.mean) * of.inverse;
            const Lanes d_k = load<F>(d + k, f.width), g = d_k * load_vector(f.weight + k);
            total = total + g;
            along = along + g * n;
            if constexpr (F::planes > 1)
                for (int lane = 0; lane < lanes<Real>; ++lane) {
                    parameters[f.weight_at + k + lane] += last_plane<F>(d_k * n)[lane];
                    parameters[f.bias_at + k + lane] += last_plane<F>(d_k)[lane];
                }
        }
        const typename F::Number mean = sum<Real>(total) * per, slope = sum<Real>(along) * per;
        for (int k = 0; k < f.width; k += lanes<Real>) {
            const Lanes n = (load<F>(y + k, f.width) - of.mean) * of.inverse;
            const Lanes g = load<F>(d + k, f.width) * load_vector(f.weight + k);
            const Lanes left = (g - mean - n * slope) * of.inverse;
            store(d + k, f.width, left * load_vector(f.one + k));
        }
    }
}

// --- linear -----------------------------------------------------------------------------------

template <class F>
void linear(const Linear<typename F::Real> &f, const typename F::Real *x, int n_atoms,
            typename F::Real *y) {
    multiply(x, f.n_in, n_atoms * F::planes, f.rows, f.forward, f.n_out, y, f.n_out, f.bias, F::planes);
}

// x_bar = d W^T, and the gradients of W and b
template <class F>
void adjoint_of_linear(const Linear<typename F::Real> &f, const typename F::Real *x,
                       const typename F::Real *d, int n_atoms, typename F::Real *x_bar,
                       double *parameters) {
    using Real = typename F::Real;
    const int rows = n_atoms * F::planes;
    if constexpr (F::planes > 1) {
        add_gradient<F::planes>(x, f.n_in, f.rows, d, f.n_out, rows, parameters + f.weight_at, f.n_out);
        if (f.bias_at >= 0)
            for (int i = F::planes - 1; i < rows; i += F::planes)
                for (int k = 0; k < f.n_out; ++k) parameters[f.bias_at + k] += d[i * f.n_out + k];
    }
    if (x_bar)
        multiply<Real>(d, f.n_out, rows, f.columns, f.backward, f.rows, x_bar, f.n_in, nullptr, 1);
}

// Adds rows (n, planes, stride) to the adjoint S of the moments from component `first` on. S is laid out
// vector after vector of k: (stride / lanes, components, planes, lanes).
template <class F>
void add_to_adjoint(const Weights<typename F::Real> &w, const typename F::Real *rows, int first, int n,
                    typename F::Real *S) {
    constexpr int W = lanes<typename F::Real>;
    for (int k = 0; k < w.stride; k += W, S += w.n_components * F::planes * W)
        for (int a = 0; a < n; ++a) {
            typename F::Real *to = S + (first + a) * F::planes * W;
            store(to, W, load<F>(to, W) + load<F>(rows + a * F::planes * w.stride + k, w.stride));
        }
}

// --- the whole network ------------------------------------------------------------------------

// x: (atoms, planes, n_in); out: (atoms, planes, n_out); tape: (atoms * planes * net.tape);
// scratch: (atoms * planes * net.widest)
template <class F>
void network(const Network<typename F::Real> &net, const typename F::Real *x, int n_atoms,
             typename F::Real *tape, typename F::Real *scratch, typename F::Real *out) {
    using Real = typename F::Real;
    const int rows = n_atoms * F::planes;
    const Layer<Real> *layer = net.layers;
    linear<F>(net.first, x, n_atoms, tape);
    for (int block = 0; block < net.n_blocks; ++block) {
        const Real *start = tape;
        for (int i = 0; i < net.n_layers; ++i, ++layer) {
            neurons<F>(layer->neurons, tape, n_atoms, scratch);
            if (layer->norm.weight) norm<F>(layer->norm, n_atoms, scratch);
            tape += static_cast<int64_t>(rows) * layer->neurons.width;
            linear<F>(layer->linear, scratch, n_atoms, tape);
        }
        if (net.residual)
            for (int64_t k = 0; k < static_cast<int64_t>(rows) * net.neurons.width; ++k)
                tape[k] += start[k];
    }
    neurons<F>(net.neurons, tape, n_atoms, scratch);
    linear<F>(net.last, scratch, n_atoms, out);
}

// out_bar: (atoms, planes, n_out); x_bar: (atoms, planes, n_in); x is needed only with tangents; scratch: 4
// (atoms * planes * net.widest)
template <class F>
void adjoint_of_network(const Network<typename F::Real> &net, const typename F::Real *x,
                        const typename F::Real *out_bar, int n_atoms, const typename F::Real *tape,
                        typename F::Real *scratch, typename F::Real *x_bar, double *parameters) {
    using Real = typename F::Real;
    const int64_t rows = n_atoms * F::planes, size = rows * net.widest;
    Real *y = scratch, *d = y + size, *next = d + size, *after_block = next + size;
    const Layer<Real> *layer = net.layers + net.n_blocks * net.n_layers;
    tape += rows * (net.tape - net.neurons.width);
    if constexpr (F::planes > 1) neurons<F>(net.neurons, tape, n_atoms, y);
    adjoint_of_linear<F>(net.last, y, out_bar, n_atoms, d, parameters);
    adjoint_of_neurons<F>(net.neurons, tape, n_atoms, d, parameters);
    for (int block = 0; block < net.n_blocks; ++block) {
        if (net.residual)
            for (int64_t k = 0; k < rows * net.neurons.width; ++k) after_block[k] = d[k];
        for (int i = 0; i < net.n_layers; ++i) {
            --layer;
            tape -= rows * layer->neurons.width;
            const bool normalized = layer->norm.weight != nullptr;
            if constexpr (F::planes > 1) {
                neurons<F>(layer->neurons, tape, n_atoms, y);
                if (normalized) norm<F>(layer->norm, n_atoms, y);
            }
            adjoint_of_linear<F>(layer->linear, y, d, n_atoms, next, parameters);
            if (normalized) {
                neurons<F>(layer->neurons, tape, n_atoms, y);
                adjoint_of_norm<F>(layer->norm, y, n_atoms, next, parameters);
            }
            adjoint_of_neurons<F>(layer->neurons, tape, n_atoms, next, parameters);
            Real *before = d;
            d = next;
            next = before;
        }
        if (net.residual)
            for (int64_t k = 0; k < rows * net.neurons.width; ++k) d[k] += after_block[k];
    }
    adjoint_of_linear<F>(net.first, x, d, n_atoms, x_bar, parameters);
}

} // namespace
} // namespace reann
