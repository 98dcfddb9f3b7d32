// Discrete Fourier transforms of several sequences at once, of lengths with the factors 2, 3 and 5.
//
// Everything is local to the file that includes this, because it is compiled for several instruction sets. For the
// same reason, there are no templates of the standard library with code of their own, such as vectors.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>

namespace reann {
namespace {

// Real and imaginary parts of (length, inner): transforms are along the first index.
struct Complex {
    double *re, *im;
};

class Fourier {
  public:
    // `table`: memory for 2 length numbers.
    Fourier(int length, double *table);

    // X[k] = sum_j x[j] exp(-2 pi i j k / length), in place; `work` has the size of x.
    void forward(Complex x, long inner, Complex work) const;

    // The same with exp(+2 pi i j k / length), without the factor 1 / length.
    void backward(Complex x, long inner, Complex work) const { forward({x.im, x.re}, inner, {work.im, work.re}); }

    // exp(-2 pi i k / length)
    double cosine(int k) const { return cos_[k]; }
    double sine(int k) const { return sin_[k]; }

  private:
    int length_, n_factors_ = 0, factors_[32];
    double *cos_, *sin_;
};

// One number, or as many as fit into a register: compilers do not vectorize the loops below.
#if defined(__AVX512F__)
typedef double Register __attribute__((vector_size(64)));
#elif defined(__AVX__)
typedef double Register __attribute__((vector_size(32)));
#else
typedef double Register __attribute__((vector_size(16)));
#endif

template <class T> inline T loaded(const double *from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <class T> inline void store(double *to, const T &value) { std::memcpy(to, &value, sizeof value); }

// b[j] = sum_k a[k] exp(-2 pi i j k / n) for n numbers
template <int n, class T> struct Transform;

template <class T> struct Transform<2, T> {
    static inline void apply(const T *ar, const T *ai, T *br, T *bi) {
        br[0] = ar[0] + ar[1], bi[0] = ai[0] + ai[1];
        br[1] = ar[0] - ar[1], bi[1] = ai[0] - ai[1];
    }
};

template <class T> struct Transform<3, T> {
    static inline void apply(const T *ar, const T *ai, T *br, T *bi) {
        const double s = 0.86602540378443864676; // sin(2 pi / 3)
        const T pr = ar[1] + ar[2], pi = ai[1] + ai[2], mr = s * (ar[1] - ar[2]), mi = s * (ai[1] - ai[2]);
        const T cr = ar[0] - 0.5 * pr, ci = ai[0] - 0.5 * pi;
        br[0] = ar[0] + pr, bi[0] = ai[0] + pi;
        br[1] = cr + mi, bi[1] = ci - mr;
        br[2] = cr - mi, bi[2] = ci + mr;
    }
};

template <class T> struct Transform<4, T> {
    static inline void apply(const T *ar, const T *ai, T *br, T *bi) {
        const T pr = ar[0] + ar[2], pi = ai[0] + ai[2], mr = ar[0] - ar[2], mi = ai[0] - ai[2];
        const T qr = ar[1] + ar[3], qi = ai[1] + ai[3], nr = ar[1] - ar[3], ni = ai[1] - ai[3];
        br[0] = pr + qr, bi[0] = pi + qi;
        br[1] = mr + ni, bi[1] = mi - nr;
        br[2] = pr - qr, bi[2] = pi - qi;
        br[3] = mr - ni, bi[3] = mi + nr;
    }
};

template <class T> struct Transform<5, T> {
    static inline void apply(const T *ar, const T *ai, T *br, T *bi) {
        const double c1 = 0.30901699437494742410, c2 = -0.80901699437494742410; // cos(2 pi k / 5)
        const double s1 = 0.95105651629515357212, s2 = 0.58778525229247312917;  // sin(2 pi k / 5)
        const T pr = ar[1] + ar[4], pi = ai[1] + ai[4], mr = ar[1] - ar[4], mi = ai[1] - ai[4];
        const T qr = ar[2] + ar[3], qi = ai[2] + ai[3], nr = ar[2] - ar[3], ni = ai[2] - ai[3];
        const T ur = ar[0] + c1 * pr + c2 * qr, ui = ai[0] + c1 * pi + c2 * qi;
        const T vr = ar[0] + c2 * pr + c1 * qr, vi = ai[0] + c2 * pi + c1 * qi;
        const T wr = s1 * mr + s2 * nr, wi = s1 * mi + s2 * ni;
        const T zr = s2 * mr - s1 * nr, zi = s2 * mi - s1 * ni;
        br[0] = ar[0] + pr + qr, bi[0] = ai[0] + pi + qi;
        br[1] = ur + wi, bi[1] = ui - wr;
        br[2] = vr + zi, bi[2] = vi - zr;
        br[3] = vr - zi, bi[3] = vi + zr;
        br[4] = ur - wi, bi[4] = ui + wr;
    }
};

// Transforms of n numbers x[k * stride], which are multiplied by factors (wr, wi) and written to y[j * inner].
template <int n, class T>
inline void butterfly(const double *xr, const double *xi, long stride, const double *wr, const double *wi, double *yr,
                      double *yi, long inner) {
    T ar[n], ai[n], br[n], bi[n];
    for (int k = 0; k < n; ++k) ar[k] = loaded<T>(xr + k * stride), ai[k] = loaded<T>(xi + k * stride);
    Transform<n, T>::apply(ar, ai, br, bi);
    for (int j = 0; j < n; ++j) {
        store<T>(yr + j * inner, wr[j] * br[j] - wi[j] * bi[j]);
        store<T>(yi + j * inner, wr[j] * bi[j] + wi[j] * br[j]);
    }
}

// One step of Stockham's algorithm: m transforms of n numbers each, for sequences of length n m.
template <int n>
void step(long m, long inner, const double *cos, const double *sin, long turn, Complex x, Complex y) {
    constexpr long width = sizeof(Register) / sizeof(double);
    for (long p = 0; p < m; ++p) {
        double wr[n], wi[n];
        for (int j = 0; j < n; ++j) wr[j] = cos[j * p * turn], wi[j] = sin[j * p * turn];
        const double *xr = x.re + p * inner, *xi = x.im + p * inner;
        double *yr = y.re + n * p * inner, *yi = y.im + n * p * inner;
        long q = 0;
        for (; q + width <= inner; q += width)
            butterfly<n, Register>(xr + q, xi + q, m * inner, wr, wi, yr + q, yi + q, inner);
        for (; q < inner; ++q) butterfly<n, double>(xr + q, xi + q, m * inner, wr, wi, yr + q, yi + q, inner);
    }
}

Fourier::Fourier(int length, double *table) : length_(length), cos_(table), sin_(table + length) {
    for (int factor : {4, 2, 3, 5})
        for (; length % factor == 0; length /= factor) factors_[n_factors_++] = factor;
    for (int k = 0; k < length_; ++k) {
        const double angle = 2.0 * std::acos(-1.0) * k / length_;
        cos_[k] = std::cos(angle);
        sin_[k] = -std::sin(angle);
    }
}

void Fourier::forward(Complex x, long inner, Complex work) const {
    const long size = inner * length_;
    Complex from = x, to = work;
    long left = length_, turn = 1; // lengths of the sequences, and how many there are
    for (int f = 0; f < n_factors_; ++f) {
        const int factor = factors_[f];
        const auto apply = factor == 4 ? step<4> : factor == 2 ? step<2> : factor == 3 ? step<3> : step<5>;
        apply(left / factor, inner * turn, cos_, sin_, turn, from, to);
        left /= factor;
        turn *= factor;
        const Complex before = from;
        from = to, to = before;
    }
    if (from.re == x.re) return;
    std::copy_n(from.re, size, x.re);
    std::copy_n(from.im, size, x.im);
}

} // namespace
} // namespace reann
