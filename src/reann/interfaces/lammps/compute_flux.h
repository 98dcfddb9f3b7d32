// Compute `reann/flux` of LAMMPS: the heat flux of a potential with messages, whose energies of atoms depend
// on more than their neighbors; exact on any number of ranks.
//
//     compute flux all reann/flux         Jx Jy Jz, then their convective parts; not divided by the volume
#pragma once

#include "compute.h"

namespace LAMMPS_NS {

class ComputeReannFlux : public Compute {
  public:
    ComputeReannFlux(LAMMPS *lmp, int narg, char **arg);
    ~ComputeReannFlux() override;
    void init() override;
    void compute_vector() override;
};

} // namespace LAMMPS_NS
