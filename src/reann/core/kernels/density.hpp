// The density of an atom, products of two of its moments with the same l, and its adjoint. The products of
// three and four moments follow in memory (many_body.hpp).
//
//     G^l_kk' = sum_{a in l} weight_a s^{a,k} s^{a,k'},   k <= k',   l after l
//
// is quadratic in the moments; contractions to orbitals and the standardization are linear in G and
// are part of the first layer of every network (fold.hpp). With the symmetric matrix
// M_kk' = dE/dG_kk' (1 + delta_kk'), the adjoint is dE/ds^{a,k'} = weight_a sum_k s^{a,k} M_kk'.
#pragma once

#include "components.hpp"
#include "lanes.hpp"
#include "many_body.hpp"

namespace reann {
namespace {

// s: (components, planes, stride); G: (planes, width), with room for a vector behind each row
template <class F>
void density(const Weights<typename F::Real> &w, const typename F::Real *s,
             const ManyBody<typename F::Real> &many, typename F::Real *G) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    const int n_radial = w.n_radial, stride = w.stride, width = w.n_features;
    const int row = F::planes * stride;
    int at = 0, a = 0;
    for (int l = 0; l <= w.l_max; ++l) {
        const int end = n_components(l);
        for (int k = 0; k < n_radial; ++k) {
            for (int next = k; next < n_radial; next += lanes<Real>) {
                Lanes sum = zero<F>();
                for (int b = a; b < end; ++b) {
                    const Real *s_b = s + b * row;
                    sum = sum + load<F>(s_b + next, stride) * (number<F>(s_b + k, stride) *
                                                               Real(component_weights.of[b]));
                }
                store(G + at + next - k, width, sum); // the excess is overwritten
            }
            at += n_radial - k;
        }
        a = end;
    }
    if (w.vector.columns) {
        products_of_many<F>(w, s, many, G + at);
        at += 3 * w.vector.columns;
    }
    for (int plane = 0; plane < F::planes; ++plane)
        for (int i = at; i < width; ++i) G[plane * width + i] = 0;
}

// G_bar: (planes, width); M: scratch (n_radial, planes, stride), zero in its padding;
// S: (stride / lanes, components, planes, lanes)
template <class F>
void adjoint_of_density(const Weights<typename F::Real> &w, const typename F::Real *s,
                        const typename F::Real *G_bar, const ManyBody<typename F::Real> &many,
                        typename F::Real *M, typename F::Real *S, double *parameters) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    constexpr int W = lanes<Real>;
    const int n_radial = w.n_radial, stride = w.stride, width = w.n_features;
    const int row = F::planes * stride, n = w.n_components;
    int a = 0;
    for (int l = 0; l <= w.l_max; ++l) {
        for (int k = 0; k < n_radial; G_bar += n_radial - k++)
            for (int plane = 0; plane < F::planes; ++plane) {
                const Real *from = G_bar + plane * width - k;
                Real *to = M + k * row + plane * stride, *down = M + plane * stride + k;
                to[k] = from[k] + from[k];
                for (int next = k + 1; next < n_radial; ++next) {
                    to[next] = from[next];
                    down[next * row] = from[next];
                }
            }
        for (; a < n_components(l); ++a) {
            const Real weight = Real(component_weights.of[a]);
            for (int k = 0; k < stride; k += W) {
                Lanes sum = zero<F>();
                for (int other = 0; other < n_radial; ++other)
                    sum = sum + load<F>(M + other * row + k, stride) *
                                    number<F>(s + a * row + other, stride);
                store(S + (k / W * n + a) * F::planes * W, W, sum * weight);
            }
        }
    }
    if (w.vector.columns) adjoint_of_products_of_many<F>(w, s, G_bar, many, S, parameters);
}

} // namespace
} // namespace reann
