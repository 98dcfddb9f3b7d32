// Numbers with derivatives along one direction: truncated Taylor series, of numbers or of vectors.
//
// A `Dual` has the first derivative, for gradients of forces; a `Jet` has two coefficients, for curvatures.
// Products follow the product rule, so that a kernel is written once for all orders.
#pragma once

#define REANN_INLINE inline __attribute__((always_inline))
#define REANN_LAMBDA __attribute__((always_inline))

namespace reann {
namespace {

template <class T> struct Dual {
    T value, tangent;
};

template <class A, class B> REANN_INLINE auto operator+(const Dual<A> &a, const Dual<B> &b) {
    return Dual<decltype(a.value + b.value)>{a.value + b.value, a.tangent + b.tangent};
}
template <class A, class B> REANN_INLINE auto operator-(const Dual<A> &a, const Dual<B> &b) {
    return Dual<decltype(a.value - b.value)>{a.value - b.value, a.tangent - b.tangent};
}
template <class A, class B> REANN_INLINE auto operator*(const Dual<A> &a, const Dual<B> &b) {
    return Dual<decltype(a.value * b.value)>{a.value * b.value,
                                             a.value * b.tangent + a.tangent * b.value};
}
// with constants
template <class A, class B> REANN_INLINE auto operator*(const Dual<A> &a, const B &b) {
    return Dual<decltype(a.value * b)>{a.value * b, a.tangent * b};
}
template <class A, class B> REANN_INLINE auto operator+(const Dual<A> &a, const B &b) {
    return Dual<decltype(a.value + b)>{a.value + b, a.tangent};
}
template <class A, class B> REANN_INLINE auto operator-(const Dual<A> &a, const B &b) {
    return Dual<decltype(a.value - b)>{a.value - b, a.tangent};
}

// The first coefficients of a Taylor series, value + first e + second e^2.
template <class T> struct Jet {
    T value, first, second;
};

template <class A, class B> REANN_INLINE auto operator+(const Jet<A> &a, const Jet<B> &b) {
    return Jet<decltype(a.value + b.value)>{a.value + b.value, a.first + b.first, a.second + b.second};
}
template <class A, class B> REANN_INLINE auto operator-(const Jet<A> &a, const Jet<B> &b) {
    return Jet<decltype(a.value - b.value)>{a.value - b.value, a.first - b.first, a.second - b.second};
}
template <class A, class B> REANN_INLINE auto operator*(const Jet<A> &a, const Jet<B> &b) {
    return Jet<decltype(a.value * b.value)>{
        a.value * b.value, a.value * b.first + a.first * b.value,
        a.value * b.second + a.first * b.first + a.second * b.value};
}
// with constants
template <class A, class B> REANN_INLINE auto operator*(const Jet<A> &a, const B &b) {
    return Jet<decltype(a.value * b)>{a.value * b, a.first * b, a.second * b};
}
template <class A, class B> REANN_INLINE auto operator+(const Jet<A> &a, const B &b) {
    return Jet<decltype(a.value + b)>{a.value + b, a.first, a.second};
}
template <class A, class B> REANN_INLINE auto operator-(const Jet<A> &a, const B &b) {
    return Jet<decltype(a.value - b)>{a.value - b, a.first, a.second};
}

} // namespace
} // namespace reann
