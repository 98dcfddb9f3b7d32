// Compute `reann/flux` of LAMMPS: the heat flux of a potential whose atoms see further than their
// neighbors, exact on any number of ranks.
//
//     compute flux all reann/flux         Jx Jy Jz, and what of it atoms carry along, not per volume
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
