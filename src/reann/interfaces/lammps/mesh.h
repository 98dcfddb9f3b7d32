// Charges in a cell with periodic images: smooth particle mesh Ewald, the same as reann/electrostatics/mesh.py.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "coulomb.h"
#include "waves.h"

namespace reann {

class Mesh final : public Coulomb {
  public:
    // `per_sigma`: least number of mesh points in the length sigma.
    Mesh(MPI_Comm world, double sigma, double per_sigma = 2.0)
        : world_(world), sigma_(sigma), per_sigma_(per_sigma) {}

    // Takes the cell, lattice vectors as rows in Å, and positions (n, 3) of the atoms of this rank.
    void place(const double *cell, int64_t n, const double *position);

    std::vector<double> potentials(const std::vector<double> &q) override;
    CoulombSlopes slopes(const std::vector<double> &q) override;

    // Charge fluctuations of long waves cost the most energy, 4 pi n / k^2 for n atoms per volume. (h + n G)^-1
    // of wide Gaussians removes them; n is the highest density, so that it is positive definite.
    std::vector<double> preconditioned(const std::vector<double> &residual, double hardness) override;

  private:
    static constexpr int order = 8; // of the splines

    void set_cell(const double *cell);
    void spread(const std::vector<double> &q);
    void multiply(const std::vector<double> &G, double *by_strain = nullptr);
    void transform_back();
    std::vector<double> read() const;
    CoulombSlopes read_slopes(const std::vector<double> &q) const;
    std::vector<double> filtered(const std::vector<double> &q, const std::vector<double> &G);
    double highest_density();
    long row_of(const int *first, int j, int k) const;
    template <class Visit> void for_waves(const Visit &visit) const;

    MPI_Comm world_;
    double sigma_, per_sigma_;
    double cell_[9] = {}, inverse_[9] = {}, volume_ = 0.0;
    std::array<int, 3> sizes_ = {};
    std::array<std::vector<double>, 3> factors_; // |b|^2 of each axis
    std::unique_ptr<Waves> waves_;
    std::vector<double> G_;                // in V/e, times |b|^2, of the waves of this rank
    int64_t n_ = 0;
    std::vector<double> weights_, slopes_; // (n, 3, order) of the splines of the charges
    std::vector<int> first_;               // (n, 3) the first mesh point of each
    std::vector<double> mesh_;             // (sizes[0], sizes[1], row), of all ranks
    std::vector<double> position_;
    std::unique_ptr<Mesh> wide_;   // mesh of the preconditioner
    bool wide_is_placed_ = false;  // for the present positions
    std::vector<double> wide_filter_;
};

} // namespace reann
