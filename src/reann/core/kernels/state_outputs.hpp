// Outputs that are read off the states h of a layer, for a block of atoms of one element:
//
//     y_i += a.h_i        h_bar_i += y_bar_i a        a_bar += sum_i y_bar_i h_i
//
// for each of the 2l + 1 components of an output. With tangents, the rates of y are read, and y_bar is the
// derivative of a loss, the tangent of an adjoint whose value is `output_slopes`.
#pragma once

#include "directions.hpp"
#include "embedding.hpp"

namespace reann {
namespace {

// Calls use(output, a, component) for every number of an atom of the block.
template <class Real, class Use>
REANN_INLINE void each_output(const Weights<Real> &w, int t, int element, const Use &use) {
    for (int o = 0; o < w.n_outputs; ++o) {
        const Output<Real> &output = w.outputs[o];
        const int64_t at = (int64_t(t) * w.n_elements + element) * w.stride;
        for (int a = 0; a < shell_size(output.l); ++a) use(output, at, a);
    }
}

// y += seed x for a row of numbers with derivatives, where x is a row of constants, or of such numbers.
template <class F>
REANN_INLINE void add_constants(const typename F::Real *x, const typename F::Number &seed, int stride,
                                typename F::Real *y) {
    for (int k = 0; k < stride; k += lanes<typename F::Real>)
        store(y + k, stride, load<F>(y + k, stride) + seed * load_vector(x + k));
}
template <class F>
REANN_INLINE void add_numbers(const typename F::Real *x, int x_stride, const typename F::Number &seed,
                              int stride, typename F::Real *y, int y_stride) {
    for (int k = 0; k < stride; k += lanes<typename F::Real>)
        store(y + k, y_stride, load<F>(y + k, y_stride) + load<F>(x + k, x_stride) * seed);
}

// a_bar += seed x, the last derivative of this product
template <class F>
REANN_INLINE void add_gradient_of_weights(const typename F::Real *x, const typename F::Number &seed,
                                          int stride, double *a_bar) {
    using Real = typename F::Real;
    if constexpr (F::planes > 1)
        for (int k = 0; k < stride; k += lanes<Real>) {
            const Vector<Real> product = last_plane<F>(load<F>(x + k, stride) * seed);
            for (int lane = 0; lane < lanes<Real>; ++lane) a_bar[k + lane] += product[lane];
        }
}

// states: (atoms of the block, rows, planes, stride)
template <class F, int l_max>
void read_outputs(const Work<typename F::Real> &work, const Block &block, int t,
                  const typename F::Real *states) {
    using Real = typename F::Real;
    const Weights<Real> &w = *work.weights;
    const int64_t row = F::planes * w.stride, last = row - w.stride;
    for (int i = 0; i < block.n; ++i, states += States<l_max>::rows * row) {
        double *to = work.outputs + (block.first + i) * w.outputs_width;
        each_output(w, t, block.element, [&](const Output<Real> &output, int64_t at, int a) {
            const Real *h = states + (output.l * output.l + a) * row + last;
            Vector<Real> total = {};
            for (int k = 0; k < w.stride; k += lanes<Real>)
                total += load_vector(output.weights + at + k) * load_vector(h + k);
            to[output.first + a] += sum<Real>(total);
        });
    }
}

// The adjoint of a number among the outputs of all atoms.
template <class F>
REANN_INLINE typename F::Number output_seed(const Work<typename F::Real> &work, int64_t at) {
    using Real = typename F::Real;
    const Real last = static_cast<Real>(work.output_bar[at]);
    if constexpr (F::planes == 3) return {0, 0, last};
    else if constexpr (F::planes == 2)
        return {work.output_slopes ? static_cast<Real>(work.output_slopes[at]) : Real(0), last};
    else return last;
}

// Adds to `bar`, the adjoint of the states, and with tangents to the gradient of a; `states` are needed only
// for this gradient.
template <class F, int l_max>
void adjoint_of_outputs(const Work<typename F::Real> &work, const Block &block, int t,
                        const typename F::Real *states, typename F::Real *bar, double *parameters) {
    using Real = typename F::Real;
    const Weights<Real> &w = *work.weights;
    const int64_t row = F::planes * w.stride, rows = States<l_max>::rows * row;
    for (int i = 0; i < block.n; ++i, states += rows, bar += rows) {
        const int64_t y = work.atoms.caller[block.first + i] * int64_t(w.outputs_width);
        each_output(w, t, block.element, [&](const Output<Real> &output, int64_t at, int a) {
            const int64_t place = (output.l * output.l + a) * row;
            const typename F::Number seed = output_seed<F>(work, y + output.first + a);
            add_constants<F>(output.weights + at, seed, w.stride, bar + place);
            add_gradient_of_weights<F>(states + place, seed, w.stride, parameters + output.weights_at + at);
        });
    }
}

} // namespace
} // namespace reann
