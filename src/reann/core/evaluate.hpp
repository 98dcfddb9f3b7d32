// Energies, forces and virials of a system, and the gradient of a loss of them.
#pragma once

#include "model.hpp"
#include "workspace.hpp"

namespace reann {

// Both throw `Error` if the system is impossible or an exchange failed.
void evaluate(const Model &model, int member, Workspace &workspace, const reann_system &system,
              const reann_result &result);
void gradient(const Model &model, int member, Workspace &workspace, const reann_system &system,
              const reann_loss &loss, double *const *gradients);

} // namespace reann
