// Compiled once per instruction set, whose name is REANN_LEVEL. Everything is local to this object file
// except the table of its functions.

#include "passes.hpp"
#include "tables.hpp"

namespace reann {
namespace {

template <class Real, int order, int l_max> constexpr Passes<Real> passes() {
    using F = Field<Real, order>;
    return {prepare<F>, forward<F, l_max>, middle<F, l_max>, backward<F, l_max>};
}

template <class Real> int64_t scratch_size(const Weights<Real> &w, int planes) {
    return Scratch<Real>(w, planes, nullptr).size;
}

template <class Real>
double energy_of_nothing(const Weights<Real> &w, int element, Real *scratch) {
    return nothing<Field<Real, 0>>(w, element, scratch, 0.0, 0.0, nullptr);
}

template <class Real>
void gradient_of_nothing(const Weights<Real> &w, int element, Real *scratch, double count, double sum,
                         double *parameters) {
    nothing<Field<Real, 1>>(w, element, scratch, count, sum, parameters);
}

template <class Real> constexpr Form<Real> density_form() {
    static_assert(highest_l_max == 4, "each l_max needs its passes below");
    return {scratch_size<Real>,
            energy_of_nothing<Real>,
            gradient_of_nothing<Real>,
            {{passes<Real, 0, 0>(), passes<Real, 0, 1>(), passes<Real, 0, 2>(), passes<Real, 0, 3>(),
              passes<Real, 0, 4>()},
             {passes<Real, 1, 0>(), passes<Real, 1, 1>(), passes<Real, 1, 2>(), passes<Real, 1, 3>(),
              passes<Real, 1, 4>()},
             {}}};
}

template <class Real> constexpr Kernels<Real> kernels(const Form<Real> &equivariant) {
    return {lanes<Real>,    packed_size<Real>,    pack<Real>,
            multiply<Real>, density_form<Real>(), &equivariant};
}

} // namespace

const Level REANN_TABLE = {REANN_QUOTED(REANN_LEVEL), kernels<float>(REANN_EQUIVARIANT_TABLE.single),
                           kernels<double>(REANN_EQUIVARIANT_TABLE.precise)};

} // namespace reann
