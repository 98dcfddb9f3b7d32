// Energies, forces and virials of a system, the gradient of a loss of them, and the heat flux.
#pragma once

#include "model.hpp"
#include "workspace.hpp"

namespace reann {

// All functions throw `Error` if the system is impossible or an exchange failed.
void evaluate(const Model &model, int member, Workspace &workspace, const reann_system &system,
              const reann_result &result);
// The same in two calls: first the energies and outputs of atoms, then the derivatives for given seeds.
void forward(const Model &model, int member, Workspace &workspace, const reann_system &system,
             double *energies, double *outputs);
void adjoint(Workspace &workspace, const double *seeds, const double *output_seeds,
             const reann_result &result);
void gradient(const Model &model, int member, Workspace &workspace, const reann_system &system,
              const reann_loss &loss, double *const *gradients);
void heat_flux(const Model &model, int member, Workspace &workspace, const reann_system &system,
               const double *velocity, double *energies, double *flux);
// Adds to gradients[a] the derivatives of sum_s weights[s] d^2E_s/dt^2 in the field F_s + t directions[s], at
// the positions r_i + t velocity[i]; `velocity` may be NULL.
void curvature_gradient(const Model &model, int member, Workspace &workspace, const reann_system &system,
                        const double *velocity, const double *directions, const double *weights,
                        double *const *gradients);
// `born` may be NULL.
void responses(const Model &model, int member, Workspace &workspace, const reann_system &system,
               double *dipole, double *polarizability, double *born);
void dipole_rate(const Model &model, int member, Workspace &workspace, const reann_system &system,
                 const double *velocity, const double *field_rate, double *dipole, double *rate);

} // namespace reann
