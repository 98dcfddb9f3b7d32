// Coulomb energy of Gaussian charges that are divided among ranks,
//
//     U = 1/2 sum_(i != j) q_i q_j erf(r_ij / (sqrt(2) sigma)) / (4 pi epsilon_0 r_ij),
//
// including periodic images, without self-interaction, as in reann/electrostatics.
#pragma once

#include <cstdint>
#include <vector>

#include <mpi.h>

namespace reann {

constexpr double coulomb = 14.399645351950548; // 1 / (4 pi epsilon_0) in V Å / e, as in reann/units.py

// The charges of a rank.
struct Charges {
    int64_t n;
    const double *position; // (n, 3) Å
    const double *q;        // (n) e
};

// Derivatives of U for the charges of a rank.
struct CoulombSlopes {
    std::vector<double> by_charge;   // (n) V: the potential; the energy of an atom is half of q times this
    std::vector<double> by_position; // (n, 3) eV/Å
    double by_strain[9];             // eV: the contribution of this rank

    explicit CoulombSlopes(int64_t n); // all zero
};

// Without periodic images: the sum over all pairs. Called by all ranks.
CoulombSlopes slopes_of_pairs(MPI_Comm world, double sigma, const Charges &charges);

} // namespace reann
