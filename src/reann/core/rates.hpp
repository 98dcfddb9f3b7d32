// Changes along velocities or fields, from walks with tangents: heat flux, dipoles, responses to a field.
#pragma once

#include "loss_gradient.hpp"

namespace reann {
namespace {

// The heat flux through the recursion, J = -sum_ij r_ij sum_t (dE/dc_ij^(t)) . dc_j^(t) along the tangents,
// for atoms that move by `-loss.forces`.
template <class Real> void add_flux(Run<Real> run, double *flux) {
    Edges<Real> &edges = run.work.edges;
    edges.power = run.workspace.template take<Real>(edges.capacity);
    walk_with_tangents(run);
    for (int64_t i = 0; i < run.system.n_local; ++i)
        for (int64_t e = edges.begin[i]; e < edges.end[i]; ++e) {
            const double length = run.weights.unit_vectors ? 1.0 : edges.r[e];
            const double scale = edges.distance[e] / length * edges.power[e];
            flux[0] -= edges.x[e] * scale;
            flux[1] -= edges.y[e] * scale;
            flux[2] -= edges.z[e] * scale;
        }
}

// Dipoles of systems and, with tangents, their rates.
template <class Real> void give_rates(Run<Real> &run, double *dipole, double *rate) {
    reann_result result = {};
    result.dipole = dipole;
    make_sums(run, result);
    walk_with_tangents(run);
    for (int64_t s = 0; s < run.system.n_systems; ++s) {
        run.add_up(dipole + 3 * s, 3, &Chunk<Real>::dipole, 6 * s);
        run.add_up(rate + 3 * s, 3, &Chunk<Real>::dipole, 6 * s + 3);
    }
}

// One walk for each component b of the field: dmu/dF_b, and dF_i/dF_b of the forces, which is dmu_b/dr_i.
template <class Real>
void give_responses(const Model &model, int member, Workspace &workspace, const reann_system &system,
                    double *dipole, double *polarizability, double *born) {
    std::vector<double> rate(3 * system.n_systems);
    for (int b = 0; b < 3; ++b) {
        std::vector<double> along(3 * system.n_systems, 0.0); // minus the direction
        for (int64_t s = 0; s < system.n_systems; ++s) along[3 * s + b] = -1.0;
        reann_loss loss = {};
        loss.dipole = along.data();
        Run<Real> run(model, member, workspace, system, true, &loss, born != nullptr);
        give_rates(run, dipole, rate.data());
        for (size_t k = 0; k < rate.size(); ++k) polarizability[3 * k + b] = rate[k];
        for (int64_t i = 0; born && i < system.n_atoms; ++i)
            run.add_up(born + 9 * run.work.atoms.caller[i] + 3 * b, 3, &Chunk<Real>::forces, 3 * i);
    }
}

} // namespace
} // namespace reann
