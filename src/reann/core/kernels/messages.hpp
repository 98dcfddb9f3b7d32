// Messages of the recursion: coefficients and, with directional messages, mixed and gated moments.
//
//     c^(t+1) = c^(t) + g^0        u^{a,k (t+1)} = g^{l(a),k} m^{a,k}        m^{a,k} = sum_k' M^l_k'k s^{a,k'}
//
// g^0 .. g^l_max are the outputs of an update. With the adjoints c_bar and u_bar,
//
//     g_bar^0 = c_bar    g_bar^{l,k} = sum_(a in l) u_bar^{a,k} m^{a,k}    m_bar^{a,k} = g^{l,k} u_bar^{a,k}
//
// Rows of an atom: c, then u of the components of l >= 1, each (planes, stride).
#pragma once

#include "components.hpp"
#include "lanes.hpp"
#include "network.hpp"

namespace reann {
namespace {

// The components of one l.
struct Shell {
    int first, n;
    explicit Shell(int l) : first(n_components(l - 1)), n(n_components(l) - first) {}
};

// m for all components of l >= 1, (components, planes, stride); the first row is not written
template <class F>
void mix(const Weights<typename F::Real> &w, int t, const typename F::Real *s, typename F::Real *m) {
    const int row = F::planes * w.stride;
    for (int l = 1; l <= w.l_max; ++l) {
        const Shell shell(l);
        linear<F>(w.mixing[t * w.l_max + l - 1], s + shell.first * row, shell.n, m + shell.first * row);
    }
}

// g: (planes, groups of stride); c: the first row of the atom at t; next: its rows at t + 1
template <class F>
void pass_on(const Weights<typename F::Real> &w, int t, const typename F::Real *s,
             const typename F::Real *g, const typename F::Real *c, typename F::Real *next) {
    const int stride = w.stride, row = F::planes * stride;
    for (int k = 0; k < stride; k += lanes<typename F::Real>)
        store(next + k, stride, load<F>(c + k, stride) + load<F>(g + k, w.n_changes));
    if (!w.directional) return;
    mix<F>(w, t, s, next);
    for (int l = 1; l <= w.l_max; ++l) {
        const Shell shell(l);
        for (int a = shell.first; a < shell.first + shell.n; ++a)
            for (int k = 0; k < stride; k += lanes<typename F::Real>) {
                typename F::Real *u = next + a * row + k;
                store(u, stride, load<F>(u, stride) * load<F>(g + l * stride + k, w.n_changes));
            }
    }
}

// bar: the adjoint of the rows of the atom at t + 1; g_bar: laid out as g; scratch: (components, planes,
// stride)
template <class F>
void adjoint_of_gates(const Weights<typename F::Real> &w, int t, const typename F::Real *s,
                      const typename F::Real *bar, typename F::Real *scratch, typename F::Real *g_bar) {
    const int stride = w.stride, row = F::planes * stride;
    mix<F>(w, t, s, scratch);
    for (int k = 0; k < stride; k += lanes<typename F::Real>) {
        store(g_bar + k, w.n_changes, load<F>(bar + k, stride));
        for (int l = 1; l <= w.l_max; ++l) {
            const Shell shell(l);
            typename F::Lanes sum = zero<F>();
            for (int a = shell.first; a < shell.first + shell.n; ++a)
                sum = sum + load<F>(bar + a * row + k, stride) * load<F>(scratch + a * row + k, stride);
            store(g_bar + l * stride + k, w.n_changes, sum);
        }
    }
}

// Adds to S: (stride / lanes, components, planes, lanes), the adjoint of s, and to the gradient of M;
// scratch: 2 (components, planes, stride)
template <class F>
void adjoint_of_mixing(const Weights<typename F::Real> &w, int t, const typename F::Real *s,
                       const typename F::Real *g, const typename F::Real *bar,
                       typename F::Real *scratch, typename F::Real *S, double *parameters) {
    const int stride = w.stride, row = F::planes * stride;
    typename F::Real *m_bar = scratch, *s_bar = scratch + w.n_components * row;
    for (int l = 1; l <= w.l_max; ++l) {
        const Shell shell(l);
        for (int a = shell.first; a < shell.first + shell.n; ++a)
            for (int k = 0; k < stride; k += lanes<typename F::Real>)
                store(m_bar + a * row + k, stride,
                      load<F>(bar + a * row + k, stride) * load<F>(g + l * stride + k, w.n_changes));
        adjoint_of_linear<F>(w.mixing[t * w.l_max + l - 1], s + shell.first * row,
                             m_bar + shell.first * row, shell.n, s_bar + shell.first * row, parameters);
    }
    add_to_adjoint<F>(w, s_bar + row, 1, w.n_components - 1, S);
}

} // namespace
} // namespace reann
