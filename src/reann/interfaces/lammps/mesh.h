// Charges in a cell with periodic images: smooth particle mesh Ewald, the same as reann/electrostatics/mesh.py, and
// the coarse meshes of reann/electrostatics/balance.py.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "coulomb.h"
#include "splines.hpp"
#include "waves.h"

namespace reann {

// Order of the splines, and least number of mesh points in the length sigma.
struct Fineness {
    int order;
    double per_sigma;
};

class Mesh final : public Coulomb {
  public:
    Mesh(MPI_Comm world, double sigma, Fineness fineness = {8, 2.0})
        : world_(world), sigma_(sigma), fineness_(fineness) {}

    // Takes the cell, lattice vectors as rows in Å, and positions (n, 3) of the atoms of this rank.
    void place(const double *cell, int64_t n, const double *position);

    std::vector<double> potentials(const std::vector<double> &q) override;
    std::vector<double> coarse_potentials(const std::vector<double> &q) override;
    CoulombSlopes slopes(const std::vector<double> &q) override;
    std::vector<double> preconditioned(const std::vector<double> &residual, double hardness) override;

  private:
    // A coarser mesh of the same charges, which is made when it is first needed.
    struct Coarser {
        std::unique_ptr<Mesh> mesh;
        bool is_placed = false; // at the present positions
    };

    Mesh &placed(Coarser &coarser, double sigma, Fineness fineness);
    void set_cell(const double *cell);
    void spread(const std::vector<double> &q);
    void multiply(const std::vector<double> &G, double *by_strain = nullptr);
    void transform_back();
    std::vector<double> read() const;
    CoulombSlopes read_slopes(const std::vector<double> &q) const;
    std::vector<double> filtered(const std::vector<double> &q, const std::vector<double> &G);
    double highest_density();
    template <class Visit> void for_waves(const Visit &visit) const;

    MPI_Comm world_;
    double sigma_;
    Fineness fineness_;
    double cell_[9] = {}, inverse_[9] = {}, volume_ = 0.0;
    std::array<int, 3> sizes_ = {};
    std::array<std::vector<double>, 3> factors_; // |b|^2 of each axis
    std::unique_ptr<Waves> waves_;
    std::vector<double> G_;                // in V/e, times |b|^2, of the waves of this rank
    int64_t n_ = 0;
    Splines splines_;                      // of the charges
    std::vector<double> mesh_;             // of all ranks
    std::vector<double> position_;
    Coarser coarse_, wide_;                // wide_: of the preconditioner
    std::vector<double> filter_;           // of the preconditioner
};

} // namespace reann
