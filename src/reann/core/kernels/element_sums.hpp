// Sums over the neighbors of an atom in layer 0 of the equivariant recursion, with their adjoint.
//
// The states of layer 0 depend on elements only, so that the sums are those of the basis for each element,
//
//     s_(Z,n),a = sum_(j of Z) B_n(r) Y_a(u)
//
// with the monomials Y_a of components.hpp. Everything else is part of the mixing (fold.hpp).
#pragma once

#include "directions.hpp"

namespace reann {
namespace {

// sums: (elements, components, planes, basis_stride)
template <class F, int l_max>
void sum_of_elements(const Work<typename F::Real> &work, int64_t i, typename F::Real *sums) {
    using Real = typename F::Real;
    constexpr int n = n_components(l_max), W = lanes<Real>;
    const Weights<Real> &w = *work.weights;
    const Edges<Real> &edges = work.edges;
    const int stride = w.basis_stride, row = F::planes * stride;
    for (int64_t k = 0; k < int64_t(w.n_elements) * n * row; ++k) sums[k] = 0;
    for (int64_t e = edges.begin[i]; e < edges.end[i]; ++e) {
        typename F::Number u[3], Y[n];
        direction<F>(edges, e, u);
        monomials<F, l_max>(u, Y);
        Real *own = sums + int64_t(work.atoms.element[edges.neighbor[e]]) * n * row;
        for (int k = 0; k < stride; k += W) {
            const typename F::Lanes B = load<F>(edges.radial + e * row + k, stride);
            for (int a = 0; a < n; ++a)
                store(own + a * row + k, stride, load<F>(own + a * row + k, stride) + B * Y[a]);
        }
    }
}

// bar: the adjoint of `sums`, or its tangents, one plane; adds to edges.gradient
template <class F, int l_max>
void adjoint_of_elements(const Work<typename F::Real> &work, int64_t i, const typename F::Real *bar) {
    using Real = typename F::Real;
    constexpr int n = n_components(l_max), W = lanes<Real>;
    const Weights<Real> &w = *work.weights;
    const Edges<Real> &edges = work.edges;
    const int stride = w.basis_stride;
    for (int64_t e = edges.begin[i]; e < edges.end[i]; ++e) {
        const Real u[3] = {edges.x[e], edges.y[e], edges.z[e]};
        const Real *own = bar + int64_t(work.atoms.element[edges.neighbor[e]]) * n * stride;
        Vector<Real> gx{}, gy{}, gz{}, gr{};
        for (int k = 0; k < stride; k += W) {
            Vector<Real> G[3] = {};
            const auto of = [own, k, stride](int a)
                                REANN_LAMBDA { return load_vector(own + a * stride + k); };
            const Vector<Real> P = polynomial_and_slope<Real, l_max>(of, u, G);
            const Vector<Real> B = load_vector(edges.radial + e * F::planes * stride + k);
            gx += B * G[0];
            gy += B * G[1];
            gz += B * G[2];
            gr += load_vector(edges.radial_slope + e * stride + k) * P;
        }
        add_sums<Real>(edges.gradient + 4 * e, gx, gy, gz, gr);
    }
}

} // namespace
} // namespace reann
