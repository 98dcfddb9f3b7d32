// Discrete Fourier transforms of several sequences at once, of lengths with the factors 2, 3 and 5.
#pragma once

#include <vector>

namespace reann {

// Real and imaginary parts of (length, inner): transforms are along the first index.
struct Complex {
    double *re, *im;
};

class Fourier {
  public:
    explicit Fourier(int length);

    // X[k] = sum_j x[j] exp(-2 pi i j k / length), in place; `work` has the size of x.
    void forward(Complex x, long inner, Complex work) const;

    // The same with exp(+2 pi i j k / length), without the factor 1 / length.
    void backward(Complex x, long inner, Complex work) const { forward({x.im, x.re}, inner, {work.im, work.re}); }

    // exp(-2 pi i k / length)
    double cosine(int k) const { return cos_[k]; }
    double sine(int k) const { return sin_[k]; }

  private:
    int length_;
    std::vector<int> factors_;
    std::vector<double> cos_, sin_;
};

} // namespace reann
