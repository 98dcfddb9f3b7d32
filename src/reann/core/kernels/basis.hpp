// The radial basis of the equivariant recursion, fixed functions of the distance:
//
//     bessel      B_n = scale sin(n pi x) / (n x) fc,  x = r / rc,  n = 1 .. n_radial
//     gaussians   B_n = scale exp(-alpha (r - c_n)^2) fc
//
// With y = (rc - r) / rc, sin(n pi x) = (-1)^(n+1) sin(n pi y), which is exact near the cutoff, where it
// vanishes.
#pragma once

#include "radial.hpp"

namespace reann {
namespace {

// Values and derivatives of all functions for a vector of edges, without the scale and the cutoff function.
template <class Real>
REANN_INLINE void bessel(int n_radial, double cutoff, Vector<Real> r, Vector<Real> *value,
                         Vector<Real> *slope) {
    const Real per = Real(1.0 / cutoff);
    Vector<Real> s, c;
    sine_cosine<Real>((Real(cutoff) - r) * Real(pi / (2.0 * cutoff)), s, c);
    const Vector<Real> s1 = Real(2) * s * c, c1 = Real(1) - Real(2) * s * s;
    const Vector<Real> inverse = Real(1) / (r * per);
    Vector<Real> s_n = s1, c_n = c1;
    for (int n = 1; n <= n_radial; ++n) {
        const Real sign = n % 2 ? Real(1) : Real(-1);
        value[n - 1] = s_n * inverse * (sign / Real(n));
        slope[n - 1] = (c_n * inverse * (-sign * Real(pi)) - value[n - 1] * inverse) * per;
        const Vector<Real> next = s_n * c1 + c_n * s1;
        c_n = c_n * c1 - s_n * s1;
        s_n = next;
    }
}

template <class Real>
REANN_INLINE void gaussians(const Weights<Real> &w, Vector<Real> r, Vector<Real> *value,
                            Vector<Real> *slope) {
    for (int n = 0; n < w.n_radial; ++n) {
        const Vector<Real> d = r - w.center[n];
        value[n] = exponential(d * d * -w.alpha[n]);
        slope[n] = value[n] * d * (Real(-2) * w.alpha[n]);
    }
}

// The second derivative of function n, from its value and derivative.
template <class Real>
REANN_INLINE Vector<Real> second(const Weights<Real> &w, int n, Vector<Real> r, Vector<Real> value,
                                 Vector<Real> slope) {
    if (w.bessel) {
        const Real k = Real((n + 1) * pi / w.cutoff);
        return -k * k * value - Real(2) * slope / r;
    }
    return Real(-2) * w.alpha[n] * (value + (r - w.center[n]) * slope);
}

// Rows of the basis for all edges of a chunk: (planes, basis_stride), and the slopes if derivatives of edges
// are needed.
template <class F>
void fill_basis(const Work<typename F::Real> &work, const Chunk<typename F::Real> &chunk) {
    using Real = typename F::Real;
    constexpr int W = lanes<Real>;
    const Weights<Real> &w = *work.weights;
    const Edges<Real> &edges = work.edges;
    const int stride = w.basis_stride;
    const Real scale = static_cast<Real>(w.basis_scale);
    const int64_t end = chunk.edges + chunk.n_edges;
    Vector<Real> value[most_basis], slope[most_basis];
    for (int64_t e = chunk.edges; e < end; e += W) {
        const Vector<Real> r = load_vector(edges.r + e);
        if (w.bessel) bessel<Real>(w.n_radial, w.cutoff, r, value, slope);
        else gaussians<Real>(w, r, value, slope);
        const Vector<Real> fc = load_vector(edges.fc + e) * scale, along = load_vector(edges.slope + e);
        [[maybe_unused]] Vector<Real> curve{};
        if constexpr (F::planes == 3) curve = cutoff_curvature<Real>(w.polynomial_cutoff, w.cutoff, r, along);
        const int n_here = end - e < W ? static_cast<int>(end - e) : W;
        for (int n = 0; n < stride; ++n) {
            Vector<Real> B{}, D{};
            [[maybe_unused]] Vector<Real> D2{}; // half of the second derivative
            if (n < w.n_radial) {
                B = value[n] * fc;
                D = (slope[n] + value[n] * along) * fc;
                if constexpr (F::planes == 3)
                    D2 = Real(0.5) * fc *
                         (second<Real>(w, n, r, value[n], slope[n]) + Real(2) * slope[n] * along + value[n] * curve);
            }
            for (int lane = 0; lane < n_here; ++lane) {
                Real *row = edges.radial + (e + lane) * F::planes * stride + n;
                row[0] = B[lane];
                if constexpr (F::planes == 2) row[stride] = D[lane] * edges.r[edges.capacity + e + lane];
                if constexpr (F::planes == 3) {
                    const Real first = edges.r[edges.capacity + e + lane];
                    row[stride] = D[lane] * first;
                    row[2 * stride] = D[lane] * edges.r[2 * edges.capacity + e + lane] + D2[lane] * first * first;
                }
                if (edges.radial_slope) edges.radial_slope[(e + lane) * stride + n] = D[lane];
            }
        }
    }
}

} // namespace
} // namespace reann
