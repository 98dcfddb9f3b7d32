// Sums over the mesh points around charges. Along the last axis, the points of a charge are contiguous, except where
// they cross the end of the mesh.
//
// Everything is local to the file that includes this, because it is compiled for several instruction sets.
#pragma once

#include <type_traits>

#include "../splines.hpp"
#include "lanes.hpp"

namespace reann {
namespace {

// Visits the rows of points of a charge: visit(j, k, row, crosses) for points j and k of the first two axes, where
// `crosses` says whether the row crosses the end of the mesh.
template <int order, class Visit>
REANN_INLINE void for_rows(const Splines &s, const int32_t *first, const Visit &visit) {
    int64_t y[order];
    for (int k = 0; k < order; ++k) {
        const int at = first[1] + k;
        y[k] = int64_t(at < s.sizes[1] ? at : at - s.sizes[1]) * s.sizes[2];
    }
    const bool crosses = first[2] + order > s.sizes[2];
    for (int j = 0; j < order; ++j) {
        const int at = first[0] + j;
        const int64_t plane = int64_t(at < s.sizes[0] ? at : at - s.sizes[0]) * s.sizes[1] * s.sizes[2];
        if (crosses)
            for (int k = 0; k < order; ++k) visit(j, k, plane + y[k], std::true_type());
        else
            for (int k = 0; k < order; ++k) visit(j, k, plane + y[k] + first[2], std::false_type());
    }
}

// Adds a row of numbers to the points of a charge, or reads it from them; `z` is the first point.
template <int order> REANN_INLINE void add_row(double *row, int, int, const double *numbers, std::false_type) {
    for (int l = 0; l < order; ++l) row[l] += numbers[l];
}
template <int order> REANN_INLINE void add_row(double *row, int z, int size, const double *numbers, std::true_type) {
    for (int l = 0; l < order; ++l) row[z + l < size ? z + l : z + l - size] += numbers[l];
}

template <int order> REANN_INLINE void read_row(const double *row, int, int, double *numbers, std::false_type) {
    for (int l = 0; l < order; ++l) numbers[l] = row[l];
}
template <int order> REANN_INLINE void read_row(const double *row, int z, int size, double *numbers, std::true_type) {
    for (int l = 0; l < order; ++l) numbers[l] = row[z + l < size ? z + l : z + l - size];
}

template <int order> void spread_of(const Splines &s, const double *q, double *mesh) {
    for (int64_t i = 0; i < s.count; ++i) {
        const double *x = &s.weights[3 * order * i], *y = x + order, *z = y + order;
        const int32_t *first = &s.first[3 * i];
        for_rows<order>(s, first, [&](int j, int k, int64_t row, auto crosses) REANN_LAMBDA {
            const double part = q[i] * x[j] * y[k];
            double numbers[order];
            for (int l = 0; l < order; ++l) numbers[l] = part * z[l];
            add_row<order>(mesh + row, first[2], s.sizes[2], numbers, crosses);
        });
    }
}

template <int order>
void spread_rates_of(const Splines &s, const double *q, const double *by_time, const double *moved, double *mesh) {
    for (int64_t i = 0; i < s.count; ++i) {
        const double *x = &s.weights[3 * order * i], *y = x + order, *z = y + order;
        const double *dx = &s.slopes[3 * order * i], *dy = dx + order, *dz = dy + order, *v = moved + 3 * i;
        const int32_t *first = &s.first[3 * i];
        for_rows<order>(s, first, [&](int j, int k, int64_t row, auto crosses) REANN_LAMBDA {
            const double of_z = (by_time[i] * x[j] + q[i] * v[0] * dx[j]) * y[k] + q[i] * v[1] * x[j] * dy[k];
            const double of_slope = q[i] * v[2] * x[j] * y[k];
            double numbers[order];
            for (int l = 0; l < order; ++l) numbers[l] = of_z * z[l] + of_slope * dz[l];
            add_row<order>(mesh + row, first[2], s.sizes[2], numbers, crosses);
        });
    }
}

template <int order> void read_of(const Splines &s, const double *mesh, double *values) {
    for (int64_t i = 0; i < s.count; ++i) {
        const double *x = &s.weights[3 * order * i], *y = x + order, *z = y + order;
        const int32_t *first = &s.first[3 * i];
        double sums[order] = {};
        for_rows<order>(s, first, [&](int j, int k, int64_t row, auto crosses) REANN_LAMBDA {
            double numbers[order];
            read_row<order>(mesh + row, first[2], s.sizes[2], numbers, crosses);
            const double weight = x[j] * y[k];
            for (int l = 0; l < order; ++l) sums[l] += weight * numbers[l];
        });
        double value = 0.0;
        for (int l = 0; l < order; ++l) value += sums[l] * z[l];
        values[i] = value;
    }
}

template <int order> void read_slopes_of(const Splines &s, const double *mesh, double *values, double *slopes) {
    for (int64_t i = 0; i < s.count; ++i) {
        const double *x = &s.weights[3 * order * i], *y = x + order, *z = y + order;
        const double *dx = &s.slopes[3 * order * i], *dy = dx + order, *dz = dy + order;
        const int32_t *first = &s.first[3 * i];
        double sums[order] = {}, along_x[order] = {}, along_y[order] = {};
        for_rows<order>(s, first, [&](int j, int k, int64_t row, auto crosses) REANN_LAMBDA {
            double numbers[order];
            read_row<order>(mesh + row, first[2], s.sizes[2], numbers, crosses);
            const double weight = x[j] * y[k], by_x = dx[j] * y[k], by_y = x[j] * dy[k];
            for (int l = 0; l < order; ++l) {
                sums[l] += weight * numbers[l];
                along_x[l] += by_x * numbers[l];
                along_y[l] += by_y * numbers[l];
            }
        });
        double value = 0.0, slope[3] = {};
        for (int l = 0; l < order; ++l) {
            value += sums[l] * z[l];
            slope[0] += along_x[l] * z[l];
            slope[1] += along_y[l] * z[l];
            slope[2] += sums[l] * dz[l];
        }
        values[i] = value;
        for (int axis = 0; axis < 3; ++axis) slopes[3 * i + axis] = slope[axis];
    }
}

void spread(const Splines &s, const double *q, double *mesh) {
    s.order == 4 ? spread_of<4>(s, q, mesh) : spread_of<8>(s, q, mesh);
}

void spread_rates(const Splines &s, const double *q, const double *by_time, const double *moved, double *mesh) {
    s.order == 4 ? spread_rates_of<4>(s, q, by_time, moved, mesh) : spread_rates_of<8>(s, q, by_time, moved, mesh);
}

void read(const Splines &s, const double *mesh, double *values) {
    s.order == 4 ? read_of<4>(s, mesh, values) : read_of<8>(s, mesh, values);
}

void read_slopes(const Splines &s, const double *mesh, double *values, double *slopes) {
    s.order == 4 ? read_slopes_of<4>(s, mesh, values, slopes) : read_slopes_of<8>(s, mesh, values, slopes);
}

constexpr Spreading sums_over_points = {spread, spread_rates, read, read_slopes};

} // namespace
} // namespace reann
