// Charges at equal chemical potentials, as in reann/electrostatics/equilibration.py.
#pragma once

#include "coulomb.h"

namespace reann {

// Charges (n) in e of the atoms of this rank that minimize sum_i (chi_i q_i + J_i q_i^2 / 2) + U(q) of all ranks for a
// given sum. `chi` in V and `hardness` in V/e are (n); J is the hardness plus the self-interaction. Called by all
// ranks. Throws std::runtime_error on all of them if the charges do not converge.
std::vector<double> equilibrated(MPI_Comm world, Coulomb &interactions, double sigma, const std::vector<double> &chi,
                                 const std::vector<double> &hardness, double total);

} // namespace reann
