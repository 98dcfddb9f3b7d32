#include "fft.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace reann {
namespace {

// b[j] = sum_k a[k] exp(-2 pi i j k / n) for n numbers
template <int n> inline void transform(const double *ar, const double *ai, double *br, double *bi);

template <> inline void transform<2>(const double *ar, const double *ai, double *br, double *bi) {
    br[0] = ar[0] + ar[1], bi[0] = ai[0] + ai[1];
    br[1] = ar[0] - ar[1], bi[1] = ai[0] - ai[1];
}

template <> inline void transform<3>(const double *ar, const double *ai, double *br, double *bi) {
    const double s = 0.86602540378443864676; // sin(2 pi / 3)
    const double pr = ar[1] + ar[2], pi = ai[1] + ai[2], mr = s * (ar[1] - ar[2]), mi = s * (ai[1] - ai[2]);
    const double cr = ar[0] - 0.5 * pr, ci = ai[0] - 0.5 * pi;
    br[0] = ar[0] + pr, bi[0] = ai[0] + pi;
    br[1] = cr + mi, bi[1] = ci - mr;
    br[2] = cr - mi, bi[2] = ci + mr;
}

template <> inline void transform<4>(const double *ar, const double *ai, double *br, double *bi) {
    const double pr = ar[0] + ar[2], pi = ai[0] + ai[2], mr = ar[0] - ar[2], mi = ai[0] - ai[2];
    const double qr = ar[1] + ar[3], qi = ai[1] + ai[3], nr = ar[1] - ar[3], ni = ai[1] - ai[3];
    br[0] = pr + qr, bi[0] = pi + qi;
    br[1] = mr + ni, bi[1] = mi - nr;
    br[2] = pr - qr, bi[2] = pi - qi;
    br[3] = mr - ni, bi[3] = mi + nr;
}

template <> inline void transform<5>(const double *ar, const double *ai, double *br, double *bi) {
    const double c1 = 0.30901699437494742410, c2 = -0.80901699437494742410; // cos(2 pi k / 5)
    const double s1 = 0.95105651629515357212, s2 = 0.58778525229247312917;  // sin(2 pi k / 5)
    const double pr = ar[1] + ar[4], pi = ai[1] + ai[4], mr = ar[1] - ar[4], mi = ai[1] - ai[4];
    const double qr = ar[2] + ar[3], qi = ai[2] + ai[3], nr = ar[2] - ar[3], ni = ai[2] - ai[3];
    const double ur = ar[0] + c1 * pr + c2 * qr, ui = ai[0] + c1 * pi + c2 * qi;
    const double vr = ar[0] + c2 * pr + c1 * qr, vi = ai[0] + c2 * pi + c1 * qi;
    const double wr = s1 * mr + s2 * nr, wi = s1 * mi + s2 * ni;
    const double zr = s2 * mr - s1 * nr, zi = s2 * mi - s1 * ni;
    br[0] = ar[0] + pr + qr, bi[0] = ai[0] + pi + qi;
    br[1] = ur + wi, bi[1] = ui - wr;
    br[2] = vr + zi, bi[2] = vi - zr;
    br[3] = vr - zi, bi[3] = vi + zr;
    br[4] = ur - wi, bi[4] = ui + wr;
}

// One step of Stockham's algorithm: m transforms of n numbers each, for sequences of length n m.
template <int n>
void step(long m, long inner, const double *cos, const double *sin, long turn, Complex x, Complex y) {
    for (long p = 0; p < m; ++p) {
        double wr[n], wi[n];
        for (int j = 0; j < n; ++j) wr[j] = cos[j * p * turn], wi[j] = sin[j * p * turn];
        const double *__restrict xr = x.re + p * inner, *__restrict xi = x.im + p * inner;
        double *__restrict yr = y.re + n * p * inner, *__restrict yi = y.im + n * p * inner;
        for (long q = 0; q < inner; ++q) {
            double ar[n], ai[n], br[n], bi[n];
            for (int k = 0; k < n; ++k) ar[k] = xr[q + k * m * inner], ai[k] = xi[q + k * m * inner];
            transform<n>(ar, ai, br, bi);
            for (int j = 0; j < n; ++j) {
                yr[q + j * inner] = wr[j] * br[j] - wi[j] * bi[j];
                yi[q + j * inner] = wr[j] * bi[j] + wi[j] * br[j];
            }
        }
    }
}

} // namespace

Fourier::Fourier(int length) : length_(length), cos_(length), sin_(length) {
    for (int factor : {4, 2, 3, 5})
        for (; length % factor == 0; length /= factor) factors_.push_back(factor);
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
    for (int factor : factors_) {
        const auto apply = factor == 4 ? step<4> : factor == 2 ? step<2> : factor == 3 ? step<3> : step<5>;
        apply(left / factor, inner * turn, cos_.data(), sin_.data(), turn, from, to);
        left /= factor;
        turn *= factor;
        std::swap(from, to);
    }
    if (from.re == x.re) return;
    std::copy_n(from.re, size, x.re);
    std::copy_n(from.im, size, x.im);
}

} // namespace reann
