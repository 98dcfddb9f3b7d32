// Directions of the pairs of atoms in the equivariant recursion, and the states that neighbors pass on.
//
// The sums over neighbors are in element_sums.hpp for layer 0, and in state_sums.hpp for the layers above.
#pragma once

#include "moments.hpp"

namespace reann {
namespace {

// The ranks of the states, and their numbers of rows.
template <int l_max> struct States {
    static constexpr int highest = l_max < 2 ? l_max : 2;
    static constexpr int paths = 1 + 2 * highest;
    static constexpr int rows = (highest + 1) * (highest + 1); // h0, h1, h2
    static constexpr int passed = rows - 1;                    // q1, q2
};

template <class F, int l_max>
REANN_INLINE void monomials(const typename F::Number (&u)[3],
                            typename F::Number (&Y)[n_components(l_max)]) {
    Y[0] = one<F>();
    unrolled<1, n_components(l_max)>([&](auto a) REANN_LAMBDA {
        constexpr Monomial m = monomial(a.value);
        Y[a.value] = Y[m.parent] * u[m.coordinate];
    });
}

template <class F>
REANN_INLINE void direction(const Edges<typename F::Real> &edges, int64_t e,
                            typename F::Number (&u)[3]) {
    u[0] = number<F>(edges.x + e, edges.capacity);
    u[1] = number<F>(edges.y + e, edges.capacity);
    u[2] = number<F>(edges.z + e, edges.capacity);
}

} // namespace
} // namespace reann
