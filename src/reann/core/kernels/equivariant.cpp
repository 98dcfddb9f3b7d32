// The kernels of the equivariant recursion, compiled once per instruction set as level.cpp is.

#include "equivariant.hpp"
#include "free_atom.hpp"
#include "tables.hpp"

namespace reann {
namespace {

template <class Real, bool tangents, int l_max> constexpr Passes<Real> passes() {
    using F = Field<Real, tangents>;
    return {prepare_edges<F>, forward_layer<F, l_max>, middle_layer<F, l_max>, backward_layer<F, l_max>};
}

template <class Real> int64_t scratch_size(const Weights<Real> &w, int planes) {
    return LayerScratch<Real>(w, planes, nullptr).size;
}

template <class Real, bool tangents>
double free_atom_of(const Weights<Real> &w, int element, Real *scratch, double count, double sum,
                    double *parameters) {
    using F = Field<Real, tangents>;
    switch (w.l_max) {
    case 1: return free_atom<F, 1>(w, element, scratch, count, sum, parameters);
    case 2: return free_atom<F, 2>(w, element, scratch, count, sum, parameters);
    default: return free_atom<F, 3>(w, element, scratch, count, sum, parameters);
    }
}

template <class Real> double energy_of_free_atom(const Weights<Real> &w, int element, Real *scratch) {
    return free_atom_of<Real, false>(w, element, scratch, 0.0, 0.0, nullptr);
}

template <class Real>
void gradient_of_free_atom(const Weights<Real> &w, int element, Real *scratch, double count, double sum,
                           double *parameters) {
    free_atom_of<Real, true>(w, element, scratch, count, sum, parameters);
}

template <class Real> constexpr Form<Real> form() {
    return {scratch_size<Real>,
            energy_of_free_atom<Real>,
            gradient_of_free_atom<Real>,
            {{}, passes<Real, false, 1>(), passes<Real, false, 2>(), passes<Real, false, 3>(), {}},
            {{}, passes<Real, true, 1>(), passes<Real, true, 2>(), passes<Real, true, 3>(), {}}};
}

} // namespace

const EquivariantForms REANN_EQUIVARIANT_TABLE = {form<float>(), form<double>()};

} // namespace reann
