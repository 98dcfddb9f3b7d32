// Convolution of a real periodic mesh by Fourier transforms, compiled once per instruction set. Planes are transformed
// along z and y one after the other, and blocks of columns along x forward and back, so that they stay in the cache.

#include "../planes.hpp"
#include "../splines.hpp"
#include "tables.hpp"

namespace reann {
namespace {

class Convolution {
    const long n_x, n_rows, plane; // n_rows: numbers of a plane of the mesh
    double *re, *im;
    Complex part, work;
    const Fourier x;
    const Planes planes;

    static long most(const int *sizes) {
        const long plane = sizes[1] * (sizes[2] / 2 + 1L), columns = columns_at_once * sizes[0];
        return plane > columns ? plane : columns;
    }

  public:
    Convolution(const int *sizes, double *memory)
        : n_x(sizes[0]), n_rows(long(sizes[1]) * sizes[2]), plane(sizes[1] * (sizes[2] / 2 + 1L)), re(memory),
          im(re + n_x * plane), part{im + n_x * plane, im + n_x * plane + most(sizes)},
          work{part.im + most(sizes), part.im + 2 * most(sizes)}, x(sizes[0], work.im + most(sizes)),
          planes(sizes[1], sizes[2], work.im + most(sizes) + 2 * n_x) {}

    void apply(const double *G, double *mesh) {
        for (long k = 0; k < n_x; ++k)
            planes.forward(mesh + n_rows * k, {&re[k * plane], &im[k * plane]}, part, work);
        for (long from = 0; from < plane; from += columns_at_once)
            along_x(G, from, plane - from < columns_at_once ? plane - from : columns_at_once);
        for (long k = 0; k < n_x; ++k)
            planes.backward({&re[k * plane], &im[k * plane]}, mesh + n_rows * k, part, work);
    }

  private:
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
