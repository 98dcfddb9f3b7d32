// Charges without periodic images: the sum over all pairs.
#pragma once

#include "coulomb.h"

namespace reann {

class Pairs final : public Coulomb {
  public:
    // `position`: (n, 3) of the atoms of this rank.
    Pairs(MPI_Comm world, double sigma, int64_t n, const double *position);

    std::vector<double> potentials(const std::vector<double> &q) override;
    std::vector<double> coarse_potentials(const std::vector<double> &q) override { return potentials(q); }
    CoulombSlopes slopes(const std::vector<double> &q) override;
    std::vector<double> preconditioned(const std::vector<double> &residual, double hardness) override;

  private:
    std::vector<double> gathered(const double *own, int width) const;

    MPI_Comm world_;
    double sigma_;
    int64_t n_;
    std::vector<int> sizes_, starts_; // numbers of atoms of each rank, and of those before
    int64_t first_ = 0;               // index of the first atom of this rank among all
    std::vector<double> position_, all_positions_;
    std::vector<double> matrix_; // (n, all) interactions in V/e; made when potentials are first needed
};

} // namespace reann
