// Charges in a cell with periodic images: smooth particle mesh Ewald, the same as reann/electrostatics/mesh.py.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "coulomb.h"
#include "waves.h"

namespace reann {

class Mesh {
  public:
    Mesh(MPI_Comm world, double sigma) : world_(world), sigma_(sigma) {}

    // Derivatives of the energy. `cell`: lattice vectors as rows, Å. Called by all ranks.
    CoulombSlopes slopes(const double *cell, const Charges &charges);

  private:
    static constexpr int order = 8;            // of the splines
    static constexpr double per_sigma = 2.0;   // least number of mesh points in the length sigma

    void set_cell(const double *cell);
    void place(const Charges &charges);
    void spread(const Charges &charges);
    void apply(double *by_strain);
    void read(const Charges &charges, CoulombSlopes &slopes) const;
    template <class Visit> void for_waves(const Visit &visit) const;

    MPI_Comm world_;
    double sigma_;
    double cell_[9] = {}, inverse_[9] = {}, volume_ = 0.0;
    std::array<int, 3> sizes_ = {};
    std::array<std::vector<double>, 3> factors_; // |b|^2 of each axis
    std::unique_ptr<Waves> waves_;
    std::vector<double> G_;                  // 4 pi exp(-sigma^2 k^2 / 2) / k^2 / V |b|^2 of the waves of this rank
    std::vector<double> weights_, slopes_;   // (n, 3, order) of the splines of the charges
    std::vector<int> first_;                 // (n, 3) the first mesh point of each
    std::vector<double> mesh_;               // (sizes[0], sizes[1], row), of all ranks
};

} // namespace reann
