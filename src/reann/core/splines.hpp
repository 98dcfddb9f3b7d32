// Charges on a periodic mesh: each has weights, products of B-splines, on the order^3 points around it.
//
// The same as reann/electrostatics/splines.py and points.py. Meshes are (sizes[0], sizes[1], sizes[2]).
#pragma once

#include <cstdint>
#include <vector>

namespace reann {

// Weights of points along the three axes, of `count` charges.
struct Splines {
    int order = 0;
    int sizes[3] = {};
    int64_t count = 0;
    std::vector<double> weights, slopes; // (count, 3, order), at points first, first + 1, ...; by the place
    std::vector<int32_t> first;          // (count, 3)
};

// `place` (count, 3): positions in units of the distances of mesh points. Throws `Error` unless the order is 4 or 8
// and the mesh has as many points along each axis, and if a place is not finite.
Splines splines_at(const double *place, int64_t count, const int *sizes, int order);

// Sums over the points around charges, for an instruction set; see kernels/spreading.cpp.
struct Spreading {
    // Adds charges q (count) to a mesh.
    void (*spread)(const Splines &, const double *q, double *mesh);
    // Adds the rates of q times the weights: of charges by_time (count), and of places moved (count, 3).
    void (*spread_rates)(const Splines &, const double *q, const double *by_time, const double *moved, double *mesh);
    // Values (count) of a mesh at the charges.
    void (*read)(const Splines &, const double *mesh, double *values);
    // The values, and their slopes along the axes (count, 3).
    void (*read_slopes)(const Splines &, const double *mesh, double *values, double *slopes);
};

// Convolution: the mesh becomes the sum over k of G S exp(i k . x), with S its transform. The numbers of points are
// even, with the factors 2, 3 and 5; G is real, (sizes[0], sizes[1], sizes[2] / 2 + 1).
using Convolve = void (*)(const int *sizes, const double *G, double *mesh, double *work);
constexpr int64_t columns_at_once = 32;
inline int64_t convolution_work(const int *sizes) { // length of `work`
    const int64_t plane = int64_t(sizes[1]) * (sizes[2] / 2 + 1), block = columns_at_once * sizes[0];
    return 2 * sizes[0] * plane + 4 * (plane > block ? plane : block) + 2 * (sizes[0] + sizes[1]) + 3 * sizes[2];
}

// Those of the level in use; see `level`.
const Spreading &spreading();
Convolve convolve();

} // namespace reann
