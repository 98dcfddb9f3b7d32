// The density of an atom: products of its moments, and their adjoint. Two moments of each l:
//
//     G^l_kk' = sum_{a in l} weight_a s^{a,k} s^{a,k'},   k <= k',   l after l
//
// is quadratic in the moments; contractions to orbitals and the standardization are linear in G and
// are part of the first layer of every network (fold.hpp). With the symmetric matrix
// M_kk' = dE/dG_kk' (1 + delta_kk'), the adjoint is dE/ds^{a,k'} = weight_a sum_k s^{a,k} M_kk'.
//
// Three and four moments, for each k, of the vector v of l = 1 and the matrix A of l = 2, behind G:
//
//     v A v,   tr A^3,   |A v|^2
#pragma once

#include "components.hpp"
#include "lanes.hpp"

namespace reann {
namespace {

// v and A of one vector of k; the components of l = 2 are xx, xy, xz, yy, yz, zz.
template <class F> struct VectorAndMatrix {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    static constexpr int of[3][3] = {{4, 5, 6}, {5, 7, 8}, {6, 8, 9}};
    Lanes v[3], A[3][3], Av[3], AA[3][3];

    VectorAndMatrix(const Real *s, int row, int stride) {
        for (int i = 0; i < 3; ++i) {
            v[i] = load<F>(s + (1 + i) * row, stride);
            for (int j = 0; j < 3; ++j) A[i][j] = load<F>(s + of[i][j] * row, stride);
        }
        for (int i = 0; i < 3; ++i) {
            Av[i] = dot(A[i], v);
            for (int j = 0; j < 3; ++j) AA[i][j] = dot(A[i], A[j]); // A is symmetric
        }
    }

    static REANN_INLINE Lanes dot(const Lanes *x, const Lanes *y) {
        return x[0] * y[0] + x[1] * y[1] + x[2] * y[2];
    }
};

// s: (components, planes, stride); P: (planes, width), three products of each k
template <class F>
void products_of_many(const typename F::Real *s, int n_radial, int stride, int width,
                      typename F::Real *P) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    constexpr int W = lanes<Real>;
    for (int k = 0; k < n_radial; k += W) {
        const VectorAndMatrix<F> m(s + k, F::planes * stride, stride);
        const Lanes products[3] = {
            m.dot(m.v, m.Av),
            m.dot(m.AA[0], m.A[0]) + m.dot(m.AA[1], m.A[1]) + m.dot(m.AA[2], m.A[2]),
            m.dot(m.Av, m.Av),
        };
        const int n = n_radial - k < W ? n_radial - k : W;
        for (int p = 0; p < 3; ++p) {
            Real found[F::planes * W];
            store(found, W, products[p]);
            for (int plane = 0; plane < F::planes; ++plane)
                for (int i = 0; i < n; ++i) P[plane * width + p * n_radial + k + i] = found[plane * W + i];
        }
    }
}

// P_bar: (planes, width); adds to S, whose layout is that of `adjoint_of_density`.
template <class F>
void adjoint_of_products_of_many(const typename F::Real *s, const typename F::Real *P_bar, int l_max,
                                 int n_radial, int stride, int width, typename F::Real *S) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    constexpr int W = lanes<Real>;
    for (int k = 0; k < n_radial; k += W, S += n_components(l_max) * F::planes * W) {
        const VectorAndMatrix<F> m(s + k, F::planes * stride, stride);
        const int n = n_radial - k < W ? n_radial - k : W;
        Lanes bar[3];
        for (int p = 0; p < 3; ++p) {
            Real given[F::planes * W] = {};
            for (int plane = 0; plane < F::planes; ++plane)
                for (int i = 0; i < n; ++i) given[plane * W + i] = P_bar[plane * width + p * n_radial + k + i];
            bar[p] = load<F>(given, W);
        }
        const auto add = [&](int a, const Lanes &x) REANN_LAMBDA {
            Real *to = S + a * F::planes * W;
            store(to, W, load<F>(to, W) + x);
        };
        for (int i = 0; i < 3; ++i) {
            const Lanes AAv = m.dot(m.A[i], m.Av);
            add(1 + i, (bar[0] * m.Av[i] + bar[2] * AAv) * Real(2));
            for (int j = i; j < 3; ++j) {
                const Lanes chain = m.Av[i] * m.v[j] + m.Av[j] * m.v[i];
                const Lanes one = bar[0] * (m.v[i] * m.v[j]) + bar[1] * m.AA[i][j] * Real(3) + bar[2] * chain;
                add(m.of[i][j], i == j ? one : one * Real(2)); // xy stands for yx, too
            }
        }
    }
}

// s: (components, planes, stride); G: (planes, width), one vector of room behind each row
template <class F>
void density(const typename F::Real *s, int l_max, int n_radial, bool many_body, int stride, int width,
             typename F::Real *G) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    const int row = F::planes * stride;
    int at = 0, a = 0;
    for (int l = 0; l <= l_max; ++l) {
        const int end = n_components(l);
        for (int k = 0; k < n_radial; ++k) {
            for (int next = k; next < n_radial; next += lanes<Real>) {
                Lanes sum = zero<F>();
                for (int b = a; b < end; ++b) {
                    const Real *s_b = s + b * row;
                    sum = sum + load<F>(s_b + next, stride) * (number<F>(s_b + k, stride) *
                                                               Real(component_weights.of[b]));
                }
                store(G + at + next - k, width, sum); // what is too much is overwritten
            }
            at += n_radial - k;
        }
        a = end;
    }
    if (many_body) {
        products_of_many<F>(s, n_radial, stride, width, G + at);
        at += 3 * n_radial;
    }
    for (int plane = 0; plane < F::planes; ++plane)
        for (int i = at; i < width; ++i) G[plane * width + i] = 0;
}

// G_bar: (planes, width); M: scratch (n_radial, planes, stride), zero in its padding;
// S: (stride / lanes, components, planes, lanes)
template <class F>
void adjoint_of_density(const typename F::Real *s, const typename F::Real *G_bar, int l_max,
                        int n_radial, bool many_body, int stride, int width, typename F::Real *M,
                        typename F::Real *S) {
    using Real = typename F::Real;
    using Lanes = typename F::Lanes;
    constexpr int W = lanes<Real>;
    const int row = F::planes * stride, n = n_components(l_max);
    int a = 0;
    for (int l = 0; l <= l_max; ++l) {
        for (int k = 0; k < n_radial; G_bar += n_radial - k++)
            for (int plane = 0; plane < F::planes; ++plane) {
                const Real *from = G_bar + plane * width - k;
                Real *to = M + k * row + plane * stride, *down = M + plane * stride + k;
                to[k] = from[k] + from[k];
                for (int next = k + 1; next < n_radial; ++next) {
                    to[next] = from[next];
                    down[next * row] = from[next];
                }
            }
        for (; a < n_components(l); ++a) {
            const Real weight = Real(component_weights.of[a]);
            for (int k = 0; k < stride; k += W) {
                Lanes sum = zero<F>();
                for (int other = 0; other < n_radial; ++other)
                    sum = sum + load<F>(M + other * row + k, stride) *
                                    number<F>(s + a * row + other, stride);
                store(S + (k / W * n + a) * F::planes * W, W, sum * weight);
            }
        }
    }
    if (many_body) adjoint_of_products_of_many<F>(s, G_bar, l_max, n_radial, stride, width, S);
}

} // namespace
} // namespace reann
