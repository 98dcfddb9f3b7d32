// Prints the largest error of each function of the kernels, beside the C library: relative, but
// absolute for the cosine, which is only needed where it is a derivative of order one.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "kernels/functions.hpp"

using namespace reann;

namespace {

struct Worst {
    double of = 0.0;
    void see(double found, double expected) {
        const double scale = expected != 0.0 ? std::abs(expected) : 1.0;
        of = std::max(of, std::abs(found - expected) / scale);
    }
};

// `low` .. `high` in steps that fall on no special numbers; f(x, worst) takes a vector
template <class Real, class Body> double over(double low, double high, const Body &f) {
    constexpr int n = 200000;
    Worst worst;
    for (int i = 0; i < n; i += lanes<Real>) {
        Vector<Real> x;
        for (int lane = 0; lane < lanes<Real>; ++lane)
            x[lane] = Real(low + (high - low) * (i + lane) / (n - 1));
        f(x, worst);
    }
    return worst.of;
}

template <class Real> void report(const char *type, double smallest, double largest) {
    const auto print = [&](const char *name, double error) {
        std::printf("%s %s %.3e\n", type, name, error);
    };
    print("exponential", over<Real>(smallest, largest, [](Vector<Real> x, Worst &worst) {
              const Vector<Real> y = exponential(x);
              for (int k = 0; k < lanes<Real>; ++k) worst.see(y[k], std::exp(double(x[k])));
          }));
    print("logistic", over<Real>(-30.0, 30.0, [](Vector<Real> x, Worst &worst) {
              const Vector<Real> y = logistic<Real>(x);
              for (int k = 0; k < lanes<Real>; ++k)
                  worst.see(y[k], 1.0 / (1.0 + std::exp(-double(x[k]))));
          }));
    print("sine", over<Real>(1e-6, std::acos(0.0), [](Vector<Real> x, Worst &worst) {
              Vector<Real> s, c;
              sine_cosine<Real>(x, s, c);
              for (int k = 0; k < lanes<Real>; ++k) worst.see(s[k], std::sin(double(x[k])));
          }));
    print("cosine", over<Real>(0.0, std::acos(0.0), [](Vector<Real> x, Worst &worst) {
              Vector<Real> s, c;
              sine_cosine<Real>(x, s, c);
              for (int k = 0; k < lanes<Real>; ++k)
                  worst.see(1.0 + (c[k] - std::cos(double(x[k]))), 1.0);
          }));
    print("inverse_root", over<Real>(1.0, 1e6, [](Vector<Real> x, Worst &worst) {
              const Vector<Real> y = inverse_root<Real>(x);
              for (int k = 0; k < lanes<Real>; ++k) worst.see(y[k], 1.0 / std::sqrt(double(x[k])));
          }));
    print("add_sums", over<Real>(1.0, 2.0, [](Vector<Real> x, Worst &worst) {
              Real sums[4] = {1, 2, 3, 4};
              add_sums<Real>(sums, x, x + x, x * Real(4), x * Real(8));
              double expected = 0.0;
              for (int k = 0; k < lanes<Real>; ++k) expected += x[k];
              for (int k = 0; k < 4; ++k) worst.see(sums[k], k + 1 + expected * (1 << k));
              worst.see(sum<Real>(x), expected);
          }));
}

} // namespace

int main() {
    report<float>("float", -87.0, 88.0);
    report<double>("double", -708.0, 709.0);
}
