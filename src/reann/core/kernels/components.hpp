// Angular functions: monomials x^lx y^ly z^lz of every l, in the order x first (angular.py).
//
// A monomial is its parent, which has one power less, times a coordinate. With the weights l! / (lx! ly!
// lz!), sum_a weight_a Y_a(r) Y_a(r') = (r . r')^l. The weights enter the density, not the moments.
#pragma once

#include "../facts.hpp"

namespace reann {
namespace {

constexpr int n_components(int l_max) { return (l_max + 1) * (l_max + 2) * (l_max + 3) / 6; }

// Number of components of the moments of l with equivariant messages: for l = 2 the five without the trace.
constexpr int shell_size(int l) { return l < 2 ? 2 * l + 1 : l == 2 ? 5 : 10; }
constexpr int n_moments(int l_max) { // for all l
    return l_max < 0 ? 0 : shell_size(l_max) + n_moments(l_max - 1);
}

constexpr int component(int lx, int ly, int lz) {
    const int l = lx + ly + lz, rest = ly + lz;
    return n_components(l - 1) + rest * (rest + 1) / 2 + lz;
}

struct Monomial {
    int power[3] = {0, 0, 0};
    int l = 0, parent = 0, coordinate = 0, weight = 1;
    int lower[3] = {0, 0, 0}; // the component with one power less of x, y, z, if any
};

constexpr int factorial(int n) { return n < 2 ? 1 : n * factorial(n - 1); }

constexpr Monomial monomial(int a) {
    for (int l = 0;; ++l)
        for (int lx = l; lx >= 0; --lx)
            for (int ly = l - lx; ly >= 0; --ly) {
                const int p[3] = {lx, ly, l - lx - ly};
                if (component(p[0], p[1], p[2]) != a) continue;
                Monomial m;
                m.l = l;
                m.weight = factorial(l) / (factorial(p[0]) * factorial(p[1]) * factorial(p[2]));
                for (int i = 2; i >= 0; --i) {
                    m.power[i] = p[i];
                    if (p[i] == 0) continue;
                    m.lower[i] = component(p[0] - (i == 0), p[1] - (i == 1), p[2] - (i == 2));
                    m.parent = m.lower[i];
                    m.coordinate = i;
                }
                return m;
            }
}

// The weights of all components, for loops over them.
struct ComponentWeights {
    int of[n_components(highest_l_max)] = {};
    constexpr ComponentWeights() {
        for (int a = 0; a < n_components(highest_l_max); ++a) of[a] = monomial(a).weight;
    }
};
constexpr ComponentWeights component_weights;

} // namespace
} // namespace reann
