// Products of moments, channel by channel, their weighted sums, and the adjoint. Written by
// `make products` from reann/model/products.py: change them there.
//
//     v = sum_p vector_weights_p b1_p        A = sum_p matrix_weights_p b2_p
//
// m[l]: rows of the components of moment l, each (planes, stride). b: the products b0 that are
// scalars, (products, stride), those of each order of derivatives `width` numbers further on. v, A:
// rows of the components; without `tensors` left out.
// The weights, (products, stride), have no derivatives.
#pragma once

#include "lanes.hpp"

namespace reann {
namespace {

// How many products are scalars, vectors and matrices.
template <int l_max> struct ProductCounts;
template <> struct ProductCounts<1> {
    static constexpr int scalars = 5, vectors = 4, matrices = 0;
};
template <> struct ProductCounts<2> {
    static constexpr int scalars = 10, vectors = 8, matrices = 9;
};
template <> struct ProductCounts<3> {
    static constexpr int scalars = 13, vectors = 10, matrices = 11;
};
template <class F, int l_max, bool tensors>
void products(const typename F::Real *const *m, int stride, int64_t width,
              const typename F::Real *vector_weights, const typename F::Real *matrix_weights,
              typename F::Real *b, typename F::Real *v, typename F::Real *A) {
    using Real = typename F::Real;
    const int row = F::planes * stride;
    for (int k = 0; k < stride; k += lanes<Real>) {
        if constexpr (l_max == 1 && tensors) {
            const auto s_0 = load<F>(m[0] + 0 * row + k, stride);
            store(b + 0 * stride + k, width, s_0);
            const auto t1 = s_0 * s_0;
            store(b + 1 * stride + k, width, t1);
            const auto v_0 = load<F>(m[1] + 0 * row + k, stride);
            const auto v_1 = load<F>(m[1] + 1 * row + k, stride);
            const auto v_2 = load<F>(m[1] + 2 * row + k, stride);
            const auto t5 = v_0 * v_0 + v_1 * v_1 + v_2 * v_2;
            store(b + 2 * stride + k, width, t5 * Real(0.3333333333333333));
            const auto t6 = s_0 * t1;
            store(b + 3 * stride + k, width, t6 * Real(0.5));
            const auto t7 = s_0 * t5;
            store(b + 4 * stride + k, width, t7 * Real(0.3333333333333333));
            const auto vector_weight_0 = load_vector(vector_weights + 0 * stride + k);
            const auto vector_weight_1 = load_vector(vector_weights + 1 * stride + k);
            const auto vector_weight_2 = load_vector(vector_weights + 2 * stride + k);
            const auto vector_weight_3 = load_vector(vector_weights + 3 * stride + k);
            const auto t12 = s_0 * vector_weight_1 + t1 * vector_weight_2 + t5 * vector_weight_3 *
                Real(0.3333333333333333) + vector_weight_0;
            const auto t13 = v_0 * t12;
            store(v + 0 * row + k, stride, t13);
            const auto t14 = v_1 * t12;
            store(v + 1 * row + k, stride, t14);
            const auto t15 = v_2 * t12;
            store(v + 2 * row + k, stride, t15);
        } else if constexpr (l_max == 1 && !tensors) {
            const auto s_0 = load<F>(m[0] + 0 * row + k, stride);
            store(b + 0 * stride + k, width, s_0);
            const auto t1 = s_0 * s_0;
            store(b + 1 * stride + k, width, t1);
            const auto v_0 = load<F>(m[1] + 0 * row + k, stride);
            const auto v_1 = load<F>(m[1] + 1 * row + k, stride);
            const auto v_2 = load<F>(m[1] + 2 * row + k, stride);
            const auto t5 = v_0 * v_0 + v_1 * v_1 + v_2 * v_2;
            store(b + 2 * stride + k, width, t5 * Real(0.3333333333333333));
            const auto t6 = s_0 * t1;
            store(b + 3 * stride + k, width, t6 * Real(0.5));
            const auto t7 = s_0 * t5;
            store(b + 4 * stride + k, width, t7 * Real(0.3333333333333333));
        } else if constexpr (l_max == 2 && tensors) {
            const auto s_0 = load<F>(m[0] + 0 * row + k, stride);
            store(b + 0 * stride + k, width, s_0);
            const auto t1 = s_0 * s_0;
            store(b + 1 * stride + k, width, t1);
            const auto v_0 = load<F>(m[1] + 0 * row + k, stride);
            const auto t3 = v_0 * v_0;
            const auto v_1 = load<F>(m[1] + 1 * row + k, stride);
            const auto t5 = v_1 * v_1;
            const auto v_2 = load<F>(m[1] + 2 * row + k, stride);
            const auto t7 = v_2 * v_2;
            const auto t8 = t3 + t5 + t7;
            store(b + 2 * stride + k, width, t8 * Real(0.3333333333333333));
            const auto A_3 = load<F>(m[2] + 3 * row + k, stride);
            const auto A_4 = load<F>(m[2] + 4 * row + k, stride);
            const auto t11 = A_3 - A_4 * Real(0.5773502691896257);
            const auto t12 = t11 * t11;
            const auto A_0 = load<F>(m[2] + 0 * row + k, stride);
            const auto t14 = A_0 * A_0;
            const auto A_1 = load<F>(m[2] + 1 * row + k, stride);
            const auto t16 = A_1 * A_1;
            const auto t17 = A_3 + A_4 * Real(0.5773502691896257);
            const auto t18 = t17 * t17;
            const auto A_2 = load<F>(m[2] + 2 * row + k, stride);
            const auto t20 = A_2 * A_2;
            const auto t21 = t11 - t17;
            const auto t22 = t21 * t21;
            const auto t23 = (t14 + t16 + t20) * Real(2.0) + t12 + t18 + t22;
            store(b + 3 * stride + k, width, t23 * Real(0.1));
            const auto t24 = s_0 * t1;
            store(b + 4 * stride + k, width, t24 * Real(0.5));
            const auto t25 = s_0 * t8;
            store(b + 5 * stride + k, width, t25 * Real(0.3333333333333333));
            const auto t26 = s_0 * t23;
            store(b + 6 * stride + k, width, t26 * Real(0.1));
            const auto t27 = v_0 * t11 + v_1 * A_0 + v_2 * A_1;
            const auto t28 = v_0 * t27;
            const auto t29 = v_0 * A_0 + v_2 * A_2 - v_1 * t17;
            const auto t30 = v_1 * t29;
            const auto t31 = v_0 * A_1 + v_1 * A_2 - v_2 * t21;
            const auto t32 = v_2 * t31;
            const auto t33 = t28 + t30 + t32;
            store(b + 7 * stride + k, width, t33 * Real(0.23570226039551584));
            const auto t34 = t12 + t14 + t16;
            const auto t35 = A_0 * t11 + A_1 * A_2 - A_0 * t17;
            const auto t36 = A_0 * A_2 + A_1 * t11 - A_1 * t21;
            const auto t37 = t14 + t18 + t20;
            const auto t38 = A_0 * A_1 - A_2 * t17 - A_2 * t21;
            const auto t39 = t16 + t20 + t22;
            const auto t40 = (A_0 * t35 + A_1 * t36 + A_2 * t38) * Real(2.0) + t11 * t34 - t17 * t37
                - t21 * t39;
            store(b + 8 * stride + k, width, t40 * Real(0.11785113019775792));
            const auto t41 = t27 * t27 + t29 * t29 + t31 * t31;
            store(b + 9 * stride + k, width, t41 * Real(0.16666666666666666));
            const auto vector_weight_0 = load_vector(vector_weights + 0 * stride + k);
            const auto vector_weight_1 = load_vector(vector_weights + 1 * stride + k);
            const auto vector_weight_3 = load_vector(vector_weights + 3 * stride + k);
            const auto vector_weight_4 = load_vector(vector_weights + 4 * stride + k);
            const auto vector_weight_5 = load_vector(vector_weights + 5 * stride + k);
            const auto t47 = s_0 * vector_weight_1 + t1 * vector_weight_3 + t23 * vector_weight_5 *
                Real(0.1) + t8 * vector_weight_4 * Real(0.3333333333333333) + vector_weight_0;
            const auto vector_weight_2 = load_vector(vector_weights + 2 * stride + k);
            const auto vector_weight_6 = load_vector(vector_weights + 6 * stride + k);
            const auto t50 = s_0 * vector_weight_6 + vector_weight_2;
            const auto t51 = A_0 * t29 + A_1 * t31 + t11 * t27;
            const auto vector_weight_7 = load_vector(vector_weights + 7 * stride + k);
            const auto t53 = t27 * t50 * Real(0.7071067811865476) + t51 * vector_weight_7 *
                Real(0.5) + v_0 * t47;
            store(v + 0 * row + k, stride, t53);
            const auto t54 = A_0 * t27 + A_2 * t31 - t17 * t29;
            const auto t55 = t29 * t50 * Real(0.7071067811865476) + t54 * vector_weight_7 *
                Real(0.5) + v_1 * t47;
            store(v + 1 * row + k, stride, t55);
            const auto t56 = A_1 * t27 + A_2 * t29 - t21 * t31;
            const auto t57 = t31 * t50 * Real(0.7071067811865476) + t56 * vector_weight_7 *
                Real(0.5) + v_2 * t47;
            store(v + 2 * row + k, stride, t57);
            const auto matrix_weight_0 = load_vector(matrix_weights + 0 * stride + k);
            const auto matrix_weight_1 = load_vector(matrix_weights + 1 * stride + k);
            const auto matrix_weight_4 = load_vector(matrix_weights + 4 * stride + k);
            const auto t61 = t23 * Real(0.3) + t8;
            const auto matrix_weight_8 = load_vector(matrix_weights + 8 * stride + k);
            const auto t63 = s_0 * matrix_weight_1 + t1 * matrix_weight_4 + t61 * matrix_weight_8 *
                Real(0.3333333333333333) + matrix_weight_0;
            const auto t64 = v_0 * v_1;
            const auto matrix_weight_2 = load_vector(matrix_weights + 2 * stride + k);
            const auto matrix_weight_5 = load_vector(matrix_weights + 5 * stride + k);
            const auto t67 = s_0 * matrix_weight_5 + matrix_weight_2;
            const auto matrix_weight_3 = load_vector(matrix_weights + 3 * stride + k);
            const auto matrix_weight_6 = load_vector(matrix_weights + 6 * stride + k);
            const auto t70 = s_0 * matrix_weight_6 + matrix_weight_3;
            const auto t71 = v_0 * t29 + v_1 * t27;
            const auto matrix_weight_7 = load_vector(matrix_weights + 7 * stride + k);
            const auto t73 = A_0 * t63 + t35 * t70 * Real(0.7071067811865476) + t64 * t67 *
                Real(1.4142135623730951) + t71 * matrix_weight_7 * Real(0.5);
            store(A + 0 * row + k, stride, t73);
            const auto t74 = v_0 * v_2;
            const auto t75 = v_0 * t31 + v_2 * t27;
            const auto t76 = A_1 * t63 + t36 * t70 * Real(0.7071067811865476) + t74 * t67 *
                Real(1.4142135623730951) + t75 * matrix_weight_7 * Real(0.5);
            store(A + 1 * row + k, stride, t76);
            const auto t77 = v_1 * v_2;
            const auto t78 = v_1 * t31 + v_2 * t29;
            const auto t79 = A_2 * t63 + t38 * t70 * Real(0.7071067811865476) + t77 * t67 *
                Real(1.4142135623730951) + t78 * matrix_weight_7 * Real(0.5);
            store(A + 2 * row + k, stride, t79);
            const auto t80 = t11 * t63 + t28 * matrix_weight_7 + t3 * t67 * Real(1.4142135623730951)
                + t34 * t70 * Real(0.7071067811865476);
            const auto t81 = t30 * matrix_weight_7 + t37 * t70 * Real(0.7071067811865476) + t5 * t67
                * Real(1.4142135623730951) - t17 * t63;
            const auto t82 = t80 - t81;
            store(A + 3 * row + k, stride, t82 * Real(0.5));
            const auto t83 = t32 * matrix_weight_7 + t39 * t70 * Real(0.7071067811865476) + t7 * t67
                * Real(1.4142135623730951) - t21 * t63;
            const auto t84 = t80 + t81;
            const auto t85 = t83 - t84 * Real(0.5);
            store(A + 4 * row + k, stride, t85 * Real(0.5773502691896257));
        } else if constexpr (l_max == 2 && !tensors) {
            const auto s_0 = load<F>(m[0] + 0 * row + k, stride);
            store(b + 0 * stride + k, width, s_0);
            const auto t1 = s_0 * s_0;
            store(b + 1 * stride + k, width, t1);
            const auto v_0 = load<F>(m[1] + 0 * row + k, stride);
            const auto v_1 = load<F>(m[1] + 1 * row + k, stride);
            const auto v_2 = load<F>(m[1] + 2 * row + k, stride);
            const auto t5 = v_0 * v_0 + v_1 * v_1 + v_2 * v_2;
            store(b + 2 * stride + k, width, t5 * Real(0.3333333333333333));
            const auto A_3 = load<F>(m[2] + 3 * row + k, stride);
            const auto A_4 = load<F>(m[2] + 4 * row + k, stride);
            const auto t8 = A_3 - A_4 * Real(0.5773502691896257);
            const auto t9 = t8 * t8;
            const auto A_0 = load<F>(m[2] + 0 * row + k, stride);
            const auto t11 = A_0 * A_0;
            const auto A_1 = load<F>(m[2] + 1 * row + k, stride);
            const auto t13 = A_1 * A_1;
            const auto t14 = A_3 + A_4 * Real(0.5773502691896257);
            const auto t15 = t14 * t14;
            const auto A_2 = load<F>(m[2] + 2 * row + k, stride);
            const auto t17 = A_2 * A_2;
            const auto t18 = t8 - t14;
            const auto t19 = t18 * t18;
            const auto t20 = (t11 + t13 + t17) * Real(2.0) + t15 + t19 + t9;
            store(b + 3 * stride + k, width, t20 * Real(0.1));
            const auto t21 = s_0 * t1;
            store(b + 4 * stride + k, width, t21 * Real(0.5));
            const auto t22 = s_0 * t5;
            store(b + 5 * stride + k, width, t22 * Real(0.3333333333333333));
            const auto t23 = s_0 * t20;
            store(b + 6 * stride + k, width, t23 * Real(0.1));
            const auto t24 = v_0 * t8 + v_1 * A_0 + v_2 * A_1;
            const auto t25 = v_0 * A_0 + v_2 * A_2 - v_1 * t14;
            const auto t26 = v_0 * A_1 + v_1 * A_2 - v_2 * t18;
            const auto t27 = v_0 * t24 + v_1 * t25 + v_2 * t26;
            store(b + 7 * stride + k, width, t27 * Real(0.23570226039551584));
            const auto t28 = t11 + t13 + t9;
            const auto t29 = A_0 * t8 + A_1 * A_2 - A_0 * t14;
            const auto t30 = A_0 * A_2 + A_1 * t8 - A_1 * t18;
            const auto t31 = t11 + t15 + t17;
            const auto t32 = A_0 * A_1 - A_2 * t14 - A_2 * t18;
            const auto t33 = t13 + t17 + t19;
            const auto t34 = (A_0 * t29 + A_1 * t30 + A_2 * t32) * Real(2.0) + t8 * t28 - t14 * t31
                - t18 * t33;
            store(b + 8 * stride + k, width, t34 * Real(0.11785113019775792));
            const auto t35 = t24 * t24 + t25 * t25 + t26 * t26;
            store(b + 9 * stride + k, width, t35 * Real(0.16666666666666666));
        } else if constexpr (l_max == 3 && tensors) {
            const auto s_0 = load<F>(m[0] + 0 * row + k, stride);
            store(b + 0 * stride + k, width, s_0);
            const auto t1 = s_0 * s_0;
            store(b + 1 * stride + k, width, t1);
            const auto v_0 = load<F>(m[1] + 0 * row + k, stride);
            const auto t3 = v_0 * v_0;
            const auto v_1 = load<F>(m[1] + 1 * row + k, stride);
            const auto t5 = v_1 * v_1;
            const auto v_2 = load<F>(m[1] + 2 * row + k, stride);
            const auto t7 = v_2 * v_2;
            const auto t8 = t3 + t5 + t7;
            store(b + 2 * stride + k, width, t8 * Real(0.3333333333333333));
            const auto A_3 = load<F>(m[2] + 3 * row + k, stride);
            const auto A_4 = load<F>(m[2] + 4 * row + k, stride);
            const auto t11 = A_3 - A_4 * Real(0.5773502691896257);
            const auto t12 = t11 * t11;
            const auto A_0 = load<F>(m[2] + 0 * row + k, stride);
            const auto t14 = A_0 * A_0;
            const auto A_1 = load<F>(m[2] + 1 * row + k, stride);
            const auto t16 = A_1 * A_1;
            const auto t17 = A_3 + A_4 * Real(0.5773502691896257);
            const auto t18 = t17 * t17;
            const auto A_2 = load<F>(m[2] + 2 * row + k, stride);
            const auto t20 = A_2 * A_2;
            const auto t21 = t11 - t17;
            const auto t22 = t21 * t21;
            const auto t23 = (t14 + t16 + t20) * Real(2.0) + t12 + t18 + t22;
            store(b + 3 * stride + k, width, t23 * Real(0.1));
            const auto t24 = s_0 * t1;
            store(b + 4 * stride + k, width, t24 * Real(0.5));
            const auto t25 = s_0 * t8;
            store(b + 5 * stride + k, width, t25 * Real(0.3333333333333333));
            const auto t26 = s_0 * t23;
            store(b + 6 * stride + k, width, t26 * Real(0.1));
            const auto t27 = v_0 * t11 + v_1 * A_0 + v_2 * A_1;
            const auto t28 = v_0 * t27;
            const auto t29 = v_0 * A_0 + v_2 * A_2 - v_1 * t17;
            const auto t30 = v_1 * t29;
            const auto t31 = v_0 * A_1 + v_1 * A_2 - v_2 * t21;
            const auto t32 = v_2 * t31;
            const auto t33 = t28 + t30 + t32;
            store(b + 7 * stride + k, width, t33 * Real(0.23570226039551584));
            const auto t34 = t12 + t14 + t16;
            const auto t35 = A_0 * t11 + A_1 * A_2 - A_0 * t17;
            const auto t36 = A_0 * A_2 + A_1 * t11 - A_1 * t21;
            const auto t37 = t14 + t18 + t20;
            const auto t38 = A_0 * A_1 - A_2 * t17 - A_2 * t21;
            const auto t39 = t16 + t20 + t22;
            const auto t40 = (A_0 * t35 + A_1 * t36 + A_2 * t38) * Real(2.0) + t11 * t34 - t17 * t37
                - t21 * t39;
            store(b + 8 * stride + k, width, t40 * Real(0.11785113019775792));
            const auto t41 = t27 * t27 + t29 * t29 + t31 * t31;
            store(b + 9 * stride + k, width, t41 * Real(0.16666666666666666));
            const auto Q_0 = load<F>(m[3] + 0 * row + k, stride);
            const auto Q_1 = load<F>(m[3] + 1 * row + k, stride);
            const auto Q_2 = load<F>(m[3] + 2 * row + k, stride);
            const auto Q_3 = load<F>(m[3] + 3 * row + k, stride);
            const auto Q_4 = load<F>(m[3] + 4 * row + k, stride);
            const auto Q_5 = load<F>(m[3] + 5 * row + k, stride);
            const auto Q_6 = load<F>(m[3] + 6 * row + k, stride);
            const auto Q_7 = load<F>(m[3] + 7 * row + k, stride);
            const auto Q_8 = load<F>(m[3] + 8 * row + k, stride);
            const auto Q_9 = load<F>(m[3] + 9 * row + k, stride);
            const auto t52 = (Q_0 * Q_0 + Q_6 * Q_6 + Q_9 * Q_9) * Real(0.3333333333333333) + Q_1 *
                Q_1 + Q_2 * Q_2 + Q_3 * Q_3 + Q_4 * Q_4 * Real(2.0) + Q_5 * Q_5 + Q_7 * Q_7 + Q_8 *
                Q_8;
            store(b + 10 * stride + k, width, t52 * Real(0.4285714285714286));
            const auto t53 = v_0 * Q_0 + v_1 * Q_1 + v_2 * Q_2;
            const auto t54 = v_0 * Q_1 + v_1 * Q_3 + v_2 * Q_4;
            const auto t55 = v_0 * Q_2 + v_1 * Q_4 + v_2 * Q_5;
            const auto t56 = v_0 * Q_3 + v_1 * Q_6 + v_2 * Q_7;
            const auto t57 = v_0 * Q_4 + v_1 * Q_7 + v_2 * Q_8;
            const auto t58 = v_0 * Q_5 + v_1 * Q_8 + v_2 * Q_9;
            const auto t59 = (A_0 * t54 + A_1 * t55 + A_2 * t57) * Real(2.0) + t11 * t53 - t17 * t56
                - t21 * t58;
            store(b + 11 * stride + k, width, t59 * Real(0.23570226039551584));
            const auto t60 = v_0 * v_1;
            const auto t61 = v_0 * v_2;
            const auto t62 = v_1 * v_2;
            const auto t63 = (t60 * t54 + t61 * t55 + t62 * t57) * Real(2.0) + t3 * t53 + t5 * t56 +
                t7 * t58;
            store(b + 12 * stride + k, width, t63 * Real(0.3333333333333333));
            const auto vector_weight_0 = load_vector(vector_weights + 0 * stride + k);
            const auto vector_weight_1 = load_vector(vector_weights + 1 * stride + k);
            const auto vector_weight_3 = load_vector(vector_weights + 3 * stride + k);
            const auto vector_weight_4 = load_vector(vector_weights + 4 * stride + k);
            const auto vector_weight_5 = load_vector(vector_weights + 5 * stride + k);
            const auto t69 = s_0 * vector_weight_1 + t1 * vector_weight_3 + t23 * vector_weight_5 *
                Real(0.1) + t8 * vector_weight_4 * Real(0.3333333333333333) + vector_weight_0;
            const auto vector_weight_2 = load_vector(vector_weights + 2 * stride + k);
            const auto vector_weight_6 = load_vector(vector_weights + 6 * stride + k);
            const auto t72 = s_0 * vector_weight_6 + vector_weight_2;
            const auto t73 = A_0 * t29 + A_1 * t31 + t11 * t27;
            const auto vector_weight_7 = load_vector(vector_weights + 7 * stride + k);
            const auto t75 = (A_0 * Q_1 + A_1 * Q_2 + A_2 * Q_4) * Real(2.0) + Q_0 * t11 - Q_3 * t17
                - Q_5 * t21;
            const auto vector_weight_8 = load_vector(vector_weights + 8 * stride + k);
            const auto vector_weight_9 = load_vector(vector_weights + 9 * stride + k);
            const auto t78 = s_0 * vector_weight_9 + vector_weight_8;
            const auto t79 = t27 * t72 + t73 * vector_weight_7 * Real(0.7071067811865476) + t75 *
                t78 + v_0 * t69 * Real(1.4142135623730951);
            store(v + 0 * row + k, stride, t79 * Real(0.7071067811865476));
            const auto t80 = A_0 * t27 + A_2 * t31 - t17 * t29;
            const auto t81 = (A_0 * Q_3 + A_1 * Q_4 + A_2 * Q_7) * Real(2.0) + Q_1 * t11 - Q_6 * t17
                - Q_8 * t21;
            const auto t82 = t29 * t72 + t80 * vector_weight_7 * Real(0.7071067811865476) + t81 *
                t78 + v_1 * t69 * Real(1.4142135623730951);
            store(v + 1 * row + k, stride, t82 * Real(0.7071067811865476));
            const auto t83 = A_1 * t27 + A_2 * t29 - t21 * t31;
            const auto t84 = (A_0 * Q_4 + A_1 * Q_5 + A_2 * Q_8) * Real(2.0) + Q_2 * t11 - Q_7 * t17
                - Q_9 * t21;
            const auto t85 = t31 * t72 + t83 * vector_weight_7 * Real(0.7071067811865476) + t84 *
                t78 + v_2 * t69 * Real(1.4142135623730951);
            store(v + 2 * row + k, stride, t85 * Real(0.7071067811865476));
            const auto matrix_weight_0 = load_vector(matrix_weights + 0 * stride + k);
            const auto matrix_weight_1 = load_vector(matrix_weights + 1 * stride + k);
            const auto matrix_weight_4 = load_vector(matrix_weights + 4 * stride + k);
            const auto t89 = t23 * Real(0.3) + t8;
            const auto matrix_weight_8 = load_vector(matrix_weights + 8 * stride + k);
            const auto t91 = s_0 * matrix_weight_1 + t1 * matrix_weight_4 + t89 * matrix_weight_8 *
                Real(0.3333333333333333) + matrix_weight_0;
            const auto matrix_weight_2 = load_vector(matrix_weights + 2 * stride + k);
            const auto matrix_weight_5 = load_vector(matrix_weights + 5 * stride + k);
            const auto t94 = s_0 * matrix_weight_5 + matrix_weight_2;
            const auto matrix_weight_3 = load_vector(matrix_weights + 3 * stride + k);
            const auto matrix_weight_6 = load_vector(matrix_weights + 6 * stride + k);
            const auto t97 = s_0 * matrix_weight_6 + matrix_weight_3;
            const auto t98 = v_0 * t29 + v_1 * t27;
            const auto matrix_weight_7 = load_vector(matrix_weights + 7 * stride + k);
            const auto matrix_weight_9 = load_vector(matrix_weights + 9 * stride + k);
            const auto matrix_weight_10 = load_vector(matrix_weights + 10 * stride + k);
            const auto t102 = s_0 * matrix_weight_10 + matrix_weight_9;
            const auto t103 = A_0 * t91 * Real(0.7071067811865476) + t35 * t97 * Real(0.5) + t54 *
                t102 + t60 * t94 + t98 * matrix_weight_7 * Real(0.3535533905932738);
            store(A + 0 * row + k, stride, t103 * Real(1.4142135623730951));
            const auto t104 = v_0 * t31 + v_2 * t27;
            const auto t105 = A_1 * t91 * Real(0.7071067811865476) + t104 * matrix_weight_7 *
                Real(0.3535533905932738) + t36 * t97 * Real(0.5) + t55 * t102 + t61 * t94;
            store(A + 1 * row + k, stride, t105 * Real(1.4142135623730951));
            const auto t106 = v_1 * t31 + v_2 * t29;
            const auto t107 = A_2 * t91 * Real(0.7071067811865476) + t106 * matrix_weight_7 *
                Real(0.3535533905932738) + t38 * t97 * Real(0.5) + t57 * t102 + t62 * t94;
            store(A + 2 * row + k, stride, t107 * Real(1.4142135623730951));
            const auto t108 = (t3 * t94 + t53 * t102) * Real(1.4142135623730951) + t11 * t91 + t28 *
                matrix_weight_7 + t34 * t97 * Real(0.7071067811865476);
            const auto t109 = (t5 * t94 + t56 * t102) * Real(1.4142135623730951) + t30 *
                matrix_weight_7 + t37 * t97 * Real(0.7071067811865476) - t17 * t91;
            const auto t110 = t108 - t109;
            store(A + 3 * row + k, stride, t110 * Real(0.5));
            const auto t111 = (t58 * t102 + t7 * t94) * Real(1.4142135623730951) + t32 *
                matrix_weight_7 + t39 * t97 * Real(0.7071067811865476) - t21 * t91;
            const auto t112 = t108 + t109;
            const auto t113 = t111 - t112 * Real(0.5);
            store(A + 4 * row + k, stride, t113 * Real(0.5773502691896257));
        } else if constexpr (l_max == 3 && !tensors) {
            const auto s_0 = load<F>(m[0] + 0 * row + k, stride);
            store(b + 0 * stride + k, width, s_0);
            const auto t1 = s_0 * s_0;
            store(b + 1 * stride + k, width, t1);
            const auto v_0 = load<F>(m[1] + 0 * row + k, stride);
            const auto t3 = v_0 * v_0;
            const auto v_1 = load<F>(m[1] + 1 * row + k, stride);
            const auto t5 = v_1 * v_1;
            const auto v_2 = load<F>(m[1] + 2 * row + k, stride);
            const auto t7 = v_2 * v_2;
            const auto t8 = t3 + t5 + t7;
            store(b + 2 * stride + k, width, t8 * Real(0.3333333333333333));
            const auto A_3 = load<F>(m[2] + 3 * row + k, stride);
            const auto A_4 = load<F>(m[2] + 4 * row + k, stride);
            const auto t11 = A_3 - A_4 * Real(0.5773502691896257);
            const auto t12 = t11 * t11;
            const auto A_0 = load<F>(m[2] + 0 * row + k, stride);
            const auto t14 = A_0 * A_0;
            const auto A_1 = load<F>(m[2] + 1 * row + k, stride);
            const auto t16 = A_1 * A_1;
            const auto t17 = A_3 + A_4 * Real(0.5773502691896257);
            const auto t18 = t17 * t17;
            const auto A_2 = load<F>(m[2] + 2 * row + k, stride);
            const auto t20 = A_2 * A_2;
            const auto t21 = t11 - t17;
            const auto t22 = t21 * t21;
            const auto t23 = (t14 + t16 + t20) * Real(2.0) + t12 + t18 + t22;
            store(b + 3 * stride + k, width, t23 * Real(0.1));
            const auto t24 = s_0 * t1;
            store(b + 4 * stride + k, width, t24 * Real(0.5));
            const auto t25 = s_0 * t8;
            store(b + 5 * stride + k, width, t25 * Real(0.3333333333333333));
            const auto t26 = s_0 * t23;
            store(b + 6 * stride + k, width, t26 * Real(0.1));
            const auto t27 = v_0 * t11 + v_1 * A_0 + v_2 * A_1;
            const auto t28 = v_0 * A_0 + v_2 * A_2 - v_1 * t17;
            const auto t29 = v_0 * A_1 + v_1 * A_2 - v_2 * t21;
            const auto t30 = v_0 * t27 + v_1 * t28 + v_2 * t29;
            store(b + 7 * stride + k, width, t30 * Real(0.23570226039551584));
            const auto t31 = t12 + t14 + t16;
            const auto t32 = A_0 * t11 + A_1 * A_2 - A_0 * t17;
            const auto t33 = A_0 * A_2 + A_1 * t11 - A_1 * t21;
            const auto t34 = t14 + t18 + t20;
            const auto t35 = A_0 * A_1 - A_2 * t17 - A_2 * t21;
            const auto t36 = t16 + t20 + t22;
            const auto t37 = (A_0 * t32 + A_1 * t33 + A_2 * t35) * Real(2.0) + t11 * t31 - t17 * t34
                - t21 * t36;
            store(b + 8 * stride + k, width, t37 * Real(0.11785113019775792));
            const auto t38 = t27 * t27 + t28 * t28 + t29 * t29;
            store(b + 9 * stride + k, width, t38 * Real(0.16666666666666666));
            const auto Q_0 = load<F>(m[3] + 0 * row + k, stride);
            const auto Q_1 = load<F>(m[3] + 1 * row + k, stride);
            const auto Q_2 = load<F>(m[3] + 2 * row + k, stride);
            const auto Q_3 = load<F>(m[3] + 3 * row + k, stride);
            const auto Q_4 = load<F>(m[3] + 4 * row + k, stride);
            const auto Q_5 = load<F>(m[3] + 5 * row + k, stride);
            const auto Q_6 = load<F>(m[3] + 6 * row + k, stride);
            const auto Q_7 = load<F>(m[3] + 7 * row + k, stride);
            const auto Q_8 = load<F>(m[3] + 8 * row + k, stride);
            const auto Q_9 = load<F>(m[3] + 9 * row + k, stride);
            const auto t49 = (Q_0 * Q_0 + Q_6 * Q_6 + Q_9 * Q_9) * Real(0.3333333333333333) + Q_1 *
                Q_1 + Q_2 * Q_2 + Q_3 * Q_3 + Q_4 * Q_4 * Real(2.0) + Q_5 * Q_5 + Q_7 * Q_7 + Q_8 *
                Q_8;
            store(b + 10 * stride + k, width, t49 * Real(0.4285714285714286));
            const auto t50 = v_0 * Q_0 + v_1 * Q_1 + v_2 * Q_2;
            const auto t51 = v_0 * Q_1 + v_1 * Q_3 + v_2 * Q_4;
            const auto t52 = v_0 * Q_2 + v_1 * Q_4 + v_2 * Q_5;
            const auto t53 = v_0 * Q_3 + v_1 * Q_6 + v_2 * Q_7;
            const auto t54 = v_0 * Q_4 + v_1 * Q_7 + v_2 * Q_8;
            const auto t55 = v_0 * Q_5 + v_1 * Q_8 + v_2 * Q_9;
            const auto t56 = (A_0 * t51 + A_1 * t52 + A_2 * t54) * Real(2.0) + t11 * t50 - t17 * t53
                - t21 * t55;
            store(b + 11 * stride + k, width, t56 * Real(0.23570226039551584));
            const auto t57 = v_0 * v_1;
            const auto t58 = v_0 * v_2;
            const auto t59 = v_1 * v_2;
            const auto t60 = (t57 * t51 + t58 * t52 + t59 * t54) * Real(2.0) + t3 * t50 + t5 * t53 +
                t7 * t55;
            store(b + 12 * stride + k, width, t60 * Real(0.3333333333333333));
        } else static_assert(l_max < 0, "no products of this l_max");
    }
}

template <class Real> REANN_INLINE void add_last_plane(Real *, Vector<Real>) {}
template <class Real> REANN_INLINE void add_last_plane(Real *sum, const Dual<Vector<Real>> &x) {
    store_vector(sum, load_vector(sum) + x.tangent);
}
template <class Real> REANN_INLINE void add_last_plane(Real *sum, const Jet<Vector<Real>> &x) {
    store_vector(sum, load_vector(sum) + x.second);
}

// Overwrites m_bar, laid out as m. With derivatives it also adds the highest ones of v_bar b1_p and
// A_bar b2_p, each summed over components, to the gradients of the weights.
template <class F, int l_max, bool tensors>
void adjoint_of_products(const typename F::Real *const *m, int stride, int64_t width,
                         const typename F::Real *vector_weights,
                         const typename F::Real *matrix_weights, const typename F::Real *b_bar,
                         const typename F::Real *v_bar, const typename F::Real *A_bar,
                         typename F::Real *const *m_bar, typename F::Real *vector_weights_bar,
                         typename F::Real *matrix_weights_bar) {
    using Real = typename F::Real;
    const int row = F::planes * stride;
    for (int k = 0; k < stride; k += lanes<Real>) {
        if constexpr (l_max == 1 && tensors) {
            const auto b_bar_0 = load<F>(b_bar + 0 * stride + k, width);
            const auto v_2 = load<F>(m[1] + 2 * row + k, stride);
            const auto v_bar_2 = load<F>(v_bar + 2 * row + k, stride);
            const auto v_1 = load<F>(m[1] + 1 * row + k, stride);
            const auto v_bar_1 = load<F>(v_bar + 1 * row + k, stride);
            const auto v_0 = load<F>(m[1] + 0 * row + k, stride);
            const auto v_bar_0 = load<F>(v_bar + 0 * row + k, stride);
            const auto t7 = v_0 * v_bar_0 + v_1 * v_bar_1 + v_2 * v_bar_2;
            const auto vector_weight_1 = load_vector(vector_weights + 1 * stride + k);
            const auto t9 = v_0 * v_0 + v_1 * v_1 + v_2 * v_2;
            const auto b_bar_4 = load<F>(b_bar + 4 * stride + k, width);
            const auto s_0 = load<F>(m[0] + 0 * row + k, stride);
            const auto t12 = s_0 * s_0;
            const auto b_bar_3 = load<F>(b_bar + 3 * stride + k, width);
            const auto b_bar_1 = load<F>(b_bar + 1 * stride + k, width);
            const auto vector_weight_2 = load_vector(vector_weights + 2 * stride + k);
            const auto t16 = b_bar_1 + s_0 * b_bar_3 * Real(0.5) + t7 * vector_weight_2;
            const auto t17 = b_bar_0 + s_0 * t16 * Real(2.0) + t12 * b_bar_3 * Real(0.5) + t7 *
                vector_weight_1 + t9 * b_bar_4 * Real(0.3333333333333333);
            store(m_bar[0] + 0 * row + k, stride, t17);
            const auto vector_weight_0 = load_vector(vector_weights + 0 * stride + k);
            const auto vector_weight_3 = load_vector(vector_weights + 3 * stride + k);
            const auto t20 = s_0 * vector_weight_1 + t12 * vector_weight_2 + t9 * vector_weight_3 *
                Real(0.3333333333333333) + vector_weight_0;
            const auto b_bar_2 = load<F>(b_bar + 2 * stride + k, width);
            const auto t22 = b_bar_2 + s_0 * b_bar_4 + t7 * vector_weight_3;
            const auto t23 = t20 * v_bar_0 + v_0 * t22 * Real(0.6666666666666666);
            store(m_bar[1] + 0 * row + k, stride, t23);
            const auto t24 = t20 * v_bar_1 + v_1 * t22 * Real(0.6666666666666666);
            store(m_bar[1] + 1 * row + k, stride, t24);
            const auto t25 = t20 * v_bar_2 + v_2 * t22 * Real(0.6666666666666666);
            store(m_bar[1] + 2 * row + k, stride, t25);
            add_last_plane(vector_weights_bar + 0 * stride + k, t7);
            const auto t26 = s_0 * t7;
            add_last_plane(vector_weights_bar + 1 * stride + k, t26);
            const auto t27 = t12 * t7;
            add_last_plane(vector_weights_bar + 2 * stride + k, t27);
            const auto t28 = t9 * t7;
            add_last_plane(vector_weights_bar + 3 * stride + k, t28 * Real(0.3333333333333333));
        } else if constexpr (l_max == 1 && !tensors) {
            const auto b_bar_0 = load<F>(b_bar + 0 * stride + k, width);
            const auto v_0 = load<F>(m[1] + 0 * row + k, stride);
            const auto v_1 = load<F>(m[1] + 1 * row + k, stride);
            const auto v_2 = load<F>(m[1] + 2 * row + k, stride);
            const auto t4 = v_0 * v_0 + v_1 * v_1 + v_2 * v_2;
            const auto b_bar_4 = load<F>(b_bar + 4 * stride + k, width);
            const auto s_0 = load<F>(m[0] + 0 * row + k, stride);
            const auto t7 = s_0 * s_0;
            const auto b_bar_3 = load<F>(b_bar + 3 * stride + k, width);
            const auto b_bar_1 = load<F>(b_bar + 1 * stride + k, width);
            const auto t10 = b_bar_1 + s_0 * b_bar_3 * Real(0.5);
            const auto t11 = b_bar_0 + s_0 * t10 * Real(2.0) + t4 * b_bar_4 *
                Real(0.3333333333333333) + t7 * b_bar_3 * Real(0.5);
            store(m_bar[0] + 0 * row + k, stride, t11);
            const auto b_bar_2 = load<F>(b_bar + 2 * stride + k, width);
            const auto t13 = b_bar_2 + s_0 * b_bar_4;
            const auto t14 = v_0 * t13;
            store(m_bar[1] + 0 * row + k, stride, t14 * Real(0.6666666666666666));
            const auto t15 = v_1 * t13;
            store(m_bar[1] + 1 * row + k, stride, t15 * Real(0.6666666666666666));
            const auto t16 = v_2 * t13;
            store(m_bar[1] + 2 * row + k, stride, t16 * Real(0.6666666666666666));
        } else if constexpr (l_max == 2 && tensors) {
            const auto b_bar_0 = load<F>(b_bar + 0 * stride + k, width);
            const auto A_1 = load<F>(m[2] + 1 * row + k, stride);
            const auto t2 = A_1 * A_1;
            const auto A_2 = load<F>(m[2] + 2 * row + k, stride);
            const auto t4 = A_2 * A_2;
            const auto A_3 = load<F>(m[2] + 3 * row + k, stride);
            const auto A_4 = load<F>(m[2] + 4 * row + k, stride);
            const auto t7 = A_3 - A_4 * Real(0.5773502691896257);
            const auto t8 = A_3 + A_4 * Real(0.5773502691896257);
            const auto t9 = t7 - t8;
            const auto t10 = t9 * t9;
            const auto t11 = t10 + t2 + t4;
            const auto A_bar_4 = load<F>(A_bar + 4 * row + k, stride);
            const auto A_0 = load<F>(m[2] + 0 * row + k, stride);
            const auto t14 = A_0 * A_1 - A_2 * t8 - A_2 * t9;
            const auto A_bar_2 = load<F>(A_bar + 2 * row + k, stride);
            const auto t16 = A_0 * A_0;
            const auto t17 = t8 * t8;
            const auto t18 = t16 + t17 + t4;
            const auto A_bar_3 = load<F>(A_bar + 3 * row + k, stride);
            const auto t20 = A_bar_3 + A_bar_4 * Real(0.5773502691896257);
            const auto t21 = A_0 * A_2 + A_1 * t7 - A_1 * t9;
            const auto A_bar_1 = load<F>(A_bar + 1 * row + k, stride);
            const auto t23 = A_0 * t7 + A_1 * A_2 - A_0 * t8;
            const auto A_bar_0 = load<F>(A_bar + 0 * row + k, stride);
            const auto t25 = t7 * t7;
            const auto t26 = t16 + t2 + t25;
            const auto t27 = A_bar_3 - A_bar_4 * Real(0.5773502691896257);
            const auto t28 = (t26 * t27 - t18 * t20) * Real(0.5) + t11 * A_bar_4 *
                Real(0.5773502691896257) + t14 * A_bar_2 + t21 * A_bar_1 + t23 * A_bar_0;
            const auto matrix_weight_6 = load_vector(matrix_weights + 6 * stride + k);
            const auto v_2 = load<F>(m[1] + 2 * row + k, stride);
            const auto t31 = v_2 * v_2;
            const auto v_1 = load<F>(m[1] + 1 * row + k, stride);
            const auto t33 = v_1 * v_2;
            const auto t34 = v_1 * v_1;
            const auto v_0 = load<F>(m[1] + 0 * row + k, stride);
            const auto t36 = v_0 * v_2;
            const auto t37 = v_0 * v_1;
            const auto t38 = v_0 * v_0;
            const auto t39 = (t38 * t27 - t34 * t20) * Real(0.5) + t31 * A_bar_4 *
                Real(0.5773502691896257) + t33 * A_bar_2 + t36 * A_bar_1 + t37 * A_bar_0;
            const auto matrix_weight_5 = load_vector(matrix_weights + 5 * stride + k);
            const auto t41 = (t7 * t27 + t8 * t20) * Real(0.5) + A_0 * A_bar_0 + A_1 * A_bar_1 + A_2
                * A_bar_2 - t9 * A_bar_4 * Real(0.5773502691896257);
            const auto matrix_weight_1 = load_vector(matrix_weights + 1 * stride + k);
            const auto t43 = v_0 * A_1 + v_1 * A_2 - v_2 * t9;
            const auto v_bar_2 = load<F>(v_bar + 2 * row + k, stride);
            const auto t45 = v_0 * A_0 + v_2 * A_2 - v_1 * t8;
            const auto v_bar_1 = load<F>(v_bar + 1 * row + k, stride);
            const auto t47 = v_0 * t7 + v_1 * A_0 + v_2 * A_1;
            const auto v_bar_0 = load<F>(v_bar + 0 * row + k, stride);
            const auto t49 = t43 * v_bar_2 + t45 * v_bar_1 + t47 * v_bar_0;
            const auto vector_weight_6 = load_vector(vector_weights + 6 * stride + k);
            const auto t51 = v_0 * v_bar_0 + v_1 * v_bar_1 + v_2 * v_bar_2;
            const auto vector_weight_1 = load_vector(vector_weights + 1 * stride + k);
            const auto t53 = (t16 + t2 + t4) * Real(2.0) + t10 + t17 + t25;
            const auto b_bar_6 = load<F>(b_bar + 6 * stride + k, width);
            const auto t55 = t31 + t34 + t38;
            const auto b_bar_5 = load<F>(b_bar + 5 * stride + k, width);
            const auto s_0 = load<F>(m[0] + 0 * row + k, stride);
            const auto t58 = s_0 * s_0;
            const auto b_bar_4 = load<F>(b_bar + 4 * stride + k, width);
            const auto b_bar_1 = load<F>(b_bar + 1 * stride + k, width);
            const auto matrix_weight_4 = load_vector(matrix_weights + 4 * stride + k);
            const auto vector_weight_3 = load_vector(vector_weights + 3 * stride + k);
            const auto t63 = b_bar_1 + s_0 * b_bar_4 * Real(0.5) + t41 * matrix_weight_4 + t51 *
                vector_weight_3;
            const auto t64 = (t28 * matrix_weight_6 + t49 * vector_weight_6) *
                Real(0.7071067811865476) + b_bar_0 + s_0 * t63 * Real(2.0) + t39 * matrix_weight_5 *
                Real(1.4142135623730951) + t41 * matrix_weight_1 + t51 * vector_weight_1 + t53 *
                b_bar_6 * Real(0.1) + t55 * b_bar_5 * Real(0.3333333333333333) + t58 * b_bar_4 *
                Real(0.5);
            store(m_bar[0] + 0 * row + k, stride, t64);
            const auto matrix_weight_7 = load_vector(matrix_weights + 7 * stride + k);
            const auto t66 = A_bar_1 * matrix_weight_7;
            const auto t67 = A_bar_0 * matrix_weight_7;
            const auto vector_weight_0 = load_vector(vector_weights + 0 * stride + k);
            const auto vector_weight_4 = load_vector(vector_weights + 4 * stride + k);
            const auto vector_weight_5 = load_vector(vector_weights + 5 * stride + k);
            const auto t71 = s_0 * vector_weight_1 + t53 * vector_weight_5 * Real(0.1) + t55 *
                vector_weight_4 * Real(0.3333333333333333) + t58 * vector_weight_3 +
                vector_weight_0;
            const auto b_bar_7 = load<F>(b_bar + 7 * stride + k, width);
            const auto t73 = b_bar_7 + t27 * matrix_weight_7 * Real(2.1213203435596424);
            const auto matrix_weight_2 = load_vector(matrix_weights + 2 * stride + k);
            const auto t75 = s_0 * matrix_weight_5 + matrix_weight_2;
            const auto t76 = t75 * A_bar_1;
            const auto t77 = t75 * A_bar_0;
            const auto t78 = A_bar_2 * matrix_weight_7;
            const auto vector_weight_2 = load_vector(vector_weights + 2 * stride + k);
            const auto t80 = s_0 * vector_weight_6 + vector_weight_2;
            const auto b_bar_9 = load<F>(b_bar + 9 * stride + k, width);
            const auto t82 = A_bar_4 * matrix_weight_7 * Real(2.449489742783178) + b_bar_7;
            const auto vector_weight_7 = load_vector(vector_weights + 7 * stride + k);
            const auto t84 = v_bar_2 * vector_weight_7;
            const auto t85 = v_bar_1 * vector_weight_7;
            const auto t86 = v_bar_0 * vector_weight_7;
            const auto t87 = A_1 * t86 + A_2 * t85 + t43 * b_bar_9 * Real(0.6666666666666666) + t80
                * v_bar_2 * Real(1.4142135623730951) + v_0 * t66 + v_1 * t78 + v_2 * t82 *
                Real(0.4714045207910317) - t9 * t84;
            const auto t88 = b_bar_7 - t20 * matrix_weight_7 * Real(2.1213203435596424);
            const auto t89 = A_0 * t86 + A_2 * t84 + t45 * b_bar_9 * Real(0.6666666666666666) + t80
                * v_bar_1 * Real(1.4142135623730951) + v_0 * t67 + v_1 * t88 *
                Real(0.4714045207910317) + v_2 * t78 - t8 * t85;
            const auto t90 = A_0 * t85 + A_1 * t84 + t47 * b_bar_9 * Real(0.6666666666666666) + t7 *
                t86 + t80 * v_bar_0 * Real(1.4142135623730951) + v_0 * t73 *
                Real(0.4714045207910317) + v_1 * t67 + v_2 * t66;
            const auto b_bar_2 = load<F>(b_bar + 2 * stride + k, width);
            const auto matrix_weight_8 = load_vector(matrix_weights + 8 * stride + k);
            const auto t93 = t41 * matrix_weight_8;
            const auto t94 = b_bar_2 + s_0 * b_bar_5 + t51 * vector_weight_4 + t93;
            const auto t95 = t75 * t27 + t94 * Real(0.4714045207910317);
            const auto t96 = (v_0 * t95 + v_1 * t77 + v_2 * t76) * Real(2.8284271247461903) + A_0 *
                t89 + A_1 * t87 + t43 * t66 + t45 * t67 + t47 * t73 * Real(0.4714045207910317) + t7
                * t90 + t71 * v_bar_0 * Real(2.0);
            store(m_bar[1] + 0 * row + k, stride, t96 * Real(0.5));
            const auto t97 = t75 * A_bar_2;
            const auto t98 = t75 * t20 - t94 * Real(0.4714045207910317);
            const auto t99 = (v_0 * t77 + v_2 * t97 - v_1 * t98) * Real(2.8284271247461903) + A_0 *
                t90 + A_2 * t87 + t43 * t78 + t45 * t88 * Real(0.4714045207910317) + t47 * t67 + t71
                * v_bar_1 * Real(2.0) - t8 * t89;
            store(m_bar[1] + 1 * row + k, stride, t99 * Real(0.5));
            const auto t100 = t75 * A_bar_4 + t94 * Real(0.408248290463863);
            const auto t101 = (v_0 * t76 + v_1 * t97) * Real(2.8284271247461903) + A_1 * t90 + A_2 *
                t89 + t43 * t82 * Real(0.4714045207910317) + t45 * t78 + t47 * t66 + t71 * v_bar_2 *
                Real(2.0) + v_2 * t100 * Real(3.265986323710904) - t9 * t87;
            store(m_bar[1] + 2 * row + k, stride, t101 * Real(0.5));
            const auto matrix_weight_0 = load_vector(matrix_weights + 0 * stride + k);
            const auto t103 = t53 * Real(0.3) + t55;
            const auto t104 = s_0 * matrix_weight_1 + t103 * matrix_weight_8 *
                Real(0.3333333333333333) + t58 * matrix_weight_4 + matrix_weight_0;
            const auto b_bar_8 = load<F>(b_bar + 8 * stride + k, width);
            const auto matrix_weight_3 = load_vector(matrix_weights + 3 * stride + k);
            const auto t107 = s_0 * matrix_weight_6 + matrix_weight_3;
            const auto t108 = A_2 * b_bar_8 * Real(0.3333333333333333) + t107 * A_bar_2;
            const auto t109 = A_1 * b_bar_8 * Real(0.3333333333333333) + t107 * A_bar_1;
            const auto t110 = A_0 * b_bar_8 * Real(0.3333333333333333) + t107 * A_bar_0;
            const auto t111 = t107 * t20 + t8 * b_bar_8 * Real(0.3333333333333333);
            const auto t112 = t107 * t27 + t7 * b_bar_8 * Real(0.3333333333333333);
            const auto b_bar_3 = load<F>(b_bar + 3 * stride + k, width);
            const auto t114 = b_bar_3 + s_0 * b_bar_6 + t51 * vector_weight_5 + t93;
            const auto t115 = t112 + t114 * Real(0.565685424949238) - t111;
            const auto t116 = (t45 * t86 + t47 * t85 + v_0 * t89 + v_1 * t90) *
                Real(0.7071067811865476) + A_0 * t115 + A_1 * t108 + A_2 * t109 + t104 * A_bar_0 *
                Real(1.4142135623730951) + t23 * b_bar_8 * Real(0.3333333333333333) + t7 * t110 - t8
                * t110;
            store(m_bar[2] + 0 * row + k, stride, t116 * Real(0.7071067811865476));
            const auto t117 = t107 * A_bar_4 - t9 * b_bar_8 * Real(0.28867513459481287);
            const auto t118 = t112 * Real(0.8660254037844386) + t114 * Real(0.4898979485566356) +
                t117;
            const auto t119 = (A_0 * t108 + A_2 * t110 + t7 * t109 - t9 * t109) *
                Real(1.4142135623730951) + A_1 * t118 * Real(1.632993161855452) + t104 * A_bar_1 *
                Real(2.0) + t21 * b_bar_8 * Real(0.4714045207910317) + t43 * t86 + t47 * t84 + v_0 *
                t87 + v_2 * t90;
            store(m_bar[2] + 1 * row + k, stride, t119 * Real(0.5));
            const auto t120 = t114 * Real(0.4898979485566356) + t117 - t111 *
                Real(0.8660254037844386);
            const auto t121 = (A_0 * t109 + A_1 * t110 - t8 * t108 - t9 * t108) *
                Real(1.4142135623730951) + A_2 * t120 * Real(1.632993161855452) + t104 * A_bar_2 *
                Real(2.0) + t14 * b_bar_8 * Real(0.4714045207910317) + t43 * t85 + t45 * t84 + v_1 *
                t87 + v_2 * t89;
            store(m_bar[2] + 2 * row + k, stride, t121 * Real(0.5));
            const auto t122 = A_2 * t108;
            const auto t123 = A_0 * t110;
            const auto t124 = t111 - t114 * Real(0.282842712474619);
            const auto t125 = A_1 * t109;
            const auto t126 = t114 * Real(0.2449489742783178) + t117;
            const auto t127 = (t122 + t125) * Real(1.4142135623730951) + t104 * A_bar_4 *
                Real(1.1547005383792515) + t11 * b_bar_8 * Real(0.23570226039551584) + t43 * t84 +
                v_2 * t87 - t9 * t126 * Real(1.632993161855452);
            const auto t128 = t104 * t20 + t127 - (t122 + t123 + t8 * t124) *
                Real(1.4142135623730951) - t18 * b_bar_8 * Real(0.23570226039551584) - t45 * t85 -
                v_1 * t89;
            const auto t129 = t112 + t114 * Real(0.282842712474619);
            const auto t130 = (t123 + t125 + t7 * t129) * Real(1.4142135623730951) + t104 * t27 +
                t26 * b_bar_8 * Real(0.23570226039551584) + t47 * t86 + v_0 * t90 - t127;
            const auto t131 = t128 + t130;
            store(m_bar[2] + 3 * row + k, stride, t131 * Real(0.5));
            const auto t132 = t128 - t130;
            store(m_bar[2] + 4 * row + k, stride, t132 * Real(0.28867513459481287));
            add_last_plane(vector_weights_bar + 0 * stride + k, t51);
            const auto t133 = s_0 * t51;
            add_last_plane(vector_weights_bar + 1 * stride + k, t133);
            add_last_plane(vector_weights_bar + 2 * stride + k, t49 * Real(0.7071067811865476));
            const auto t134 = t58 * t51;
            add_last_plane(vector_weights_bar + 3 * stride + k, t134);
            const auto t135 = t55 * t51;
            add_last_plane(vector_weights_bar + 4 * stride + k, t135 * Real(0.3333333333333333));
            const auto t136 = t53 * t51;
            add_last_plane(vector_weights_bar + 5 * stride + k, t136 * Real(0.1));
            const auto t137 = s_0 * t49;
            add_last_plane(vector_weights_bar + 6 * stride + k, t137 * Real(0.7071067811865476));
            const auto t138 = A_1 * t47 + A_2 * t45 - t9 * t43;
            const auto t139 = A_0 * t47 + A_2 * t43 - t8 * t45;
            const auto t140 = A_0 * t45 + A_1 * t43 + t7 * t47;
            const auto t141 = t138 * v_bar_2 + t139 * v_bar_1 + t140 * v_bar_0;
            add_last_plane(vector_weights_bar + 7 * stride + k, t141 * Real(0.5));
            add_last_plane(matrix_weights_bar + 0 * stride + k, t41);
            const auto t142 = s_0 * t41;
            add_last_plane(matrix_weights_bar + 1 * stride + k, t142);
            add_last_plane(matrix_weights_bar + 2 * stride + k, t39 * Real(1.4142135623730951));
            add_last_plane(matrix_weights_bar + 3 * stride + k, t28 * Real(0.7071067811865476));
            const auto t143 = t58 * t41;
            add_last_plane(matrix_weights_bar + 4 * stride + k, t143);
            const auto t144 = s_0 * t39;
            add_last_plane(matrix_weights_bar + 5 * stride + k, t144 * Real(1.4142135623730951));
            const auto t145 = s_0 * t28;
            add_last_plane(matrix_weights_bar + 6 * stride + k, t145 * Real(0.7071067811865476));
            const auto t146 = v_2 * t43;
            const auto t147 = v_1 * t43 + v_2 * t45;
            const auto t148 = v_1 * t45;
            const auto t149 = v_0 * t43 + v_2 * t47;
            const auto t150 = v_0 * t45 + v_1 * t47;
            const auto t151 = v_0 * t47;
            const auto t152 = t146 * A_bar_4 * Real(1.1547005383792515) + t147 * A_bar_2 + t149 *
                A_bar_1 + t150 * A_bar_0 + t151 * t27 - t148 * t20;
            add_last_plane(matrix_weights_bar + 7 * stride + k, t152 * Real(0.5));
            const auto t153 = t103 * t41;
            add_last_plane(matrix_weights_bar + 8 * stride + k, t153 * Real(0.3333333333333333));
        } else if constexpr (l_max == 2 && !tensors) {
            const auto b_bar_0 = load<F>(b_bar + 0 * stride + k, width);
            const auto A_3 = load<F>(m[2] + 3 * row + k, stride);
            const auto A_4 = load<F>(m[2] + 4 * row + k, stride);
            const auto t3 = A_3 - A_4 * Real(0.5773502691896257);
            const auto t4 = t3 * t3;
            const auto A_0 = load<F>(m[2] + 0 * row + k, stride);
            const auto t6 = A_0 * A_0;
            const auto A_1 = load<F>(m[2] + 1 * row + k, stride);
            const auto t8 = A_1 * A_1;
            const auto t9 = A_3 + A_4 * Real(0.5773502691896257);
            const auto t10 = t9 * t9;
            const auto A_2 = load<F>(m[2] + 2 * row + k, stride);
            const auto t12 = A_2 * A_2;
            const auto t13 = t3 - t9;
            const auto t14 = t13 * t13;
            const auto t15 = (t12 + t6 + t8) * Real(2.0) + t10 + t14 + t4;
            const auto b_bar_6 = load<F>(b_bar + 6 * stride + k, width);
            const auto v_0 = load<F>(m[1] + 0 * row + k, stride);
            const auto v_1 = load<F>(m[1] + 1 * row + k, stride);
            const auto v_2 = load<F>(m[1] + 2 * row + k, stride);
            const auto t20 = v_0 * v_0 + v_1 * v_1 + v_2 * v_2;
            const auto b_bar_5 = load<F>(b_bar + 5 * stride + k, width);
            const auto s_0 = load<F>(m[0] + 0 * row + k, stride);
            const auto t23 = s_0 * s_0;
            const auto b_bar_4 = load<F>(b_bar + 4 * stride + k, width);
            const auto b_bar_1 = load<F>(b_bar + 1 * stride + k, width);
            const auto t26 = b_bar_1 + s_0 * b_bar_4 * Real(0.5);
            const auto t27 = b_bar_0 + s_0 * t26 * Real(2.0) + t15 * b_bar_6 * Real(0.1) + t20 *
                b_bar_5 * Real(0.3333333333333333) + t23 * b_bar_4 * Real(0.5);
            store(m_bar[0] + 0 * row + k, stride, t27);
            const auto t28 = v_0 * t3 + v_1 * A_0 + v_2 * A_1;
            const auto b_bar_7 = load<F>(b_bar + 7 * stride + k, width);
            const auto t30 = v_0 * A_1 + v_1 * A_2 - v_2 * t13;
            const auto b_bar_9 = load<F>(b_bar + 9 * stride + k, width);
            const auto t32 = t30 * b_bar_9 + v_2 * b_bar_7 * Real(0.7071067811865476);
            const auto t33 = v_0 * A_0 + v_2 * A_2 - v_1 * t9;
            const auto t34 = t33 * b_bar_9 + v_1 * b_bar_7 * Real(0.7071067811865476);
            const auto t35 = t28 * b_bar_9 + v_0 * b_bar_7 * Real(0.7071067811865476);
            const auto b_bar_2 = load<F>(b_bar + 2 * stride + k, width);
            const auto t37 = b_bar_2 + s_0 * b_bar_5;
            const auto t38 = A_0 * t34 + A_1 * t32 + t28 * b_bar_7 * Real(0.7071067811865476) + t3 *
                t35 + v_0 * t37 * Real(2.0);
            store(m_bar[1] + 0 * row + k, stride, t38 * Real(0.3333333333333333));
            const auto t39 = A_0 * t35 + A_2 * t32 + t33 * b_bar_7 * Real(0.7071067811865476) + v_1
                * t37 * Real(2.0) - t9 * t34;
            store(m_bar[1] + 1 * row + k, stride, t39 * Real(0.3333333333333333));
            const auto t40 = A_1 * t35 + A_2 * t34 + t30 * b_bar_7 * Real(0.7071067811865476) + v_2
                * t37 * Real(2.0) - t13 * t32;
            store(m_bar[1] + 2 * row + k, stride, t40 * Real(0.3333333333333333));
            const auto t41 = A_0 * t3 + A_1 * A_2 - A_0 * t9;
            const auto b_bar_8 = load<F>(b_bar + 8 * stride + k, width);
            const auto t43 = A_2 * b_bar_8;
            const auto t44 = A_1 * b_bar_8;
            const auto t45 = A_0 * b_bar_8;
            const auto t46 = t9 * b_bar_8;
            const auto t47 = t3 * b_bar_8;
            const auto b_bar_3 = load<F>(b_bar + 3 * stride + k, width);
            const auto t49 = b_bar_3 + s_0 * b_bar_6;
            const auto t50 = t47 + t49 * Real(1.697056274847714) - t46;
            const auto t51 = (v_0 * t34 + v_1 * t35) * Real(1.4142135623730951) + A_0 * t50 + A_1 *
                t43 + A_2 * t44 + t3 * t45 + t41 * b_bar_8 - t9 * t45;
            store(m_bar[2] + 0 * row + k, stride, t51 * Real(0.23570226039551584));
            const auto t52 = A_0 * A_2 + A_1 * t3 - A_1 * t13;
            const auto t53 = t13 * b_bar_8;
            const auto t54 = t47 + t49 * Real(1.697056274847714) - t53;
            const auto t55 = (v_0 * t32 + v_2 * t35) * Real(1.4142135623730951) + A_0 * t43 + A_1 *
                t54 + A_2 * t45 + t3 * t44 + t52 * b_bar_8 - t13 * t44;
            store(m_bar[2] + 1 * row + k, stride, t55 * Real(0.23570226039551584));
            const auto t56 = A_0 * A_1 - A_2 * t13 - A_2 * t9;
            const auto t57 = t46 + t53 - t49 * Real(1.697056274847714);
            const auto t58 = (v_1 * t32 + v_2 * t34) * Real(1.4142135623730951) + A_0 * t44 + A_1 *
                t45 + t56 * b_bar_8 - A_2 * t57 - t13 * t43 - t9 * t43;
            store(m_bar[2] + 2 * row + k, stride, t58 * Real(0.23570226039551584));
            const auto t59 = t10 + t12 + t6;
            const auto t60 = A_2 * t43;
            const auto t61 = A_0 * t45;
            const auto t62 = t46 - t49 * Real(0.848528137423857);
            const auto t63 = t12 + t14 + t8;
            const auto t64 = A_1 * t44;
            const auto t65 = t53 - t49 * Real(0.848528137423857);
            const auto t66 = t13 * t65 + t60 + t63 * b_bar_8 * Real(0.5) + t64 + v_2 * t32 *
                Real(1.4142135623730951);
            const auto t67 = t66 - t59 * b_bar_8 * Real(0.5) - t60 - t61 - t9 * t62 - v_1 * t34 *
                Real(1.4142135623730951);
            const auto t68 = t4 + t6 + t8;
            const auto t69 = t47 + t49 * Real(0.848528137423857);
            const auto t70 = t3 * t69 + t61 + t64 + t68 * b_bar_8 * Real(0.5) + v_0 * t35 *
                Real(1.4142135623730951) - t66;
            const auto t71 = t67 + t70;
            store(m_bar[2] + 3 * row + k, stride, t71 * Real(0.23570226039551584));
            const auto t72 = t67 - t70;
            store(m_bar[2] + 4 * row + k, stride, t72 * Real(0.13608276348795434));
        } else if constexpr (l_max == 3 && tensors) {
            const auto b_bar_0 = load<F>(b_bar + 0 * stride + k, width);
            const auto v_0 = load<F>(m[1] + 0 * row + k, stride);
            const auto Q_5 = load<F>(m[3] + 5 * row + k, stride);
            const auto v_1 = load<F>(m[1] + 1 * row + k, stride);
            const auto Q_8 = load<F>(m[3] + 8 * row + k, stride);
            const auto v_2 = load<F>(m[1] + 2 * row + k, stride);
            const auto Q_9 = load<F>(m[3] + 9 * row + k, stride);
            const auto t7 = v_0 * Q_5 + v_1 * Q_8 + v_2 * Q_9;
            const auto A_bar_4 = load<F>(A_bar + 4 * row + k, stride);
            const auto Q_4 = load<F>(m[3] + 4 * row + k, stride);
            const auto Q_7 = load<F>(m[3] + 7 * row + k, stride);
            const auto t11 = v_0 * Q_4 + v_1 * Q_7 + v_2 * Q_8;
            const auto A_bar_2 = load<F>(A_bar + 2 * row + k, stride);
            const auto Q_3 = load<F>(m[3] + 3 * row + k, stride);
            const auto Q_6 = load<F>(m[3] + 6 * row + k, stride);
            const auto t15 = v_0 * Q_3 + v_1 * Q_6 + v_2 * Q_7;
            const auto A_bar_3 = load<F>(A_bar + 3 * row + k, stride);
            const auto t17 = A_bar_3 + A_bar_4 * Real(0.5773502691896257);
            const auto Q_2 = load<F>(m[3] + 2 * row + k, stride);
            const auto t19 = v_0 * Q_2 + v_1 * Q_4 + v_2 * Q_5;
            const auto A_bar_1 = load<F>(A_bar + 1 * row + k, stride);
            const auto Q_1 = load<F>(m[3] + 1 * row + k, stride);
            const auto t22 = v_0 * Q_1 + v_1 * Q_3 + v_2 * Q_4;
            const auto A_bar_0 = load<F>(A_bar + 0 * row + k, stride);
            const auto Q_0 = load<F>(m[3] + 0 * row + k, stride);
            const auto t25 = v_0 * Q_0 + v_1 * Q_1 + v_2 * Q_2;
            const auto t26 = A_bar_3 - A_bar_4 * Real(0.5773502691896257);
            const auto t27 = (t25 * t26 - t15 * t17) * Real(0.5) + t11 * A_bar_2 + t19 * A_bar_1 +
                t22 * A_bar_0 + t7 * A_bar_4 * Real(0.5773502691896257);
            const auto matrix_weight_10 = load_vector(matrix_weights + 10 * stride + k);
            const auto A_1 = load<F>(m[2] + 1 * row + k, stride);
            const auto t30 = A_1 * A_1;
            const auto A_2 = load<F>(m[2] + 2 * row + k, stride);
            const auto t32 = A_2 * A_2;
            const auto A_3 = load<F>(m[2] + 3 * row + k, stride);
            const auto A_4 = load<F>(m[2] + 4 * row + k, stride);
            const auto t35 = A_3 - A_4 * Real(0.5773502691896257);
            const auto t36 = A_3 + A_4 * Real(0.5773502691896257);
            const auto t37 = t35 - t36;
            const auto t38 = t37 * t37;
            const auto t39 = t30 + t32 + t38;
            const auto A_0 = load<F>(m[2] + 0 * row + k, stride);
            const auto t41 = A_0 * A_1 - A_2 * t36 - A_2 * t37;
            const auto t42 = A_0 * A_0;
            const auto t43 = t36 * t36;
            const auto t44 = t32 + t42 + t43;
            const auto t45 = A_0 * A_2 + A_1 * t35 - A_1 * t37;
            const auto t46 = A_0 * t35 + A_1 * A_2 - A_0 * t36;
            const auto t47 = t35 * t35;
            const auto t48 = t30 + t42 + t47;
            const auto t49 = (t48 * t26 - t44 * t17) * Real(0.5) + t39 * A_bar_4 *
                Real(0.5773502691896257) + t41 * A_bar_2 + t45 * A_bar_1 + t46 * A_bar_0;
            const auto matrix_weight_6 = load_vector(matrix_weights + 6 * stride + k);
            const auto t51 = v_2 * v_2;
            const auto t52 = v_1 * v_2;
            const auto t53 = v_1 * v_1;
            const auto t54 = v_0 * v_2;
            const auto t55 = v_0 * v_1;
            const auto t56 = v_0 * v_0;
            const auto t57 = (t56 * t26 - t53 * t17) * Real(0.5) + t51 * A_bar_4 *
                Real(0.5773502691896257) + t52 * A_bar_2 + t54 * A_bar_1 + t55 * A_bar_0;
            const auto matrix_weight_5 = load_vector(matrix_weights + 5 * stride + k);
            const auto t59 = (t35 * t26 + t36 * t17) * Real(0.5) + A_0 * A_bar_0 + A_1 * A_bar_1 +
                A_2 * A_bar_2 - t37 * A_bar_4 * Real(0.5773502691896257);
            const auto matrix_weight_1 = load_vector(matrix_weights + 1 * stride + k);
            const auto t61 = (A_0 * Q_4 + A_1 * Q_5 + A_2 * Q_8) * Real(2.0) + Q_2 * t35 - Q_7 * t36
                - Q_9 * t37;
            const auto v_bar_2 = load<F>(v_bar + 2 * row + k, stride);
            const auto t63 = (A_0 * Q_3 + A_1 * Q_4 + A_2 * Q_7) * Real(2.0) + Q_1 * t35 - Q_6 * t36
                - Q_8 * t37;
            const auto v_bar_1 = load<F>(v_bar + 1 * row + k, stride);
            const auto t65 = (A_0 * Q_1 + A_1 * Q_2 + A_2 * Q_4) * Real(2.0) + Q_0 * t35 - Q_3 * t36
                - Q_5 * t37;
            const auto v_bar_0 = load<F>(v_bar + 0 * row + k, stride);
            const auto t67 = t61 * v_bar_2 + t63 * v_bar_1 + t65 * v_bar_0;
            const auto vector_weight_9 = load_vector(vector_weights + 9 * stride + k);
            const auto t69 = v_0 * A_1 + v_1 * A_2 - v_2 * t37;
            const auto t70 = v_0 * A_0 + v_2 * A_2 - v_1 * t36;
            const auto t71 = v_0 * t35 + v_1 * A_0 + v_2 * A_1;
            const auto t72 = t69 * v_bar_2 + t70 * v_bar_1 + t71 * v_bar_0;
            const auto vector_weight_6 = load_vector(vector_weights + 6 * stride + k);
            const auto t74 = v_0 * v_bar_0 + v_1 * v_bar_1 + v_2 * v_bar_2;
            const auto vector_weight_1 = load_vector(vector_weights + 1 * stride + k);
            const auto t76 = (t30 + t32 + t42) * Real(2.0) + t38 + t43 + t47;
            const auto b_bar_6 = load<F>(b_bar + 6 * stride + k, width);
            const auto t78 = t51 + t53 + t56;
            const auto b_bar_5 = load<F>(b_bar + 5 * stride + k, width);
            const auto s_0 = load<F>(m[0] + 0 * row + k, stride);
            const auto t81 = s_0 * s_0;
            const auto b_bar_4 = load<F>(b_bar + 4 * stride + k, width);
            const auto b_bar_1 = load<F>(b_bar + 1 * stride + k, width);
            const auto matrix_weight_4 = load_vector(matrix_weights + 4 * stride + k);
            const auto vector_weight_3 = load_vector(vector_weights + 3 * stride + k);
            const auto t86 = b_bar_1 + s_0 * b_bar_4 * Real(0.5) + t59 * matrix_weight_4 + t74 *
                vector_weight_3;
            const auto t87 = (t27 * matrix_weight_10 + t57 * matrix_weight_5) *
                Real(1.4142135623730951) + (t49 * matrix_weight_6 + t67 * vector_weight_9 + t72 *
                vector_weight_6) * Real(0.7071067811865476) + b_bar_0 + s_0 * t86 * Real(2.0) + t59
                * matrix_weight_1 + t74 * vector_weight_1 + t76 * b_bar_6 * Real(0.1) + t78 *
                b_bar_5 * Real(0.3333333333333333) + t81 * b_bar_4 * Real(0.5);
            store(m_bar[0] + 0 * row + k, stride, t87);
            const auto matrix_weight_7 = load_vector(matrix_weights + 7 * stride + k);
            const auto t89 = A_bar_1 * matrix_weight_7;
            const auto t90 = A_bar_0 * matrix_weight_7;
            const auto vector_weight_0 = load_vector(vector_weights + 0 * stride + k);
            const auto vector_weight_4 = load_vector(vector_weights + 4 * stride + k);
            const auto vector_weight_5 = load_vector(vector_weights + 5 * stride + k);
            const auto t94 = s_0 * vector_weight_1 + t76 * vector_weight_5 * Real(0.1) + t78 *
                vector_weight_4 * Real(0.3333333333333333) + t81 * vector_weight_3 +
                vector_weight_0;
            const auto b_bar_7 = load<F>(b_bar + 7 * stride + k, width);
            const auto t96 = b_bar_7 + t26 * matrix_weight_7 * Real(2.1213203435596424);
            const auto matrix_weight_9 = load_vector(matrix_weights + 9 * stride + k);
            const auto t98 = s_0 * matrix_weight_10 + matrix_weight_9;
            const auto b_bar_12 = load<F>(b_bar + 12 * stride + k, width);
            const auto b_bar_11 = load<F>(b_bar + 11 * stride + k, width);
            const auto t101 = t51 * b_bar_12 * Real(0.408248290463863) + t98 * A_bar_4 - t37 *
                b_bar_11 * Real(0.28867513459481287);
            const auto t102 = A_2 * b_bar_11 * Real(0.3333333333333333) + t52 * b_bar_12 *
                Real(0.4714045207910317) + t98 * A_bar_2;
            const auto t103 = t36 * b_bar_11 * Real(0.3333333333333333) + t98 * t17 - t53 * b_bar_12
                * Real(0.4714045207910317);
            const auto t104 = A_1 * b_bar_11 * Real(0.3333333333333333) + t54 * b_bar_12 *
                Real(0.4714045207910317) + t98 * A_bar_1;
            const auto t105 = A_0 * b_bar_11 * Real(0.3333333333333333) + t55 * b_bar_12 *
                Real(0.4714045207910317) + t98 * A_bar_0;
            const auto t106 = t35 * b_bar_11 * Real(0.3333333333333333) + t56 * b_bar_12 *
                Real(0.4714045207910317) + t98 * t26;
            const auto matrix_weight_2 = load_vector(matrix_weights + 2 * stride + k);
            const auto t108 = s_0 * matrix_weight_5 + matrix_weight_2;
            const auto t109 = t108 * A_bar_1 + t19 * b_bar_12 * Real(0.4714045207910317);
            const auto t110 = t108 * A_bar_0 + t22 * b_bar_12 * Real(0.4714045207910317);
            const auto t111 = A_bar_2 * matrix_weight_7;
            const auto vector_weight_2 = load_vector(vector_weights + 2 * stride + k);
            const auto t113 = s_0 * vector_weight_6 + vector_weight_2;
            const auto b_bar_9 = load<F>(b_bar + 9 * stride + k, width);
            const auto t115 = A_bar_4 * matrix_weight_7 * Real(2.449489742783178) + b_bar_7;
            const auto vector_weight_7 = load_vector(vector_weights + 7 * stride + k);
            const auto t117 = v_bar_2 * vector_weight_7;
            const auto t118 = v_bar_1 * vector_weight_7;
            const auto t119 = v_bar_0 * vector_weight_7;
            const auto t120 = A_1 * t119 + A_2 * t118 + t113 * v_bar_2 * Real(1.4142135623730951) +
                t69 * b_bar_9 * Real(0.6666666666666666) + v_0 * t89 + v_1 * t111 + v_2 * t115 *
                Real(0.4714045207910317) - t37 * t117;
            const auto t121 = b_bar_7 - t17 * matrix_weight_7 * Real(2.1213203435596424);
            const auto t122 = A_0 * t119 + A_2 * t117 + t113 * v_bar_1 * Real(1.4142135623730951) +
                t70 * b_bar_9 * Real(0.6666666666666666) + v_0 * t90 + v_1 * t121 *
                Real(0.4714045207910317) + v_2 * t111 - t36 * t118;
            const auto t123 = A_0 * t118 + A_1 * t117 + t113 * v_bar_0 * Real(1.4142135623730951) +
                t35 * t119 + t71 * b_bar_9 * Real(0.6666666666666666) + v_0 * t96 *
                Real(0.4714045207910317) + v_1 * t90 + v_2 * t89;
            const auto b_bar_2 = load<F>(b_bar + 2 * stride + k, width);
            const auto matrix_weight_8 = load_vector(matrix_weights + 8 * stride + k);
            const auto t126 = t59 * matrix_weight_8;
            const auto t127 = b_bar_2 + s_0 * b_bar_5 + t126 + t74 * vector_weight_4;
            const auto t128 = t108 * t26 * Real(2.1213203435596424) + t127 + t25 * b_bar_12;
            const auto t129 = (Q_0 * t106 - Q_3 * t103) * Real(1.4142135623730951) + (Q_1 * t105 +
                Q_2 * t104 + Q_4 * t102 + v_1 * t110 + v_2 * t109) * Real(2.8284271247461903) + A_0
                * t122 + A_1 * t120 + Q_5 * t101 * Real(1.632993161855452) + t35 * t123 + t69 * t89
                + t70 * t90 + t71 * t96 * Real(0.4714045207910317) + t94 * v_bar_0 * Real(2.0) + v_0
                * t128 * Real(1.3333333333333333);
            store(m_bar[1] + 0 * row + k, stride, t129 * Real(0.5));
            const auto t130 = t108 * A_bar_2 + t11 * b_bar_12 * Real(0.4714045207910317);
            const auto t131 = t127 + t15 * b_bar_12 - t108 * t17 * Real(2.1213203435596424);
            const auto t132 = (Q_1 * t106 - Q_6 * t103) * Real(1.4142135623730951) + (Q_3 * t105 +
                Q_4 * t104 + Q_7 * t102 + v_0 * t110 + v_2 * t130) * Real(2.8284271247461903) + A_0
                * t123 + A_2 * t120 + Q_8 * t101 * Real(1.632993161855452) + t69 * t111 + t70 * t121
                * Real(0.4714045207910317) + t71 * t90 + t94 * v_bar_1 * Real(2.0) + v_1 * t131 *
                Real(1.3333333333333333) - t36 * t122;
            store(m_bar[1] + 1 * row + k, stride, t132 * Real(0.5));
            const auto t133 = t108 * A_bar_4 * Real(2.449489742783178) + t127 + t7 * b_bar_12;
            const auto t134 = (Q_2 * t106 - Q_7 * t103) * Real(1.4142135623730951) + (Q_4 * t105 +
                Q_5 * t104 + Q_8 * t102 + v_0 * t109 + v_1 * t130) * Real(2.8284271247461903) + A_1
                * t123 + A_2 * t122 + Q_9 * t101 * Real(1.632993161855452) + t69 * t115 *
                Real(0.4714045207910317) + t70 * t111 + t71 * t89 + t94 * v_bar_2 * Real(2.0) + v_2
                * t133 * Real(1.3333333333333333) - t37 * t120;
            store(m_bar[1] + 2 * row + k, stride, t134 * Real(0.5));
            const auto matrix_weight_0 = load_vector(matrix_weights + 0 * stride + k);
            const auto t136 = t76 * Real(0.3) + t78;
            const auto t137 = s_0 * matrix_weight_1 + t136 * matrix_weight_8 *
                Real(0.3333333333333333) + t81 * matrix_weight_4 + matrix_weight_0;
            const auto b_bar_8 = load<F>(b_bar + 8 * stride + k, width);
            const auto vector_weight_8 = load_vector(vector_weights + 8 * stride + k);
            const auto t140 = s_0 * vector_weight_9 + vector_weight_8;
            const auto t141 = t140 * v_bar_2;
            const auto t142 = t140 * v_bar_1;
            const auto t143 = t140 * v_bar_0;
            const auto matrix_weight_3 = load_vector(matrix_weights + 3 * stride + k);
            const auto t145 = s_0 * matrix_weight_6 + matrix_weight_3;
            const auto t146 = A_2 * b_bar_8 * Real(0.3333333333333333) + t145 * A_bar_2;
            const auto t147 = A_1 * b_bar_8 * Real(0.3333333333333333) + t145 * A_bar_1;
            const auto t148 = A_0 * b_bar_8 * Real(0.3333333333333333) + t145 * A_bar_0;
            const auto t149 = t145 * t17 + t36 * b_bar_8 * Real(0.3333333333333333);
            const auto t150 = t145 * t26 + t35 * b_bar_8 * Real(0.3333333333333333);
            const auto b_bar_3 = load<F>(b_bar + 3 * stride + k, width);
            const auto t152 = b_bar_3 + s_0 * b_bar_6 + t126 + t74 * vector_weight_5;
            const auto t153 = t150 + t152 * Real(0.565685424949238) - t149;
            const auto t154 = (Q_1 * t143 + Q_3 * t142 + Q_4 * t141) * Real(2.0) + (t70 * t119 + t71
                * t118 + v_0 * t122 + v_1 * t123) * Real(0.7071067811865476) + A_0 * t153 + A_1 *
                t146 + A_2 * t147 + t137 * A_bar_0 * Real(1.4142135623730951) + t22 * b_bar_11 *
                Real(0.6666666666666666) + t35 * t148 + t46 * b_bar_8 * Real(0.3333333333333333) -
                t36 * t148;
            store(m_bar[2] + 0 * row + k, stride, t154 * Real(0.7071067811865476));
            const auto t155 = t145 * A_bar_4 - t37 * b_bar_8 * Real(0.28867513459481287);
            const auto t156 = t150 * Real(0.8660254037844386) + t152 * Real(0.4898979485566356) +
                t155;
            const auto t157 = (A_0 * t146 + A_2 * t148 + t35 * t147 - t37 * t147) *
                Real(1.4142135623730951) + (Q_2 * t143 + Q_4 * t142 + Q_5 * t141) *
                Real(2.8284271247461903) + A_1 * t156 * Real(1.632993161855452) + t137 * A_bar_1 *
                Real(2.0) + t19 * b_bar_11 * Real(0.9428090415820634) + t45 * b_bar_8 *
                Real(0.4714045207910317) + t69 * t119 + t71 * t117 + v_0 * t120 + v_2 * t123;
            store(m_bar[2] + 1 * row + k, stride, t157 * Real(0.5));
            const auto t158 = t152 * Real(0.4898979485566356) + t155 - t149 *
                Real(0.8660254037844386);
            const auto t159 = (A_0 * t147 + A_1 * t148 - t36 * t146 - t37 * t146) *
                Real(1.4142135623730951) + (Q_4 * t143 + Q_7 * t142 + Q_8 * t141) *
                Real(2.8284271247461903) + A_2 * t158 * Real(1.632993161855452) + t11 * b_bar_11 *
                Real(0.9428090415820634) + t137 * A_bar_2 * Real(2.0) + t41 * b_bar_8 *
                Real(0.4714045207910317) + t69 * t118 + t70 * t117 + v_1 * t120 + v_2 * t122;
            store(m_bar[2] + 2 * row + k, stride, t159 * Real(0.5));
            const auto t160 = A_2 * t146;
            const auto t161 = A_0 * t148;
            const auto t162 = t149 - t152 * Real(0.282842712474619);
            const auto t163 = A_1 * t147;
            const auto t164 = t152 * Real(0.2449489742783178) + t155;
            const auto t165 = (t69 * t117 + v_2 * t120) * Real(0.7071067811865476) + Q_5 * t143 +
                Q_8 * t142 + Q_9 * t141 + t137 * A_bar_4 * Real(0.816496580927726) + t160 + t163 +
                t39 * b_bar_8 * Real(0.16666666666666666) + t7 * b_bar_11 * Real(0.3333333333333333)
                - t37 * t164 * Real(1.1547005383792515);
            const auto t166 = (t137 * t17 - t70 * t118 - v_1 * t122) * Real(0.7071067811865476) +
                t165 - Q_3 * t143 - Q_6 * t142 - Q_7 * t141 - t15 * b_bar_11 *
                Real(0.3333333333333333) - t160 - t161 - t36 * t162 - t44 * b_bar_8 *
                Real(0.16666666666666666);
            const auto t167 = t150 + t152 * Real(0.282842712474619);
            const auto t168 = (t137 * t26 + t71 * t119 + v_0 * t123) * Real(0.7071067811865476) +
                Q_0 * t143 + Q_1 * t142 + Q_2 * t141 + t161 + t163 + t25 * b_bar_11 *
                Real(0.3333333333333333) + t35 * t167 + t48 * b_bar_8 * Real(0.16666666666666666) -
                t165;
            const auto t169 = t166 + t168;
            store(m_bar[2] + 3 * row + k, stride, t169 * Real(0.7071067811865476));
            const auto t170 = t166 - t168;
            store(m_bar[2] + 4 * row + k, stride, t170 * Real(0.408248290463863));
            const auto b_bar_10 = load<F>(b_bar + 10 * stride + k, width);
            const auto t172 = Q_0 * b_bar_10 * Real(0.40406101782088427) + t35 * t143 + v_0 * t106;
            store(m_bar[3] + 0 * row + k, stride, t172 * Real(0.7071067811865476));
            const auto t173 = (t35 * t142 + v_1 * t106) * Real(0.5) + A_0 * t143 + Q_1 * b_bar_10 *
                Real(0.6060915267313265) + v_0 * t105;
            store(m_bar[3] + 1 * row + k, stride, t173 * Real(1.4142135623730951));
            const auto t174 = (t35 * t141 + v_2 * t106) * Real(0.5) + A_1 * t143 + Q_2 * b_bar_10 *
                Real(0.6060915267313265) + v_0 * t104;
            store(m_bar[3] + 2 * row + k, stride, t174 * Real(1.4142135623730951));
            const auto t175 = t36 * t143 + v_0 * t103 - (A_0 * t142 + v_1 * t105) * Real(2.0) - Q_3
                * b_bar_10 * Real(1.212183053462653);
            store(m_bar[3] + 3 * row + k, stride, t175 * Real(-0.7071067811865476));
            const auto t176 = A_0 * t141 + A_1 * t142 + A_2 * t143 + Q_4 * b_bar_10 *
                Real(1.212183053462653) + v_0 * t102 + v_1 * t104 + v_2 * t105;
            store(m_bar[3] + 4 * row + k, stride, t176 * Real(1.4142135623730951));
            const auto t177 = A_1 * t141 + Q_5 * b_bar_10 * Real(0.6060915267313265) + v_0 * t101 *
                Real(0.5773502691896257) + v_2 * t104 - t37 * t143 * Real(0.5);
            store(m_bar[3] + 5 * row + k, stride, t177 * Real(1.4142135623730951));
            const auto t178 = t36 * t142 + v_1 * t103 - Q_6 * b_bar_10 * Real(0.40406101782088427);
            store(m_bar[3] + 6 * row + k, stride, t178 * Real(-0.7071067811865476));
            const auto t179 = A_2 * t142 + Q_7 * b_bar_10 * Real(0.6060915267313265) + v_1 * t102 -
                (t36 * t141 + v_2 * t103) * Real(0.5);
            store(m_bar[3] + 7 * row + k, stride, t179 * Real(1.4142135623730951));
            const auto t180 = A_2 * t141 + Q_8 * b_bar_10 * Real(0.6060915267313265) + v_1 * t101 *
                Real(0.5773502691896257) + v_2 * t102 - t37 * t142 * Real(0.5);
            store(m_bar[3] + 8 * row + k, stride, t180 * Real(1.4142135623730951));
            const auto t181 = Q_9 * b_bar_10 + v_2 * t101 * Real(2.857738033247041) - t37 * t141 *
                Real(2.4748737341529163);
            store(m_bar[3] + 9 * row + k, stride, t181 * Real(0.2857142857142857));
            add_last_plane(vector_weights_bar + 0 * stride + k, t74);
            const auto t182 = s_0 * t74;
            add_last_plane(vector_weights_bar + 1 * stride + k, t182);
            add_last_plane(vector_weights_bar + 2 * stride + k, t72 * Real(0.7071067811865476));
            const auto t183 = t81 * t74;
            add_last_plane(vector_weights_bar + 3 * stride + k, t183);
            const auto t184 = t78 * t74;
            add_last_plane(vector_weights_bar + 4 * stride + k, t184 * Real(0.3333333333333333));
            const auto t185 = t76 * t74;
            add_last_plane(vector_weights_bar + 5 * stride + k, t185 * Real(0.1));
            const auto t186 = s_0 * t72;
            add_last_plane(vector_weights_bar + 6 * stride + k, t186 * Real(0.7071067811865476));
            const auto t187 = A_1 * t71 + A_2 * t70 - t37 * t69;
            const auto t188 = A_0 * t71 + A_2 * t69 - t36 * t70;
            const auto t189 = A_0 * t70 + A_1 * t69 + t35 * t71;
            const auto t190 = t187 * v_bar_2 + t188 * v_bar_1 + t189 * v_bar_0;
            add_last_plane(vector_weights_bar + 7 * stride + k, t190 * Real(0.5));
            add_last_plane(vector_weights_bar + 8 * stride + k, t67 * Real(0.7071067811865476));
            const auto t191 = s_0 * t67;
            add_last_plane(vector_weights_bar + 9 * stride + k, t191 * Real(0.7071067811865476));
            add_last_plane(matrix_weights_bar + 0 * stride + k, t59);
            const auto t192 = s_0 * t59;
            add_last_plane(matrix_weights_bar + 1 * stride + k, t192);
            add_last_plane(matrix_weights_bar + 2 * stride + k, t57 * Real(1.4142135623730951));
            add_last_plane(matrix_weights_bar + 3 * stride + k, t49 * Real(0.7071067811865476));
            const auto t193 = t81 * t59;
            add_last_plane(matrix_weights_bar + 4 * stride + k, t193);
            const auto t194 = s_0 * t57;
            add_last_plane(matrix_weights_bar + 5 * stride + k, t194 * Real(1.4142135623730951));
            const auto t195 = s_0 * t49;
            add_last_plane(matrix_weights_bar + 6 * stride + k, t195 * Real(0.7071067811865476));
            const auto t196 = v_2 * t69;
            const auto t197 = v_1 * t69 + v_2 * t70;
            const auto t198 = v_1 * t70;
            const auto t199 = v_0 * t69 + v_2 * t71;
            const auto t200 = v_0 * t70 + v_1 * t71;
            const auto t201 = v_0 * t71;
            const auto t202 = t196 * A_bar_4 * Real(1.1547005383792515) + t197 * A_bar_2 + t199 *
                A_bar_1 + t200 * A_bar_0 + t201 * t26 - t198 * t17;
            add_last_plane(matrix_weights_bar + 7 * stride + k, t202 * Real(0.5));
            const auto t203 = t136 * t59;
            add_last_plane(matrix_weights_bar + 8 * stride + k, t203 * Real(0.3333333333333333));
            add_last_plane(matrix_weights_bar + 9 * stride + k, t27 * Real(1.4142135623730951));
            const auto t204 = s_0 * t27;
            add_last_plane(matrix_weights_bar + 10 * stride + k, t204 * Real(1.4142135623730951));
        } else if constexpr (l_max == 3 && !tensors) {
            const auto b_bar_0 = load<F>(b_bar + 0 * stride + k, width);
            const auto A_3 = load<F>(m[2] + 3 * row + k, stride);
            const auto A_4 = load<F>(m[2] + 4 * row + k, stride);
            const auto t3 = A_3 - A_4 * Real(0.5773502691896257);
            const auto t4 = t3 * t3;
            const auto A_0 = load<F>(m[2] + 0 * row + k, stride);
            const auto t6 = A_0 * A_0;
            const auto A_1 = load<F>(m[2] + 1 * row + k, stride);
            const auto t8 = A_1 * A_1;
            const auto t9 = A_3 + A_4 * Real(0.5773502691896257);
            const auto t10 = t9 * t9;
            const auto A_2 = load<F>(m[2] + 2 * row + k, stride);
            const auto t12 = A_2 * A_2;
            const auto t13 = t3 - t9;
            const auto t14 = t13 * t13;
            const auto t15 = (t12 + t6 + t8) * Real(2.0) + t10 + t14 + t4;
            const auto b_bar_6 = load<F>(b_bar + 6 * stride + k, width);
            const auto v_0 = load<F>(m[1] + 0 * row + k, stride);
            const auto t18 = v_0 * v_0;
            const auto v_1 = load<F>(m[1] + 1 * row + k, stride);
            const auto t20 = v_1 * v_1;
            const auto v_2 = load<F>(m[1] + 2 * row + k, stride);
            const auto t22 = v_2 * v_2;
            const auto t23 = t18 + t20 + t22;
            const auto b_bar_5 = load<F>(b_bar + 5 * stride + k, width);
            const auto s_0 = load<F>(m[0] + 0 * row + k, stride);
            const auto t26 = s_0 * s_0;
            const auto b_bar_4 = load<F>(b_bar + 4 * stride + k, width);
            const auto b_bar_1 = load<F>(b_bar + 1 * stride + k, width);
            const auto t29 = b_bar_1 + s_0 * b_bar_4 * Real(0.5);
            const auto t30 = b_bar_0 + s_0 * t29 * Real(2.0) + t15 * b_bar_6 * Real(0.1) + t23 *
                b_bar_5 * Real(0.3333333333333333) + t26 * b_bar_4 * Real(0.5);
            store(m_bar[0] + 0 * row + k, stride, t30);
            const auto t31 = v_0 * t3 + v_1 * A_0 + v_2 * A_1;
            const auto b_bar_7 = load<F>(b_bar + 7 * stride + k, width);
            const auto Q_5 = load<F>(m[3] + 5 * row + k, stride);
            const auto b_bar_12 = load<F>(b_bar + 12 * stride + k, width);
            const auto b_bar_11 = load<F>(b_bar + 11 * stride + k, width);
            const auto t36 = t22 * b_bar_12 - t13 * b_bar_11 * Real(0.7071067811865476);
            const auto Q_4 = load<F>(m[3] + 4 * row + k, stride);
            const auto t38 = v_1 * v_2;
            const auto t39 = A_2 * b_bar_11 * Real(0.7071067811865476) + t38 * b_bar_12;
            const auto Q_3 = load<F>(m[3] + 3 * row + k, stride);
            const auto t41 = t20 * b_bar_12 - t9 * b_bar_11 * Real(0.7071067811865476);
            const auto Q_2 = load<F>(m[3] + 2 * row + k, stride);
            const auto t43 = v_0 * v_2;
            const auto t44 = A_1 * b_bar_11 * Real(0.7071067811865476) + t43 * b_bar_12;
            const auto Q_1 = load<F>(m[3] + 1 * row + k, stride);
            const auto t46 = v_0 * v_1;
            const auto t47 = A_0 * b_bar_11 * Real(0.7071067811865476) + t46 * b_bar_12;
            const auto Q_0 = load<F>(m[3] + 0 * row + k, stride);
            const auto t49 = t18 * b_bar_12 + t3 * b_bar_11 * Real(0.7071067811865476);
            const auto t50 = v_0 * Q_2 + v_1 * Q_4 + v_2 * Q_5;
            const auto t51 = t50 * b_bar_12;
            const auto t52 = v_0 * Q_1 + v_1 * Q_3 + v_2 * Q_4;
            const auto t53 = t52 * b_bar_12;
            const auto t54 = v_0 * A_1 + v_1 * A_2 - v_2 * t13;
            const auto b_bar_9 = load<F>(b_bar + 9 * stride + k, width);
            const auto t56 = t54 * b_bar_9 + v_2 * b_bar_7 * Real(0.7071067811865476);
            const auto t57 = v_0 * A_0 + v_2 * A_2 - v_1 * t9;
            const auto t58 = t57 * b_bar_9 + v_1 * b_bar_7 * Real(0.7071067811865476);
            const auto t59 = t31 * b_bar_9 + v_0 * b_bar_7 * Real(0.7071067811865476);
            const auto t60 = v_0 * Q_0 + v_1 * Q_1 + v_2 * Q_2;
            const auto b_bar_2 = load<F>(b_bar + 2 * stride + k, width);
            const auto t62 = b_bar_2 + s_0 * b_bar_5;
            const auto t63 = t60 * b_bar_12 + t62;
            const auto t64 = (Q_1 * t47 + Q_2 * t44 + Q_4 * t39 + v_0 * t63 + v_1 * t53 + v_2 * t51)
                * Real(2.0) + A_0 * t58 + A_1 * t56 + Q_0 * t49 + Q_3 * t41 + Q_5 * t36 + t3 * t59 +
                t31 * b_bar_7 * Real(0.7071067811865476);
            store(m_bar[1] + 0 * row + k, stride, t64 * Real(0.3333333333333333));
            const auto Q_8 = load<F>(m[3] + 8 * row + k, stride);
            const auto Q_7 = load<F>(m[3] + 7 * row + k, stride);
            const auto Q_6 = load<F>(m[3] + 6 * row + k, stride);
            const auto t68 = v_0 * Q_4 + v_1 * Q_7 + v_2 * Q_8;
            const auto t69 = t68 * b_bar_12;
            const auto t70 = v_0 * Q_3 + v_1 * Q_6 + v_2 * Q_7;
            const auto t71 = t62 + t70 * b_bar_12;
            const auto t72 = (Q_3 * t47 + Q_4 * t44 + Q_7 * t39 + v_0 * t53 + v_1 * t71 + v_2 * t69)
                * Real(2.0) + A_0 * t59 + A_2 * t56 + Q_1 * t49 + Q_6 * t41 + Q_8 * t36 + t57 *
                b_bar_7 * Real(0.7071067811865476) - t9 * t58;
            store(m_bar[1] + 1 * row + k, stride, t72 * Real(0.3333333333333333));
            const auto Q_9 = load<F>(m[3] + 9 * row + k, stride);
            const auto t74 = v_0 * Q_5 + v_1 * Q_8 + v_2 * Q_9;
            const auto t75 = t62 + t74 * b_bar_12;
            const auto t76 = (Q_4 * t47 + Q_5 * t44 + Q_8 * t39 + v_0 * t51 + v_1 * t69 + v_2 * t75)
                * Real(2.0) + A_1 * t59 + A_2 * t58 + Q_2 * t49 + Q_7 * t41 + Q_9 * t36 + t54 *
                b_bar_7 * Real(0.7071067811865476) - t13 * t56;
            store(m_bar[1] + 2 * row + k, stride, t76 * Real(0.3333333333333333));
            const auto t77 = A_0 * t3 + A_1 * A_2 - A_0 * t9;
            const auto b_bar_8 = load<F>(b_bar + 8 * stride + k, width);
            const auto t79 = A_2 * b_bar_8;
            const auto t80 = A_1 * b_bar_8;
            const auto t81 = A_0 * b_bar_8;
            const auto t82 = t9 * b_bar_8;
            const auto t83 = t3 * b_bar_8;
            const auto b_bar_3 = load<F>(b_bar + 3 * stride + k, width);
            const auto t85 = b_bar_3 + s_0 * b_bar_6;
            const auto t86 = t83 + t85 * Real(1.697056274847714) - t82;
            const auto t87 = (v_0 * t58 + v_1 * t59) * Real(1.4142135623730951) + A_0 * t86 + A_1 *
                t79 + A_2 * t80 + t3 * t81 + t52 * b_bar_11 * Real(2.0) + t77 * b_bar_8 - t9 * t81;
            store(m_bar[2] + 0 * row + k, stride, t87 * Real(0.23570226039551584));
            const auto t88 = A_0 * A_2 + A_1 * t3 - A_1 * t13;
            const auto t89 = t13 * b_bar_8;
            const auto t90 = t83 + t85 * Real(1.697056274847714) - t89;
            const auto t91 = (v_0 * t56 + v_2 * t59) * Real(1.4142135623730951) + A_0 * t79 + A_1 *
                t90 + A_2 * t81 + t3 * t80 + t50 * b_bar_11 * Real(2.0) + t88 * b_bar_8 - t13 * t80;
            store(m_bar[2] + 1 * row + k, stride, t91 * Real(0.23570226039551584));
            const auto t92 = A_0 * A_1 - A_2 * t13 - A_2 * t9;
            const auto t93 = t82 + t89 - t85 * Real(1.697056274847714);
            const auto t94 = (v_1 * t56 + v_2 * t58) * Real(1.4142135623730951) + A_0 * t80 + A_1 *
                t81 + t68 * b_bar_11 * Real(2.0) + t92 * b_bar_8 - A_2 * t93 - t13 * t79 - t9 * t79;
            store(m_bar[2] + 2 * row + k, stride, t94 * Real(0.23570226039551584));
            const auto t95 = t10 + t12 + t6;
            const auto t96 = A_2 * t79;
            const auto t97 = A_0 * t81;
            const auto t98 = t82 - t85 * Real(0.848528137423857);
            const auto t99 = t12 + t14 + t8;
            const auto t100 = A_1 * t80;
            const auto t101 = t89 - t85 * Real(0.848528137423857);
            const auto t102 = t100 + t13 * t101 + t74 * b_bar_11 + t96 + t99 * b_bar_8 * Real(0.5) +
                v_2 * t56 * Real(1.4142135623730951);
            const auto t103 = t102 - t70 * b_bar_11 - t9 * t98 - t95 * b_bar_8 * Real(0.5) - t96 -
                t97 - v_1 * t58 * Real(1.4142135623730951);
            const auto t104 = t4 + t6 + t8;
            const auto t105 = t83 + t85 * Real(0.848528137423857);
            const auto t106 = t100 + t104 * b_bar_8 * Real(0.5) + t3 * t105 + t60 * b_bar_11 + t97 +
                v_0 * t59 * Real(1.4142135623730951) - t102;
            const auto t107 = t103 + t106;
            store(m_bar[2] + 3 * row + k, stride, t107 * Real(0.23570226039551584));
            const auto t108 = t103 - t106;
            store(m_bar[2] + 4 * row + k, stride, t108 * Real(0.13608276348795434));
            const auto b_bar_10 = load<F>(b_bar + 10 * stride + k, width);
            const auto t110 = Q_0 * b_bar_10 + v_0 * t49 * Real(1.1666666666666667);
            store(m_bar[3] + 0 * row + k, stride, t110 * Real(0.2857142857142857));
            const auto t111 = Q_1 * b_bar_10 + v_0 * t47 * Real(0.7777777777777778) + v_1 * t49 *
                Real(0.3888888888888889);
            store(m_bar[3] + 1 * row + k, stride, t111 * Real(0.8571428571428572));
            const auto t112 = Q_2 * b_bar_10 + v_0 * t44 * Real(0.7777777777777778) + v_2 * t49 *
                Real(0.3888888888888889);
            store(m_bar[3] + 2 * row + k, stride, t112 * Real(0.8571428571428572));
            const auto t113 = Q_3 * b_bar_10 + v_0 * t41 * Real(0.3888888888888889) + v_1 * t47 *
                Real(0.7777777777777778);
            store(m_bar[3] + 3 * row + k, stride, t113 * Real(0.8571428571428572));
            const auto t114 = Q_4 * b_bar_10 * Real(2.5714285714285716) + v_0 * t39 + v_1 * t44 +
                v_2 * t47;
            store(m_bar[3] + 4 * row + k, stride, t114 * Real(0.6666666666666666));
            const auto t115 = Q_5 * b_bar_10 + v_0 * t36 * Real(0.3888888888888889) + v_2 * t44 *
                Real(0.7777777777777778);
            store(m_bar[3] + 5 * row + k, stride, t115 * Real(0.8571428571428572));
            const auto t116 = Q_6 * b_bar_10 + v_1 * t41 * Real(1.1666666666666667);
            store(m_bar[3] + 6 * row + k, stride, t116 * Real(0.2857142857142857));
            const auto t117 = Q_7 * b_bar_10 + v_1 * t39 * Real(0.7777777777777778) + v_2 * t41 *
                Real(0.3888888888888889);
            store(m_bar[3] + 7 * row + k, stride, t117 * Real(0.8571428571428572));
            const auto t118 = Q_8 * b_bar_10 + v_1 * t36 * Real(0.3888888888888889) + v_2 * t39 *
                Real(0.7777777777777778);
            store(m_bar[3] + 8 * row + k, stride, t118 * Real(0.8571428571428572));
            const auto t119 = Q_9 * b_bar_10 + v_2 * t36 * Real(1.1666666666666667);
            store(m_bar[3] + 9 * row + k, stride, t119 * Real(0.2857142857142857));
        } else static_assert(l_max < 0, "no products of this l_max");
    }
}

} // namespace
} // namespace reann
