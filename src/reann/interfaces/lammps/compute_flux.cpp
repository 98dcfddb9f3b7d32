#include "compute_flux.h"

#include "error.h"
#include "force.h"
#include "pair_reann.h"
#include "update.h"

using namespace LAMMPS_NS;

ComputeReannFlux::ComputeReannFlux(LAMMPS *lmp, int narg, char **arg) : Compute(lmp, narg, arg) {
    if (narg != 3) error->all(FLERR, "compute {} reann/flux has no arguments", id);
    if (igroup) error->all(FLERR, "compute {} reann/flux needs the group all", id);
    vector_flag = extvector = 1;
    size_vector = 6;
    vector = new double[size_vector];
}

ComputeReannFlux::~ComputeReannFlux() { delete[] vector; }

void ComputeReannFlux::init() {
    if (utils::strmatch(force->pair_style, "^hybrid/scaled"))
        error->all(FLERR, "compute {} reann/flux does not support pair_style hybrid/scaled", id);
    if (!force->pair_match("reann", 1))
        error->all(FLERR, "compute {} reann/flux needs exactly one pair_style reann", id);
    if (static_cast<PairReann *>(force->pair_match("reann", 1))->has_coulomb())
        error->all(FLERR, "compute {} reann/flux does not support potentials with charges, because their Coulomb "
                          "energy is that of all atoms together", id);
}

void ComputeReannFlux::compute_vector() {
    invoked_vector = update->ntimestep;
    // Another pair style may have replaced it between runs.
    auto *pair = dynamic_cast<PairReann *>(force->pair_match("reann", 1));
    if (!pair) error->all(FLERR, "compute {} reann/flux needs exactly one pair_style reann", id);
    double own[6];
    pair->heat_flux(own);
    MPI_Allreduce(own, vector, 6, MPI_DOUBLE, MPI_SUM, world);
}
