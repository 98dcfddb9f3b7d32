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

// Derivatives of U for the charges of a rank.
struct CoulombSlopes {
    std::vector<double> by_charge;   // (n) V: the potential; the energy of an atom is half of q times this
    std::vector<double> by_position; // (n, 3) eV/Å
    double by_strain[9] = {};        // eV: the contribution of this rank
};

// Potential in V of a unit charge at its own center.
double self_potential(double sigma);

// The interactions of charges at given positions. All ranks call each function.
class Coulomb {
  public:
    virtual ~Coulomb() = default;

    // Potentials (n) in V at the n atoms of this rank, from their charges in e.
    virtual std::vector<double> potentials(const std::vector<double> &q) = 0;
    // The same within about a hundredth, in less time.
    virtual std::vector<double> coarse_potentials(const std::vector<double> &q) = 0;
    virtual CoulombSlopes slopes(const std::vector<double> &q) = 0;

    // An approximation of residuals (n) divided by h + V, with the interactions V and a hardness h in V/e; symmetric
    // and positive definite for residuals without a sum.
    virtual std::vector<double> preconditioned(const std::vector<double> &residual, double hardness) = 0;
};

// Sums and the largest of numbers over all ranks.
std::vector<double> sum_of_ranks(MPI_Comm world, std::vector<double> own);
double largest_of_ranks(MPI_Comm world, double own);

} // namespace reann
