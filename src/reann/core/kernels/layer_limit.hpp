// The limit of the moments: large moments of a channel are scaled down, so that products of four moments
// remain bounded.
//
//     m <- f m,   f = 1 / sqrt(1 + N / limit^2),   N = mean over l of m^l . m^l / n_l,   n_l = 1, 3, 5, 27
#pragma once

#include "functions.hpp"
#include "layer_scratch.hpp"

namespace reann {
namespace {

// Weight of the square of a component in N: for a tensor of rank three, all of its 27 entries count.
template <int l_max> constexpr double share(int l, int a) {
    constexpr double entries[] = {1, 3, 3, 3, 6, 3, 1, 3, 3, 1}; // xxx xxy xxz xyy xyz xzz yyy yyz yzz zzz
    return (l == 3 ? entries[a] / 27.0 : 1.0 / shell_size(l)) / (l_max + 1);
}

// Calls use(l, place, share) for all components of an atom, whose rows are `row` numbers long.
template <int l_max, class Use> REANN_INLINE void each_component(int i, int64_t row, const Use &use) {
    unrolled<0, l_max + 1>([&](auto l) REANN_LAMBDA {
        unrolled<0, shell_size(l.value)>([&](auto a) REANN_LAMBDA {
            use(l.value, (i * shell_size(l.value) + a.value) * row, share<l_max>(l.value, a.value));
        });
    });
}

template <class F, int l_max>
REANN_INLINE typename F::Lanes factor(const typename F::Real *const *m, int i, int stride, int k,
                                      typename F::Real per_limit) {
    using Real = typename F::Real;
    typename F::Lanes N = zero<F>();
    each_component<l_max>(i, F::planes * stride, [&](int l, int64_t at, double part) REANN_LAMBDA {
        const typename F::Lanes x = load<F>(m[l] + at + k, stride);
        N = N + x * x * Real(part);
    });
    return inverse_root<Real>(N * per_limit + Real(1));
}

template <class F, int l_max>
void limited(typename F::Real per_limit, int n, int stride, const typename F::Real *const *m,
             typename F::Real *const *to) {
    for (int i = 0; i < n; ++i)
        for (int k = 0; k < stride; k += lanes<typename F::Real>) {
            const typename F::Lanes f = factor<F, l_max>(m, i, stride, k, per_limit);
            each_component<l_max>(i, F::planes * stride, [&](int l, int64_t at, double) REANN_LAMBDA {
                store(to[l] + at + k, stride, load<F>(m[l] + at + k, stride) * f);
            });
        }
}

// m_bar: the adjoint of the limited moments on entry, that of the moments on return.
template <class F, int l_max>
void adjoint_of_limited(typename F::Real per_limit, int n, int stride, const typename F::Real *const *m,
                        typename F::Real *const *m_bar) {
    using Real = typename F::Real;
    for (int i = 0; i < n; ++i)
        for (int k = 0; k < stride; k += lanes<Real>) {
            const typename F::Lanes f = factor<F, l_max>(m, i, stride, k, per_limit);
            typename F::Lanes along = zero<F>();
            each_component<l_max>(i, F::planes * stride, [&](int l, int64_t at, double) REANN_LAMBDA {
                along = along + load<F>(m[l] + at + k, stride) * load<F>(m_bar[l] + at + k, stride);
            });
            const typename F::Lanes back = f * f * f * along * per_limit;
            each_component<l_max>(i, F::planes * stride, [&](int l, int64_t at, double part) REANN_LAMBDA {
                Real *own = m_bar[l] + at + k;
                const typename F::Lanes x = load<F>(m[l] + at + k, stride);
                store(own, stride, load<F>(own, stride) * f - x * back * Real(part));
            });
        }
}

} // namespace
} // namespace reann
