// Vectors of an instruction set, numbers with tangents, and the functions that kernels need.
//
// No intrinsics: vector types of gcc and clang with the width of the registers. A `Dual` is a number with its
// derivative along one direction; products of duals follow the product rule.
#pragma once

#include <cstdint>

#define REANN_INLINE inline __attribute__((always_inline))
#define REANN_LAMBDA __attribute__((always_inline))

namespace reann {
namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
constexpr int tile_vectors = 4; // in a row of a tile of a matrix product
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
constexpr int tile_vectors = 2;
#else
constexpr int vector_bytes = 16;
constexpr int tile_vectors = 2;
#endif

template <class Number, int bytes> struct VectorOf;
template <int bytes> struct VectorOf<float, bytes> {
    typedef float type __attribute__((vector_size(bytes)));
    typedef int32_t integer __attribute__((vector_size(bytes)));
};
template <int bytes> struct VectorOf<double, bytes> {
    typedef double type __attribute__((vector_size(bytes)));
    typedef int64_t integer __attribute__((vector_size(bytes)));
};

template <class Real> using Vector = typename VectorOf<Real, vector_bytes>::type;
template <class Real> constexpr int lanes = vector_bytes / static_cast<int>(sizeof(Real));

// --- numbers with a tangent -------------------------------------------------------------------

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

// The number types of the kernels: `Number` and `Lanes` are plain, or have derivatives up to an order.
template <class R, int order> struct Field;
template <class R> struct Field<R, 0> {
    using Real = R;
    using Number = R;
    using Lanes = Vector<R>;
    static constexpr int planes = 1;
};
template <class R> struct Field<R, 1> {
    using Real = R;
    using Number = Dual<R>;
    using Lanes = Dual<Vector<R>>;
    static constexpr int planes = 2;
};
template <class R> struct Field<R, 2> {
    using Real = R;
    using Number = Jet<R>;
    using Lanes = Jet<Vector<R>>;
    static constexpr int planes = 3;
};

// The highest derivative, or the number itself without derivatives.
template <class F> REANN_INLINE Vector<typename F::Real> last_plane(const typename F::Lanes &v) {
    if constexpr (F::planes == 3) return v.second;
    else if constexpr (F::planes == 2) return v.tangent;
    else return v;
}

// --- memory -----------------------------------------------------------------------------------

template <class Real> REANN_INLINE Vector<Real> load_vector(const Real *p) {
    Vector<Real> v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}
template <class Real> REANN_INLINE void store_vector(Real *p, Vector<Real> v) {
    __builtin_memcpy(p, &v, sizeof v);
}

// Rows of numbers, followed by the rows of their derivatives, at distances of `stride`.
template <class F> REANN_INLINE typename F::Lanes load(const typename F::Real *p, int stride) {
    if constexpr (F::planes == 3)
        return {load_vector(p), load_vector(p + stride), load_vector(p + 2 * int64_t(stride))};
    else if constexpr (F::planes == 2) return {load_vector(p), load_vector(p + stride)};
    else return load_vector(p);
}
template <class Real> REANN_INLINE void store(Real *p, int, Vector<Real> v) { store_vector(p, v); }
template <class Real> REANN_INLINE void store(Real *p, int stride, const Dual<Vector<Real>> &v) {
    store_vector(p, v.value);
    store_vector(p + stride, v.tangent);
}
template <class Real> REANN_INLINE void store(Real *p, int stride, const Jet<Vector<Real>> &v) {
    store_vector(p, v.value);
    store_vector(p + stride, v.first);
    store_vector(p + 2 * int64_t(stride), v.second);
}
template <class F>
REANN_INLINE typename F::Number number(const typename F::Real *p, int64_t stride = 1) {
    if constexpr (F::planes == 3) return {p[0], p[stride], p[2 * stride]};
    else if constexpr (F::planes == 2) return {p[0], p[stride]};
    else return p[0];
}
template <class F> REANN_INLINE typename F::Lanes zero() {
    return typename F::Lanes{};
}
template <class F> REANN_INLINE typename F::Number one() {
    if constexpr (F::planes == 3) return {1, 0, 0};
    else if constexpr (F::planes == 2) return {1, 0};
    else return 1;
}
template <class Real> REANN_INLINE Vector<Real> splat(Real x) {
    Vector<Real> v;
    for (int i = 0; i < lanes<Real>; ++i) v[i] = x;
    return v;
}

// --- sums over lanes --------------------------------------------------------------------------

template <class Real, int bytes> REANN_INLINE auto folded(typename VectorOf<Real, bytes>::type v) {
    if constexpr (bytes / sizeof(Real) <= 4) {
        return v;
    } else {
        typename VectorOf<Real, bytes / 2>::type low, high;
        __builtin_memcpy(&low, &v, sizeof low);
        __builtin_memcpy(&high, reinterpret_cast<const char *>(&v) + sizeof low, sizeof high);
        return folded<Real, bytes / 2>(low + high);
    }
}

#if defined(__clang__)
#define REANN_SHUFFLE(I, a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define REANN_SHUFFLE(I, a, b, i, j, k, l) __builtin_shuffle(a, b, I{i, j, k, l})
#endif

// target[0..3] += sums over the lanes of a, b, c and d
template <class Real>
REANN_INLINE void add_sums(Real *target, Vector<Real> a, Vector<Real> b, Vector<Real> c,
                           Vector<Real> d) {
    if constexpr (lanes<Real> >= 4) {
        using Four = typename VectorOf<Real, 4 * sizeof(Real)>::type;
        using I = typename VectorOf<Real, 4 * sizeof(Real)>::integer;
        const Four a4 = folded<Real, vector_bytes>(a), b4 = folded<Real, vector_bytes>(b);
        const Four c4 = folded<Real, vector_bytes>(c), d4 = folded<Real, vector_bytes>(d);
        const Four ab = REANN_SHUFFLE(I, a4, b4, 0, 4, 1, 5) + REANN_SHUFFLE(I, a4, b4, 2, 6, 3, 7);
        const Four cd = REANN_SHUFFLE(I, c4, d4, 0, 4, 1, 5) + REANN_SHUFFLE(I, c4, d4, 2, 6, 3, 7);
        Four sum;
        __builtin_memcpy(&sum, target, sizeof sum);
        sum += REANN_SHUFFLE(I, ab, cd, 0, 1, 4, 5) + REANN_SHUFFLE(I, ab, cd, 2, 3, 6, 7);
        __builtin_memcpy(target, &sum, sizeof sum);
    } else {
        target[0] += a[0] + a[1];
        target[1] += b[0] + b[1];
        target[2] += c[0] + c[1];
        target[3] += d[0] + d[1];
    }
}

template <class Real> REANN_INLINE Real sum(Vector<Real> v) {
    const auto four = folded<Real, vector_bytes>(v);
    if constexpr (lanes<Real> >= 4) return (four[0] + four[2]) + (four[1] + four[3]);
    else return four[0] + four[1];
}
template <class Real> REANN_INLINE Dual<Real> sum(const Dual<Vector<Real>> &v) {
    return {sum<Real>(v.value), sum<Real>(v.tangent)};
}

template <class Real> REANN_INLINE Jet<Real> sum(const Jet<Vector<Real>> &v) {
    return {sum<Real>(v.value), sum<Real>(v.first), sum<Real>(v.second)};
}

// --- functions --------------------------------------------------------------------------------

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

// --- loops over constants ---------------------------------------------------------------------

template <int n> struct Constant {
    static constexpr int value = n;
};
template <int begin, int end, class Body> REANN_INLINE void unrolled(Body &&body) {
    if constexpr (begin < end) {
        body(Constant<begin>{});
        unrolled<begin + 1, end>(body);
    }
}

} // namespace
} // namespace reann
