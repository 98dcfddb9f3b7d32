// Scratch memory of a layer of the equivariant recursion for a block of atoms of one element.
//
// Order of the rows of a block: by l, then by atom, then by component, each row (planes, stride).
#pragma once

#include "state_sums.hpp"

namespace reann {
namespace {

template <class Real> struct LayerScratch {
    Real *in[4], *in_bar[4], *m[4], *m_bar[4]; // inputs of the mixing, and moments
    Real *limited[4];                          // limited moments, if the model has a limit
    Real *b, *b_bar, *v, *A, *v_bar, *A_bar;   // products
    Real *x, *x_bar, *e, *g, *g_bar, *bar, *out, *layers, *tape, *weights_bar[2];
    Real *sums, *sums_bar; // of one atom
    EdgeScratch<Real> edges;
    int64_t size = 0;

    LayerScratch(const Weights<Real> &w, int planes, Real *start) {
        const int64_t row = planes * w.stride, n = equivariant_block(planes);
        int64_t in_width = 2 * w.stride, widest = 0, tape_width = 0, b_width = 0, paths = 0;
        int64_t g_width = 3 * w.stride;
        for (int t = 0; t <= w.n_recursions; ++t) {
            const EquivariantLayer<Real> &layer = w.layers[t];
            for (int l = 0; l <= w.l_max; ++l)
                in_width = layer.mixing[l].n_in > in_width ? layer.mixing[l].n_in : in_width;
            b_width = layer.scalars[0].n_in > b_width ? layer.scalars[0].n_in : b_width;
            paths = layer.radial.n_out > paths ? layer.radial.n_out : paths;
            const Network<Real> *const networks[] = {layer.readout, layer.gates, layer.outputs};
            for (const Network<Real> *net : networks) {
                if (!net) continue;
                widest = net->widest > widest ? net->widest : widest;
                tape_width = net->tape > tape_width ? net->tape : tape_width;
            }
            if (layer.outputs && layer.outputs->last.n_out > g_width) g_width = layer.outputs->last.n_out;
        }
        const auto take = [&](Real *&part, int64_t count) {
            part = start ? start + size : nullptr; // without memory, to compute the size only
            size += (count + 31) / 16 * 16;        // the last vector may reach beyond the end
        };
        for (int l = 0; l < 4; ++l) {
            const int64_t rows = l <= w.l_max ? n * shell_size(l) : 0;
            take(in[l], rows * planes * in_width);
            take(in_bar[l], rows * planes * in_width);
            take(m[l], rows * row);
            take(m_bar[l], rows * row);
            take(limited[l], w.per_limit > 0 ? rows * row : 0);
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
        take(g, n * planes * g_width);
        take(g_bar, n * planes * g_width);
        take(bar, n * 9 * row);
        take(out, n * planes * lanes<Real>);
        take(layers, 4 * n * planes * widest);
        take(tape, n * planes * tape_width);
        for (Real *&part : weights_bar) take(part, planes > 1 ? 16 * w.stride : 0);
        const int64_t components = (w.l_max + 1) * (w.l_max + 2) * (w.l_max + 3) / 6;
        const int64_t of_elements = w.n_elements * components * planes * w.basis_stride;
        const int64_t of_states = (components + 8) * row;
        const int64_t most = of_elements > of_states ? of_elements : of_states;
        take(sums, most);
        take(sums_bar, most);
        take(edges.R, edge_tile * planes * paths);
        take(edges.R_slope, edge_tile * paths);
        take(edges.R_bar, planes > 1 ? edge_tile * planes * paths : 0);
    }
};

} // namespace
} // namespace reann
