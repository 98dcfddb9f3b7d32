// Matrix products of the layers: y = x W + b, its adjoint d W^T, and the gradient x^T d.
//
// Weights are packed in panels of a few vectors, one panel row after the other, so that the inner loop reads
// them in order. The product of a tile of rows and a panel stays in registers. With planes > 1, rows of x
// alternate between numbers and their derivatives, which a linear map treats alike.
#pragma once

#include "../plan.hpp"
#include "lanes.hpp"

namespace reann {
namespace {

constexpr int tile_rows = 6;

template <class Real> constexpr int panel_columns = tile_vectors *lanes<Real>;

template <class Real> constexpr int64_t packed_size(int rows, int columns) {
    return static_cast<int64_t>(rows) * ((columns + lanes<Real> - 1) / lanes<Real>)*lanes<Real>;
}

// W: (rows, columns), whose numbers are `down` and `right` apart
template <class Real>
void pack(const double *W, int rows, int columns, int64_t down, int64_t right, Real *packed) {
    for (int first = 0; first < columns; first += panel_columns<Real>) {
        const int left = columns - first;
        const int padded = (left + lanes<Real> - 1) / lanes<Real> * lanes<Real>;
        const int width = padded < panel_columns<Real> ? padded : panel_columns<Real>;
        for (int k = 0; k < rows; ++k)
            for (int j = 0; j < width; ++j)
                *packed++ = j < left ? static_cast<Real>(W[k * down + (first + j) * right]) : Real(0);
    }
}

// y[0 .. m)[0 .. n vectors) = bias (rows of values only) + x[0 .. m)[0 .. depth) panel
template <class Real, int m, int n>
REANN_INLINE void multiply_tile(const Real *x, int64_t x_row, int depth, const Real *panel, Real *y,
                                int64_t y_row, const Real *bias, int planes) {
    Vector<Real> sum[m][n];
    for (int i = 0; i < m; ++i)
        for (int j = 0; j < n; ++j)
            sum[i][j] = bias && i % planes == 0 ? load_vector(bias + j * lanes<Real>) : Vector<Real>{};
    for (int k = 0; k < depth; ++k, panel += n * lanes<Real>) {
        Vector<Real> w[n];
#pragma GCC unroll 8
        for (int j = 0; j < n; ++j) w[j] = load_vector(panel + j * lanes<Real>);
#pragma GCC unroll 8
        for (int i = 0; i < m; ++i) {
            const Real x_ik = x[i * x_row + k];
#pragma GCC unroll 8
            for (int j = 0; j < n; ++j) sum[i][j] += x_ik * w[j];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < m; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < n; ++j) store_vector(y + i * y_row + j * lanes<Real>, sum[i][j]);
}

template <class Real, int n>
void multiply_panel(const Real *x, int64_t x_row, int rows, int depth, const Real *panel, Real *y,
                    int64_t y_row, const Real *bias, int planes) {
    int i = 0;
    for (; i + tile_rows <= rows; i += tile_rows)
        multiply_tile<Real, tile_rows, n>(x + i * x_row, x_row, depth, panel, y + i * y_row, y_row,
                                          bias, planes);
    if (planes == 3 && i < rows) { // a tile begins with values, which have the bias
        multiply_tile<Real, 3, n>(x + i * x_row, x_row, depth, panel, y + i * y_row, y_row, bias, planes);
        i += 3;
    }
    for (; i + 2 <= rows; i += 2)
        multiply_tile<Real, 2, n>(x + i * x_row, x_row, depth, panel, y + i * y_row, y_row, bias, planes);
    if (i < rows)
        multiply_tile<Real, 1, n>(x + i * x_row, x_row, depth, panel, y + i * y_row, y_row, bias, planes);
}

// y = x W + bias for `rows` rows; bias may be NULL
template <class Real>
void multiply(const Real *x, int64_t x_row, int rows, int depth, const Real *packed, int columns,
              Real *y, int64_t y_row, const Real *bias, int planes) {
    for (int first = 0; first < columns; first += panel_columns<Real>) {
        const int left = (columns - first + lanes<Real> - 1) / lanes<Real>;
        const int vectors = left < tile_vectors ? left : tile_vectors;
        const Real *b = bias ? bias + first : nullptr;
        switch (vectors) {
        case 1: multiply_panel<Real, 1>(x, x_row, rows, depth, packed, y + first, y_row, b, planes); break;
        case 2: multiply_panel<Real, 2>(x, x_row, rows, depth, packed, y + first, y_row, b, planes); break;
        case 3: multiply_panel<Real, 3>(x, x_row, rows, depth, packed, y + first, y_row, b, planes); break;
        default: multiply_panel<Real, 4>(x, x_row, rows, depth, packed, y + first, y_row, b, planes);
        }
        packed += static_cast<int64_t>(depth) * vectors * lanes<Real>;
    }
}

// W_bar[k .. k + m)[0 .. n vectors) += sum over rows i of x_i,k d_i', where i' belongs to the same number,
// and the orders of derivatives of i and i' add up to the highest order
template <int planes, class Real, int m, int n>
REANN_INLINE void gradient_tile(const Real *x, int64_t x_row, const Real *d, int64_t d_row, int rows,
                                double *W_bar, int64_t stride) {
    Vector<Real> sum[m][n] = {};
    for (int i = 0; i < rows; ++i) {
        const Real *x_i = x + i * x_row, *d_i = d + (i + planes - 1 - i % planes * 2) * d_row;
        Vector<Real> d_ij[n];
#pragma GCC unroll 8
        for (int j = 0; j < n; ++j) d_ij[j] = load_vector(d_i + j * lanes<Real>);
#pragma GCC unroll 8
        for (int k = 0; k < m; ++k)
#pragma GCC unroll 8
            for (int j = 0; j < n; ++j) sum[k][j] += x_i[k] * d_ij[j];
    }
    for (int k = 0; k < m; ++k)
        for (int j = 0; j < n; ++j)
            for (int lane = 0; lane < lanes<Real>; ++lane)
                W_bar[k * stride + j * lanes<Real> + lane] += sum[k][j][lane];
}

template <int planes, class Real, int n>
void gradient_panel(const Real *x, int64_t x_row, int depth, const Real *d, int64_t d_row, int rows,
                    double *W_bar, int64_t stride) {
    int k = 0;
    for (; k + tile_rows <= depth; k += tile_rows)
        gradient_tile<planes, Real, tile_rows, n>(x + k, x_row, d, d_row, rows, W_bar + k * stride, stride);
    for (; k < depth; ++k)
        gradient_tile<planes, Real, 1, n>(x + k, x_row, d, d_row, rows, W_bar + k * stride, stride);
}

// W_bar (depth, stride) += the highest coefficient of x^T d, for rows of values and derivatives; in double
// precision
template <int planes, class Real>
void add_gradient(const Real *x, int64_t x_row, int depth, const Real *d, int64_t d_row, int rows,
                  double *W_bar, int stride) {
    int first = 0;
    for (; first + 2 * lanes<Real> <= stride; first += 2 * lanes<Real>)
        gradient_panel<planes, Real, 2>(x, x_row, depth, d + first, d_row, rows, W_bar + first, stride);
    if (first < stride)
        gradient_panel<planes, Real, 1>(x, x_row, depth, d + first, d_row, rows, W_bar + first, stride);
}

} // namespace
} // namespace reann
