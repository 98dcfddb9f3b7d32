// Results of a walk (run.hpp) in the caller's order of the atoms: energies, outputs, derivatives.
//
// Each chunk adds to memory of its own, without locks; `give_derivatives` adds these parts in a fixed order,
// so that results do not depend on which thread is first.
#pragma once

#include "run.hpp"

namespace reann {
namespace {

void clear(double *p, int64_t n) {
    if (p) std::fill_n(p, n, 0.0);
}

// Memory of each chunk for its contributions to the derivatives, set to zero.
template <class Real> void make_sums(Run<Real> &run, const reann_result &result) {
    const int64_t n = run.system.n_atoms, n_systems = run.system.n_systems;
    const auto room = [&](double *&part, bool wanted, int64_t size) {
        if (!wanted) part = nullptr;
        else if (!part) part = run.workspace.template take<double>(size);
        clear(part, size);
    };
    for (Chunk<Real> &chunk : run.chunks) {
        room(chunk.forces, run.work.derivatives, 3 * n);
        room(chunk.virial, result.virial, 9 * n_systems);
        room(chunk.virials, result.virials, 9 * n);
        room(chunk.dipole, result.dipole, 3 * run.planes * n_systems);
    }
}

template <class Real> void give_energies(const Run<Real> &run, double *energies) {
    for (int64_t i = 0; i < run.system.n_local; ++i)
        energies[run.work.atoms.caller[i]] = run.work.energies[i];
}

template <class Real> void make_outputs(Run<Real> &run, const double *wanted) {
    const int64_t size = run.system.n_local * run.weights.outputs_width;
    if (!wanted || run.weights.outputs_width == 0) return;
    run.work.outputs = run.workspace.template take<double>(size + 1); // not NULL without atoms
    clear(run.work.outputs, size);
}

template <class Real> void give_outputs(const Run<Real> &run, double *outputs) {
    const int64_t width = run.weights.outputs_width;
    for (int64_t i = 0; run.work.outputs && i < run.system.n_local; ++i)
        std::copy_n(run.work.outputs + i * width, width, outputs + run.work.atoms.caller[i] * width);
}

template <class Real> void give_derivatives(const Run<Real> &run, const reann_result &result) {
    const int32_t *caller = run.work.atoms.caller;
    for (int64_t i = 0; i < run.system.n_atoms; ++i) {
        if (result.forces) run.add_up(result.forces + 3 * caller[i], 3, &Chunk<Real>::forces, 3 * i);
        if (result.virials)
            run.add_up(result.virials + 9 * caller[i], 9, &Chunk<Real>::virials, 9 * i);
    }
    if (result.virial) run.add_up(result.virial, 9 * run.system.n_systems, &Chunk<Real>::virial, 0);
    if (result.dipole) run.add_up(result.dipole, 3 * run.system.n_systems, &Chunk<Real>::dipole, 0);
}

template <class Real> void make_extrapolation(Run<Real> &run) {
    run.work.extrapolation = run.workspace.template take<double>(run.system.n_local);
}

template <class Real> void give_extrapolation(const Run<Real> &run, double *extrapolation) {
    for (int64_t i = 0; extrapolation && i < run.system.n_local; ++i)
        extrapolation[run.work.atoms.caller[i]] = run.work.extrapolation[i];
}

} // namespace
} // namespace reann
