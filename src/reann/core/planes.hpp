// Fourier transforms of real planes along both axes.
//
// Even and odd numbers of a row are the real and imaginary parts of a sequence of half the length, from whose
// transform that of the row follows. Everything is local to the file that includes this, as in fourier.hpp.
#pragma once

#include "fourier.hpp"

namespace reann {
namespace {

class Planes {
  public:
    // Planes of (n_y, n_z) numbers, n_z even; `table`: memory for 2 n_y + 3 n_z numbers.
    Planes(int n_y, int n_z, double *table)
        : n_y_(n_y), n_(n_z / 2), y_(n_y, table), z_(n_z / 2, table + 2 * n_y), rows_(n_z, table + 2 * n_y + n_z) {}

    // From (n_y, n_z) to (n_y, n_z / 2 + 1); `part` and `work` have the size of the result.
    void forward(const double *from, Complex to, Complex part, Complex work) const;

    // The transform back, without a factor; `from` is destroyed.
    void backward(Complex from, double *to, Complex part, Complex work) const;

  private:
    long n_y_, n_;
    Fourier y_, z_, rows_; // rows_: twice the length of z_
};

void Planes::forward(const double *from, Complex to, Complex part, Complex work) const {
    const long half = n_ + 1;
    for (long y = 0; y < n_y_; ++y)
        for (long z = 0; z < n_; ++z) {
            part.re[z * n_y_ + y] = from[2 * (n_ * y + z)];
            part.im[z * n_y_ + y] = from[2 * (n_ * y + z) + 1];
        }
    z_.forward(part, n_y_, work);
    for (long k = 0; k <= n_; ++k) {
        const double c = rows_.cosine(int(k)), s = rows_.sine(int(k));
        const long a = k % n_ * n_y_, b = (n_ - k) % n_ * n_y_;
        for (long y = 0; y < n_y_; ++y) {
            const double pr = part.re[a + y] + part.re[b + y], pi = part.im[a + y] - part.im[b + y];
            const double mr = part.im[a + y] + part.im[b + y], mi = part.re[b + y] - part.re[a + y];
            to.re[y * half + k] = 0.5 * (pr + c * mr - s * mi);
            to.im[y * half + k] = 0.5 * (pi + c * mi + s * mr);
        }
    }
    y_.forward(to, half, work);
}

void Planes::backward(Complex from, double *to, Complex part, Complex work) const {
    const long half = n_ + 1;
    y_.backward(from, half, work);
    for (long k = 0; k < n_; ++k) {
        const double c = rows_.cosine(int(k)), s = -rows_.sine(int(k));
        for (long y = 0; y < n_y_; ++y) {
            const long a = y * half + k, b = y * half + n_ - k;
            const double pr = from.re[a] + from.re[b], pi = from.im[a] - from.im[b];
            const double mr = from.re[a] - from.re[b], mi = from.im[a] + from.im[b];
            part.re[k * n_y_ + y] = pr - c * mi - s * mr;
            part.im[k * n_y_ + y] = pi + c * mr - s * mi;
        }
    }
    z_.backward(part, n_y_, work);
    for (long y = 0; y < n_y_; ++y)
        for (long z = 0; z < n_; ++z) {
            to[2 * (n_ * y + z)] = part.re[z * n_y_ + y];
            to[2 * (n_ * y + z) + 1] = part.im[z * n_y_ + y];
        }
}

} // namespace
} // namespace reann
