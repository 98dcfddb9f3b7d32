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

// Adds to `bar`, the adjoint of the states, and with tangents to the gradient of a; `states` are needed only
// for this gradient.
template <class F, int l_max>
void adjoint_of_outputs(const Work<typename F::Real> &work, const Block &block, int t,
                        const typename F::Real *states, typename F::Real *bar, double *parameters) {
    using Real = typename F::Real;
    const Weights<Real> &w = *work.weights;
    const int64_t row = F::planes * w.stride, tangent = row - w.stride, rows = States<l_max>::rows * row;
    for (int i = 0; i < block.n; ++i, states += rows, bar += rows) {
        const int64_t atom = work.atoms.caller[block.first + i];
        const double *y_bar = work.output_bar + atom * w.outputs_width;
        const double *slopes = work.output_slopes ? work.output_slopes + atom * w.outputs_width : nullptr;
        each_output(w, t, block.element, [&](const Output<Real> &output, int64_t at, int a) {
            const int64_t place = (output.l * output.l + a) * row;
            const auto add = [&](Real *h_bar, const Real *h, double seed) {
                for (int k = 0; k < w.stride; k += lanes<Real>)
                    store_vector<Real>(h_bar + k, load_vector(h_bar + k) + load_vector(output.weights + at + k) *
                                                                               static_cast<Real>(seed));
                if constexpr (F::planes == 2)
                    for (int k = 0; k < w.stride; ++k) parameters[output.weights_at + at + k] += seed * h[k];
            };
            add(bar + place + tangent, states + place, y_bar[output.first + a]);
            if constexpr (F::planes == 2)
                if (slopes) add(bar + place, states + place + tangent, slopes[output.first + a]);
        });
    }
}

} // namespace
} // namespace reann
