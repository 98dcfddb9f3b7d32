// The kernels of an instruction set, as a table of functions.
#pragma once

#include "facts.hpp"
#include "plan.hpp"

namespace reann {

template <class Real> struct Passes {
    void (*prepare)(const Work<Real> &, Chunk<Real> &);
    void (*forward)(const Work<Real> &, Chunk<Real> &, int t);
    void (*middle)(const Work<Real> &, Chunk<Real> &);
    void (*backward)(const Work<Real> &, Chunk<Real> &, int t);
};

// Functions for one form of model: the embedded density, or the equivariant recursion.
template <class Real> struct Form {
    int64_t (*scratch_size)(const Weights<Real> &, int planes);
    double (*nothing)(const Weights<Real> &, int element, Real *scratch);
    void (*gradient_of_nothing)(const Weights<Real> &, int element, Real *scratch, double count,
                                double sum, double *parameters);
    // For each order of the derivatives that are propagated, and each l_max; the second order exists for the
    // equivariant recursion only.
    Passes<Real> passes[3][highest_l_max + 1];
};

template <class Real> struct Kernels {
    int lanes; // of a vector: rows are padded to a multiple
    int64_t (*packed_size)(int rows, int columns);
    void (*pack)(const double *W, int rows, int columns, int64_t down, int64_t right, Real *packed);
    void (*multiply)(const Real *x, int64_t x_row, int rows, int depth, const Real *packed,
                     int columns, Real *y, int64_t y_row, const Real *bias, int planes);
    Form<Real> density;
    const Form<Real> *equivariant;

    const Form<Real> &form(const Weights<Real> &w) const { return w.layers ? *equivariant : density; }
};

struct EquivariantForms {
    Form<float> single;
    Form<double> precise;
};

struct Level {
    const char *name;
    Kernels<float> single;
    Kernels<double> precise;
};

template <class Real> const Kernels<Real> &kernels_of(const Level &level);
template <> inline const Kernels<float> &kernels_of<float>(const Level &level) { return level.single; }
template <> inline const Kernels<double> &kernels_of<double>(const Level &level) {
    return level.precise;
}

// The level in use: the best that this processor supports, or the one in REANN_ISA; throws `Error` if the
// processor does not support that one.
const Level &level();

// Names of the levels that this processor supports, best first; NULL after the last.
const char *const *levels();

} // namespace reann
