// One layer of the equivariant recursion, for a block of atoms of one element.
//
//     m^l = [s^l; q^l] M^l                          mixing of the sums over neighbors
//     b, v, A = products(m)                         scalars; vectors and matrices, weighted
//     x = b U (+ h0 S)                              the features of the layer
//     E += a.x + NN(x)                              every layer is read out
//     h0' = x + g0(x),  hl' = (1 + gl(x)) e_l,  e_l = [v; A] U_l     gated states, t < T
//
// Rows of a block: l after l, atom after atom, component after component, each (planes, stride).
#pragma once

#include "directions.hpp"
#include "network.hpp"
#include "products.hpp"
#include "scratch.hpp"

namespace reann {
namespace {

constexpr int shell_size(int l) { return l < 2 ? 2 * l + 1 : l == 2 ? 5 : 10; }
constexpr int n_moments(int l_max) { // rows of an atom: 1, 3, 5 and 10
    return l_max < 0 ? 0 : shell_size(l_max) + n_moments(l_max - 1);
}

// Memory of a chunk for a block.
template <class Real> struct LayerScratch {
    Real *in[4], *in_bar[4], *m[4], *m_bar[4]; // inputs of the mixing, and moments
    Real *b, *b_bar, *v, *A, *v_bar, *A_bar;   // products
    Real *x, *x_bar, *e, *g, *g_bar, *bar, *out, *layers, *tape, *weights_bar[2];
    Real *sums, *sums_bar; // of one atom
    EdgeScratch<Real> edges;
    int64_t size = 0;

    LayerScratch(const Weights<Real> &w, int planes, Real *start) {
        const int64_t row = planes * w.stride, n = equivariant_block(planes);
        int64_t in_width = 2 * w.stride, widest = 0, tape_width = 0, b_width = 0, paths = 0;
        for (int t = 0; t <= w.n_recursions; ++t) {
            const EquivariantLayer<Real> &layer = w.layers[t];
            for (int l = 0; l <= w.l_max; ++l)
                in_width = layer.mixing[l].n_in > in_width ? layer.mixing[l].n_in : in_width;
            b_width = layer.scalars[0].n_in > b_width ? layer.scalars[0].n_in : b_width;
            paths = layer.radial.n_out > paths ? layer.radial.n_out : paths;
            for (int i = 0; i < (layer.gates ? 2 : 1); ++i) {
                const Network<Real> &net = i == 0 ? *layer.readout : *layer.gates;
                widest = net.widest > widest ? net.widest : widest;
                tape_width = net.tape > tape_width ? net.tape : tape_width;
            }
        }
        const auto take = [&](Real *&part, int64_t count) {
            part = start ? start + size : nullptr; // without memory, for the size alone
            size += (count + 31) / 16 * 16;        // vectors may reach beyond the end
        };
        for (int l = 0; l < 4; ++l) {
            const int64_t rows = l <= w.l_max ? n * shell_size(l) : 0;
            take(in[l], rows * planes * in_width);
            take(in_bar[l], rows * planes * in_width);
            take(m[l], rows * row);
            take(m_bar[l], rows * row);
        }
        take(b, n * planes * b_width);
        take(b_bar, n * planes * b_width);
        take(v, n * 3 * row);
        take(v_bar, n * 3 * row);
        take(A, n * 5 * row);
        take(A_bar, n * 5 * row);
        take(x, n * row);
        take(x_bar, n * row);
        take(e, n * 8 * row);
        take(g, n * 3 * row);
        take(g_bar, n * 3 * row);
        take(bar, n * 9 * row);
        take(out, n * planes * lanes<Real>);
        take(layers, 4 * n * planes * widest);
        take(tape, n * planes * tape_width);
        for (Real *&part : weights_bar) take(part, planes == 2 ? 16 * w.stride : 0);
        const int64_t components = (w.l_max + 1) * (w.l_max + 2) * (w.l_max + 3) / 6;
        const int64_t of_elements = w.n_elements * components * planes * w.basis_stride;
        const int64_t of_states = (components + 8) * row;
        const int64_t most = of_elements > of_states ? of_elements : of_states;
        take(sums, most);
        take(sums_bar, most);
        take(edges.R, edge_tile * planes * paths);
        take(edges.R_slope, planes == 1 ? edge_tile * paths : 0);
        take(edges.R_bar, planes == 2 ? edge_tile * planes * paths : 0);
    }
};

// --- sums over neighbors, as inputs of the mixing -----------------------------------------------

// Five components from the six products of two coordinates xx, xy, xz, yy, yz, zz, and their adjoint.
template <class Real> struct Traceless {
    static constexpr Real r2 = Real(1.4142135623730950488), half = Real(0.70710678118654752440);
    static constexpr Real r6 = Real(0.40824829046386301637);

    static REANN_INLINE void forward(const Real *const *from, int k, Real *const *to) {
        to[0][k] = r2 * from[1][k];
        to[1][k] = r2 * from[2][k];
        to[2][k] = r2 * from[4][k];
        to[3][k] = half * (from[0][k] - from[3][k]);
        to[4][k] = r6 * (Real(2) * from[5][k] - from[0][k] - from[3][k]);
    }
    static REANN_INLINE void adjoint(Real *const *from_bar, int k, const Real *const *to_bar) {
        from_bar[0][k] = half * to_bar[3][k] - r6 * to_bar[4][k];
        from_bar[1][k] = r2 * to_bar[0][k];
        from_bar[2][k] = r2 * to_bar[1][k];
        from_bar[3][k] = -half * to_bar[3][k] - r6 * to_bar[4][k];
        from_bar[4][k] = r2 * to_bar[2][k];
        from_bar[5][k] = Real(2) * r6 * to_bar[4][k];
    }
};

// Copies sums of monomials, `component` numbers from one to the next, to rows of the components of
// each l, `row` numbers apart; or their adjoints back.
template <class Real, int l_max>
void to_rows(const Real *sums, int64_t component, int count, Real *const *rows, const int64_t *row) {
    unrolled<0, l_max + 1>([&](auto l) {
        constexpr int n = n_components(l.value) - n_components(l.value - 1);
        const Real *from[n];
        Real *to[shell_size(l.value)];
        for (int a = 0; a < n; ++a) from[a] = sums + (n_components(l.value - 1) + a) * component;
        for (int a = 0; a < shell_size(l.value); ++a) to[a] = rows[l.value] + a * row[l.value];
        if constexpr (l.value == 2) {
            for (int k = 0; k < count; ++k) Traceless<Real>::forward(from, k, to);
        } else {
            for (int a = 0; a < n; ++a)
                for (int k = 0; k < count; ++k) to[a][k] = from[a][k];
        }
    });
}
template <class Real, int l_max>
void from_rows(Real *sums, int64_t component, int count, const Real *const *rows, const int64_t *row) {
    unrolled<0, l_max + 1>([&](auto l) {
        constexpr int n = n_components(l.value) - n_components(l.value - 1);
        Real *from[n];
        const Real *to[shell_size(l.value)];
        for (int a = 0; a < n; ++a) from[a] = sums + (n_components(l.value - 1) + a) * component;
        for (int a = 0; a < shell_size(l.value); ++a) to[a] = rows[l.value] + a * row[l.value];
        if constexpr (l.value == 2) {
            for (int k = 0; k < count; ++k) Traceless<Real>::adjoint(from, k, to);
        } else {
            for (int a = 0; a < n; ++a)
                for (int k = 0; k < count; ++k) from[a][k] = to[a][k];
        }
    });
}

// Where the numbers of an atom lie in the inputs of the mixing.
template <class F, int l_max> struct Inputs {
    using Real = typename F::Real;
    Real *at[l_max + 1];
    int64_t row[l_max + 1]; // from one component to the next

    Inputs(const EquivariantLayer<Real> &layer, Real *const *in, int i) {
        for (int l = 0; l <= l_max; ++l) {
            row[l] = F::planes * layer.mixing[l].n_in;
            at[l] = in[l] + i * shell_size(l) * row[l];
        }
    }
    // Those of a plane, from number `first` on.
    void part(const EquivariantLayer<Real> &layer, int plane, int first, Real **to) const {
        for (int l = 0; l <= l_max; ++l) to[l] = at[l] + plane * layer.mixing[l].n_in + first;
    }
};

template <class F, int l_max>
void inputs_of_atom(const Work<typename F::Real> &work, int64_t atom, int t,
                    const LayerScratch<typename F::Real> &scratch, typename F::Real *const *in, int i) {
    using Real = typename F::Real;
    using S = States<l_max>;
    constexpr int n = n_components(l_max);
    const Weights<Real> &w = *work.weights;
    const EquivariantLayer<Real> &layer = w.layers[t];
    const Inputs<F, l_max> inputs(layer, in, i);
    Real *rows[l_max + 1];
    if (t == 0) {
        const int64_t row = F::planes * w.basis_stride;
        sum_of_elements<F, l_max>(work, atom, scratch.sums);
        for (int z = 0; z < w.n_elements; ++z)
            for (int plane = 0; plane < F::planes; ++plane) {
                inputs.part(layer, plane, z * w.n_radial, rows);
                to_rows<Real, l_max>(scratch.sums + z * n * row + plane * w.basis_stride, row,
                                     w.n_radial, rows, inputs.row);
            }
        return;
    }
    const int64_t row = F::planes * w.stride;
    sum_of_states<F, l_max>(work, atom, t, scratch.edges, scratch.sums);
    for (int plane = 0; plane < F::planes; ++plane) {
        inputs.part(layer, plane, 0, rows);
        to_rows<Real, l_max>(scratch.sums + plane * w.stride, row, w.stride, rows, inputs.row);
        const Real *q = scratch.sums + n * row + plane * w.stride;
        for (int l = 1; l <= S::highest; ++l)
            for (int a = 0; a < shell_size(l); ++a, q += row)
                for (int k = 0; k < w.stride; ++k) rows[l][a * inputs.row[l] + w.stride + k] = q[k];
    }
}

// From the adjoint of the inputs of an atom to that of neighbors, radial functions and edges.
template <class F, int l_max>
void adjoint_of_inputs(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk, int64_t atom,
                       int t, const LayerScratch<typename F::Real> &scratch, int i) {
    using Real = typename F::Real;
    using S = States<l_max>;
    constexpr int n = n_components(l_max);
    const Weights<Real> &w = *work.weights;
    const EquivariantLayer<Real> &layer = w.layers[t];
    const Inputs<F, l_max> inputs(layer, scratch.in_bar, i);
    Real *rows[l_max + 1];
    if (t == 0) { // parameters get their gradients by the mixing
        if constexpr (F::planes == 1) {
            const int64_t row = w.basis_stride;
            for (int64_t k = 0; k < w.n_elements * n * row; ++k) scratch.sums_bar[k] = 0;
            for (int z = 0; z < w.n_elements; ++z) {
                inputs.part(layer, 0, z * w.n_radial, rows);
                from_rows<Real, l_max>(scratch.sums_bar + z * n * row, row, w.n_radial, rows,
                                       inputs.row);
            }
            adjoint_of_elements<Real, l_max>(work, atom, scratch.sums_bar);
        }
        return;
    }
    const int64_t row = F::planes * w.stride;
    for (int plane = 0; plane < F::planes; ++plane) {
        inputs.part(layer, plane, 0, rows);
        from_rows<Real, l_max>(scratch.sums_bar + plane * w.stride, row, w.stride, rows, inputs.row);
        Real *q = scratch.sums_bar + n * row + plane * w.stride;
        for (int l = 1; l <= S::highest; ++l)
            for (int a = 0; a < shell_size(l); ++a, q += row)
                for (int k = 0; k < w.stride; ++k) q[k] = rows[l][a * inputs.row[l] + w.stride + k];
    }
    adjoint_of_states<F, l_max>(work, chunk, atom, t, scratch.edges, scratch.sums_bar);
}

// --- atoms --------------------------------------------------------------------------------------

// The weights of the products of an element, where the layer makes vectors and matrices.
template <class Real, int l_max, bool tensors> struct TensorWeights {
    const Real *of[2] = {};

    TensorWeights(const EquivariantLayer<Real> &layer, int element, int stride) {
        constexpr int counts[2] = {ProductCounts<l_max>::vectors, ProductCounts<l_max>::matrices};
        if constexpr (tensors)
            for (int l = 0; l < States<l_max>::highest; ++l)
                of[l] = layer.tensor_weights[l] + int64_t(element) * counts[l] * stride;
    }
};

template <class F, int l_max, bool tensors>
void products_of_block(const EquivariantLayer<typename F::Real> &layer, int element, int n, int stride,
                       typename F::Real *const *m, const LayerScratch<typename F::Real> &scratch) {
    using Real = typename F::Real;
    const int64_t row = F::planes * stride, width = layer.scalars[element].n_in;
    const TensorWeights<Real, l_max, tensors> weights(layer, element, stride);
    for (int i = 0; i < n; ++i) {
        const Real *own[l_max + 1];
        for (int l = 0; l <= l_max; ++l) own[l] = m[l] + i * shell_size(l) * row;
        products<F, l_max, tensors>(own, stride, width, weights.of[0], weights.of[1],
                                    scratch.b + i * F::planes * width, scratch.v + i * 3 * row,
                                    scratch.A + i * 5 * row);
    }
}

template <class F, int l_max, bool tensors>
void adjoint_of_block_products(const EquivariantLayer<typename F::Real> &layer, int element, int n,
                               int stride, typename F::Real *const *m,
                               const LayerScratch<typename F::Real> &scratch, double *parameters) {
    using Real = typename F::Real;
    using Counts = ProductCounts<l_max>;
    constexpr int counts[2] = {Counts::vectors, Counts::matrices};
    const int64_t row = F::planes * stride, width = layer.scalars[element].n_in;
    if constexpr (F::planes == 2 && tensors)
        for (int l = 0; l < 2; ++l)
            for (int k = 0; k < counts[l] * stride; ++k) scratch.weights_bar[l][k] = 0;
    const TensorWeights<Real, l_max, tensors> weights(layer, element, stride);
    for (int i = 0; i < n; ++i) {
        const Real *own[l_max + 1];
        Real *own_bar[l_max + 1];
        for (int l = 0; l <= l_max; ++l) {
            own[l] = m[l] + i * shell_size(l) * row;
            own_bar[l] = scratch.m_bar[l] + i * shell_size(l) * row;
        }
        adjoint_of_products<F, l_max, tensors>(
            own, stride, width, weights.of[0], weights.of[1], scratch.b_bar + i * F::planes * width,
            scratch.v_bar + i * 3 * row, scratch.A_bar + i * 5 * row, own_bar, scratch.weights_bar[0],
            scratch.weights_bar[1]);
    }
    if constexpr (F::planes == 2 && tensors)
        for (int l = 0; l < States<l_max>::highest; ++l) {
            double *to = parameters + layer.tensor_weights_at[l] + int64_t(element) * counts[l] * stride;
            for (int k = 0; k < counts[l] * stride; ++k) to[k] += scratch.weights_bar[l][k];
        }
}

// Rows of own scalars h0 behind the products; `states` holds those of the atoms, (rows, planes, stride).
template <class F>
void append_own(const Linear<typename F::Real> &scalars, int n, int stride, int n_rows,
                const typename F::Real *states, typename F::Real *b) {
    const int64_t width = scalars.n_in, at = width - stride;
    for (int i = 0; i < n; ++i)
        for (int plane = 0; plane < F::planes; ++plane)
            for (int k = 0; k < stride; ++k)
                b[(i * F::planes + plane) * width + at + k] =
                    states[(int64_t(i) * n_rows * F::planes + plane) * stride + k];
}

// Energies of the readout of a layer, a.x + NN(x), without tangents.
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

// Raises `farthest` to the distance of the features of an atom from their range (range.hpp).
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
            typename F::Lanes add;
            if constexpr (F::planes == 2) {
                add = {load_vector(a + k) * seed.value, load_vector(a + k) * seed.tangent};
                const auto a_bar = load<F>(x + at + k, stride) * seed;
                for (int lane = 0; lane < W; ++lane)
                    parameters[layer.linear_at + element * stride + k + lane] += a_bar.tangent[lane];
            } else {
                add = load_vector(a + k) * seed;
            }
            store(to, stride, load<F>(to, stride) + add);
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

// bar: adjoint of the next states, as `next`; adds to x_bar, and overwrites e with its adjoint.
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
    // x_bar of the gates, by way of memory that is free now
    adjoint_of_network<F>(net, x, scratch.g_bar, n, scratch.tape, scratch.layers, scratch.b_bar,
                          parameters);
    for (int64_t k = 0; k < n * row; ++k) scratch.x_bar[k] += scratch.b_bar[k];
}

} // namespace
} // namespace reann
