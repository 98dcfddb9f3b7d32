// Elementary functions of vectors, with derivatives: exponential, root, sine and cosine, logistic function.
//
// The functions of the C library are not vectorized, and differ between its versions.
#pragma once

#include "lanes.hpp"

namespace reann {
namespace {

// Coefficients 1/n! of a Taylor polynomial, highest order first; x is small enough for `terms` of them.
template <class Real, int n> constexpr Real inverse_factorial() {
    Real f = 1;
    for (int i = 2; i <= n; ++i) f *= static_cast<Real>(i);
    return 1 / f;
}

// exp(x) = 2^n exp(x - n ln 2), |x - n ln 2| <= ln(2)/2; constant beyond the range of the exponent.
REANN_INLINE Vector<float> exponential(Vector<float> x) {
    using I = VectorOf<float, vector_bytes>::integer;
    x = x < -87.0f ? splat(-87.0f) : x;
    x = x > 88.0f ? splat(88.0f) : x;
    const Vector<float> shifter = splat(12582912.0f); // adding it rounds to an integer
    const Vector<float> shifted = x * 1.44269504f + shifter;
    const Vector<float> n = shifted - shifter;
    const Vector<float> r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    // Taylor series with a relative truncation error of 5e-9, in double precision 4e-18
    Vector<float> p = r * 1.98412698e-4f + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return (Vector<float>)((I)p + ((I)shifted << 23));
}

REANN_INLINE Vector<double> exponential(Vector<double> x) {
    using I = VectorOf<double, vector_bytes>::integer;
    x = x < -708.0 ? splat(-708.0) : x;
    x = x > 709.0 ? splat(709.0) : x;
    const Vector<double> shifter = splat(6755399441055744.0);
    const Vector<double> shifted = x * 1.4426950408889634 + shifter;
    const Vector<double> n = shifted - shifter;
    const Vector<double> r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
    Vector<double> p = r * inverse_factorial<double, 13>() + inverse_factorial<double, 12>();
    p = p * r + inverse_factorial<double, 11>();
    p = p * r + inverse_factorial<double, 10>();
    p = p * r + inverse_factorial<double, 9>();
    p = p * r + inverse_factorial<double, 8>();
    p = p * r + inverse_factorial<double, 7>();
    p = p * r + inverse_factorial<double, 6>();
    p = p * r + inverse_factorial<double, 5>();
    p = p * r + inverse_factorial<double, 4>();
    p = p * r + inverse_factorial<double, 3>();
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    return (Vector<double>)((I)p + ((I)shifted << 52));
}

template <class Real> REANN_INLINE Vector<Real> square_root(Vector<Real> x) {
    for (int i = 0; i < lanes<Real>; ++i) {
        if constexpr (sizeof(Real) == 4) x[i] = __builtin_sqrtf(x[i]);
        else x[i] = __builtin_sqrt(x[i]);
    }
    return x;
}

// sin(w) and cos(w) for 0 <= w <= pi/2, by their series
template <class Real> REANN_INLINE void sine_cosine(Vector<Real> w, Vector<Real> &s, Vector<Real> &c) {
    constexpr int n = sizeof(Real) == 4 ? 6 : 11; // terms
    const Vector<Real> w2 = w * w;
    s = splat(Real(1));
    c = splat(Real(1));
    for (int i = n; i > 0; --i) {
        s = Real(1) - s * w2 * Real(1.0 / ((2 * i) * (2 * i + 1)));
        c = Real(1) - c * w2 * Real(1.0 / ((2 * i - 1) * (2 * i)));
    }
    s *= w;
}

template <class Real> REANN_INLINE Vector<Real> logistic(Vector<Real> x) {
    return Real(1) / (Real(1) + exponential(-x));
}
template <class Real> REANN_INLINE Dual<Vector<Real>> logistic(const Dual<Vector<Real>> &x) {
    const Vector<Real> f = logistic<Real>(x.value);
    return {f, f * (Real(1) - f) * x.tangent};
}
template <class Real> REANN_INLINE Jet<Vector<Real>> logistic(const Jet<Vector<Real>> &x) {
    const Vector<Real> f = logistic<Real>(x.value), slope = f * (Real(1) - f);
    return {f, slope * x.first,
            slope * (x.second + x.first * x.first * (Real(0.5) - f))};
}
template <class Real> REANN_INLINE Vector<Real> inverse_root(Vector<Real> x) {
    return Real(1) / square_root<Real>(x);
}
template <class Real> REANN_INLINE Dual<Vector<Real>> inverse_root(const Dual<Vector<Real>> &x) {
    const Vector<Real> f = inverse_root<Real>(x.value);
    return {f, f * f * f * x.tangent * Real(-0.5)};
}
template <class Real> REANN_INLINE Jet<Vector<Real>> inverse_root(const Jet<Vector<Real>> &x) {
    const Vector<Real> f = inverse_root<Real>(x.value), slope = f * f * f * Real(-0.5);
    return {f, slope * x.first, slope * (x.second - x.first * x.first * f * f * Real(0.75))};
}
template <class Real> REANN_INLINE Real inverse_root_of(Real x) {
    if constexpr (sizeof(Real) == 4) return 1 / __builtin_sqrtf(x);
    else return 1 / __builtin_sqrt(x);
}
template <class Real> REANN_INLINE Dual<Real> inverse_root_of(const Dual<Real> &x) {
    const Real f = inverse_root_of(x.value);
    return {f, f * f * f * x.tangent * Real(-0.5)};
}

template <class Real> REANN_INLINE Jet<Real> inverse_root_of(const Jet<Real> &x) {
    const Real f = inverse_root_of(x.value), slope = f * f * f * Real(-0.5);
    return {f, slope * x.first, slope * (x.second - x.first * x.first * f * f * Real(0.75))};
}

} // namespace
} // namespace reann
