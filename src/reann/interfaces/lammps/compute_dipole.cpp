#include "compute_dipole.h"

#include <cstring>

#include "domain.h"
#include "error.h"
#include "force.h"
#include "pair_reann.h"
#include "update.h"

using namespace LAMMPS_NS;

ComputeReannDipole::ComputeReannDipole(LAMMPS *lmp, int narg, char **arg) : Compute(lmp, narg, arg) {
    polarizability_ = narg == 4 && !std::strcmp(arg[3], "polarizability");
    if (narg != 3 && !polarizability_)
        error->all(FLERR, "compute {} reann/dipole has no argument except `polarizability`", id);
    if (igroup)
        error->all(FLERR, "compute {} reann/dipole needs the group all", id);
    vector_flag = extvector = timeflag = 1;
    size_vector = polarizability_ ? 9 : 3;
    vector = new double[size_vector];
}

ComputeReannDipole::~ComputeReannDipole() { delete[] vector; }

PairReann *ComputeReannDipole::pair() const {
    auto *found = dynamic_cast<PairReann *>(force->pair_match("reann", 1));
    if (!found) error->all(FLERR, "compute {} reann/dipole needs exactly one pair_style reann", id);
    return found;
}

void ComputeReannDipole::init() {
    const PairReann *from = pair();
    const char *missing = !from->has("dipole")                               ? "dipole"
                          : polarizability_ && !from->has("polarizability") ? "polarizability"
                                                                            : nullptr;
    if (missing)
        error->all(FLERR, "compute {} reann/dipole: the potential has no output '{}' in a form that LAMMPS supports: "
                          "train one with `model.outputs: [dipole, polarizability]`, or with "
                          "`model.field: true`",
                   id, missing);
}

// Charges times positions relative to the center of mass, only without periodic directions; and atomic dipoles.
void ComputeReannDipole::compute_vector() {
    invoked_vector = update->ntimestep;
    PairReann *from = pair();
    const Polarization own = from->polarization(polarizability_);
    Polarization all;
    static_assert(sizeof own == Polarization::size * sizeof(double), "an array of numbers");
    MPI_Allreduce(&own, &all, Polarization::size, MPI_DOUBLE, MPI_SUM, world);
    const bool periodic = domain->periodicity[0] || domain->periodicity[1] || domain->periodicity[2];
    for (int a = 0; a < 3; ++a) {
        vector[a] = all.dipole[a];
        if (periodic || !(all.mass > 0.0)) continue;
        vector[a] += all.charges_at[a] - from->total_charge() * all.mass_at[a] / all.mass;
    }
    for (int k = 0; polarizability_ && k < 6; ++k) vector[3 + k] = all.polarizability[k];
}
