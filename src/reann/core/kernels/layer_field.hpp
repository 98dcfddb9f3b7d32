// An electric field as one more input of the mixing, the last one for l = 0, 1 and 2: with f = F / F_0
//
//     f.f,   f,   five components of f f
//
// whose norms are folded into the matrix that follows; and the dipole, -dE/dF, from their adjoint.
#pragma once

#include "layer_inputs.hpp"

namespace reann {
namespace {

// The field at an atom and its tangent, in units of F_0. The field is linear in the variable of the
// derivatives.
template <class F> struct ElectricField {
    using Real = typename F::Real;
    Real of[3][3] = {}; // by plane

    ElectricField(const Work<Real> &work, int64_t atom) {
        const Atoms &atoms = work.atoms;
        const int64_t at = 3 * system_of(atoms, atom);
        for (int a = 0; a < 3; ++a) {
            const double scale = work.weights->field_scale;
            if (atoms.field) of[0][a] = static_cast<Real>(scale * atoms.field[at + a]);
            if (F::planes > 1 && atoms.dipole_bar)
                of[1][a] = static_cast<Real>(-scale * atoms.dipole_bar[at + a]);
        }
    }
};

// A bilinear form of f and g, multiplied by `times`: f.g, and (f g + g f) / 2 as xx, xy, xz, yy, yz, zz.
template <class Real> void squares(Real times, const Real *f, const Real *g, Real *dot, Real *six) {
    *dot = times * (f[0] * g[0] + f[1] * g[1] + f[2] * g[2]);
    int at = 0;
    for (int a = 0; a < 3; ++a)
        for (int b = a; b < 3; ++b) six[at++] = Real(0.5) * times * (f[a] * g[b] + f[b] * g[a]);
}

// Adds the derivative with respect to f to g_bar, from f and the adjoints of its squares.
template <class Real> void adjoint_of_squares(const Real *f, Real dot_bar, const Real *six, Real *g_bar) {
    for (int a = 0; a < 3; ++a) g_bar[a] += Real(2) * dot_bar * f[a];
    int at = 0;
    for (int a = 0; a < 3; ++a)
        for (int b = a; b < 3; ++b, ++at) {
            g_bar[a] += six[at] * f[b];
            g_bar[b] += six[at] * f[a];
        }
}

// Addresses of the numbers of a plane, component after component of l = 0 .. highest <= 2.
template <class F, int l_max, class Use>
void each_field_input(const EquivariantLayer<typename F::Real> &layer, typename F::Real *const *in, int i,
                      int plane, const Use &use) {
    const Inputs<F, l_max> inputs(layer, in, i);
    typename F::Real *rows[l_max + 1];
    inputs.part(layer, plane, 0, rows);
    for (int l = 0, at = 0; l <= States<l_max>::highest; ++l)
        for (int a = 0; a < shell_size(l); ++a)
            use(rows[l][a * inputs.row[l] + layer.mixing[l].rows - 1], at++);
}

template <class F, int l_max>
void field_inputs(const Work<typename F::Real> &work, int64_t atom,
                  const EquivariantLayer<typename F::Real> &layer, typename F::Real *const *in, int i) {
    using Real = typename F::Real;
    if (work.weights->field_scale == 0.0) return;
    const ElectricField<F> f(work, atom);
    for (int plane = 0; plane < F::planes; ++plane) {
        Real Y[9], six[6]; // f.f, f, five components
        squares(plane == 1 ? Real(2) : Real(1), f.of[plane / 2], f.of[(plane + 1) / 2], Y, six);
        for (int a = 0; a < 3; ++a) Y[1 + a] = f.of[plane][a];
        const Real *from[6] = {six, six + 1, six + 2, six + 3, six + 4, six + 5};
        Real *to[5] = {Y + 4, Y + 5, Y + 6, Y + 7, Y + 8};
        Traceless<Real>::forward(from, 0, to);
        each_field_input<F, l_max>(layer, in, i, plane, [&](Real &input, int at) { input = Y[at]; });
    }
}

template <class F, int l_max>
void adjoint_of_field_inputs(const Work<typename F::Real> &work, Chunk<typename F::Real> &chunk,
                             int64_t atom, const EquivariantLayer<typename F::Real> &layer,
                             typename F::Real *const *in_bar, int i) {
    using Real = typename F::Real;
    if (F::planes == 3 || !chunk.dipole) return;
    const ElectricField<F> f(work, atom);
    Real f_bar[3][3] = {};
    for (int plane = 0; plane < F::planes; ++plane) {
        Real Y_bar[9] = {}, six[6];
        each_field_input<F, l_max>(layer, in_bar, i, plane, [&](Real &bar, int at) { Y_bar[at] = bar; });
        Real *to[6] = {six, six + 1, six + 2, six + 3, six + 4, six + 5};
        const Real *from[5] = {Y_bar + 4, Y_bar + 5, Y_bar + 6, Y_bar + 7, Y_bar + 8};
        Traceless<Real>::adjoint(to, 0, from);
        for (int a = 0; a < 3; ++a) f_bar[plane][a] += Y_bar[1 + a];
        adjoint_of_squares(f.of[0], Y_bar[0], six, f_bar[plane]);
        if (F::planes == 2 && plane == 0) adjoint_of_squares(f.of[1], Y_bar[0], six, f_bar[1]);
    }
    double *to = chunk.dipole + 3 * F::planes * system_of(work.atoms, atom);
    for (int plane = 0; plane < F::planes; ++plane)
        for (int a = 0; a < 3; ++a) to[3 * plane + a] -= work.weights->field_scale * f_bar[plane][a];
}

} // namespace
} // namespace reann
