// Compute `reann/dipole` of LAMMPS: the dipole of a potential that has this output or depends on an electric
// field.
//
//     compute mu all reann/dipole                  mu_x mu_y mu_z, e Å
//     compute mu all reann/dipole polarizability   and xx yy zz xy xz yz of the polarizability, Å^3
#pragma once

#include "compute.h"

namespace LAMMPS_NS {

class PairReann;

class ComputeReannDipole : public Compute {
  public:
    ComputeReannDipole(LAMMPS *lmp, int narg, char **arg);
    ~ComputeReannDipole() override;
    void init() override;
    void compute_vector() override;

  private:
    PairReann *pair() const;

    bool polarizability_;
};

} // namespace LAMMPS_NS
