// Convolution of a real periodic mesh by Fourier transforms, compiled once per instruction set. Planes are transformed
// along z and y one after the other, and blocks of columns along x forward and back, so that they stay in the cache.

#include "../fourier.hpp"
#include "../splines.hpp"
#include "tables.hpp"

namespace reann {
namespace {

class Convolution {
    const long n_x, n_y, n, half, plane; // n: half of the points along z
    double *re, *im;
    Complex part, work;
    const Fourier x, y, z, rows; // rows: twice the length of z

    static long most(const int *sizes) {
        const long plane = sizes[1] * (sizes[2] / 2 + 1L), columns = columns_at_once * sizes[0];
        return plane > columns ? plane : columns;
    }

  public:
    Convolution(const int *sizes, double *memory)
        : n_x(sizes[0]), n_y(sizes[1]), n(sizes[2] / 2), half(n + 1), plane(n_y * half), re(memory),
          im(re + n_x * plane), part{im + n_x * plane, im + n_x * plane + most(sizes)},
          work{part.im + most(sizes), part.im + 2 * most(sizes)}, x(sizes[0], work.im + most(sizes)),
          y(sizes[1], work.im + most(sizes) + 2 * n_x), z(sizes[2] / 2, work.im + most(sizes) + 2 * (n_x + n_y)),
          rows(sizes[2], work.im + most(sizes) + 2 * (n_x + n_y + n)) {}

    void apply(const double *G, double *mesh) {
        for (long k = 0; k < n_x; ++k) forward(mesh + 2 * n * n_y * k, {&re[k * plane], &im[k * plane]});
        for (long from = 0; from < plane; from += columns_at_once)
            along_x(G, from, plane - from < columns_at_once ? plane - from : columns_at_once);
        for (long k = 0; k < n_x; ++k) backward({&re[k * plane], &im[k * plane]}, mesh + 2 * n * n_y * k);
    }

  private:
    // Pairs of points along z are taken as complex numbers, from whose transform that of the row follows.
    void forward(const double *from, Complex to) {
        const Complex p = part;
        for (long j = 0; j < n_y; ++j)
            for (long k = 0; k < n; ++k) {
                p.re[k * n_y + j] = from[2 * n * j + 2 * k];
                p.im[k * n_y + j] = from[2 * n * j + 2 * k + 1];
            }
        z.forward(p, n_y, work);
        for (long k = 0; k <= n; ++k) {
            const double c = rows.cosine(k), s = rows.sine(k);
            const long a = k % n * n_y, b = (n - k) % n * n_y;
            for (long j = 0; j < n_y; ++j) {
                const double pr = p.re[a + j] + p.re[b + j], pi = p.im[a + j] - p.im[b + j];
                const double mr = p.im[a + j] + p.im[b + j], mi = p.re[b + j] - p.re[a + j];
                to.re[j * half + k] = 0.5 * (pr + c * mr - s * mi);
                to.im[j * half + k] = 0.5 * (pi + c * mi + s * mr);
            }
        }
        y.forward(to, half, work);
    }

    void backward(Complex from, double *to) {
        const Complex p = part;
        y.backward(from, half, work);
        for (long k = 0; k < n; ++k) {
            const double c = rows.cosine(k), s = -rows.sine(k);
            for (long j = 0; j < n_y; ++j) {
                const long a = j * half + k, b = j * half + n - k;
                const double pr = from.re[a] + from.re[b], pi = from.im[a] - from.im[b];
                const double mr = from.re[a] - from.re[b], mi = from.im[a] + from.im[b];
                p.re[k * n_y + j] = pr - c * mi - s * mr;
                p.im[k * n_y + j] = pi + c * mr - s * mi;
            }
        }
        z.backward(p, n_y, work);
        for (long j = 0; j < n_y; ++j)
            for (long k = 0; k < n; ++k) {
                to[2 * n * j + 2 * k] = p.re[k * n_y + j];
                to[2 * n * j + 2 * k + 1] = p.im[k * n_y + j];
            }
    }

    void along_x(const double *G, long from, long width) {
        const Complex p = part;
        for (long k = 0; k < n_x; ++k) {
            std::copy_n(&re[k * plane + from], width, p.re + k * width);
            std::copy_n(&im[k * plane + from], width, p.im + k * width);
        }
        x.forward(p, width, work);
        for (long k = 0; k < n_x; ++k)
            for (long c = 0; c < width; ++c) {
                p.re[k * width + c] *= G[k * plane + from + c];
                p.im[k * width + c] *= G[k * plane + from + c];
            }
        x.backward(p, width, work);
        for (long k = 0; k < n_x; ++k) {
            std::copy_n(p.re + k * width, width, &re[k * plane + from]);
            std::copy_n(p.im + k * width, width, &im[k * plane + from]);
        }
    }
};

void convolved(const int *sizes, const double *G, double *mesh, double *work) {
    Convolution(sizes, work).apply(G, mesh);
}

} // namespace

extern const Convolve REANN_CONVOLUTION_TABLE;
const Convolve REANN_CONVOLUTION_TABLE = convolved;

} // namespace reann
