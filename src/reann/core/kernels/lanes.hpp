// Vectors of an instruction set, plain or with derivatives: memory, and sums over lanes.
//
// No intrinsics: vector types of gcc and clang with the width of the registers.
#pragma once

#include <cstdint>

#include "taylor.hpp"

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

// --- numbers with derivatives ----------------------------------------------------------------

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
