// The kernels of the equivariant recursion, compiled once per instruction set, as level.cpp.

#include "equivariant.hpp"
#include "free_atom.hpp"
#include "tables.hpp"

namespace reann {
namespace {

template <class Real, int order, int l_max> constexpr Passes<Real> passes() {
    using F = Field<Real, order>;
    return {prepare_edges<F>, forward_layer<F, l_max>, middle_layer<F, l_max>, backward_layer<F, l_max>};
}

template <class Real> int64_t scratch_size(const Weights<Real> &w, int planes) {
    return LayerScratch<Real>(w, planes, nullptr).size;
}

template <class Real, int order>
double free_atom_of(const Weights<Real> &w, int element, Real *scratch, double count, double sum,
                    double *parameters) {
    using F = Field<Real, order>;
    switch (w.l_max) {
    case 1: return free_atom<F, 1>(w, element, scratch, count, sum, parameters);
    case 2: return free_atom<F, 2>(w, element, scratch, count, sum, parameters);
    default: return free_atom<F, 3>(w, element, scratch, count, sum, parameters);
    }
}

template <class Real> double energy_of_free_atom(const Weights<Real> &w, int element, Real *scratch) {
    return free_atom_of<Real, 0>(w, element, scratch, 0.0, 0.0, nullptr);
}

template <class Real>
void gradient_of_free_atom(const Weights<Real> &w, int element, Real *scratch, double count, double sum,
                           double *parameters) {
    free_atom_of<Real, 1>(w, element, scratch, count, sum, parameters);
}

template <class Real> constexpr Form<Real> form() {
    return {scratch_size<Real>,
            energy_of_free_atom<Real>,
            gradient_of_free_atom<Real>,
            {{{}, passes<Real, 0, 1>(), passes<Real, 0, 2>(), passes<Real, 0, 3>(), {}},
             {{}, passes<Real, 1, 1>(), passes<Real, 1, 2>(), passes<Real, 1, 3>(), {}},
             {{}, passes<Real, 2, 1>(), passes<Real, 2, 2>(), passes<Real, 2, 3>(), {}}}};
}

} // namespace

const EquivariantForms REANN_EQUIVARIANT_TABLE = {form<float>(), form<double>()};

} // namespace reann
