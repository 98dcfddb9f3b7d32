// Distance of the features of an atom from their ranges in the training data, in widths of the range.
//
//     max_m max(low_m - rho_m, rho_m - high_m, 0) / width_m
//
// Infinite if a feature with a range of width zero is outside, and for elements that are not in the training
// data.
#pragma once

#include "components.hpp"
#include "network.hpp"

namespace reann {
namespace {

constexpr int most_components = (highest_l_max + 1) * (highest_l_max + 2) / 2; // of one l

// Scratch of an atom: moments contracted to orbitals, and the density of these.
template <class Real> struct OrbitalDensity {
    Real *contracted, *density;
};

// rho_m = sum_(a of l) weight_a (sum_k d^l_km s^{a,k})^2 for each l and m, or summed over l
template <class F>
const typename F::Real *orbital_density(const Weights<typename F::Real> &w, const typename F::Real *s,
                                        const OrbitalDensity<typename F::Real> &scratch) {
    using Real = typename F::Real;
    const Range<Real> &range = w.range;
    for (int m = 0; m < range.stride; ++m) scratch.density[m] = 0;
    Real *to = scratch.density;
    int a = 0;
    for (int l = 0; l <= w.l_max; ++l) {
        const Linear<Real> &contraction = range.contraction[l];
        const int n_out = contraction.n_out, n = n_components(l) - a;
        linear<F>(contraction, s + a * w.stride, n, scratch.contracted);
        for (int m = 0; m < n_out; m += lanes<Real>) {
            Vector<Real> sum = range.orbitals_per_l ? Vector<Real>{} : load_vector(to + m);
            for (int b = 0; b < n; ++b) {
                const Vector<Real> x = load_vector(scratch.contracted + b * n_out + m);
                sum += x * x * Real(component_weights.of[a + b]);
            }
            store_vector(to + m, sum); // the excess is zero or overwritten
        }
        if (range.orbitals_per_l) to += contraction.columns;
        a += n;
    }
    return scratch.density;
}

// s: moments of one atom; products: its features as computed by the kernels
template <class F>
double extrapolation(const Weights<typename F::Real> &w, int element, const typename F::Real *s,
                     const typename F::Real *products,
                     const OrbitalDensity<typename F::Real> &scratch) {
    using Real = typename F::Real;
    const Range<Real> &range = w.range;
    const Real *rho = range.contraction ? orbital_density<F>(w, s, scratch) : products;
    const int64_t row = int64_t(element) * range.stride;
    const Vector<Real> zero{};
    Vector<Real> farthest{};
    for (int m = 0; m < range.stride; m += lanes<Real>) {
        const Vector<Real> x = load_vector(rho + m);
        const Vector<Real> below = load_vector(range.low + row + m) - x;
        const Vector<Real> above = x - load_vector(range.high + row + m);
        const Vector<Real> outside = below > above ? below : above;
        const Vector<Real> widths = outside * load_vector(range.per_width + row + m);
        const Vector<Real> counts = outside > zero ? widths : zero; // excludes 0 times infinity
        farthest = counts > farthest ? counts : farthest;
    }
    Real most = 0;
    for (int lane = 0; lane < lanes<Real>; ++lane) most = farthest[lane] > most ? farthest[lane] : most;
    return static_cast<double>(most);
}

} // namespace
} // namespace reann
